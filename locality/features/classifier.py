"""A small classifier of a dataset's own labels as an extractor of features; on disk as float16 safetensors, a manifest.

Distances through it are named after it: they compare with nothing but themselves, and are no FID.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from locality.datasets import Source, slug
from locality.errors import BadInput, DataUnavailable
from locality.features.spec import as_8bit
from locality.grammar import command
from locality.networks.checkpoints.files import (
    MANIFEST,
    WEIGHTS,
    checked_weights,
    load_weights,
    read_tensors,
    write_weights,
)
from locality.store import Store
from locality.store.atomic import settle
from locality.types import ImageShape

KIND, FORMAT = "classifier", 1
FOLDER = "classifiers"  # under cache/shipped and cache/local
FEATURES = 64
_CHANNELS = (32, 64, 128)
_BATCH = 256


class ClassifierNet(nn.Module):
    """Three convolutions, each halving the image; the mean over pixels; 64 features; classes. About 100,000 weights."""

    def __init__(self, shape: ImageShape, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for below, width in itertools.pairwise((shape.c, *_CHANNELS)):
            layers += [nn.Conv2d(below, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.features = nn.Sequential(nn.Linear(_CHANNELS[-1], FEATURES), nn.SiLU())
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b f"], Float[Tensor, "b k"]]:
        """Features and logits."""
        features = self.features(self.body(images).mean(dim=(2, 3)))
        return features, self.head(features)


@dataclass(frozen=True, eq=False)
class ClassifierFeatures:
    """The 64 values below the last layer. Images are clamped and rounded to 8 bits first, as they would be saved."""

    net: ClassifierNet
    shape: ImageShape
    dataset: str
    sha256: str
    device: str = "cpu"

    @property
    def name(self) -> str:
        return f"{self.dataset} classifier"

    def key(self) -> dict[str, Any]:
        return {"features": KIND, "sha256": self.sha256}

    def of(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        return self._each(x)[0]

    def probabilities(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        return self._each(x)[1].softmax(dim=1)

    @torch.no_grad()
    def _each(self, x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n k"]]:
        self.shape.check(x)
        images = as_8bit(x, self.shape).float().div(127.5).sub(1.0)
        parts = [self.net(part.to(self.device)) for part in images.split(_BATCH)]
        features, logits = (torch.cat([part[i] for part in parts]).cpu() for i in range(2))
        return features, logits


def save_classifier(folder: Path, net: ClassifierNet, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write weights (float16) and manifest; returns the manifest. `facts` names at least dataset, shape and classes."""
    parameters = sum(tensor.numel() for tensor in net.parameters())
    head = {"format": FORMAT, "kind": KIND, "features": FEATURES, "parameters": parameters}
    return write_weights(folder, net, head, facts)


def read_classifier(folder: Path) -> dict[str, Any]:
    """The manifest of a classifier. Raises BadInput where the folder holds none."""
    path = folder / MANIFEST
    settle(folder / WEIGHTS, path)
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (manifest["kind"], manifest["format"]) != (KIND, FORMAT):
            raise ValueError(f"kind {manifest['kind']!r}, format {manifest['format']!r}")
        ImageShape(*map(int, manifest["shape"])), int(manifest["classes"]), str(manifest["dataset"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{folder} holds no classifier ({type(error).__name__}: {error}). "
            "Make one with python -m locality classifier DATASET --out DIR."
        ) from None
    return manifest


def load_classifier(folder: Path, device: str = "cpu") -> ClassifierFeatures:
    """A classifier ready to read features.

    Raises:
        BadInput: no classifier. DigestMismatch: its weights are not those of its manifest.
        CheckpointMismatch, NonFinite: weights of another architecture, or not finite.
    """
    manifest = read_classifier(folder)
    path = checked_weights(folder, manifest.get("sha256"))
    shape = ImageShape(*manifest["shape"])
    net = ClassifierNet(shape, int(manifest["classes"]))
    load_weights(net, read_tensors(path)[0], str(folder))
    net.eval().requires_grad_(False).to(device)
    return ClassifierFeatures(net, shape, str(manifest["dataset"]), manifest["sha256"], device)


def find_classifier(source: Source, store: Store, folder: Path | None = None) -> Path:
    """The folder of a dataset's classifier, shipped or made here; for an edited set that of the set it was made from.

    Raises:
        DataUnavailable: there is none; says how to make one, where the images have labels.
        BadInput: `folder` holds none, or one for images of another shape.
    """
    places = [folder] if folder else _places(source, store)
    found = next((place for place in places if folder or (place / MANIFEST).is_file()), None)
    if found is None and source.available and source.train.labels is None:
        raise DataUnavailable(f"{source.text} has no class labels, so no classifier: compare by pixels or inception.")
    if found is None:
        raise DataUnavailable(
            f"No classifier is trained on {source.text}. Make one: "
            f"{command('classifier', source.base.text, '--out', store.local / FOLDER / source.base.slug)}, "
            "or compare by pixels."
        )
    shape = tuple(read_classifier(found)["shape"])
    if shape != tuple(source.shape):
        raise BadInput(
            f"The classifier in {found} reads {'x'.join(map(str, shape))} images; those of {source.text} are "
            f"{source.shape}. Give one of the same shape."
        )
    return found


def _places(source: Source, store: Store) -> list[Path]:
    roots = [root / FOLDER for root in (store.shipped_root, store.local) if root is not None]
    names = dict.fromkeys((source.text, source.base.text, source.name, source.spec.name))
    return [root / slug(name) for name in names for root in roots]
