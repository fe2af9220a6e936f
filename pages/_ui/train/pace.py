"""How fast a network would train here: timed beside the page, which never waits for it."""

from __future__ import annotations

from locality.networks import NetworkSpec, TrainSpec, training_speed
from locality.types import ImageShape
from pages._ui.timing import timed


def pace(network: NetworkSpec, train: TrainSpec, shape: ImageShape) -> tuple[bool, float | None]:
    """Whether it is known, and images a second; (True, None) where it could not be measured."""
    key = f"pace {network.key()}{train.bfloat16}{shape}"
    timing = timed(key, lambda: training_speed(network, train, shape))
    return timing.ended.is_set(), timing.value
