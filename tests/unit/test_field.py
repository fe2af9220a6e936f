"""Fields: Jacobian rows against closed forms and torch.func, averages, widths and agreements by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from locality.errors import BadInput, NonFinite
from locality.fields.jacobian import (
    compare,
    draw_inputs,
    field_rows,
    measure,
    pixel_outputs,
    reduce_inputs,
)
from locality.fields.rows import Field, output_rows
from locality.linear.moments import ValueMoments
from locality.linear.wiener import WienerFilter
from locality.types import ImageShape, Pixel
from tests.problems import Curved, Gaussian, Single, World, worlds

SHAPE = ImageShape(2, 3, 3)
CENTRE = Pixel(1, 1)
WORLDS = worlds()


def noisy(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, SHAPE.d, generator=torch.Generator().manual_seed(1)).to(dtype)


# --- rows


def test_pixel_outputs_choose_a_channel_or_sum_them() -> None:
    assert pixel_outputs(SHAPE, CENTRE, 1).nonzero().tolist() == [[0, 13]]
    assert pixel_outputs(SHAPE, CENTRE).nonzero().tolist() == [[0, 4], [0, 13]]


@pytest.mark.parametrize("channel", [-1, 2])
def test_channels_that_do_not_exist_are_refused(channel: int) -> None:
    with pytest.raises(BadInput, match=r"Channel -?\d does not exist: the images have channels 0\.\.1"):
        pixel_outputs(SHAPE, CENTRE, channel)


def test_pixels_outside_are_refused() -> None:
    with pytest.raises(BadInput, match="outside the 3x3 image"):
        pixel_outputs(SHAPE, Pixel(3, 0))


def test_jacobian_of_the_wiener_filter_is_its_matrix() -> None:
    """For every image the same, and row q belongs to output q."""
    world = Gaussian.random(SHAPE, seed=3)
    mean, cov = world.mean(), world.cov()
    wiener = WienerFilter.fit(ValueMoments(2, mean, cov), SHAPE)
    rows = field_rows(wiener, noisy(3), torch.eye(SHAPE.d), 0.8)
    for image in range(3):
        torch.testing.assert_close(rows[:, image], wiener.matrix(0.8), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", WORLDS)
def test_rows_of_every_world_are_its_jacobian(name: str) -> None:
    world: World = WORLDS[name]
    x0 = world.draw(2, torch.Generator().manual_seed(0))
    rows = field_rows(world, x0 + 0.3, torch.eye(world.shape.d, dtype=torch.float64), 0.9)
    for i, x in enumerate(x0 + 0.3):
        torch.testing.assert_close(rows[:, i], world.jacobian(x, 0.9), rtol=1e-9, atol=1e-12)


def test_rows_of_a_nonlinear_function_equal_jacrev() -> None:
    """The Jacobian is not symmetric, so a transposed field would fail."""
    curved = Curved(SHAPE)
    x = noisy(4, torch.float64)
    rows = field_rows(curved, x, torch.eye(SHAPE.d, dtype=torch.float64), 0.5)
    for i in range(4):
        jacobian: Any = torch.func.jacrev(lambda v: curved(v[None], 0.5)[0])(x[i])
        torch.testing.assert_close(rows[:, i], jacobian, rtol=1e-9, atol=1e-12)
    assert (rows[:, 0] - rows[:, 0].T).abs().max() > 0.1


def test_summed_outputs_sum_the_rows() -> None:
    curved, x = Curved(SHAPE), noisy(2)
    both = field_rows(curved, x, torch.cat([pixel_outputs(SHAPE, CENTRE, c) for c in range(2)]), 0.5)
    summed = field_rows(curved, x, pixel_outputs(SHAPE, CENTRE), 0.5)
    torch.testing.assert_close(summed[0], both.sum(dim=0))


def test_answers_that_ignore_the_input_have_zero_fields() -> None:
    """Autograd alone stops with an error where nothing depends on x."""
    single = Single(SHAPE, torch.ones(SHAPE.d, dtype=torch.float64))
    rows = field_rows(single, noisy(3), pixel_outputs(SHAPE, CENTRE), 1.0)
    assert rows.shape == (1, 3, SHAPE.d)
    assert (rows == 0).all()


def test_rows_leave_the_input_and_the_caller_alone() -> None:
    x = noisy(2)
    before = x.clone()
    with torch.no_grad():
        rows = field_rows(Curved(SHAPE), x, pixel_outputs(SHAPE, CENTRE), 0.5)
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert not rows.requires_grad


def test_derivatives_that_are_not_finite_are_refused() -> None:
    class Broken(Curved):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            return x.abs().sqrt()  # infinite slope at 0

    with pytest.raises(NonFinite, match=r"not finite at sigma=0\.5"):
        field_rows(Broken(SHAPE), torch.zeros(1, SHAPE.d), pixel_outputs(SHAPE, CENTRE), 0.5)


# --- averages


def estimate_field(denoiser: Curved, x: Tensor, outputs: Tensor, sigma: float, *, batch: int = 16) -> Field:
    return output_rows(denoiser, outputs, sigma, lambda _: x, batch=batch).average()


def test_average_is_the_mean_of_the_draws() -> None:
    curved, x, outputs = Curved(SHAPE), noisy(5), torch.eye(SHAPE.d)[:3]
    field = estimate_field(curved, x, outputs, 0.5)
    each = torch.stack([field_rows(curved, x[i : i + 1], outputs, 0.5)[:, 0] for i in range(5)]).double()
    assert field.draws == 5
    assert field.values.shape == field.stderr.shape == (3, *SHAPE)
    torch.testing.assert_close(field.values.flatten(1).double(), each.mean(dim=0), rtol=0, atol=1e-6)
    torch.testing.assert_close(field.stderr.flatten(1).double(), each.std(dim=0) / math.sqrt(5), rtol=0, atol=1e-6)


def test_absolute_average_is_the_mean_size() -> None:
    curved, x, outputs = Curved(SHAPE), noisy(6), torch.eye(SHAPE.d)[4:5]
    field = output_rows(curved, outputs, 0.5, lambda _: x).average("absolute")
    sizes = field_rows(curved, x, outputs, 0.5)[0].double().abs()
    torch.testing.assert_close(field.values.flatten().double(), sizes.mean(dim=0), rtol=0, atol=1e-6)
    assert (field.values >= estimate_field(curved, x, outputs, 0.5).values.abs() - 1e-6).all()


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_batch_never_changes_the_result(batch: int) -> None:
    curved, x, outputs = Curved(SHAPE), noisy(7, torch.float64), torch.eye(SHAPE.d, dtype=torch.float64)[:2]
    whole, parts = (estimate_field(curved, x, outputs, 0.5, batch=size) for size in (7, batch))
    torch.testing.assert_close(parts.values, whole.values, rtol=0, atol=1e-7)
    torch.testing.assert_close(parts.stderr, whole.stderr, rtol=0, atol=1e-7)


def test_one_draw_has_no_standard_error() -> None:
    field = estimate_field(Curved(SHAPE), noisy(1), pixel_outputs(SHAPE, CENTRE), 0.5)
    assert field.stderr.isnan().all()
    assert field.values.isfinite().all()


def test_draws_repeat_and_do_not_depend_on_their_number() -> None:
    x0 = noisy(6)
    x = draw_inputs(x0, 0.7, seed=3)
    assert torch.equal(x, draw_inputs(x0, 0.7, seed=3))
    assert torch.equal(x[:2], draw_inputs(x0[:2], 0.7, seed=3))
    assert not torch.equal(x, draw_inputs(x0, 0.7, seed=4))
    eps = (x - x0) / 0.7
    assert len(torch.unique(eps[:, 0])) == 6


def test_draws_have_unit_noise_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    eps = draw_inputs(torch.zeros(2000, SHAPE.d), 2.0, seed=0) / 2.0
    assert torch.equal(torch.get_rng_state(), before)
    assert abs(float(eps.mean())) < 4 / math.sqrt(eps.numel())
    assert abs(float(eps.square().mean()) - 1) < 4 * math.sqrt(2 / eps.numel())


# --- reductions


def test_reductions_of_input_channels() -> None:
    values = torch.tensor([[[3.0, 0.0]], [[-4.0, 1.0]]])
    assert reduce_inputs(values).tolist() == [[-1.0, 1.0]]
    assert reduce_inputs(values, "rss").tolist() == [[5.0, 1.0]]
    assert reduce_inputs(values, "abs").tolist() == [[7.0, 1.0]]
    assert reduce_inputs(values, 1).tolist() == [[-4.0, 1.0]]


@pytest.mark.parametrize("channel", [-1, 2])
def test_reducing_to_a_channel_that_does_not_exist_is_refused(channel: int) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        reduce_inputs(torch.zeros(2, 3, 3), channel)


# --- width


def test_width_of_a_hand_made_field() -> None:
    """Mass 6 at the centre, 4 at distance 1, 2 at sqrt 2: half of 12 is reached at the centre itself."""
    field = torch.tensor([[0.0, -2.0, 0.0], [2.0, 6.0, 0.0], [0.0, 0.0, -2.0]])
    shape = measure(field, CENTRE, outside=1.0, threshold=0.4)
    assert shape.radius == 0.0
    assert shape.outside == pytest.approx(2 / 12)
    assert shape.support == 1
    wider = measure(field, CENTRE, outside=0.5, threshold=1 / 3)
    assert wider.outside == pytest.approx(6 / 12)
    assert wider.support == 4


def test_radius_is_measured_from_the_pixel() -> None:
    """Seen from the corner, the same field has its half at distance sqrt 2; 5 of 12 lie nearer."""
    field = torch.tensor([[1.0, -2.0, 0.0], [2.0, 5.0, 0.0], [0.0, 0.0, -2.0]])
    assert measure(field, Pixel(0, 0)).radius == pytest.approx(math.sqrt(2))
    assert measure(field, Pixel(2, 2), outside=2.0).outside == pytest.approx(5 / 12)
    corner = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert measure(corner, Pixel(0, 2)).radius == 0.0
    assert measure(corner, Pixel(2, 1)).radius == pytest.approx(math.sqrt(5))


def test_radius_of_an_even_field() -> None:
    """Nine equal pixels: one at 0, four at 1; the fifth holds more than half."""
    assert measure(torch.full((3, 3), -0.1), CENTRE).radius == 1.0
    assert measure(torch.full((3, 3), -0.1), CENTRE).support == 9


def test_scale_and_sign_do_not_change_the_width() -> None:
    field = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    assert measure(field, Pixel(2, 3)) == measure(-1024 * field, Pixel(2, 3))


def test_zero_field_has_no_width() -> None:
    shape = measure(torch.zeros(3, 3), CENTRE)
    assert math.isnan(shape.radius)
    assert math.isnan(shape.outside)
    assert shape.support == 0


# --- agreement


def test_agreement_by_hand() -> None:
    """u = (1, 0, 3), v = (0, 0, 2) about the pixel of value 3: r = 2.5 / sqrt(7), by hand."""
    a, b = torch.tensor([[1.0, 0.0, 3.0]]), torch.tensor([[0.0, 0.0, 2.0]])
    got = compare(a, b, Pixel(0, 2))
    u, v = (-1 / 3, -4 / 3, 5 / 3), (-2 / 3, -2 / 3, 4 / 3)
    r = sum(p * q for p, q in zip(u, v, strict=True)) / math.sqrt(sum(p * p for p in u) * sum(q * q for q in v))
    assert got.pearson == pytest.approx(r)
    assert math.isnan(got.pearson_off_centre)  # b is constant (zero) away from the pixel
    assert got.cosine == pytest.approx(6 / (math.sqrt(10) * 2))
    assert got.overlap == pytest.approx(3 / 4)


def test_pearson_off_centre_leaves_the_pixel_out() -> None:
    a = torch.tensor([[1.0, 2.0, 0.0], [0.0, 100.0, 1.0], [3.0, 0.0, 1.0]])
    b = torch.tensor([[2.0, 1.0, 1.0], [0.0, -50.0, 1.0], [2.0, 0.0, 3.0]])
    rest = [0, 1, 2, 3, 5, 6, 7, 8]
    want = torch.corrcoef(torch.stack([a.flatten()[rest], b.flatten()[rest]]).double())[0, 1]
    assert compare(a, b, CENTRE).pearson_off_centre == pytest.approx(float(want))
    assert compare(a, b, CENTRE).pearson < -0.9


def test_a_field_agrees_with_itself_and_its_multiples() -> None:
    field = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    same = compare(field, 3 * field, Pixel(1, 2))
    assert same.pearson == pytest.approx(1)
    assert same.pearson_off_centre == pytest.approx(1)
    assert same.cosine == pytest.approx(1)
    assert same.overlap == pytest.approx(1)
    assert compare(field, -field, Pixel(1, 2)).pearson == pytest.approx(-1)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3])
def test_constant_fields_have_no_correlation(constant: float) -> None:
    """The mean of nine float64 0.1 is rounded: what is left after subtracting it is no signal."""
    field = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    got = compare(field, torch.full((3, 3), constant, dtype=torch.float64), CENTRE)
    assert math.isnan(got.pearson)
    assert math.isnan(got.pearson_off_centre)
    assert math.isnan(got.cosine) == (constant == 0.0)
    assert math.isnan(got.overlap) == (constant == 0.0)
