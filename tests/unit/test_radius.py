"""The half-mass radius: closed forms, a naive walk over distances, and its error over draws."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from locality.fields.jacobian import measure
from locality.fields.radius import half_mass_radius, radius_error
from locality.types import ImageShape, Pixel

SHAPE = ImageShape(1, 9, 7)


def naive(field: torch.Tensor, pixel: Pixel) -> float:
    """Mass nearer than r and half of that at r, walked distance by distance."""
    by_distance: dict[float, float] = {}
    for row in range(SHAPE.h):
        for col in range(SHAPE.w):
            far = math.hypot(row - pixel.row, col - pixel.col)
            by_distance[far] = by_distance.get(far, 0.0) + abs(float(field[row, col]))
    total, held, before = sum(by_distance.values()), 0.0, (0.0, 0.0)
    for far in sorted(by_distance):
        middle = held + by_distance[far] / 2
        if middle >= total / 2:
            last, low = before
            return far if far == 0 or middle == low else last + (total / 2 - low) / (middle - low) * (far - last)
        held, before = held + by_distance[far], (far, middle)
    return math.nan


@pytest.mark.parametrize("pixel", [Pixel(0, 0), Pixel(4, 2), Pixel(8, 6)])
def test_it_is_what_a_walk_over_distances_finds(pixel: Pixel) -> None:
    fields = torch.randn(5, 9, 7, generator=torch.Generator().manual_seed(3))
    found = half_mass_radius(fields.flatten(1), pixel, SHAPE)
    assert found.tolist() == pytest.approx([naive(field, pixel) for field in fields], abs=1e-12)
    steps = [measure(field, pixel).radius for field in fields]
    assert all(abs(a - b) < 1.0 for a, b in zip(found.tolist(), steps, strict=True)), "the same length, without steps"


def test_closed_forms() -> None:
    own, ring = torch.zeros(9, 7), torch.zeros(9, 7)
    own[4, 2] = -3.0
    ring[[2, 6, 4, 4], [2, 2, 0, 4]] = torch.tensor([1.0, -1.0, 2.0, -2.0])  # all at distance 2
    both = own / 3 + ring / 6
    found = half_mass_radius(torch.stack([own, ring, both, 0 * own]).flatten(1), Pixel(4, 2), SHAPE)
    # Mass 1 at 0 and 1 at 2: the middles are 1/4 and 3/4 of all, joined through distances that have none.
    assert found[:3].tolist() == pytest.approx([0.0, 2.0, naive(both, Pixel(4, 2))])
    assert math.isnan(found[3])


def test_a_field_that_widens_slowly_has_a_radius_that_grows_slowly() -> None:
    far = (torch.arange(9.0)[:, None] - 4) ** 2 + (torch.arange(7.0)[None, :] - 3) ** 2
    radii = [
        float(half_mass_radius(torch.exp(-far / (2 * width**2)).flatten(), Pixel(4, 3), SHAPE))
        for width in torch.linspace(0.5, 2.0, 40).tolist()
    ]
    growth = [b - a for a, b in pairwise(radii)]
    assert min(growth) > 0
    assert max(growth) < 0.12, "no steps"


def test_the_error_is_the_spread_over_sets_of_draws() -> None:
    generator = torch.Generator().manual_seed(8)
    far = ((torch.arange(9.0)[:, None] - 4) ** 2 + (torch.arange(7.0)[None, :] - 3) ** 2).flatten()

    def draws(count: int) -> torch.Tensor:
        widths = 1.5 + 0.3 * torch.randn(count, 1, generator=generator)
        return torch.exp(-far / (2 * widths**2)) + 0.02 * torch.randn(count, 63, generator=generator)

    sets = [draws(16) for _ in range(200)]
    spread = torch.stack([half_mass_radius(each.mean(dim=0), Pixel(4, 3), SHAPE) for each in sets]).std()
    errors = torch.tensor([radius_error(each, Pixel(4, 3), SHAPE) for each in sets])
    assert float(errors.square().mean().sqrt()) == pytest.approx(float(spread), rel=0.2)  # of 200 sets, 5 %
    assert math.isnan(radius_error(sets[0][:1], Pixel(4, 3), SHAPE))
