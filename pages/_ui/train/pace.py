"""How fast a network would train here: timed beside the page, which never waits for it."""

from __future__ import annotations

from locality.networks import NetworkSpec, TrainSpec, training_speed
from locality.types import ImageShape
from pages._ui.timing import Timing, timed


def pace(network: NetworkSpec, train: TrainSpec, shape: ImageShape) -> Timing:
    """Images a second, None where it could not be measured."""
    key = f"pace {network.key()}{train.bfloat16}{shape}"
    return timed(key, lambda: training_speed(network, train, shape))
