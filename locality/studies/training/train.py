"""Train a network on a dataset and evaluate it against the Wiener filter."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from locality.datasets import Source
from locality.device import versions
from locality.metrics import RATIO_SIGMAS, error_ratio
from locality.networks import ALONE, NETWORKS, Budget, Machine, NetworkSpec, Training, TrainSpec, save_network
from locality.store import Store
from locality.studies.models import fit_wiener
from locality.studies.trained import Trained, read_trained
from locality.studies.training.journal import Log, recorded
from locality.studies.training.preview import Previewer
from locality.types import Denoiser, ImageShape
from locality.work import Progress

PAPER_EPOCHS = 200  # of the networks of Lukoianov et al. 2025: their checkpoints are of epoch 200
TEST_IMAGES = 1000  # held-out images of the error ratios


def train_network(
    source: Source,
    network: NetworkSpec,
    train: TrainSpec,
    budget: Budget,
    folder: Path,
    *,
    resume: bool = False,
    moments: int = 0,
    machine: Machine = ALONE,
    command: str = "",
    store: Store | None = None,
    preview: bool = False,
) -> Generator[Progress, None, Trained]:
    """Train, evaluate, and write weights and manifest to `folder`.

    Closing the generator keeps the state, from which `resume` goes on; `moments` networks are
    kept along the way (`locality.networks.read_moments`). For those who watch, the folder
    also gets a log and what is being done now (`read_log`, `read_progress`), and with `preview` images and a field
    now and then (`read_preview`), which takes at most a 25th of the time and changes no weight.

    Raises:
        DataUnavailable: the images are not on this machine.
        BadInput, CheckpointMismatch, NonFinite: see `locality.networks.Training`.
    """
    training = Training(source.train, network, train, folder, held_out=source.held_out, machine=machine)
    steps = training.run(budget, resume=resume, moments=moments)
    return (yield from recorded(_work(training, steps, source, command, store, preview), folder))


def join_training(
    source: Source,
    network: NetworkSpec,
    train: TrainSpec,
    budget: Budget,
    folder: Path,
    machine: Machine,
    *,
    resume: bool = False,
) -> Generator[Progress, None, None]:
    """What every process but the first does: compute its share of each step. Raises as `train_network`."""
    return Training(source.train, network, train, folder, machine=machine).run(budget, resume=resume)


def sized(name: str, preset: str, shape: ImageShape) -> NetworkSpec:
    """A network by name at a preset size, `paper` being that of 28 pixels where there is one and the images have them.

    Raises:
        UnknownName, BadInput: no such network, option or preset.
    """
    known = NETWORKS[name.partition(":")[0].strip()].presets
    own = f"{preset}{shape.h}"
    return NETWORKS.parse(f"{name}{',' if ':' in name else ':'}preset={own if own in known else preset}")


def _work(
    training: Training,
    steps: Generator[Progress, None, None],
    source: Source,
    command: str,
    store: Store | None,
    preview: bool,
) -> Generator[Progress, None, Trained]:
    wiener = yield from fit_wiener(source, store=store)  # unusable images are reported before hours of training
    yield from training.ready()
    previewer = Previewer(training, source, wiener) if preview else None
    yield from _watched(training, steps, wiener, previewer)
    denoiser = training.denoiser()
    x0 = source.held_out.x0(slice(0, TEST_IMAGES)).to(training.device)
    ratios = yield from judge(denoiser, wiener, x0)
    save_network(
        training.folder,
        denoiser,
        {
            "dataset": source.text,
            **source.licence(),
            "fingerprint": source.fingerprint,
            "train": training.train.key(),
            "precision": "bfloat16" if training.bfloat16 else "float32",
            "images_seen": training.images,
            "minutes": round(training.seconds / 60, 1),
            "error_ratio": ratios,
            "error_ratio_about": f"held-out squared error / Wiener's, same noise, {len(x0)} held-out images, "
            "sigma in units of [-1, 1]",
            "command": command,
            "versions": versions("torch", "diffusers"),
        },
    )
    return read_trained(training.folder)


def _watched(
    training: Training, steps: Generator[Progress, None, None], wiener: Denoiser, previewer: Previewer | None
) -> Generator[Progress, None, None]:
    """The steps of a training, logged, with the held-out error over the Wiener filter's beside their numbers."""
    log, reference = Log(training.folder, training.images), training.held_out_error(wiener)
    with closing(steps):
        try:
            for event in steps:
                numbers = dict(event.numbers)
                if "held_out" in numbers:
                    numbers["held_out_ratio"] = numbers["held_out"] / reference
                log.add(numbers, training.seconds)
                if previewer is not None:
                    previewer.update()
                yield replace(event, numbers=numbers)
        finally:
            log.flush()
    if previewer is not None:
        previewer.update(force=True)


def judge(
    denoiser: Denoiser, wiener: Denoiser, x0: Float[Tensor, "n d"]
) -> Generator[Progress, None, dict[str, float]]:
    """Held-out error over the Wiener filter's at every sigma of RATIO_SIGMAS, as `{"0.1": 0.76, ...}`."""
    ratios: dict[str, Any] = {}
    for i, sigma in enumerate(RATIO_SIGMAS):
        yield Progress(i, len(RATIO_SIGMAS), f"Held-out error at sigma {sigma:g}")
        ratios[f"{sigma:g}"] = round(error_ratio(denoiser, wiener, x0, sigma), 4)
    return ratios
