"""Masks of a field cut at a threshold: those of float64, however near to the threshold an entry is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from locality.denoisers.parts.threshold import exact_rows, row_mask, threshold_mask
from locality.linear.exact import Exact, rounding
from locality.linear.wiener import WienerFilter
from locality.types import ImageShape

SHAPE = ImageShape(1, 20, 30)  # more than two blocks of rows


def world(seed: int = 0, rest: float = 0.0, kept: int = SHAPE.d) -> WienerFilter:
    """Steep variances, pixels of very different weight, one that never varies."""
    draws = torch.Generator().manual_seed(seed)
    basis = torch.randn(SHAPE.d, SHAPE.d, generator=draws, dtype=torch.float64)
    basis *= torch.logspace(0, -2, SHAPE.d, dtype=torch.float64)[:, None]
    basis[7] = 0.0
    eigvals, eigvecs = torch.linalg.eigh(basis @ basis.T / SHAPE.d)
    eigvecs[7] = 0.0
    order = slice(None) if rest == 0.0 else slice(SHAPE.d - kept, None)
    values, vectors = eigvals[order].flip(0).clamp(min=rest), eigvecs[:, order].flip(1).float()
    return WienerFilter(SHAPE, 1000, torch.zeros(SHAPE.d), values, vectors, rest)


def truth(field: WienerFilter, sigma: float) -> Tensor:
    return Exact(field, sigma).rows(torch.arange(SHAPE.d))


@pytest.mark.parametrize(("rest", "kept"), [(0.0, SHAPE.d), (1e-4, 400)])
@pytest.mark.parametrize("sigma", [0.01, 0.3, 10.0])
def test_the_product_is_symmetric_and_within_its_bound(rest: float, kept: int, sigma: float) -> None:
    """Against U diag(g - rest) U^T + rest I written out in float64."""
    field = world(rest=rest, kept=kept)
    noise, basis = sigma**2, field.eigvecs.double()
    outside = rest / (rest + noise)
    wanted = (basis * (field.eigvals / (field.eigvals + noise) - outside)) @ basis.T + outside * torch.eye(
        SHAPE.d
    ).double()
    torch.testing.assert_close(truth(field, sigma), wanted, rtol=0, atol=1e-14)
    torch.testing.assert_close(Exact(field, sigma).own, wanted.diagonal(), rtol=0, atol=1e-14)
    some = torch.tensor([0, 7, 599, 300, 300]), torch.tensor([599, 3, 599, 300, 2])
    torch.testing.assert_close(Exact(field, sigma).entries(*some), wanted[some], rtol=0, atol=1e-14)
    found, root = field.matrix(sigma), wanted.diagonal().sqrt()
    assert torch.equal(found, found.T)
    off = (found.double() - wanted).abs()
    assert (off <= rounding(kept) * root[:, None] * root).all()
    assert rounding(kept) < 2e-5
    assert off.max() > 0


@pytest.mark.parametrize("rule", ["row", "code"])
@pytest.mark.parametrize("rest", [0.0, 1e-4])
def test_entries_at_the_threshold_are_decided_in_float64(rule: str, rest: float) -> None:
    """The threshold passes an entry by 1e-12 of it, above and below: float32 cannot tell, the mask must."""
    field, sigma = world(rest=rest, kept=400), 0.3
    exact, matrix, wanted = Exact(field, sigma), field.matrix(sigma), truth(field, sigma)
    relative = wanted.abs() / torch.where(exact.own > 0, exact.own, 1.0)[:, None]
    most = 1.0 if rule == "row" else float(relative.max())
    if rule == "code":
        assert most > 1.5  # not on the diagonal
        relative = relative.T
    missed = 0
    for q, p in ((0, 1), (300, 20), (20, 500), (599, 580), (450, 449)):
        tau = float(relative[q, p]) / most
        if not 0 < tau < 1:
            continue
        for side in (1 - 1e-12, 1 + 1e-12):
            mask = threshold_mask(matrix, tau * side, rule, exact)
            assert torch.equal(mask, threshold_mask(wanted, tau * side, rule))
            assert bool(mask[q, p]) == (side < 1)
            missed += int((threshold_mask(matrix, tau * side, rule) != mask).sum())
    assert missed > 0


@pytest.mark.parametrize("tau", [0.0, 1e-6, 0.02, 0.3, 1.0])
def test_rows_alone_have_the_masks_of_the_whole(tau: float) -> None:
    """Also at thresholds below what float32 resolves, where whole rows are computed again."""
    field, sigma, coords = world(3), 2.0, torch.tensor([7, 0, 599, 256])
    mask = threshold_mask(field.matrix(sigma), tau, "row", Exact(field, sigma))
    assert torch.equal(row_mask(exact_rows(field, coords, sigma), coords, tau), mask[coords])
    assert mask[7].nonzero().flatten().tolist() == [7]
    assert mask.diagonal().all()


def test_a_field_that_weighs_nothing() -> None:
    field = WienerFilter(SHAPE, 10, torch.zeros(SHAPE.d), torch.zeros(SHAPE.d).double(), torch.eye(SHAPE.d))
    for rule in ("row", "code"):
        mask = threshold_mask(field.matrix(1.0), 0.1, rule, Exact(field, 1.0))
        assert torch.equal(mask, torch.eye(SHAPE.d).bool())
