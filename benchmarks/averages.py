"""Models that average training images against plain forms of the same formula: time, ratio, error against float64.

    python -m benchmarks.averages --model pca_locality --images 10000 50000 --batch 1 8 16 --sigma 12 2.04 0.342

The plain form is the whole mask as one matrix product for each noisy image, or all distances as one product where
masks are whole images; "uncompiled" is what the same model does where Numba does not run. Their times grow with the
number of images alone: they are taken on `--part` of them, 4 times as many for the second, and scaled. Masks are
made once a noise level and count in all three; ours also finds the way through them, once. Times are
processor-seconds, which say what a step costs also where other processes run: threads share them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.plain_patches import Answer, Patches, errors
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.denoisers.els import EquivariantDenoiser
from locality.denoisers.golddiff import GoldDiffDenoiser
from locality.denoisers.ls import LocalScoreDenoiser
from locality.denoisers.optimal import OptimalDenoiser
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.compiled import kernels
from locality.denoisers.parts.walk_plan import Masks
from locality.denoisers.pca_locality import PcaLocalityDenoiser
from locality.denoisers.pspc_flex import FlexiblePatchesDenoiser
from locality.denoisers.pspc_square import SquarePatchesDenoiser
from locality.denoisers.smoothed import SmoothedDenoiser
from locality.device import Compute
from locality.schedule import ddpm_grid
from locality.store import default_store
from locality.studies import finish
from locality.types import Denoiser

MODELS = ["pca_locality", "pspc_flex:flips=false", "golddiff", "ls:window=5", "ls:window=13", "optimal", "smoothed"]
MODELS += ["pspc_square:flips=false", "els:window=5", "bbels:window=5"]
_CHECKED = 12  # coordinates at most of each of two noisy images whose error is found
_TERMS = 3e7  # differences summed for that in one noisy image


_SPENT = ("plain", "before", "ours", "masks")


@dataclass(frozen=True)
class Spent:
    """A row of the table: seconds, and largest errors."""

    plain: float
    before: float
    ours: float
    masks: float
    error: float
    other: float

    def __str__(self) -> str:
        times = f"{self.plain:.2f} | {self.before:.2f} | {self.ours:.3f} | {self.masks:.3f}"
        ratios = f"{self.plain / self.ours:.1f}x | {self.before / self.ours:.1f}x"
        return f"{times} | {ratios} | {self.error:.0e} | {self.other:.0e} |"


@dataclass(frozen=True)
class Form:
    """A model's formula: each point of each noisy image, through each row of the mask, over a bank of its own."""

    banks: list[Bank]
    points: Tensor  # [b m d]
    rows: Tensor | None  # [r d]; None: whole images
    outputs: Tensor  # [r v]

    @staticmethod
    def of(denoiser: Denoiser, x: Tensor, sigma: float) -> Form | Patches:
        points, everywhere = x[:, None], torch.arange(x.shape[1])[None]
        if isinstance(denoiser, SmoothedDenoiser):
            return Form([denoiser.inner.bank] * len(x), points + denoiser._moves(sigma), None, everywhere)
        if isinstance(denoiser, OptimalDenoiser):
            return Form([denoiser.bank] * len(x), points, None, everywhere)
        if isinstance(denoiser, SquarePatchesDenoiser | EquivariantDenoiser):
            return Patches(denoiser, x, denoiser.windows.at(sigma))
        masks = _masks(denoiser, sigma)
        assert masks is not None
        if isinstance(denoiser, GoldDiffDenoiser):
            banks = [denoiser.inner.bank.pick(denoiser.retrieve(query, sigma)) for query in x]
            return Form(banks, points, masks.rows, masks.outputs)
        assert isinstance(denoiser, PcaLocalityDenoiser | FlexiblePatchesDenoiser | LocalScoreDenoiser)
        return Form([denoiser.bank] * len(x), points, masks.rows, masks.outputs)

    def first(self, count: int) -> Form:
        """Of the first noisy images only."""
        return replace(self, banks=self.banks[:count], points=self.points[:count])

    def seconds(self, part: int, sigma: float) -> float:
        """Time of the plain form over all images, from `part` of them."""
        some = self.banks[0].pick(torch.arange(min(part, len(self.banks[0])))).whole().float()
        rows, items = None if self.rows is None else self.rows.float(), some.T.contiguous()
        start = time.process_time()
        if rows is None:
            logits = torch.cdist(self.points.flatten(0, 1), some).square() / (-2 * sigma**2)
            _ = torch.softmax(logits, dim=1) @ some
        else:
            for query in self.points[:, 0]:
                logits = rows @ (items * ((query[:, None] - items / 2) / sigma**2))
                weights = (logits - logits.amax(dim=1, keepdim=True)).exp()
                _ = [(weights * items[column]).sum(dim=1) / weights.sum(dim=1) for column in self.outputs.T]
        return (time.process_time() - start) * len(self.banks[0]) / len(some)

    def answers(self, sigma: float) -> Iterator[Answer]:
        """A few coordinates of the first two noisy images."""
        wide = len(self.banks[0]) * (
            self.points.shape[2] if self.rows is None else float(self.rows.sum(dim=1).double().mean())
        )
        chosen = torch.linspace(0, len(self.outputs) - 1, min(_CHECKED, max(2, int(_TERMS / wide)))).long().unique()
        for number in range(min(2, len(self.points))):
            bank, points = self.banks[number], self.points[number]
            for row in chosen.tolist():
                columns = torch.arange(points.shape[1]) if self.rows is None else self.rows[row].nonzero().flatten()
                values = self.outputs[row][:: -(-self.outputs.shape[1] // _CHECKED)]
                exact, single = (
                    _answer(bank, points.to(t), columns, values, sigma) for t in (torch.float64, torch.float32)
                )
                yield Answer(number, values, exact, single)


def _answer(bank: Bank, points: Tensor, columns: Tensor, values: Tensor, sigma: float) -> Tensor:
    """Softmax averages at a few coordinates, in the type of `points`: in float32 by products, as the plain form."""
    logits = []
    for part in bank.columns(columns, 4096, points.dtype):
        near = points[:, columns]
        if points.dtype == torch.float64:
            logits.append(torch.stack([(part - one).square().sum(dim=1) for one in near]) / (-2 * sigma**2))
        else:
            logits.append((near @ part.T - part.square().sum(dim=1) / 2) / sigma**2)
    weights = torch.softmax(torch.cat(logits, dim=1), dim=1)
    return (weights @ torch.cat(list(bank.columns(values, 4096, points.dtype)))).mean(dim=0)


@contextmanager
def uncompiled() -> Iterator[None]:
    """As where Numba does not run."""
    loops = kernels()
    assert loops is not None, "Numba is in requirements.txt"
    sys.modules[loops.__name__] = None  # type: ignore[assignment]
    kernels.cache_clear()
    try:
        yield
    finally:
        sys.modules[loops.__name__] = loops
        kernels.cache_clear()


def run(
    models: list[str] = MODELS,
    images: tuple[int, ...] = (10_000,),
    batches: tuple[int, ...] = (8,),
    sigmas: tuple[float, ...] = (60.8, 12.0, 3.44, 0.724, 0.342),
    part: int = 256,
) -> None:
    """Print the table. Needs the images of CIFAR-10."""
    source = Source.parse("cifar10")
    print("| CIFAR-10: model, noisy images | sigma | plain, s | uncompiled, s | ours, s | of them masks, s ", end="")
    print("| plain / ours | uncompiled / ours | error of ours | of plain |\n|---|---|---|---|---|---|---|---|---|---|")
    for model in models:
        name = f"{model}{',' if ':' in model else ':'}first="
        whole = {count: _fitted(f"{name}{count}", source) for count in images}
        some = _fitted(f"{name}{min(*images, 4 * part)}", source)
        for batch in batches:
            some(torch.zeros(batch, source.shape.d), 1.0)  # loops are loaded, or compiled
        spent: dict[tuple[int, int], list[Spent]] = {(count, batch): [] for count in images for batch in batches}
        for sigma in sigmas:
            for count, batch, row in _rows(whole, some, source, batches, sigma, part):
                spent[count, batch].append(row)
                print(f"| {name}{count}, {batch} | {sigma:.3g} | {row}", flush=True)
        for (count, batch), rows in spent.items():
            plain, before, ours, masks = (sum(getattr(row, key) for row in rows) for key in _SPENT)
            print(
                f"| {name}{count}, {batch} | all of these | {plain:.1f} | {before:.1f} | {ours:.2f} | {masks:.2f} ",
                end="",
            )
            print(f"| **{plain / ours:.1f}x** | **{before / ours:.1f}x** | | |", flush=True)


def _fitted(name: str, source: Source) -> Denoiser:
    return finish(DENOISERS.parse(name).fit(source, Compute(), default_store()))


def _rows(
    whole: dict[int, Denoiser], some: Denoiser, source: Source, batches: tuple[int, ...], sigma: float, part: int
) -> Iterator[tuple[int, int, Spent]]:
    """All numbers of images and batches at a noise level, whose masks each model makes once."""
    eps = torch.randn(max(batches), source.shape.d, generator=torch.Generator().manual_seed(0))
    x = source.held_out.x0(slice(0, max(batches))) + sigma * eps
    with uncompiled():
        unready, ready = (_timed(some, x[: batches[0]], sigma)[1] for _ in range(2))
        scaled = {batch: _timed(some, x[:batch], sigma)[1] for batch in batches}
    share = len(Form.of(some, x[:1], sigma).banks[0])
    for count, denoiser in whole.items():
        start = time.process_time()
        _masks(denoiser, sigma)
        masks = time.process_time() - start
        first, again = (_timed(denoiser, x[: batches[0]], sigma)[1] for _ in range(2))
        way, form = max(0.0, first - again), Form.of(denoiser, x, sigma)
        answers = list(form.answers(sigma))
        for batch in batches:
            found, ours = _timed(denoiser, x[:batch], sigma)
            before = max(0.0, unready - ready) + scaled[batch] * len(form.banks[0]) / share
            plain = masks + form.first(batch).seconds(part, sigma)
            yield count, batch, Spent(plain, before, masks + way + ours, masks + way, *errors(found, answers))


def _masks(denoiser: Denoiser, sigma: float) -> Masks | None:
    """Made where there are any: the plain form needs them as well."""
    holder = denoiser.inner if isinstance(denoiser, GoldDiffDenoiser) else denoiser
    masked = isinstance(holder, PcaLocalityDenoiser | FlexiblePatchesDenoiser | LocalScoreDenoiser)
    return holder.plan(sigma) if masked else None


def _timed(denoiser: Denoiser, x: Tensor, sigma: float) -> tuple[Tensor, float]:
    start = time.process_time()
    found = denoiser(x, sigma)
    return found, time.process_time() - start


def main() -> None:
    """Options of one's own; without any, as `python -m benchmarks averages`."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.averages", description=__doc__)
    options.add_argument("--model", nargs="+", default=MODELS)
    options.add_argument("--images", nargs="+", type=int, default=[10_000])
    options.add_argument("--batch", nargs="+", type=int, default=[8])
    options.add_argument("--sigma", nargs="+", type=float, default=list(ddpm_grid(10)))
    options.add_argument("--part", type=int, default=256)
    chosen = options.parse_args()
    run(chosen.model, tuple(chosen.images), tuple(chosen.batch), tuple(chosen.sigma), chosen.part)


if __name__ == "__main__":
    main()
