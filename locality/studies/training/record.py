"""Make a recording of a training from the networks that `train --moments` kept along the way."""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.datasets import Source
from locality.device import machine_facts
from locality.errors import BadInput
from locality.features import as_8bit
from locality.fields.jacobian import reduce_inputs
from locality.fields.rows import NoisyImages, rows
from locality.grammar import command
from locality.metrics import RATIO_SIGMAS, denoising_errors, ratio_scores
from locality.networks import (
    MANIFEST,
    STATE,
    NetworkDenoiser,
    load_manifest,
    load_network,
    network_spec,
    read_moments,
    read_tensors,
)
from locality.sampler import ddim, initial, start_noise
from locality.schedule import HIGHEST, LOWEST
from locality.specs import Spec, param
from locality.store import Store
from locality.studies.fields.draws import Draws
from locality.studies.models import fit_wiener
from locality.studies.sampling.config import Sampling
from locality.studies.shipped import ship
from locality.studies.training.recording import KIND, VERSION, Recording, pack
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress


@dataclass(frozen=True)
class RecordingPlan(Spec):
    """What is looked at in every moment of a training."""

    sigmas: tuple[float, ...] = param((0.3, 1.0, 3.0), help="Noise levels of the fields.", low=LOWEST, high=HIGHEST)
    draws: int = param(16, help="Noisy held-out images a learned field is the mean over.", low=2, high=4096)
    samples: int = param(8, help="Images generated in every moment.", low=1, high=64)
    steps: int = param(10, help="Sampling steps.", low=2, high=1000)
    held_out: int = param(500, help="Held-out images the errors are measured on.", low=2)
    seed: int = param(0, help="Seed of all noise.", low=0, high=2**31 - 1)


def record(
    source: Source, folder: Path, plan: RecordingPlan, *, store: Store | None = None
) -> Generator[Progress, None, Recording]:
    """Fields, errors and samples of a training's moments, after those of the network before any training.

    Args:
        folder: of the training; it may still run: the recording ends at the last moment that is there.

    Raises:
        BadInput: no moments in the folder, or a damaged one; they are of images of another shape.
        DataUnavailable: the images are not on this machine.
    """
    moments = read_moments(folder)
    if not moments:
        raise BadInput(f"{folder} has no moments of a training. Train with --images N --moments 12 --out {folder}.")
    facts = [load_manifest(place) for place in moments.values()]
    if tuple(facts[0]["shape"]) != tuple(source.shape):
        shape = ImageShape(*facts[0]["shape"])
        raise BadInput(f"{folder} learns images of {shape}; those of {source.text} are {source.shape}.")
    wiener = yield from fit_wiener(source, store=store)
    pixels, draws = places(source), Draws(plan.draws, plan.seed)
    noisy, x0 = draws.of(source), source.held_out.x0(slice(0, plan.held_out))
    reference = [denoising_errors(wiener, x0, sigma, seed=plan.seed) for sigma in RATIO_SIGMAS]
    learned, errors, stderr, samples = [], [], [], []
    for i, place in enumerate([None, *moments.values()]):
        note = f"Moment {i + 1} of {len(moments) + 1}"
        yield Progress(i, len(moments) + 1, f"{note}: fields")
        denoiser = _untrained(facts[0], folder) if place is None else load_network(place)
        learned.append(_fields(denoiser, pixels, plan.sigmas, noisy))
        yield Progress(i + 0.4, len(moments) + 1, f"{note}: errors")
        ours = (denoising_errors(denoiser, x0, sigma, seed=plan.seed) for sigma in RATIO_SIGMAS)
        scores = [ratio_scores(mine, theirs) for mine, theirs in zip(ours, reference, strict=True)]
        errors.append([float(score.mean()) for score in scores])
        stderr.append([float(score.std()) / math.sqrt(len(x0)) for score in scores])
        yield Progress(i + 0.9, len(moments) + 1, f"{note}: samples")
        samples.append(as_8bit(_samples(denoiser, plan), source.shape).flatten(1))
    return Recording(
        name=folder.absolute().name.removeprefix(f"{source.slug}-"),
        dataset=source.text,
        network=_architecture(facts[0], folder),
        shape=source.shape,
        images=(0, *moments),
        minutes=(0.0, *(float(fact["minutes"]) for fact in facts)),
        sigmas=plan.sigmas,
        pixels=tuple(pixels),
        draws=plan.draws,
        predicted=_fields(wiener, pixels, plan.sigmas, None),
        learned=torch.stack(learned),
        error_sigmas=RATIO_SIGMAS,
        held_out=len(x0),
        errors=torch.tensor(errors),
        error_stderr=torch.tensor(stderr),
        samples=torch.stack(samples),
    )


def ship_recording(source: Source, made: Recording, folder: Path, plan: RecordingPlan, to: Path) -> Path:
    """Write a recording to a folder of shipped files as recordings/DATASET-NAME; returns the payload's path."""
    words = [*source.words, folder.absolute().name, *plan.typed(), "--ship", "cache/shipped"]
    weights = [load_manifest(place)["sha256"] for place in read_moments(folder).values()][: len(made.images) - 1]
    key = {"dataset": source.text, "weights": weights, "plan": plan.key(), "version": VERSION}
    about = {
        "network": made.network,
        "images_seen": made.images[-1],
        "moments": len(made.images),
        "command": command("recording", *words),
        "machine": machine_facts(),
    }
    return ship(source, f"{source.slug}-{made.name}", KIND, key, pack(made), about, to)


def places(source: Source) -> list[Pixel]:
    """Three pixels whose fields are worth a look: the dataset's landmarks, then the middle and two beside it."""
    _, h, w = source.shape
    usual = [Pixel(h // 2, w // 2), Pixel(h // 4, w // 2), Pixel(h // 2, w // 4)]
    return list(dict.fromkeys([*source.spec.landmarks().values(), *usual]))[:3]


def _fields(
    denoiser: Denoiser, pixels: list[Pixel], sigmas: tuple[float, ...], noisy: NoisyImages | None
) -> Float[Tensor, "s p h w"]:
    found = (rows(denoiser, pixels, sigma, noisy).average().values for sigma in sigmas)
    return torch.stack([torch.stack([reduce_inputs(field) for field in fields]) for fields in found])


@torch.no_grad()
def _samples(denoiser: Denoiser, plan: RecordingPlan) -> Float[Tensor, "n d"]:
    sampling = Sampling(count=plan.samples, steps=plan.steps, seed=plan.seed)
    levels = sampling.sigmas()
    x_T = initial(start_noise(denoiser.shape, sampling.count, sampling.seed), levels[0], sampling.start)
    *_, last = ddim(denoiser, x_T, levels)
    return last.x0_hat


def _untrained(facts: dict[str, Any], folder: Path) -> NetworkDenoiser:
    """The network before its first step, as `Training` draws it."""
    spec, shape = network_spec(facts["network"], folder), ImageShape(*facts["shape"])
    net = spec.fresh(shape, _seed(folder))
    return NetworkDenoiser(net.eval().requires_grad_(False), spec, shape)


def _seed(folder: Path) -> int:
    """The training's, from what it leaves at its end, else from its state."""
    if (folder / MANIFEST).exists():
        return int(load_manifest(folder)["train"]["seed"])
    _, meta = read_tensors(folder / STATE)
    return int(json.loads(meta["about"])["identity"]["train"]["seed"])


def _architecture(facts: dict[str, Any], folder: Path) -> str:
    """`name:option=value,...` of what differs from the defaults."""
    return network_spec(facts["network"], folder).text()
