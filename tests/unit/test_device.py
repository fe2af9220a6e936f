"""Memory knobs."""

from __future__ import annotations

import pytest
import torch

from locality.device import Compute, best_device, fast_bfloat16, fast_integers
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


def test_integer_products_serve_where_the_processor_has_them() -> None:
    """On processors without them PyTorch's are tens of times slower than floats, and right all the same."""
    assert fast_integers("cuda")
    assert not fast_integers("mps")
    assert fast_integers("cpu") == torch.cpu._is_vnni_supported()


def test_bfloat16_serves_where_the_processor_has_it() -> None:
    has_it = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert fast_bfloat16("cpu") == has_it
    assert not fast_bfloat16("mps")
