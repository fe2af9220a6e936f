"""A learned field that grows: the same draws in any portions, none of those that a table has, errors over draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from locality.fields.jacobian import Average, pixel_outputs
from locality.studies import Draws, RunningField, learned_field
from locality.types import ImageShape, Pixel

SHAPE = ImageShape(3, 4, 5)
X0 = torch.rand(64, SHAPE.d, generator=torch.Generator().manual_seed(0)) * 2 - 1


@dataclass(frozen=True)
class Bent:
    """Not linear: its field depends on the image."""

    shape: ImageShape = SHAPE

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return torch.tanh(x + 0.3 * x.roll(1, dims=1) ** 2) / (1 + sigma)


def running(first: int = 0, average: Average = "mean", inputs: str | int = "sum") -> RunningField:
    outputs = pixel_outputs(SHAPE, Pixel(1, 2))
    return RunningField(Bent(), lambda count: X0[:count], outputs, 0.7, first, average=average, inputs=inputs)  # type: ignore[arg-type]


def test_portions_never_matter() -> None:
    one, many = running(), running()
    one.add(20, step=20)
    for most in (3, 4, 12, 20):
        many.add(most, step=3)
    assert one.each is not None
    assert many.each is not None
    assert torch.allclose(one.each, many.each, atol=1e-7)


@pytest.mark.parametrize("average", ["mean", "absolute"])
def test_it_is_the_field_of_as_many_draws(average: Average) -> None:
    field, draws = running(average=average), Draws(12, average=average)
    field.add(12, step=5)
    truth = learned_field(Bent(), X0[:12], pixel_outputs(SHAPE, Pixel(1, 2)), 0.7, draws)
    found = field.estimate()
    assert found.draws == 12
    assert torch.allclose(found.values, truth.values[0].sum(dim=0).flatten(), atol=1e-6)


def test_later_draws_are_none_of_those_before() -> None:
    whole, rest = running(), running(first=8)
    whole.add(20)
    rest.add(12)
    assert whole.each is not None
    assert rest.each is not None
    assert torch.allclose(whole.each[8:], rest.each, atol=1e-7)


def test_the_error_of_a_sum_is_its_standard_error_and_one_draw_has_none() -> None:
    field = running()
    field.add(1)
    assert field.estimate().stderr.isnan().all()
    field.add(16)
    each, found = field.reduced().double(), field.estimate()
    assert torch.allclose(found.stderr.double(), each.std(dim=0) / math.sqrt(16), atol=1e-6)
    assert torch.allclose(field.estimate(9).values.double(), each[:9].mean(dim=0), atol=1e-7), "of the first draws"


def test_a_root_of_squares_is_taken_of_the_mean() -> None:
    field = running(inputs="rss")
    field.add(10)
    assert field.each is not None
    truth = field.each.double().mean(dim=0).square().sum(dim=0).sqrt().flatten()
    assert torch.allclose(field.estimate().values.double(), truth, atol=1e-6)
    assert float(field.estimate().stderr.max()) > 0.01


def test_who_asks_can_end_it_and_what_was_drawn_stays() -> None:
    field, asked = running(), []

    def between() -> None:
        asked.append(field.draws)
        if len(asked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        field.add(40, between, step=4)
    assert asked == [0, 4, 8]
    assert field.draws == 8
