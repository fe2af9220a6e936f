"""Small benchmarks on the digits, of networks with random weights and models that are counted; the shipped tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from torch import Tensor

from benchmarks.boards import shipped_boards
from locality.datasets import Source
from locality.networks import NETWORKS, NetworkDenoiser, save_network
from locality.store import Store
from locality.studies import Bench, BenchPlan, Untrained, bench, finish
from locality.types import ImageShape
from tests.made_up import made_up

SHAPE = ImageShape(1, 8, 8)


def network(
    folder: Path,
    seed: int = 0,
    dataset: str = "digits",
    shape: ImageShape = SHAPE,
    ratio: float = 0.75,
    text: str = "resnet:channels=8",
) -> str:
    """A network with random weights, written like a trained one; its path."""
    spec = NETWORKS.parse(text)
    net = Untrained(spec, shape, seed).build().net
    save_network(folder, NetworkDenoiser(net, spec, shape), {"dataset": dataset, "error_ratio": {"0.5": ratio}})
    return str(folder)


@dataclass
class Calls:
    """What a model was asked: noise levels and images, in order."""

    name: str
    sigmas: list[float] = field(default_factory=list)
    images: int = 0


@contextmanager
def shrinking(name: str, share: float) -> Iterator[Calls]:
    """A registered model x0_hat = share x / (1 + sigma^2), and what it was asked."""
    calls = Calls(name)

    def call(x: Tensor, sigma: float) -> Tensor:
        calls.sigmas.append(sigma)
        calls.images += len(x)
        return share * x / (1.0 + sigma**2)

    with made_up(name, lambda images, reference: call):
        yield calls


def plan(reference: str, *models: str, **options: object) -> BenchPlan:
    """A small plan without features: 5 images in 3 steps."""
    usual = {"count": 5, "steps": 3, "seed": 4, "sigmas": (0.5, 2.0), "features": "none", "ceiling": "none"}
    return BenchPlan(reference=reference, models=models, **{**usual, **options})  # type: ignore[arg-type]


def run(plan: BenchPlan, store: Store, dataset: str = "digits", first: int | None = None) -> Bench:
    return finish(bench(Source.parse(dataset, first), plan, store=store))


@cache
def leaderboard(name: str) -> Bench:
    """The shipped table of a dataset, of all models."""
    return shipped_boards()[name]
