"""How fast a network trains here, from a few real steps."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from locality.dataset import Dataset
from locality.networks._plan import TrainSpec
from locality.networks._spec import NetworkSpec
from locality.networks._training import Training
from locality.types import ImageShape

_PATIENCE = 0.4  # seconds: a network whose step on one image takes longer is not asked for more


def training_speed(network: NetworkSpec, train: TrainSpec, shape: ImageShape, device: str = "cpu") -> float:
    """Images a second, from steps on up to eight images; a full batch may be somewhat faster.

    Raises:
        BadInput: the network cannot take images of this shape.
    """
    images = Dataset("noise", "train", shape, torch.full((8, shape.d), 127, dtype=torch.uint8))
    seconds = _step_seconds(network, replace(train, batch=1), images, device)
    if seconds > _PATIENCE:
        return 1.0 / seconds
    return 8.0 / _step_seconds(network, replace(train, batch=8), images, device)


def _step_seconds(network: NetworkSpec, train: TrainSpec, images: Dataset, device: str) -> float:
    """The second of two steps: the first one allocates."""
    training = Training(images, network, train, Path(), device=device)
    training._step(0.0)
    began = time.perf_counter()
    training._step(0.0)
    return time.perf_counter() - began
