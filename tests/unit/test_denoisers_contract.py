"""Every registered denoiser meets its contracts; and what each contract would catch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from locality.checks import DENOISER_CHECKS, DenoiserCase, check_denoiser
from locality.checks.denoisers import SIGMA, denoiser_case
from locality.dataset import Images
from locality.denoisers import DENOISERS, Evidence
from locality.denoisers.optimal import Optimal, OptimalDenoiser
from locality.denoisers.parts.evidence import TOP
from locality.device import Compute
from locality.errors import BadInput
from locality.fields.jacobian import Differentiates
from locality.schedule import check_sigma
from locality.store import Store
from locality.types import Denoiser, Pixel
from locality.work import Progress, heartbeat, listening
from tests.made_up import made_up

MET = [(text, name) for text in DENOISERS.examples() for name in DENOISER_CHECKS.of(DENOISERS.parse(text))]


@pytest.fixture(scope="module")
def cases() -> Iterator[Callable[[str], DenoiserCase]]:
    """Cases by text, made once: their fits are kept."""
    made: dict[str, DenoiserCase] = {}
    with ExitStack() as stack:

        def of(text: str) -> DenoiserCase:
            if text not in made:
                made[text] = stack.enter_context(denoiser_case(DENOISERS.parse(text)))
            return made[text]

        yield of


@pytest.mark.parametrize(("text", "name"), MET)
def test_denoisers_meet_their_contracts(cases: Callable[[str], DenoiserCase], text: str, name: str) -> None:
    DENOISER_CHECKS.run(name, cases(text))


def test_models_that_see_a_part_by_default_say_so() -> None:
    assert DENOISERS["els"]().note(1000) == ""
    assert DENOISERS["els"]().note(1001) == "els averages the first 1,000 of 1,001 training images (first=0 for all)."
    assert DENOISERS.parse("els:first=0").note(5000) == ""
    assert "first 10,000 of 60,000" in DENOISERS["stack"]().note(60_000)
    assert DENOISERS["optimal"]().note(60_000) == ""


# --- what the contracts catch

Made = Callable[[Images, Denoiser | None], Callable[[Tensor, float], Tensor]]


def shrinking(images: Images, reference: Denoiser | None) -> Callable[[Tensor, float], Tensor]:
    """A sound denoiser: mean + (x - mean) / (1 + sigma^2)."""
    mean = images.train.x0(slice(None)).double().mean(dim=0)

    def call(x: Tensor, sigma: float) -> Tensor:
        images.shape.check(x)
        return mean.to(x) + (x - mean.to(x)) / (1 + check_sigma(sigma) ** 2)

    return call


def test_a_sound_denoiser_passes() -> None:
    with made_up("sound", shrinking):
        check_denoiser("sound:strength=0.25")


def test_a_faulty_denoiser_does_not() -> None:
    with made_up("faulty", _any_size), pytest.raises(AssertionError, match=r"MadeUp\(.*\) fails \w+: "):
        check_denoiser("faulty")


def spoilt(change: Callable[[Tensor, Tensor, float], Tensor]) -> Made:
    """The sound denoiser, its answer changed by a function of x, answer and sigma."""

    def fit(images: Images, reference: Denoiser | None) -> Callable[[Tensor, float], Tensor]:
        inner = shrinking(images, reference)
        return lambda x, sigma: change(x, inner(x, sigma), sigma)

    return fit


def _writes_into(x: Tensor, answer: Tensor, sigma: float) -> Tensor:
    x.detach().mul_(2)
    return answer


_calls: list[None] = []


def _remembers(x: Tensor, answer: Tensor, sigma: float) -> Tensor:
    _calls.append(None)
    return answer + 1e-3 * len(_calls)


def _ordered(images: Images, reference: Denoiser | None) -> Callable[[Tensor, float], Tensor]:
    first, inner = images.train.x0(slice(0, 1))[0], shrinking(images, reference)
    return lambda x, sigma: inner(x, sigma) + 0.1 * first.to(x) * sigma / (1 + sigma**3)


def _unchecked(images: Images, reference: Denoiser | None) -> Callable[[Tensor, float], Tensor]:
    mean = images.train.x0(slice(None)).double().mean(dim=0)
    return lambda x, sigma: mean.to(x) + (x - mean.to(x)) / (1 + sigma**2)


def _any_size(images: Images, reference: Denoiser | None) -> Callable[[Tensor, float], Tensor]:
    return lambda x, sigma: x / (1 + check_sigma(sigma) ** 2)


@pytest.mark.parametrize(
    ("fit", "fails"),
    [
        (spoilt(lambda x, answer, sigma: answer.float()), "answers_keep_shape_type_and_device"),
        (spoilt(lambda x, answer, sigma: answer + (1e-2 if x.dtype == torch.float32 else 0)), "types_agree"),
        (spoilt(_writes_into), "input_is_left_alone"),
        (spoilt(_remembers), "answers_repeat"),
        (spoilt(lambda x, answer, sigma: answer + 0.01 * x.mean()), "batch_is_one_by_one"),
        (_ordered, "order_changes_nothing"),
        (spoilt(lambda x, answer, sigma: answer + 0.01), "noise_drowns_everything"),
        (spoilt(lambda x, answer, sigma: 0.9 * answer), "clean_images_stay"),
        (spoilt(lambda x, answer, sigma: answer.detach() + 0 * x), "derivative_is_finite_and_true"),
        (_any_size, "wrong_input_is_refused"),
        (_unchecked, "noise_levels_are_checked"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_found_by_the_contract_it_breaks(fit: Made, fails: str) -> None:
    says = rf"MadeUp\(.*\) fails {fails}: .*\w"
    with made_up("faulty", fit) as cls, denoiser_case(cls()) as case, pytest.raises(AssertionError, match=says):
        DENOISER_CHECKS.run(fails, case)


# --- and of models that average training images


class Spoilt:
    """The optimal denoiser with a fault."""

    def __init__(self, inner: OptimalDenoiser, fault: str) -> None:
        self.inner, self.fault, self.shape = inner, fault, inner.shape

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        if self.fault == "deaf":
            with listening(lambda share: None):
                return self.inner(x, sigma)
        if self.fault == "stubborn":
            try:
                return self.inner(x, sigma)
            except Exception:
                return x
        if self.fault == "once":
            with listening(lambda share: None):
                answer = self.inner(x, sigma)
            heartbeat(1.0)
            return answer
        answer = self.inner(x, sigma)
        return answer + {"beyond": 2.5, "beyond its pixel": 0.3}.get(self.fault, 0.0)

    def explain(self, x: Tensor, pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        found = self.inner.explain(x, pixel, sigma, top)
        if self.fault == "twice":
            return replace(found, weights=2 * found.weights)
        if self.fault == "others":
            return replace(found, rows=(found.rows + 1) % 40)
        return replace(found, window=0 * found.window) if self.fault == "blind" else found


@pytest.mark.parametrize(
    ("fault", "fails"),
    [
        ("beyond", "averages_stay_in_range_of_the_channel"),
        ("beyond its pixel", "averages_stay_in_range"),
        ("deaf", "heartbeats_rise_to_one"),
        ("once", "heartbeats_follow_the_chunks"),
        ("stubborn", "work_can_be_stopped"),
        ("stubborn", "too_little_memory_is_refused"),
        ("twice", "evidence_adds_up"),
        ("others", "evidence_makes_the_answer"),
        ("others", "evidence_makes_every_channel"),
        ("blind", "evidence_shows_the_window"),
    ],
)
def test_a_fault_of_an_average_is_found(fault: str, fails: str) -> None:
    @DENOISERS.register("spoilt")
    @dataclass(frozen=True)
    class Faulty(Optimal):
        """The optimal denoiser with a fault."""

        examples: ClassVar[tuple[str, ...]] = ("spoilt",)

        def fit(  # type: ignore[override]
            self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
        ) -> Generator[Progress, None, Spoilt]:
            return Spoilt((yield from super().fit(images, compute, store)), fault)

    try:
        with denoiser_case(Faulty()) as case, pytest.raises(AssertionError, match=rf"fails {fails}: .*\w"):
            DENOISER_CHECKS.run(fails, case)
    finally:
        del DENOISERS._classes["spoilt"]


def test_exemptions_name_a_contract_and_a_reason() -> None:
    with made_up("odd", shrinking) as cls:
        for exempt, why in (
            ({"order_changes_nothin": "typing"}, "exempt from 'order_changes_nothin': there are"),
            ({"order_changes_nothing": ""}, "exempt from 'order_changes_nothing': gives no reason"),
        ):
            cls.exempt = exempt  # type: ignore[assignment,method-assign]
            with pytest.raises(BadInput, match=why):
                check_denoiser("odd")
        cls.exempt = {"order_changes_nothing": "of this test"}  # type: ignore[assignment,method-assign]
        assert "order_changes_nothing" not in DENOISER_CHECKS.of(cls())


@pytest.mark.parametrize("text", ["optimal", "ls", "pca_locality", "pspc_flex", "gaussian_mixture", "stack"])
def test_posterior_means_know_their_derivative(text: str) -> None:
    """Nothing is denoised and differentiated for it, which takes two passes an output."""
    with denoiser_case(DENOISERS.parse(DENOISERS[text].examples[0])) as case:
        known = case.model()
        assert isinstance(known, Differentiates)
        two = torch.eye(case.sets["colour"].shape.d)[:2].double()
        assert known.jacobian_rows(case.x(count=2), two, SIGMA) is not None
