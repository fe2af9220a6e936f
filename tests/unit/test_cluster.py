"""Statistics and averages on three workers, one of them killed: the numbers of one process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from locality.checks.sets import COLOUR, GREY, eight_bit, floats, noisy
from locality.cluster.compute import ClusterCompute, leave
from locality.cluster.held import add_moments, merge_averages, pack_moments, unpack_moments
from locality.cluster.spread import SpreadDenoiser
from locality.dataset import Images
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.errors import DigestMismatch, TooLarge
from locality.linear.moments import PixelMoments, estimate_moments
from locality.linear.statistics import Statistics, _measured
from locality.store import Store
from locality.studies import finish
from locality.types import Denoiser
from locality.work import listening
from tests.clusters import Cluster
from tests.small_sets import fit

WORKERS = 3
MODELS = [
    "optimal",
    "optimal:classes=3,flips=true",
    "optimal:first=350",
    "smoothed:points=3",
    "pca_locality",
    "pca_locality:temperature=2,flips=true",
    "ls:window=3",
    "els:window=3",
    "pspc_flex",
]
ALONE = ["optimal:neighbours=3", "pca_locality:softmax=batch,batch_size=150", "wiener", "nearest"]


def summed(images: Images, compute: Compute, store: Store) -> Statistics:
    return finish(_measured(images, compute, store))


def killing(compute: ClusterCompute, after: int = 0) -> Callable[[float], None]:
    """A listener that kills the first worker at its first news after some."""
    victim, heard = next(iter(compute.team.members.values())), [0]

    def listen(_: float) -> None:
        heard[0] += 1
        if heard[0] == after + 1:
            os.kill(victim.pid, signal.SIGKILL)

    return listen


@pytest.mark.parametrize("images", [eight_bit(2000), floats(20_000), eight_bit(3)], ids=["bytes", "floats", "three"])
def test_statistics_are_the_same_to_the_last_bit(images: Images, team: ClusterCompute, store: Store) -> None:
    ours, one = summed(images, team, store), summed(images, Compute(), store)
    assert ours.count == one.count
    assert torch.equal(ours.mean, one.mean)
    assert torch.equal(ours.cov, one.cov)
    assert len(team.team.members) == 3


@pytest.mark.parametrize("text", MODELS)
def test_models_that_average_give_the_same(text: str, team: ClusterCompute, store: Store) -> None:
    images = eight_bit(1000)
    one = fit(text, images, store)
    many = team.spread(one, images)
    assert many is not one
    for sigma in (0.05, 0.5, 5.0):
        x = noisy(images, 5, sigma, dtype=torch.float32)
        torch.testing.assert_close(many(x, sigma), one(x, sigma), rtol=0, atol=1e-6)
        x = x.double()
        torch.testing.assert_close(many(x, sigma), one(x, sigma), rtol=0, atol=1e-9)


@pytest.mark.parametrize("text", ["optimal:first=350", "optimal:classes=3", "pca_locality:flips=true", "els:window=3"])
def test_workers_share_their_images_out_among_devices(text: str, team: ClusterCompute, store: Store) -> None:
    images, two = eight_bit(400), replace(team, others=("cpu",))
    one, many = fit(text, images, store), two.spread(fit(text, images, store, compute=two), images)
    assert isinstance(many, SpreadDenoiser)
    assert len(many.bank.parts) == 2
    for sigma in (0.5, 5.0):
        x = noisy(images, 5, sigma, dtype=torch.float32)
        torch.testing.assert_close(many(x, sigma), one(x, sigma), rtol=0, atol=1e-6)


def test_statistics_on_two_devices_a_worker(team: ClusterCompute, store: Store) -> None:
    two = replace(team, others=("cpu",), images=50)
    assert torch.equal(summed(eight_bit(700), two, store).cov, summed(eight_bit(700), Compute(), store).cov)
    ours, one = (summed(floats(700), compute, store) for compute in (two, Compute()))
    torch.testing.assert_close(ours.cov, one.cov, rtol=1e-12, atol=1e-14)


def test_float_images_are_averaged_too(team: ClusterCompute, store: Store) -> None:
    images = floats(900)
    one = fit("pca_locality", images, store)
    x = noisy(images, 4, 0.5, dtype=torch.float32)
    torch.testing.assert_close(team.spread(one, images)(x, 0.5), one(x, 0.5), rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", ALONE)
def test_what_does_not_merge_stays_in_this_process(text: str, team: ClusterCompute, store: Store) -> None:
    images = eight_bit(200)
    one = fit(text, images, store)
    assert team.spread(one, images) is one


def test_members_of_a_stack_are_spread(team: ClusterCompute, store: Store) -> None:
    images = eight_bit(400)
    one = fit("stack:members=wiener+optimal,validation=40", images, store)
    many, x = team.spread(one, images), noisy(images, 3, 0.5, dtype=torch.float32)
    torch.testing.assert_close(many(x, 0.5), one(x, 0.5), rtol=0, atol=1e-6)
    assert team.team.moved > 0


def test_gradients_and_evidence_are_those_of_the_model(team: ClusterCompute, store: Store) -> None:
    images = eight_bit(100)
    one = fit("optimal", images, store)
    many, x = team.spread(one, images), noisy(images, 2, 0.5)
    one_x, many_x = x.clone().requires_grad_(True), x.clone().requires_grad_(True)
    one(one_x, 0.5).sum().backward()
    many(many_x, 0.5).sum().backward()
    assert torch.equal(one_x.grad, many_x.grad)  # type: ignore[arg-type]


def test_images_stay_where_they_are_between_steps(team: ClusterCompute, store: Store) -> None:
    images = eight_bit(600)
    many, x = team.spread(fit("optimal", images, store), images), noisy(images, 2, 1.0, dtype=torch.float32)
    many(x, 1.0)
    sent, before = team.shards(images).sent, team.team.moved
    assert sent == images.train.data.nbytes
    many(x, 0.5)
    assert team.shards(images).sent == sent
    each, answers = x.nbytes, (2 * 1 + 2 * 1 + 2 * COLOUR.d) * 8
    assert team.team.moved - before == 3 * each + 3 * answers


def test_a_part_of_the_images_is_divided_among_all(team: ClusterCompute, store: Store) -> None:
    for text in ("optimal:first=300", "optimal:classes=3"):
        for images in (eight_bit(1000), Source.parse("digits")):
            many = team.spread(finish(DENOISERS.parse(text).fit(images, Compute(), store)), images)
            assert isinstance(many, SpreadDenoiser)
            held = [sum(b - a for a, b in pieces) for pieces in team.shards(many.averaged).pieces.values()]
            assert len(held) == 3
            assert max(held) < 1.2 * min(held)


def test_a_step_can_be_cancelled(team: ClusterCompute, store: Store) -> None:
    images = eight_bit(300)
    many, x = team.spread(fit("optimal", images, store), images), noisy(images, 2, 1.0, dtype=torch.float32)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(stop):
        many(x, 1.0)
    torch.testing.assert_close(many(x, 1.0), fit("optimal", images, store)(x, 1.0), rtol=0, atol=1e-6)


def test_sums_and_averages_merge_in_any_order() -> None:
    images, generator = eight_bit(97), np.random.default_rng(0)
    whole = estimate_moments([images.train.data])
    assert isinstance(whole, PixelMoments)
    model = fit("pca_locality", images, Store(Path("/nonexistent")))
    x = noisy(images, 3, 0.5)
    expected = model(x, 0.5)
    for workers in (2, 5, 30):
        cuts = np.sort(generator.choice(np.arange(1, 97), workers - 1, replace=False)).tolist()
        banks = list(zip([0, *cuts], [*cuts, 97], strict=True))
        sums = [pack_moments(estimate_moments([images.train.data[a:b]])) for a, b in banks]
        parts = [averaged(model, a, b, x) for a, b in banks]
        while len(sums) > 1:
            i, j = sorted(generator.choice(len(sums), 2, replace=False).tolist())
            for each, merge in ((sums, add_moments), (parts, merge_averages)):
                last = each.pop(j)
                each[i] = merge(last, each[i])
        merged = unpack_moments(sums[0])
        assert isinstance(merged, PixelMoments)
        assert torch.equal(merged.gram, whole.gram)
        assert torch.equal(merged.sums, whole.sums)
        mean = torch.from_numpy(parts[0][2] / parts[0][1])
        torch.testing.assert_close(mean, expected, rtol=0, atol=1e-9)


def averaged(model: Denoiser, start: int, stop: int, x: torch.Tensor) -> tuple[np.ndarray, ...]:
    bank = model.bank  # type: ignore[attr-defined]
    part = replace(bank, data=bank.data[start:stop], rows=bank.rows[start:stop])
    found = replace(model, bank=part).posterior(x, 0.5)  # type: ignore[type-var]
    return tuple(field.double().numpy() for field in found)


def test_files_that_workers_see_are_read_there(team: ClusterCompute, store: Store) -> None:
    source = Source.parse("digits", 500)
    many = team.spread(finish(DENOISERS.parse("optimal").fit(source, Compute(), store)), source)
    many(source.train.x0(slice(0, 2)), 1.0)
    assert team.shards(source).sent == 0


def test_files_that_they_do_not_see_are_sent(
    team: ClusterCompute, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from locality.datasets import DATASETS

    monkeypatch.setenv("LOCALITY_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    DATASETS.parse("afhqv2").stand_in(tmp_path / "data")
    source = Source.parse("afhqv2")
    one = finish(DENOISERS.parse("optimal").fit(source, Compute(), store))
    x = source.train.x0(slice(0, 2))
    torch.testing.assert_close(team.spread(one, source)(x, 30.0), one(x, 30.0), rtol=0, atol=1e-6)
    assert team.shards(source).sent == source.train.data.nbytes


def test_files_that_are_others_there_are_refused(team: ClusterCompute, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source.parse("digits", 64)
    source.train.data[5, 5] ^= 1
    with pytest.raises(DigestMismatch, match=r"Images 0 to \d+ of digits are others here"):
        team.shards(source)


def test_a_worker_without_memory_is_refused(team: ClusterCompute) -> None:
    for address, about in team.team.members.items():
        team.team.members[address] = replace(about, free=30_000)
    with pytest.raises(TooLarge, match=r"The worker tcp://.*process \d+ on .* is to hold 330 images of made and"):
        team.shards(eight_bit(1000))


@pytest.mark.parametrize("noticed", [True, False], ids=["scheduler knows", "nobody knows"])
def test_a_worker_killed_before_it_has_anything(noticed: bool, dask: Cluster, store: Store) -> None:
    compute, images = ClusterCompute(cluster=dask.address), eight_bit(900)
    try:
        one, x = fit("optimal", images, store), noisy(images, 4, 0.5, dtype=torch.float32)
        os.kill(next(iter(compute.team.members.values())).pid, signal.SIGKILL)
        if noticed:
            dask.until(WORKERS - 1)
        torch.testing.assert_close(compute.spread(one, images)(x, 0.5), one(x, 0.5), rtol=0, atol=1e-6)
        assert len(compute.team.lost) == 1
    finally:
        leave(dask.address)
        dask.workers(1)


def test_a_loss_noticed_while_another_reads_its_files(dask: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    compute, source = ClusterCompute(cluster=dask.address), Source.parse("digits", 300)
    try:
        team = compute.team
        ours, victim = team.result, list(team.members.values())[-1]

        def noticing(future: object) -> object:
            if victim.address in team.members:
                os.kill(victim.pid, signal.SIGKILL)
                dask.until(WORKERS - 1)
                team.look()
            return ours(future)  # type: ignore[arg-type]

        monkeypatch.setattr(team, "result", noticing)
        pieces = compute.shards(source).pieces
        assert set(pieces) == set(team.members)
        assert sum(stop - start for rows in pieces.values() for start, stop in rows) == 300
    finally:
        leave(dask.address)
        dask.workers(1)


@pytest.mark.parametrize("work", ["statistics", "pca_locality"])
def test_a_worker_killed_in_the_middle_loses_nothing_and_is_named(work: str, dask: Cluster, store: Store) -> None:
    compute = ClusterCompute(cluster=dask.address, images=100)
    try:
        victim, listen = next(iter(compute.team.members.values())), killing(compute, 1)
        if work == "statistics":
            images = eight_bit(4000, GREY)
            found = finish(compute.moments(images), lambda event: listen(event.fraction))
            assert torch.equal(found.cov(), estimate_moments([images.train.data]).cov())
        else:
            images = eight_bit(1500)
            one = fit(work, images, store)
            many, x = compute.spread(one, images), noisy(images, 4, 0.5, dtype=torch.float32)
            expected = one(x, 2.0), one(x, 0.5)
            with listening(listen):
                answers = many(x, 2.0), many(x, 0.5)
            torch.testing.assert_close(answers, expected, rtol=0, atol=1e-6)
        compute.team.look()
        assert [one.pid for one in compute.team.lost] == [victim.pid]
        assert compute.facts()["lost"] == [f"{victim.address} (process {victim.pid} on {victim.host})"]
    finally:
        leave(dask.address)
        dask.workers(1)


def test_machines_with_other_numbers_of_threads_go_the_same_way() -> None:
    """One lacks memory for the arrays of all its threads: averages made otherwise would not merge with the others'."""
    images, before = eight_bit(97), torch.get_num_threads()
    model = fit("optimal", images, Store(Path("/nonexistent")), compute=Compute(memory=3_000_000))
    x, parts = noisy(images, 3, 0.5, dtype=torch.float32), []
    try:
        for threads, (start, stop) in ((1, (0, 40)), (64, (40, 97))):
            torch.set_num_threads(threads)
            parts.append(averaged(model, start, stop, x))
    finally:
        torch.set_num_threads(before)
    _, weight, total = merge_averages(*parts)
    torch.testing.assert_close(torch.from_numpy(total / weight).float(), model(x, 0.5), rtol=0, atol=1e-6)
