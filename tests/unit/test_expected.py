"""What is said of a model before it runs: by a clock that only the model moves, cut off, kept, and busier later."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from locality.datasets import Source
from locality.device import Compute
from locality.errors import DataUnavailable, UnknownName
from locality.store import Store
from locality.studies import (
    BenchPlan,
    Model,
    Sampling,
    expected_bench,
    expected_call,
    expected_sampling,
    find_model,
    finish,
)
from locality.studies.costs import law as laws
from locality.studies.costs.expected import cost
from locality.studies.costs.law import Law, busier, law_of
from locality.work import Progress, heartbeat
from tests.benches import network
from tests.made_up import made_up
from tests.shell import Shell

DIGITS = Source.parse("digits")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Seconds that nothing else on the machine moves; the pulse takes a tenth of one."""
    made = SimpleNamespace(now=0.0, pulse=0.1)
    monkeypatch.setattr(laws, "time", SimpleNamespace(perf_counter=lambda: made.now))
    monkeypatch.setattr(laws, "pulse", lambda: made.pulse)
    for module in ("costs.expected", "benchmark.expected"):
        monkeypatch.setattr(f"locality.studies.{module}.pulse", lambda: made.pulse)
    return made


def slow(clock: SimpleNamespace, seconds: Callable[[float], float], calls: list[float]) -> Any:
    """A model that takes so many seconds an image, in a hundred equal parts after a first tenth of them."""

    def call(x: Tensor, sigma: float) -> Tensor:
        whole = seconds(sigma) * len(x)
        clock.now += 0.1 * whole
        for i in range(1, 101):
            heartbeat(i / 100)
            clock.now += 0.009 * whole
            calls.append(0.009 * whole)
        return x * 0

    return lambda images, reference: call


def test_a_long_call_is_cut_off_and_its_whole_length_known(store: Store, clock: SimpleNamespace) -> None:
    """Its time is that of a power of sigma, 8 images taking minutes at some levels: a few seconds are spent."""
    calls: list[float] = []

    def seconds(sigma: float) -> float:
        return 3.0 * sigma**-0.5

    sampling = Sampling(count=8, steps=10)
    with made_up("slow", slow(clock, seconds, calls)):
        made = finish(expected_sampling(DIGITS, "slow", sampling, store=store))
        spent = clock.now
        assert made.calls == pytest.approx(8 * sum(map(seconds, sampling.sigmas())), rel=0.02)
        assert spent < 0.25 * made.calls
        again = finish(expected_sampling(DIGITS, "slow", sampling, store=store))
        assert clock.now == spent  # kept
        assert again == made
        heun = finish(expected_sampling(DIGITS, "slow", Sampling(count=8, steps=10, sampler="heun"), store=store))
        assert heun.calls == pytest.approx(2 * made.calls - 8 * seconds(sampling.sigmas()[0]), rel=0.02)


def test_a_machine_that_is_busier_now_takes_longer(store: Store, clock: SimpleNamespace) -> None:
    with made_up("slow", slow(clock, lambda sigma: 0.5, [])):
        calm = finish(expected_call(DIGITS, "slow", 4, 1.0, store=store))
        clock.pulse = 0.3
        busy = finish(expected_call(DIGITS, "slow", 4, 1.0, store=store))
    assert calm.calls == pytest.approx(2.0, rel=0.02)
    assert busy.calls == pytest.approx(3 * calm.calls)
    assert busier(Law(0.0, 1, (1.0,), (1.0,), None, 0.1), 100.0) == 8.0


def test_a_machine_that_changes_while_a_model_is_timed(store: Store, clock: SimpleNamespace) -> None:
    """The pulse a law is kept with is that of before and after: half of the time was busy here."""

    def busy(images: Any, reference: Any) -> Any:
        def call(x: Tensor, sigma: float) -> Tensor:
            clock.pulse = 0.3
            clock.now += 1.0
            return x * 0

        return call

    with made_up("busy", busy):
        law = finish(law_of(find_model(DIGITS, "busy", store=store), 4, [1.0], store=store, compute=Compute()))
    assert law.pulse == pytest.approx(0.2)


def test_between_levels_time_is_a_power_of_sigma_and_proportional_to_the_batch() -> None:
    law = Law(1.0, 8, (10.0, 1.0, 0.1), (8.0, 2.0, 4.0), 1000, 0.1)
    assert law.call(1.0, 8) == pytest.approx(2.0)
    assert law.call(math.sqrt(10.0), 8) == pytest.approx(4.0)
    assert law.call(100.0, 4) == pytest.approx(4.0)  # outside as at the end
    made = cost(law, [1.0, 0.1], 8, 0.1)
    assert (made.fit, made.calls, made.bytes, made.seconds) == (1.0, pytest.approx(6.0), 1000, pytest.approx(7.0))
    assert Law.read({**vars(law), "sigmas": [10.0, 1.0, 0.1], "seconds": [8.0, 2.0, 4.0]}) == law


def test_a_fit_too_long_to_wait_for_is_promised_by_its_progress(store: Store, clock: SimpleNamespace) -> None:
    """A gaussian mixture whose fit takes 10 s a step: it is left after one, and nothing is kept."""

    class Slow(Model):
        def key(self) -> dict[str, Any]:
            return {"slow": 1}

        def open(self, *, store: Store, compute: Compute) -> Iterator[Progress]:
            for i in range(4):
                yield Progress(i, 4, "Fitting")
                clock.now += 10.0
            raise AssertionError("it was waited for")

    law = finish(law_of(Slow(DIGITS, None, None), 4, [1.0], store=store, compute=Compute()))
    assert law.fit == pytest.approx(40.0)
    assert law.seconds == ()
    assert cost(law, [1.0], 4, 0.1).calls is None
    assert cost(law, [1.0], 4, 0.1).seconds == pytest.approx(40.0)


def test_many_levels_are_timed_at_a_dozen(store: Store, clock: SimpleNamespace) -> None:
    with made_up("slow", slow(clock, lambda sigma: 1e-4 * sigma, [])):
        model = find_model(DIGITS, "slow", store=store)
        levels = Sampling(steps=100).sigmas()
        law = finish(law_of(model, 8, levels, store=store, compute=Compute()))
    assert len(law.sigmas) == 12
    assert (law.sigmas[0], law.sigmas[-1]) == (levels[0], levels[-1])
    exact = sum(8e-4 * sigma for sigma in levels)
    assert sum(law.call(sigma, 8) for sigma in levels) == pytest.approx(exact, rel=0.02)


def test_what_cannot_run_says_so(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName):
        finish(expected_sampling(DIGITS, "unett", Sampling(), store=store))
    monkeypatch.delenv("LOCALITY_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataUnavailable):
        finish(expected_sampling(Source.parse("mnist"), "optimal", Sampling(), store=store))


def test_a_benchmark_is_the_sum_of_its_missing_calls(store: Store, clock: SimpleNamespace, tmp_path: Path) -> None:
    """Three steps, two of them at the reference's inputs too; held-out errors at the levels of plan and steps."""
    plan = BenchPlan(reference=network(tmp_path / "net"), models=("slow",), count=4, steps=3, ceiling="none")
    with made_up("slow", slow(clock, lambda sigma: 0.5, [])):
        found = finish(expected_bench(DIGITS, plan, store=store))
    assert set(found) == {"mean", "slow", "wiener", plan.reference}
    assert found["slow"].calls == pytest.approx(0.5 * 4 * (3 + 2 + len(plan.sigmas) + 3), rel=0.02)


def test_the_command_says_it_before_it_begins(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A model of a minute is announced; one of a moment is not."""
    shell = Shell(capsys, monkeypatch)
    for name, seconds, said in (("slow", 3.03, "Expected of slow: about 60 s, 0 s of them"), ("quick", 1e-4, "")):
        with made_up(name, slow(clock, lambda sigma, each=seconds: each, [])):
            words = ("sample", "digits", "--model", name, "-n", 4, "--steps", 5, "--out", tmp_path / f"{name}.npz")
            done = shell(*words, "--json")
            assert said in done.err
            assert bool(said) == ("Expected" in done.err)
            assert done.json["expected"]["call_seconds"] == pytest.approx(20 * seconds, rel=0.02)
            assert shell(*words, "--json").json["expected"] is None  # kept: nothing to expect


def test_memory_is_that_of_the_calls_and_the_trajectory(store: Store) -> None:
    def big(images: Any, reference: Any) -> Any:
        def call(x: Tensor, sigma: float) -> Tensor:
            return x * float(torch.ones(10_000_000)[0])

        return call

    with made_up("big", big):
        made = finish(expected_sampling(DIGITS, "big", Sampling(count=2, steps=2), store=store))
    if made.bytes is None:
        pytest.skip("this system does not let a peak be set back")
    assert 35e6 < made.bytes < 200e6, "40 MB, and what else the process touched in between"
