"""Train a network on a dataset and judge it against the Wiener filter."""

from __future__ import annotations

import platform
from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from locality.datasets import Source
from locality.metrics import RATIO_SIGMAS, error_ratio
from locality.networks import Budget, NetworkSpec, Training, TrainSpec, save_network
from locality.store import Store
from locality.studies._models import Trained, fit_wiener, read_trained
from locality.types import Denoiser, Progress

JUDGES = 1000  # held-out images of the error ratios
_PACKAGES = ("torch", "diffusers")  # whose versions a manifest names


def train_network(
    source: Source,
    network: NetworkSpec,
    train: TrainSpec,
    budget: Budget,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    command: str = "",
    store: Store | None = None,
) -> Generator[Progress, None, Trained]:
    """Train, judge, and write weights and manifest to `folder`.

    Closing the generator keeps the state, from which `resume` goes on exactly.

    Raises:
        DataUnavailable: the images are not on this machine.
        BadInput, CheckpointMismatch, NonFinite: see `locality.networks.Training`.
    """
    training = Training(source.train, network, train, folder, held_out=source.held_out, device=device)
    steps = training.run(budget, resume=resume)
    wiener = yield from fit_wiener(source, store=store)  # unusable images are told before hours of training
    yield from steps
    denoiser = training.denoiser()
    x0 = source.held_out.x0(slice(0, JUDGES)).to(device)
    ratios = yield from judge(denoiser, wiener, x0)
    save_network(
        folder,
        denoiser,
        {
            "dataset": source.name,
            "fingerprint": source.fingerprint,
            "train": train.key(),
            "images_seen": training.images,
            "minutes": round(training.seconds / 60, 1),
            "error_ratio": ratios,
            "error_ratio_about": f"held-out squared error / Wiener's, same noise, {len(x0)} held-out images, "
            "sigma in units of [-1, 1]",
            "command": command,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        },
    )
    return read_trained(folder)


def judge(
    denoiser: Denoiser, wiener: Denoiser, x0: Float[Tensor, "n d"]
) -> Generator[Progress, None, dict[str, float]]:
    """Held-out error over the Wiener filter's at every sigma of RATIO_SIGMAS, as `{"0.1": 0.76, ...}`."""
    ratios: dict[str, Any] = {}
    for i, sigma in enumerate(RATIO_SIGMAS):
        yield Progress(i, len(RATIO_SIGMAS), f"Held-out error at sigma {sigma:g}")
        ratios[f"{sigma:g}"] = round(error_ratio(denoiser, wiener, x0, sigma), 4)
    return ratios
