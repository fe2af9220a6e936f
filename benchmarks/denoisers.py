"""Models that average training images, and mixtures learned from them, against plain forms of the same formulas.

    python -m benchmarks.denoisers --model pca_locality --images 10000 50000 --batch 1 8 16 --sigma 12 2.04 0.342

Processor-seconds of one thread, memory at the peak of a call beside what was held before, errors against float64.
Plain: the whole mask as one matrix product for each noisy image, all distances as one product where masks are whole
images, a loop over windows, or a Cholesky factor of each covariance. Uncompiled: what the same model does where Numba
does not run. All run over all images where that takes no longer than `--plain` and `--uncompiled` seconds, else over
the first `--part`, scaled by their number and marked ~; a ratio of such a number is marked too. Masks are made once a
noise level and count on all sides, and so do the way through them and their tiles; where they come from the Wiener
filter the other sides make them of its whole product in float32.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.plain import Form, form_of, masks_of, plain_masks
from benchmarks.plain_patches import errors
from benchmarks.timing import Spent, spent
from benchmarks.uncompiled import anew, uncompiled
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute, threads
from locality.schedule import ddpm_grid
from locality.store import default_store
from locality.studies import finish
from locality.types import Denoiser

MODELS = ["pca_locality", "pspc_flex:flips=false", "golddiff", "ls:window=5", "ls:window=13", "optimal", "nearest"]
MODELS += ["smoothed", "pspc_square:flips=false", "els:window=5", "bbels:window=5"]
LEARNED = ["gaussian_mixture", "patch_mixture", "stack"]  # of all images, whose number costs nothing later
MODELS += LEARNED


class Limits(NamedTuple):
    """Seconds up to which a call runs over all images, and the part it else runs over."""

    plain: float = 4.0
    uncompiled: float = 60.0
    part: int = 2000


USUAL = Limits()


@dataclass(frozen=True)
class Row:
    """What all sides take at a noise level, masks included, and largest errors."""

    plain: Spent
    before: Spent
    ours: Spent
    masks: float
    error: float
    other: float

    @staticmethod
    def over(rows: list[Row]) -> Row:
        """Of all noise levels: seconds summed, memory at the highest, largest errors."""
        sides = []
        for side in ("plain", "before", "ours"):
            each: list[Spent] = [getattr(row, side) for row in rows]
            most = max(one.bytes for one in each)
            sides.append(Spent(sum(one.seconds for one in each), most, all(one.whole for one in each)))
        masks = sum(row.masks for row in rows)
        return Row(*sides, masks, max(row.error for row in rows), max(row.other for row in rows))

    def __str__(self) -> str:
        sides = [self.plain, self.before, self.ours]
        times = " | ".join(f"{_about(side)}{side.seconds:.3g}" for side in sides)
        ratios = " | ".join(f"{_about(side)}{side.seconds / self.ours.seconds:.3g}x" for side in sides[:2])
        memory = " | ".join(f"{side.bytes / 1e6:,.0f}" if side.whole else "" for side in sides)
        wrong = " | ".join("" if math.isnan(error) else f"{error:.0e}" for error in (self.error, self.other))
        return f"{times} | {self.masks:.2f} | {ratios} | {memory} | {wrong} |"


def _about(side: Spent) -> str:
    return "" if side.whole else "~"


def run(
    models: list[str] = MODELS,
    images: tuple[int, ...] = (10_000,),
    batches: tuple[int, ...] = (8,),
    sigmas: tuple[float, ...] = ddpm_grid(10),
    limits: Limits = USUAL,
    dataset: str = "cifar10",
) -> None:
    """Print the table. Needs the images of the dataset."""
    source = Source.parse(dataset)
    print(f"| {dataset}: model, noisy images | sigma | plain, s | uncompiled, s | ours, s | of them masks, s ", end="")
    print("| plain / ours | uncompiled / ours | plain, MB | uncompiled, MB | ours, MB | error of ours | of plain |")
    print(f"|{'---|' * 13}")
    with threads(1), torch.no_grad():
        for text in models:
            names = [text] if text in LEARNED else [f"{text}{',' if ':' in text else ':'}first={n}" for n in images]
            for name in names:
                _table(name, source, batches, sigmas, limits)
    print(f"\n~: over the first {limits.part:,} images, times how many more there are.")


def _table(name: str, source: Source, batches: tuple[int, ...], sigmas: tuple[float, ...], limits: Limits) -> None:
    denoiser: Denoiser = finish(DENOISERS.parse(name).fit(source, Compute(), default_store()))
    for batch in batches:
        denoiser(torch.zeros(batch, source.shape.d), 1.0)  # loops are loaded, or compiled
    rows: dict[int, list[Row]] = {batch: [] for batch in batches}
    for sigma in sigmas:
        eps = torch.randn(max(batches), source.shape.d, generator=torch.Generator().manual_seed(0))
        x = source.held_out.x0(slice(0, max(batches))) + sigma * eps
        for batch, row in _rows(denoiser, x, batches, sigma, limits):
            rows[batch].append(row)
            print(f"| {name}, {batch} | {sigma:.3g} | {row}", flush=True)
    for batch, some in rows.items():
        print(f"| {name}, {batch} | **all of these** | {Row.over(some)}", flush=True)


def _rows(
    denoiser: Denoiser, x: Tensor, batches: tuple[int, ...], sigma: float, limits: Limits
) -> Iterator[tuple[int, Row]]:
    """At a noise level, whose masks are made once."""
    masks = spent(lambda: masks_of(denoiser, sigma))[1].seconds
    found, theirs = spent(lambda: plain_masks(denoiser, sigma))
    others = masks if found is None else theirs.seconds
    form = form_of(denoiser, x, sigma)
    answers = list(form.answers(sigma))
    for batch in batches:
        answered, ours = anew(denoiser, x[:batch], sigma)
        before = uncompiled(denoiser, x[:batch], sigma, limits.uncompiled, limits.part)
        plain = _plain(form.first(batch), sigma, limits)
        plain, before = (replace(side, seconds=side.seconds + others) for side in (plain, before))
        ours = replace(ours, seconds=ours.seconds + masks)
        yield batch, Row(plain, before, ours, masks, *errors(answered, answers))


def _plain(form: Form, sigma: float, limits: Limits) -> Spent:
    told = form.takes(limits.part, sigma)
    return told if told.whole or told.seconds > limits.plain else form.takes(form.images, sigma)


def main() -> None:
    """Options of one's own; without any, as `python -m benchmarks denoisers`."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.denoisers", description=__doc__)
    options.add_argument("--model", nargs="+", default=MODELS)
    options.add_argument("--images", nargs="+", type=int, default=[10_000])
    options.add_argument("--batch", nargs="+", type=int, default=[8])
    options.add_argument("--sigma", nargs="+", type=float, default=list(ddpm_grid(10)))
    options.add_argument("--part", type=int, default=USUAL.part)
    options.add_argument("--plain", type=float, default=USUAL.plain)
    options.add_argument("--uncompiled", type=float, default=USUAL.uncompiled)
    chosen = options.parse_args()
    limits = Limits(chosen.plain, chosen.uncompiled, chosen.part)
    run(chosen.model, tuple(chosen.images), tuple(chosen.batch), tuple(chosen.sigma), limits)


if __name__ == "__main__":
    main()
