"""Which plain form a model has at a noise level."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from benchmarks.plain_gaussians import Gaussians, Together, dense
from benchmarks.plain_masks import Rows
from benchmarks.plain_patches import Patches
from locality.denoisers.els import EquivariantDenoiser
from locality.denoisers.golddiff import GoldDiffDenoiser
from locality.denoisers.ls import LocalScoreDenoiser
from locality.denoisers.nearest import NearestDenoiser
from locality.denoisers.optimal import OptimalDenoiser
from locality.denoisers.parts.stacked import StackDenoiser
from locality.denoisers.parts.walk_plan import Masks
from locality.denoisers.pca_locality import PcaLocalityDenoiser
from locality.denoisers.pspc_flex import FlexiblePatchesDenoiser
from locality.denoisers.pspc_square import SquarePatchesDenoiser
from locality.denoisers.smoothed import SmoothedDenoiser
from locality.linear.wiener import WienerFilter
from locality.types import Denoiser

Form: TypeAlias = Rows | Patches | Gaussians | Together


def masks_of(denoiser: Denoiser, sigma: float) -> Masks | None:
    """Made where there are any: the plain form needs them as well."""
    if isinstance(denoiser, StackDenoiser):
        return next(filter(None, (masks_of(member, sigma) for member in _asked(denoiser, sigma))), None)
    holder = denoiser.inner if isinstance(denoiser, GoldDiffDenoiser) else denoiser
    masked = isinstance(holder, PcaLocalityDenoiser | FlexiblePatchesDenoiser | LocalScoreDenoiser)
    return holder.plan(sigma) if masked else None


def plain_masks(denoiser: Denoiser, sigma: float) -> Tensor | None:
    """The same masks as anybody writes them: the whole product in float32, entries as rounding leaves them.

    None where masks do not come from the Wiener filter by the paper's rule.
    """
    holder = denoiser.inner if isinstance(denoiser, GoldDiffDenoiser) else denoiser
    if (
        not isinstance(holder, PcaLocalityDenoiser)
        or holder.rule != "row"
        or not isinstance(holder.field, WienerFilter)
    ):
        return None
    basis = holder.field.eigvecs
    field = (basis * holder.field.gain(sigma).float()) @ basis.T
    return field.abs() >= holder.tau * field.diagonal()[:, None]


def form_of(denoiser: Denoiser, x: Tensor, sigma: float) -> Form:
    """For these noisy images."""
    points, everywhere = x[:, None], torch.arange(x.shape[1])[None]
    if isinstance(denoiser, StackDenoiser):
        return Together(denoiser, tuple(form_of(member, x, sigma) for member in _asked(denoiser, sigma)), x)
    if isinstance(denoiser, SmoothedDenoiser):
        return Rows([denoiser.inner.bank] * len(x), points + denoiser._moves(sigma), None, everywhere)
    if isinstance(denoiser, OptimalDenoiser | NearestDenoiser):
        hard = isinstance(denoiser, NearestDenoiser)
        return Rows([denoiser.bank] * len(x), points, None, everywhere, hard)
    if isinstance(denoiser, SquarePatchesDenoiser | EquivariantDenoiser):
        return Patches(denoiser, x, denoiser.windows.at(sigma))
    masks = masks_of(denoiser, sigma)
    if masks is None:
        return Gaussians(dense(denoiser, torch.float32), dense(denoiser, torch.float64), x)
    if isinstance(denoiser, GoldDiffDenoiser):
        banks = [denoiser.inner.bank.pick(denoiser.retrieve(query, sigma)) for query in x]
        return Rows(banks, points, masks.rows, masks.outputs)
    assert isinstance(denoiser, PcaLocalityDenoiser | FlexiblePatchesDenoiser | LocalScoreDenoiser)
    return Rows([denoiser.bank] * len(x), points, masks.rows, masks.outputs)


def _asked(denoiser: StackDenoiser, sigma: float) -> list[Denoiser]:
    return [denoiser.members[which] for which in denoiser._asked(denoiser.weights_at(sigma))]
