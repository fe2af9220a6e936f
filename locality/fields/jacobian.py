"""Sensitivity fields at an image: Jacobian rows of any denoiser, and how they are measured and compared.

    J(x)[q, p] = d x0_hat_q / d x_p

Row q drawn as an image shows which input pixels the estimate of coordinate q listens to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from locality.errors import BadInput, NonFinite
from locality.linear.wiener import coordinates
from locality.noise import field_noise
from locality.types import Denoiser, ImageShape, Pixel

Average = Literal["mean", "absolute"]
Inputs = Literal["sum", "rss", "abs"]


def pixel_outputs(shape: ImageShape, pixel: Pixel, channel: int | None = None) -> Float[Tensor, "1 d"]:
    """Selector of one output: a channel of a pixel, or (None) the sum over its channels.

    Raises:
        BadInput: the pixel or the channel is outside the image.
    """
    coords = coordinates(shape, pixel)
    if channel is not None and not 0 <= channel < shape.c:
        raise BadInput(f"Channel {channel} does not exist: the images have channels 0..{shape.c - 1}.")
    chosen = torch.zeros(1, shape.d)
    chosen[0, coords if channel is None else coords[channel]] = 1.0
    return chosen


@runtime_checkable
class Differentiates(Protocol):
    """A denoiser that knows its derivative, as a posterior mean does: J = Cov[x0 | x] / sigma^2."""

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"] | None:
        """outputs @ J(x) for every image; None where its options leave no closed form. Raises as its call."""
        ...


def field_rows(
    denoiser: Denoiser,
    x: Float[Tensor, "b d"],
    outputs: Float[Tensor, "m d"],
    sigma: float,
) -> Float[Tensor, "m b d"]:
    """outputs @ J(x) for every image: what the denoiser knows, else `differentiate`.

    Raises:
        NonFinite: the denoiser's derivative is NaN or infinite.
    """
    known = denoiser.jacobian_rows(x.detach(), outputs.to(x), sigma) if isinstance(denoiser, Differentiates) else None
    found = differentiate(denoiser, x, outputs, sigma) if known is None else known
    if not bool(found.isfinite().all()):
        raise NonFinite(
            f"The denoiser's derivative is not finite at sigma={sigma:g}. Its weights or its input are damaged."
        )
    return found


def differentiate(
    denoiser: Denoiser, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
) -> Float[Tensor, "m b d"]:
    """outputs @ J(x) for every image: one forward pass, one backward pass per output."""
    leaf = x.detach().requires_grad_(True)
    with torch.enable_grad():
        x0_hat = denoiser(leaf, sigma)
        if not x0_hat.requires_grad:  # constant in x, as the nearest training image is
            return torch.zeros(len(outputs), *x.shape).to(x)
        rows = [
            torch.autograd.grad(x0_hat, leaf, output.expand_as(x0_hat), retain_graph=i + 1 < len(outputs))[0]
            for i, output in enumerate(outputs.to(x0_hat))
        ]
    return torch.stack(rows)


def draw_inputs(x0: Float[Tensor, "k d"], sigma: float, seed: int, first: int = 0) -> Float[Tensor, "k d"]:
    """x0 + sigma * eps, eps being `field_noise`: its own for each draw, of which x0 has those from `first` on."""
    return x0 + sigma * field_noise(len(x0), x0.shape[1], seed, first).to(x0)


def reduce_inputs(values: Float[Tensor, "c h w"], how: Inputs | int = "sum") -> Float[Tensor, "h w"]:
    """One picture of a field: a channel, the signed sum, the root sum of squares, or the sum of absolute values."""
    if isinstance(how, int):
        if not 0 <= how < len(values):
            raise BadInput(f"Channel {how} does not exist: the images have channels 0..{len(values) - 1}.")
        return values[how]
    if how == "rss":
        return values.square().sum(dim=0).sqrt()
    return (values.abs() if how == "abs" else values).sum(dim=0)


@dataclass(frozen=True)
class Shape:
    """How wide a field is. Lengths in pixels, shares in [0, 1]."""

    radius: float
    outside: float
    support: int


@dataclass(frozen=True)
class Agreement:
    """How similar two fields are: Pearson r with and without the centre pixel, cosine, shared mass."""

    pearson: float
    pearson_off_centre: float
    cosine: float
    overlap: float


def measure(field: Float[Tensor, "h w"], pixel: Pixel, *, outside: float = 4.0, threshold: float = 0.05) -> Shape:
    """Width of a field about its pixel.

    radius: smallest distance that holds half of the absolute mass. outside: share of the mass
    farther away than `outside` pixels (non-locality). support: pixels above `threshold` times the
    largest size. An all-zero field has radius nan, share nan and support 0.
    """
    mass = field.double().abs()
    rows = torch.arange(field.shape[0], dtype=torch.float64)[:, None] - pixel.row
    cols = torch.arange(field.shape[1], dtype=torch.float64)[None, :] - pixel.col
    distance = torch.sqrt(rows**2 + cols**2)
    total = float(mass.sum())
    if total == 0.0:
        return Shape(torch.nan, torch.nan, 0)
    order = distance.flatten().argsort(stable=True)
    held = mass.flatten()[order].cumsum(dim=0)
    half = int(torch.searchsorted(held, torch.tensor(0.5 * total, dtype=torch.float64)))
    return Shape(
        float(distance.flatten()[order[min(half, len(order) - 1)]]),
        float(mass[distance > outside].sum()) / total,
        int((mass >= threshold * mass.max()).sum()),
    )


def mass_on(field: Float[Tensor, "h w"], mask: Bool[Tensor, "h w"], without: Pixel | None = None) -> float:
    """Share of the absolute mass that lies on a mask, in [0, 1]; nan for an all-zero field.

    `without` leaves a pixel out of both, the field's own as a rule: on the mask it counts as mass on it, whatever
    the rest of the field does. By chance: the mask's share of the pixels.
    """
    mass = field.double().abs()
    if without is not None:
        mass[without.row, without.col] = 0.0
    total = float(mass.sum())
    return float(mass[mask].sum()) / total if total > 0.0 else torch.nan


def compare(a: Float[Tensor, "h w"], b: Float[Tensor, "h w"], pixel: Pixel) -> Agreement:
    """Agreement of two fields of one pixel; nan where a field is constant or zero.

    overlap = sum min(|a|, |b|) of both normalised to unit mass, in [0, 1].
    """
    u, v = a.double().flatten(), b.double().flatten()
    keep = torch.ones_like(u, dtype=torch.bool)
    keep[pixel.row * a.shape[1] + pixel.col] = False
    shares = [w.abs() / w.abs().sum() for w in (u, v)]
    return Agreement(
        _cosine(_centred(u), _centred(v)),
        _cosine(_centred(u[keep]), _centred(v[keep])),
        _cosine(u, v),
        float(torch.minimum(*shares).sum()),
    )


def _cosine(u: Float[Tensor, " n"], v: Float[Tensor, " n"]) -> float:
    norms = float(u.norm() * v.norm())
    return float(u @ v) / norms if norms > 0 else torch.nan


def _centred(u: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """u less its mean; exactly zero where u is constant, so that rounding is never correlated."""
    centred = u - u.mean()
    return centred if float(centred.norm()) > 1e-12 * float(u.norm()) else torch.zeros_like(u)
