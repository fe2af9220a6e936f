"""Training a classifier of a dataset's labels: seeded, a generator of progress, judged on held-out images."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from locality.dataset import Dataset
from locality.datasets import Source
from locality.device import versions
from locality.errors import BadInput, NonFinite
from locality.features.classifier import ClassifierNet, save_classifier
from locality.specs import Spec, param
from locality.work import Progress


@dataclass(frozen=True)
class ClassifierPlan(Spec):
    """How a classifier is trained."""

    images: int = param(250_000, help="Length of the training in images.", low=1, high=100_000_000)
    batch: int = param(64, help="Images per step.", low=2, high=4096)
    rate: float = param(3e-3, help="Peak learning rate of AdamW; cosine decay to zero.", low=1e-6, high=1.0)
    shift: int = param(2, help="Images are shifted by up to this many pixels each way.", low=0, high=16, unit="px")
    flips: bool = param(False, help="Mirror half of the images left to right.")
    seed: int = param(0, help="Seed of weights, order, shifts and flips.", low=0, high=2**31 - 1)


def train_classifier(
    source: Source, plan: ClassifierPlan, folder: Path, *, device: str = "cpu", command: str = ""
) -> Generator[Progress, None, dict[str, Any]]:
    """Train, judge on all held-out images, and write weights and manifest to `folder`; returns the manifest.

    The same plan on the same machine gives the same weights. Closing the generator leaves the folder as it was.

    Raises:
        DataUnavailable: the images are not on this machine.
        BadInput: no labels, fewer than two classes, or a class of the held-out images that is not in training.
        NonFinite: the loss became NaN.
    """
    classes = _classes(source)
    net, began = _fresh(source, len(classes), plan.seed).to(device), time.monotonic()
    yield from _fit(net, source.train, classes, plan, device)
    facts = {
        "dataset": source.text,
        **source.licence(),
        "fingerprint": source.fingerprint,
        "shape": list(source.shape),
        "classes": len(classes),
        "train": plan.key(),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "command": command,
        "versions": versions("torch"),
    }
    accuracy, count = yield from _judge(net.eval(), source.held_out, classes, device)
    error = math.sqrt(accuracy * (1.0 - accuracy) / count)
    about = {"held_out_accuracy": round(accuracy, 4), "held_out_stderr": round(error, 4), "held_out_images": count}
    return save_classifier(folder, net, {**facts, **about})


def _classes(source: Source) -> Int[Tensor, " k"]:
    """The labels there are, sorted: class i of the network is the i-th of them."""
    labels, held_out = source.train.labels, source.held_out.labels
    if labels is None or held_out is None:
        raise BadInput(f"{source.text} has no class labels to learn. Compare its images by pixels or with Inception.")
    classes: Tensor = labels.unique()
    if len(classes) < 2:
        raise BadInput(f"All images of {source.text} are of one class: there is nothing to tell apart.")
    if strange := sorted(set(held_out.unique().tolist()) - set(classes.tolist())):
        raise BadInput(f"{source.text}: held-out images have class {strange[0]}, which no training image has.")
    return classes


def _fresh(source: Source, classes: int, seed: int) -> ClassifierNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # layers initialise from the global generator only
        return ClassifierNet(source.shape, classes)


def _fit(
    net: ClassifierNet, train: Dataset, classes: Int[Tensor, " k"], plan: ClassifierPlan, device: str
) -> Generator[Progress, None, None]:
    generator = torch.Generator().manual_seed(plan.seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=0.01)
    assert train.labels is not None
    targets, began = torch.searchsorted(classes, train.labels), time.monotonic()
    for done in range(0, plan.images, plan.batch):
        used = done / plan.images
        for group in optimiser.param_groups:  # a short rise, then half a cosine
            group["lr"] = plan.rate * min(1.0, 20.0 * used + 0.01) * 0.5 * (1.0 + math.cos(math.pi * used))
        rows = torch.randint(len(train), (plan.batch,), generator=generator)
        images = _moved(train.x0(rows).reshape(-1, *train.shape), plan, generator)
        _, logits = net.train()(images.to(device))
        loss = nn.functional.cross_entropy(logits, targets[rows].to(device), label_smoothing=0.05)
        if not math.isfinite(value := float(loss.detach())):
            raise NonFinite(f"The loss became {value} after {done} images. Start again with a lower rate.")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        rate = (done + plan.batch) / max(time.monotonic() - began, 1e-9)
        yield Progress(done + plan.batch, plan.images, "training", {"loss": value, "rate": rate})


def _moved(
    images: Float[Tensor, "b c h w"], plan: ClassifierPlan, generator: torch.Generator
) -> Float[Tensor, "b c h w"]:
    """Each image moved by its own whole number of pixels, what comes in repeating the border; and mirrored or not."""
    b, _, h, w = images.shape
    by = torch.randint(-plan.shift, plan.shift + 1, (2, b), generator=generator)
    mirror = torch.rand(b, generator=generator) < 0.5
    rows = (torch.arange(h) + by[0][:, None]).clamp(0, h - 1)
    cols = (torch.arange(w) + by[1][:, None]).clamp(0, w - 1)
    if plan.flips:
        cols = torch.where(mirror[:, None], cols.flip(1), cols)
    every = torch.arange(b)[:, None, None]
    return images.permute(0, 2, 3, 1)[every, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


@torch.no_grad()
def _share(net: ClassifierNet, images: Float[Tensor, "b c h w"], wanted: Int[Tensor, " b"]) -> int:
    return int((net(images)[1].argmax(dim=1) == wanted).sum())


def _judge(
    net: ClassifierNet, held_out: Dataset, classes: Int[Tensor, " k"], device: str
) -> Generator[Progress, None, tuple[float, int]]:
    """Share of held-out images that are classified correctly, and how many there are."""
    assert held_out.labels is not None
    targets, right = torch.searchsorted(classes, held_out.labels), 0
    for start in range(0, len(held_out), 256):
        yield Progress(start, len(held_out), "Held-out images")
        rows = slice(start, start + 256)
        images = held_out.x0(rows).reshape(-1, *held_out.shape)
        right += _share(net, images.to(device), targets[rows].to(device))
    return right / len(held_out), len(held_out)
