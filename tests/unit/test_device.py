"""Memory knobs."""

from __future__ import annotations

import pytest
import torch

from locality.device import Compute, best_device
from locality.errors import BadInput


@pytest.mark.parametrize("knob", ["images", "draws"])
@pytest.mark.parametrize("value", [0, -3])
def test_knobs_are_at_least_one(knob: str, value: int) -> None:
    with pytest.raises(BadInput, match=rf"Compute\.{knob}={value}: give at least 1\."):
        Compute(**{knob: value})


def test_best_device_is_one_torch_has() -> None:
    assert torch.zeros(1, device=best_device()).device.type == best_device()


def test_compute_is_hashable_so_that_it_can_key_a_cache() -> None:
    assert {Compute(), Compute(images=8192)} == {Compute()}
