"""rank and shrinkage of the Wiener model, against their formulas."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.errors import BadInput
from locality.linear.wiener import WienerFilter
from locality.store import Store
from locality.studies import finish


def _fit(text: str, folder: Path) -> WienerFilter:
    fitted = finish(DENOISERS.parse(text).fit(Source.parse("digits"), Compute(), Store(folder)))
    assert isinstance(fitted, WienerFilter)
    return fitted


def test_rank_keeps_the_largest_components(tmp_path: Path) -> None:
    whole, part = _fit("wiener", tmp_path), _fit("wiener:rank=5", tmp_path)
    basis = whole.eigvecs[:, :5]
    expected = (basis * whole.gain(0.5)[:5].float()) @ basis.T
    torch.testing.assert_close(part.matrix(0.5), expected, atol=1e-6, rtol=0)
    assert not torch.allclose(part.matrix(0.5), whole.matrix(0.5), atol=1e-3)


def test_shrinkage_moves_every_variance_to_the_mean(tmp_path: Path) -> None:
    whole, shrunk = _fit("wiener", tmp_path), _fit("wiener:shrinkage=0.25", tmp_path)
    torch.testing.assert_close(shrunk.eigvals, 0.75 * whole.eigvals + 0.25 * whole.eigvals.mean())
    flat = _fit("wiener:shrinkage=1", tmp_path)
    gain = float(flat.gain(0.5)[0])
    torch.testing.assert_close(flat.matrix(0.5), gain * torch.eye(64), atol=1e-5, rtol=0)


def test_a_rank_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"wiener:rank=65: the images have 64 principal components. Give 1..64, or 0"):
        _fit("wiener:rank=65", tmp_path)
