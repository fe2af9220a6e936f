"""Small networks with random weights, written where pages and commands look for trained ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from locality.datasets import slug
from locality.networks import NetworkDenoiser, save_network
from locality.networks.resnet import ResNet
from locality.store import default_store
from locality.types import ImageShape

DIGITS = ImageShape(1, 8, 8)


def write_network(folder: Path, dataset: str, seed: int, shape: ImageShape) -> Path:
    """A network as anybody may have trained it on a dataset."""
    spec = ResNet(channels=8)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = spec.build(shape)
        for weights in net.parameters():
            torch.nn.init.normal_(weights, std=0.05)
    facts = {"dataset": dataset, "error_ratio": {}, "images_seen": 0}
    save_network(folder, NetworkDenoiser(net.eval(), spec, shape), facts)
    return folder


def own_network(name: str, dataset: str, seed: int = 0) -> Path:
    """One for images of 8x8 pixels, among those of the dataset."""
    return write_network(default_store().local / "networks" / f"{slug(dataset)}-{name}", dataset, seed, DIGITS)


@contextmanager
def own_networks(names: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Networks by (name, dataset), gone afterwards."""
    folders = [own_network(name, dataset, seed) for seed, (name, dataset) in enumerate(names, 1)]
    try:
        yield
    finally:
        for folder in folders:
            shutil.rmtree(folder)
