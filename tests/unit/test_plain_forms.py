"""The plain forms that benchmarks compare with are the models' formulas, and what is told from a part is marked."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from benchmarks import denoisers
from benchmarks.denoisers import Limits, Row
from benchmarks.plain import form_of
from benchmarks.plain_patches import errors
from benchmarks.timing import Spent
from benchmarks.uncompiled import uncompiled
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.store import Store
from locality.studies import finish
from locality.types import Denoiser

pytestmark = pytest.mark.usefixtures("one_thread")
DIGITS = Source.parse("digits")
MODELS = (
    "pca_locality:first=300",
    "golddiff:first=300",
    "ls:window=3,first=300",
    "optimal:first=300",
    "nearest:first=300",
)
MODELS += ("smoothed:points=3,first=300", "pspc_flex:flips=false,first=300", "els:window=3,first=20")
LEARNED = ("gaussian_mixture:groups=clusters,components=3", "patch_mixture:window=3,components=2,patches=2000,steps=2")
LEARNED += ("stack:members=wiener+optimal+pca_locality,first=300,validation=8",)


def fitted(text: str, store: Store) -> Denoiser:
    return finish(DENOISERS.parse(text).fit(DIGITS, Compute(), store))


@pytest.mark.parametrize("text", [*MODELS, *LEARNED])
def test_a_model_answers_what_its_plain_form_does_in_float64(text: str, store: Store) -> None:
    """Written apart from it, and as near as float32 allows; a form told nothing would have no answers."""
    x = DIGITS.held_out.x0(slice(0, 3)) + 0.5 * torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    denoiser = fitted(text, store)
    form = form_of(denoiser, x, 0.5)
    answers = list(form.answers(0.5))
    assert sum(len(answer.values) for answer in answers) >= 4
    ours, plain = errors(denoiser(x, 0.5), answers)
    assert ours < 2e-4
    assert not plain > 2e-4  # a stack has none
    assert form.first(2).takes(10**6, 0.5).whole


@dataclass(frozen=True)
class Counting:
    """A model that notes how many images each of its calls went over."""

    bank: Tensor
    calls: list[int]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls.append(len(self.bank))
        return sum((self.bank @ self.bank.T).sum() for _ in range(40)) + x  # type: ignore[return-value]


class Picked(Tensor):
    """Images as a bank has them."""

    def pick(self, items: Tensor) -> Tensor:
        return self[items]


def test_without_numba_all_images_count_unless_that_takes_too_long() -> None:
    """Then some of them do, and it is said."""
    model, x = Counting(torch.ones(900, 50).as_subclass(Picked), []), torch.zeros(1, 50)
    assert uncompiled(model, x, 1.0, 1e9, 90).whole  # type: ignore[arg-type]
    assert model.calls == [90, 90, 900]
    part = uncompiled(model, x, 1.0, 0.0, 90)  # type: ignore[arg-type]
    assert model.calls == [90, 90, 900, 90, 90]
    assert not part.whole
    assert part.seconds > 0.0
    assert uncompiled(model, x, 1.0, 0.0, 900).whole  # type: ignore[arg-type]


def test_a_number_told_from_a_part_is_marked_and_says_nothing_of_memory() -> None:
    whole, part = Spent(4.0, 30_000_000), Spent(2.0, 30_000_000).times(3.0)
    assert str(Row(part, whole, Spent(2.0, 10_000_000), 0.5, 1e-6, float("nan"))) == (
        "~6 | 4 | 2 | 0.50 | ~3x | 2x |  | 30 | 10 | 1e-06 |  |"
    )
    both = Row.over([Row(whole, part, whole, 0.5, 1e-6, 2e-6), Row(whole, whole, whole, 0.5, 3e-6, 1e-6)])
    assert str(both) == "8 | ~10 | 8 | 1.00 | 1x | ~1.25x | 30 |  | 30 | 3e-06 | 2e-06 |"
    assert Spent(2.0, 1).times(1.0).whole


def test_the_table_has_every_level_and_says_what_is_scaled(capsys: pytest.CaptureFixture[str]) -> None:
    limits = Limits(plain=0.0, uncompiled=1e9, part=100)
    denoisers.run(["ls:window=3", "gaussian_mixture"], (300,), (1, 2), (3.0, 0.3), limits, dataset="digits")
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if re.match(r"\| (ls|gaussian)", line)]
    assert len(rows) == 2 * 2 * 3  # models, batches, levels and their sum
    assert all(line.count("|") == rows[0].count("|") == text.splitlines()[1].count("|") for line in rows)
    assert all(line.split(" | ")[2].startswith("~") == line.startswith("| ls") for line in rows)
    assert "~: over the first 100 images" in text
