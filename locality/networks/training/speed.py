"""How fast a network trains here, from a few real steps."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from locality.dataset import Dataset
from locality.networks.parts.spec import NetworkSpec
from locality.networks.training.loop import Training
from locality.networks.training.plan import TrainSpec
from locality.types import ImageShape

_BATCHES = (1, 8, 64)
_PATIENCE = 4.0  # seconds: a step that would take longer, image for image as the one before, is not tried


def training_speed(network: NetworkSpec, train: TrainSpec, shape: ImageShape) -> float:
    """Images a second, from three steps each on 1, 8 and 64 images, the larger ones only where the smaller are quick.

    Raises:
        BadInput: the network cannot take images of this shape.
    """
    images = Dataset("noise", "train", shape, torch.full((8, shape.d), 127, dtype=torch.uint8))
    speed = 0.0
    for batch in _BATCHES:
        if speed and batch / speed > _PATIENCE:
            break
        speed = max(speed, batch / _step_seconds(network, replace(train, batch=batch), images))
    return speed


def parameter_count(network: NetworkSpec, shape: ImageShape) -> int:
    """Number of trained values; none of them is made. Raises BadInput as `NetworkSpec.build`."""
    with torch.device("meta"):
        return sum(tensor.numel() for tensor in network.build(shape).parameters())


def _step_seconds(network: NetworkSpec, train: TrainSpec, images: Dataset) -> float:
    """The shorter of two steps, as others may be at work here, after a first one, which compiles and allocates."""
    training = Training(images, network, train, Path())
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        float(training._step(0.0))
        taken.append(time.perf_counter() - began)
    return min(taken[1:])
