"""Masks of a field cut at a threshold: what float32 leaves open is decided in float64.

    row:  |W_qp| >= tau W_qq (the paper).   code: R_pq = W_pq / W_pp, |R_pq| >= tau max |R|, by columns (the release).

A product in float32 puts a few entries on the wrong side of the threshold, other ones on every processor. Those nearer
to it than rounding may move them, some hundreds of millions, are computed again.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from locality.fields.rows import Linear
from locality.linear.exact import Exact
from locality.linear.wiener import WienerFilter

_ROWS = 64  # at a time: their temporaries stay in a core's cache
_MANY = 16  # entries in question of so many: the product of whole rows takes less


def exact_of(field: object, sigma: float) -> Exact | None:
    """What decides; None for a stored field, whose values are what they are."""
    return Exact(field, sigma) if isinstance(field, WienerFilter) else None


def exact_rows(field: Linear, coords: Int[Tensor, " q"], sigma: float) -> Float[Tensor, "q d"]:
    """Rows of a field as masks are made of them: of a Wiener filter in float64, else as they are stored."""
    exact = exact_of(field, sigma)
    return field.rows(coords, sigma) if exact is None else exact.rows(coords)


def threshold_mask(
    matrix: Float[Tensor, "d d"], tau: float, rule: str, exact: Exact | None = None
) -> Bool[Tensor, "d d"]:
    """M[q, p]: whether coordinate q compares coordinate p.

    A coordinate the field does not weigh at all (a constant pixel) compares itself alone; every coordinate compares
    itself. With `exact`, the masks of the field in float64.
    """
    coords = torch.arange(len(matrix), device=matrix.device)
    if rule == "row":
        return row_mask(matrix, coords, tau, exact)
    mask = row_mask(matrix, coords, tau * _largest(matrix, exact), exact).T
    own = _own(matrix, coords, exact)
    return (mask & (own > 0)[:, None]).fill_diagonal_(True)


def row_mask(
    rows: Float[Tensor, "q d"], coords: Int[Tensor, " q"], tau: float, exact: Exact | None = None
) -> Bool[Tensor, "q d"]:
    """|W_qp| >= tau W_qq for the given rows q."""
    coords = coords.to(rows.device)
    own = _own(rows, coords, exact)
    mask = torch.empty(rows.shape, dtype=torch.bool, device=rows.device)
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        size, weighs, least = rows[part].abs(), own[part, None] > 0, tau * own[part]
        near_least = least.to(rows.dtype)[:, None]
        found = size >= near_least
        if exact is not None and tau > 0.0:
            near = size.sub_(near_least).abs_() <= exact.off(own[part])
            _decide(exact, found, near & weighs, coords[part], least)
        mask[part] = found & weighs
    return mask.scatter_(1, coords[:, None], torch.ones_like(mask[:, :1]))


def _decide(
    exact: Exact,
    found: Bool[Tensor, "q d"],
    near: Bool[Tensor, "q d"],
    coords: Int[Tensor, " q"],
    least: Float64[Tensor, " q"],
) -> None:
    """Put right which of the entries in question are at least so large, row by row."""
    rows, columns = near.nonzero(as_tuple=True)
    if _MANY * len(rows) > near.numel():
        values = exact.rows(coords)[rows, columns]
    else:
        values = exact.entries(coords[rows], columns)
    found[rows, columns] = values.abs() >= least[rows]


def _own(rows: Float[Tensor, "q d"], coords: Int[Tensor, " q"], exact: Exact | None) -> Float[Tensor, " q"]:
    """How much coordinates weigh themselves."""
    return rows.gather(1, coords[:, None])[:, 0].abs() if exact is None else exact.own[coords]


def _largest(matrix: Float[Tensor, "d d"], exact: Exact | None) -> float:
    """max |W_qp| / W_qq over rows that weigh themselves, where the diagonal is 1; 0 without any."""
    own = _own(matrix, torch.arange(len(matrix), device=matrix.device), exact)
    coords = (own > 0).nonzero()[:, 0]
    if not len(coords):
        return 0.0
    most, top = [], own.new_ones(())  # what the largest of each row may be, the diagonal apart; what one is at least
    for part in coords.split(_ROWS):
        size = matrix[part].abs().scatter_(1, part[:, None], -torch.inf)
        off = 0.0 if exact is None else exact.off(own[part])
        most.append((size + off).amax(dim=1) / own[part])
        top = torch.maximum(top, ((size - off).amax(dim=1) / own[part]).max())
    if exact is None:
        return float(top)
    first = coords[torch.cat(most) > top]
    found = [exact.rows(part).abs().amax(dim=1) / own[part] for part in first.split(_ROWS)]
    return float(torch.cat([top.clamp(max=1.0)[None], *found]).max())
