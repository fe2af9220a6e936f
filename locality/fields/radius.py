"""How far a field reaches, as a length that changes smoothly with the field: the half-mass radius.

    M(r) = mass nearer than r, and half of the mass at r itself;    the radius is where M is half of all mass

M is joined by straight lines between the distances that exist: it is the median distance, weighted by absolute mass.
`locality.fields.jacobian.measure` has the first of these distances that holds half, which goes in steps of 0.2 to 0.4
pixels where fields are narrow.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.fields.jackknife import jackknife
from locality.types import ImageShape, Pixel


def half_mass_radius(fields: Float[Tensor, "*b hw"], pixel: Pixel, shape: ImageShape) -> Float64[Tensor, "*b"]:
    """Distance from the pixel within which half of the absolute mass lies, in pixels; nan for an all-zero field."""
    rows = torch.arange(shape.h)[:, None] - pixel.row
    cols = torch.arange(shape.w)[None, :] - pixel.col
    squared, ring = (rows**2 + cols**2).flatten().unique(return_inverse=True)
    distance = squared.double().sqrt()
    mass = fields.double().abs()
    rings = torch.zeros(*mass.shape[:-1], len(distance), dtype=torch.float64)
    rings.index_add_(-1, ring, mass)
    middle = rings.cumsum(dim=-1) - rings / 2
    half = rings.sum(dim=-1, keepdim=True) / 2
    above = (middle < half).sum(dim=-1, keepdim=True).clamp(max=len(distance) - 1)
    below = (above - 1).clamp(min=0)
    low, high = middle.gather(-1, below), middle.gather(-1, above)
    share = torch.where(high > low, (half - low) / (high - low), 1.0).clamp(0.0, 1.0)
    found = distance[below] + share * (distance[above] - distance[below])
    return torch.where(half > 0, found, torch.nan).squeeze(-1)


def radius_error(each: Float[Tensor, "k hw"], pixel: Pixel, shape: ImageShape) -> float:
    """Standard error of the half-mass radius of the mean over k draws: the jackknife; nan for one draw."""
    count = len(each)
    if count < 2:
        return math.nan
    draws = each.double()
    left_out = half_mass_radius((draws.sum(dim=0) - draws) / (count - 1), pixel, shape)
    return float(jackknife(left_out))
