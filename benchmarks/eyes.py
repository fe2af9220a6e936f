"""The field of a cat's eye at its other eye, predicted and learned, beside CIFAR-10's at the same two places."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from locality.datasets import Source
from locality.fields.jacobian import pixel_outputs
from locality.linear.wiener import WienerFilter, coordinates
from locality.studies import Draws, Trained, finish, fit_wiener, learned_field, networks_for
from locality.types import ImageShape, Pixel
from pages._ui.lessons.parts import weights_apart

SIGMAS = (0.3, 0.7, 1.2, 3.0, 12.0)
SETS = ("afhq_cats", "afhq_cats:resolution=64", "cifar10")
DRAWS = Draws(64)
_RADIUS = 1 / 20  # of the side: the patch of an eye


@dataclass(frozen=True)
class Share:
    """A field around the other eye over its largest value: both eyes' mean, and the standard error over draws."""

    value: float
    error: float


def run() -> None:
    """Print the tables. Needs the statistics of the three sets; learned rows their networks and held-out images."""
    eyes = Source.parse("afhq_cats").spec.landmarks()
    print(f"Mean over a patch of 1/20 of the side around the other eye, over the field's largest value; {eyes}\n")
    print(f"| field at the other eye | {' | '.join(f'σ {sigma:g}' for sigma in SIGMAS)} |")
    print(f"|---|{'--:|' * len(SIGMAS)}")
    for name in SETS:
        source = Source.parse(name)
        wiener = finish(fit_wiener(source))
        pair = _pair(source, eyes)
        _row(f"{name}, predicted", [predicted(wiener, pair, sigma) for sigma in SIGMAS])
        if name == "cifar10":
            _row(f"{name}, predicted, mean of all pairs as far apart", [anywhere(wiener, pair, s) for s in SIGMAS])
        for trained in _networks(source):
            _row(f"{name}, {trained.name}", [learned(source, trained, pair, sigma) for sigma in SIGMAS])


def _networks(source: Source) -> list[Trained]:
    """Those trained on exactly these images, where held-out ones are here."""
    return [one for one in networks_for(source) if not one.is_of_variant(source)] if source.shows_held_out else []


def predicted(wiener: WienerFilter, pair: tuple[Pixel, Pixel], sigma: float) -> Share:
    """Rows of W, summed over channels."""
    shares = []
    for eye, other in (pair, pair[::-1]):
        field = wiener.rows(coordinates(wiener.shape, eye), sigma).sum(dim=0)
        field = field.reshape(wiener.shape).sum(dim=0)
        shares.append(float(field[_patch(wiener.shape, other)].mean() / field.abs().max()))
    return Share(sum(shares) / 2, 0.0)


def anywhere(wiener: WienerFilter, pair: tuple[Pixel, Pixel], sigma: float) -> Share:
    """The same for every pair of pixels in a row that is as far apart, and the scatter over these pairs."""
    shares = weights_apart(wiener, abs(pair[1].col - pair[0].col), sigma)
    return Share(float(shares.mean()), float(shares.std()))


def learned(source: Source, trained: Trained, pair: tuple[Pixel, Pixel], sigma: float) -> Share:
    """Jacobian rows of a network, averaged over draws, with the standard error of the mean over both eyes."""
    denoiser, x0 = trained.load(), DRAWS.images(source)
    shares, errors = [], []
    for eye, other in (pair, pair[::-1]):
        found = learned_field(denoiser, x0, pixel_outputs(source.shape, eye), sigma, DRAWS)
        field, patch = found.values[0].sum(dim=0), _patch(source.shape, other)
        size = float(field.abs().max())
        shares.append(float(field[patch].mean()) / size)
        # Channels and neighbours share their draws, so their errors may add up: an upper limit.
        errors.append(float(found.stderr[0].sum(dim=0)[patch].mean()) / size)
    return Share(sum(shares) / 2, math.hypot(*errors) / 2)


def _pair(source: Source, eyes: dict[str, Pixel]) -> tuple[Pixel, Pixel]:
    """The two eyes of a set, or where they would be."""
    left, right = (source.spec.landmarks() or eyes).values()
    return left, right


def _patch(shape: ImageShape, centre: Pixel) -> Bool[Tensor, "h w"]:
    rows, cols = torch.arange(shape.h)[:, None] - centre.row, torch.arange(shape.w)[None, :] - centre.col
    return rows**2 + cols**2 <= (shape.w * _RADIUS) ** 2


def _row(name: str, shares: list[Share]) -> None:
    cells = [f"{share.value:.3f}{f' ± {share.error:.3f}' if share.error else ''}" for share in shares]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
