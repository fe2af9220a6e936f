"""Where analytic models miss a UNet: by band of principal components and noise level; the images least explained.

Reads the finished cells of the leaderboards (`python -m benchmarks.leaderboards`) where they are in the cache, and
draws them where they are not; models are asked at the network's noisy images.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from benchmarks.tables import pm, row, table
from locality.datasets import Source
from locality.denoisers.parts.bands import Bands, spaced
from locality.device import Compute
from locality.metrics import Summary, ratio_scores, summarise
from locality.store import Store, default_store
from locality.studies import BenchPlan, bench, finish, fit_wiener
from locality.studies.benchmark.cells import WALK, drawn_key
from locality.studies.benchmark.competitors import Competitor, Setup
from locality.studies.benchmark.sampling import chunks
from locality.studies.benchmark.setup import enter

SETS = ("fashion_mnist", "mnist", "afhq_cats", "cifar10")
MODELS = ("wiener", "gaussian_mixture:groups=clusters", "prism")
LEVELS = (0.3, 1.0, 3.0, 10.0)  # of the sampling levels those nearest to them
COUNT, BANDS, LEAST = 128, 8, 8


def band_squares(bands: Bands, away: Float[Tensor, "n d"]) -> Float64[Tensor, "k n"]:
    """Squared length of every image within each band."""
    return torch.stack([part.square().sum(dim=-1) for part in bands.split(away.double())])


def explained_by_band(
    bands: Bands, estimates: Float[Tensor, "n d"], targets: Float[Tensor, "n d"], mean: Float[Tensor, " d"]
) -> list[Summary]:
    """1 - sum |P_k (a - u)|^2 / sum |P_k (u - mean)|^2 of each band, sums over images; error by the delta method."""
    missed, there = band_squares(bands, estimates - targets), band_squares(bands, targets - mean)
    return [summarise(1.0 - ratio_scores(ours, theirs)) for ours, theirs in zip(missed, there, strict=True)]


def walks(setup: Setup, competitor: Competitor, store: Store) -> dict[str, Tensor]:
    """Every step of its images: `x0_hat`, of a network `x` too."""
    parts = [store.get(WALK, drawn_key(competitor, images)) for images in chunks(setup.plan.count)]
    made = [part.arrays for part in parts if part is not None]
    return {name: torch.cat([arrays[name] for arrays in made], dim=1) for name in made[0]}


@torch.no_grad()
def lines(source: Source, store: Store, count: int = COUNT) -> Iterator[str]:
    """The section of one set."""
    plan = BenchPlan(models=MODELS, count=count, features="none", ceiling="none")
    made, setup = finish(bench(source, plan, store=store)), enter(source, plan, store)
    wiener = finish(fit_wiener(source, store=store))
    bands = Bands.of(wiener, spaced(min(len(wiener.eigvals), source.count() - 1), BANDS))
    mean, theirs = wiener.mean.float(), walks(setup, setup.reference, store)
    last = theirs["x0_hat"][-1]
    sigmas = setup.levels
    steps = [min(range(len(sigmas)), key=lambda i: abs(sigmas[i] / level - 1.0)) for level in LEVELS]
    rows: dict[str, list[list[str]]] = {}
    for competitor in setup.competitors:
        if competitor.name not in MODELS or competitor.model is None:
            continue
        own = walks(setup, competitor, store)["x0_hat"][-1]
        columns = [explained_by_band(bands, own, last, mean)]
        missed = band_squares(bands, own - last).sum(dim=1)
        if competitor.name == MODELS[-1]:
            denoiser = finish(competitor.model.open(store=store, compute=Compute()))
            for step in steps:
                asked = [denoiser(part, sigmas[step]) for part in theirs["x"][step].split(16)]
                columns.append(explained_by_band(bands, torch.cat(asked), theirs["x0_hat"][step], mean))
        shares = [f"{float(share):.1%}" for share in missed / missed.sum()]
        rows[competitor.name] = [shares, *([pm(one.mean, one.stderr) for one in column] for column in columns)]
    yield f"### {source.text}\n"
    there = band_squares(bands, last - mean).sum(dim=1)
    heads = ["components", "the network's variance", "what prism misses", *MODELS]
    yield from table([*heads, *(f"prism, sigma {sigmas[step]:.2g}" for step in steps)])
    ends = [0, *bands.ends, source.shape.d]
    for k in range(len(bands)):
        shares = [f"{float(there[k] / there.sum()):.1%}", rows[MODELS[-1]][0][k]]
        finals = [rows[name][1][k] for name in MODELS]
        yield row([f"{ends[k] + 1}-{ends[k + 1]}", *shares, *finals, *(column[k] for column in rows[MODELS[-1]][2:])])
    values = made.values(MODELS[-1], "r2_final")
    worst = values.argsort()[:LEAST].tolist()
    beside = made.values(MODELS[0], "r2_final")
    yield "\nLeast explained, R2 final of prism (of wiener): " + ", ".join(
        f"image {i + 1} {float(values[i]):.2f} ({float(beside[i]):.2f})" for i in worst
    ) + f"; the median image {float(values.median()):.2f}.\n"  # fmt: skip


def run() -> None:
    """Print a section for every set whose images are on this machine."""
    store = default_store()
    for name in SETS:
        if (source := Source.parse(name)).available:
            print("\n".join(lines(source, store)), flush=True)
