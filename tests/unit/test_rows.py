"""Fields of any denoiser: exact where it is linear, averaged where its field depends on the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from locality.denoisers import DENOISERS
from locality.edits import parse_edit
from locality.errors import BadInput
from locality.fields.jacobian import differentiate, field_rows, pixel_outputs
from locality.fields.mass import mass_fractions, mass_fractions_of_draws, mass_fractions_of_rows
from locality.fields.rows import Linear, output_rows, rows
from locality.linear.moments import estimate_moments
from locality.linear.planted import Planted
from locality.linear.wiener import WienerFilter
from locality.store import Store
from locality.types import ImageShape, Pixel
from tests.problems import Curved
from tests.small_sets import eight_bit, fit

SHAPE = ImageShape(3, 4, 5)
PIXELS = [Pixel(1, 2), Pixel(3, 4)]
SIGMA = 0.7
IMAGES = eight_bit(90, SHAPE)
CURVED = Curved(SHAPE, 0.125)


def wiener(text: str = "wiener") -> WienerFilter:
    spec = DENOISERS.parse(text)
    return spec._adjusted(WienerFilter.fit(estimate_moments([IMAGES.data.data]), SHAPE))  # type: ignore[attr-defined,no-any-return]


@dataclass(frozen=True)
class Diagonal:
    """Somebody's own model: every coordinate shrunk towards 0 by itself, the more the larger its number."""

    shape: ImageShape = SHAPE

    def gain(self, sigma: float) -> Tensor:
        return 1.0 / (1.0 + sigma**2 * (1 + torch.arange(self.shape.d, dtype=torch.float64)))

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return x * self.gain(sigma).to(x)

    def rows(self, coords: Tensor, sigma: float) -> Tensor:
        return torch.diag(self.gain(sigma)).float()[coords]


def noisy(sigma: float) -> Tensor:
    return sigma * torch.randn(7, SHAPE.d, generator=torch.Generator().manual_seed(1))


def no_draws(sigma: float) -> Tensor:
    raise AssertionError("a linear denoiser has one field, whatever the image")


LINEAR = {
    "wiener": wiener(),
    "rank-limited": wiener("wiener:rank=4"),
    "shrunk": wiener("wiener:shrinkage=0.3"),
    "diagonal": Diagonal(),
}


@pytest.mark.parametrize("channel", [None, 0, 2])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_denoisers_have_exact_fields(name: str, channel: int | None) -> None:
    """Equal to the derivative at any image (float32 on both sides: 1e-5), and no image is looked at."""
    denoiser = LINEAR[name]
    found = rows(denoiser, PIXELS, SIGMA, no_draws, channel=channel)
    outputs = torch.cat([pixel_outputs(SHAPE, pixel, channel) for pixel in PIXELS])
    truth = differentiate(denoiser, noisy(SIGMA).double(), outputs.double(), SIGMA)
    torch.testing.assert_close(found.each.expand(-1, 7, -1).double(), truth, rtol=0, atol=1e-5)
    assert found.each.shape == (2, 1, SHAPE.d)
    field = found.average()
    assert field.draws is found.draws is None
    assert (field.stderr == 0).all()
    assert torch.equal(field.values.flatten(1), found.each[:, 0].float())
    assert torch.equal(found.average("absolute").values, field.values.abs())


@pytest.mark.parametrize("name", LINEAR)
def test_linear_denoisers_need_no_draws(name: str) -> None:
    assert torch.equal(rows(LINEAR[name], PIXELS, SIGMA).each, rows(LINEAR[name], PIXELS, SIGMA, no_draws).each)


@pytest.mark.parametrize("strength", [0.0, 0.8])
def test_a_planted_pattern_has_exact_fields(strength: float) -> None:
    """Of the images with the pattern in them: those of the filter fitted to them (float32: 1e-5)."""
    edit = parse_edit(f"pattern:mask=W,strength={strength}") if strength else parse_edit("pattern:W")
    w = edit.weights(SHAPE)  # type: ignore[attr-defined]
    z = torch.linspace(-1.5, 1.5, len(IMAGES.data), dtype=torch.float64)
    x0 = IMAGES.x0()
    away, z_away = x0 - x0.mean(dim=0), z - z.mean()
    scale = len(x0) - 1
    planted = Planted(wiener(), w, away.T @ z_away / scale, float(z_away @ z_away) / scale).at(strength)
    assert isinstance(planted, Linear)
    edited = WienerFilter.fit(estimate_moments([x0 + strength * z[:, None] * w]), SHAPE)
    found, truth = (rows(one, PIXELS, SIGMA, no_draws).each for one in (planted, edited))
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-5)


def test_other_fields_are_averages_over_draws() -> None:
    """Per draw what `field_rows` says at each image; batches of three change nothing."""
    found = rows(CURVED, PIXELS, SIGMA, noisy, batch=3)
    outputs = torch.cat([pixel_outputs(SHAPE, pixel) for pixel in PIXELS])
    each = field_rows(CURVED, noisy(SIGMA), outputs, SIGMA)
    assert found.draws == 7
    torch.testing.assert_close(found.each, each, rtol=0, atol=1e-6)
    field = found.average()
    mean, error = each.double().mean(dim=1), each.double().std(dim=1) / math.sqrt(7)
    torch.testing.assert_close(field.values.flatten(1).double(), mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(field.stderr.flatten(1).double(), error, rtol=0, atol=1e-6)
    by_hand = each[..., :20] + each[..., 20:40] + each[..., 40:]
    torch.testing.assert_close(found.summed(), by_hand, rtol=0, atol=1e-6)


def test_a_field_that_depends_on_the_image_needs_draws() -> None:
    with pytest.raises(BadInput, match=r"depends on the noisy image\. Give draws"):
        rows(CURVED, PIXELS, SIGMA)


def test_any_combination_of_outputs() -> None:
    """Weights too, not only channels and sums: v^T J."""
    outputs = torch.randn(2, SHAPE.d, generator=torch.Generator().manual_seed(3))
    truth = differentiate(CURVED, noisy(SIGMA), outputs, SIGMA)
    torch.testing.assert_close(output_rows(CURVED, outputs, SIGMA, noisy).each, truth, rtol=0, atol=1e-6)
    whole = WienerFilter.matrix(wiener(), SIGMA)
    torch.testing.assert_close(output_rows(wiener(), outputs, SIGMA).each[:, 0], outputs @ whole, rtol=0, atol=1e-5)


def test_what_a_denoiser_knows_of_its_derivative_is_asked_first() -> None:
    class Knowing(Curved):
        def jacobian_rows(self, x: Tensor, outputs: Tensor, sigma: float) -> Tensor | None:
            return torch.full((len(outputs), *x.shape), 5.0) if sigma < 1 else None

    knowing = Knowing(SHAPE, 0.125)
    assert (rows(knowing, PIXELS, 0.5, noisy).each == 5).all()
    torch.testing.assert_close(rows(knowing, PIXELS, 2.0, noisy).each, rows(CURVED, PIXELS, 2.0, noisy).each)


def test_mass_of_exact_fields_has_no_error_and_that_of_draws_has() -> None:
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[1] = True
    exact, drawn = rows(wiener(), PIXELS, SIGMA), rows(CURVED, PIXELS, SIGMA, noisy)
    got = mass_fractions(exact, PIXELS, mask)
    assert got.values == mass_fractions_of_rows(exact.summed()[:, 0], PIXELS, SHAPE, mask).values
    assert got.draws is None
    assert all(math.isnan(error) for error in got.stderrs)
    assert mass_fractions(drawn, PIXELS, mask) == mass_fractions_of_draws(drawn.summed(), PIXELS, SHAPE, mask)
    assert mass_fractions(drawn, PIXELS, mask).stderrs[0] > 0


def test_a_field_of_every_model_comes_from_the_same_call(tmp_path: Path) -> None:
    """Fitted models as they are: linear ones exact, the rest averaged."""
    store = Store(tmp_path)
    for text, exact in (("wiener:rank=7", True), ("optimal", False), ("gaussian_mixture", False)):
        found = rows(fit(text, IMAGES, store), PIXELS, SIGMA, noisy)
        assert (found.draws is None) is exact
    store.close()
