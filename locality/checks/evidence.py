"""What every averaging denoiser must do when asked which training images decided a pixel."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from locality.checks.denoisers import PIXELS, SIGMA, DenoiserCase, averages, contract
from locality.checks.named import close, hold
from locality.checks.sets import Given
from locality.denoisers import Evidence, Explains
from locality.fields.jacobian import field_rows, pixel_outputs
from locality.types import Pixel


@contract(when=averages)
def evidence_adds_up(case: DenoiserCase) -> None:
    """All weights are a softmax's; the heaviest alone keep theirs and come first; `effective` is of all."""
    for name, images in case.sets.items():
        model, x = _explains(case, name), case.x(name, 1)[0]
        for pixel in PIXELS:
            every, few = (model.explain(x, pixel, SIGMA, top=top) for top in (10**6, 3))
            heights = every.weights.double()
            hold(abs(float(heights.sum()) - 1) < 1e-5, f"weights add up to {float(heights.sum())}")  # kept in float32
            hold((heights >= 0).all(), "a weight is below zero")
            effective = float(torch.exp(-torch.special.xlogy(heights, heights).sum()))
            hold(math.isclose(every.effective, effective, rel_tol=1e-4), f"effective is {every.effective}")
            hold(len(few.rows) == len(few.weights) == len(few.flipped) <= 3, "asked for three, got more or unlike ones")
            hold(torch.equal(few.weights, every.weights[:3]), "the heaviest have other weights alone")
            hold((few.weights.diff() <= 0).all(), "the heaviest do not come first")
            hold(few.effective == every.effective, "effective is not of all weights")
            hold(((few.rows >= 0) & (few.rows < len(images.data))).all(), "an image that does not exist")
            hold((few.rows.dtype, few.flipped.dtype) == (torch.int64, torch.bool), "rows or flipped of another type")


@contract(when=averages)
def evidence_makes_the_answer(case: DenoiserCase) -> None:
    """The weighted sum of the images' values at a pixel is the answer there, in a grey image."""
    _makes_the_answer(case, "grey")


@contract(when=averages)
def evidence_makes_every_channel(case: DenoiserCase) -> None:
    """The weighted sum of the images' values at a pixel is the answer there, in every channel."""
    _makes_the_answer(case, "colour")


@contract(when=averages)
def evidence_shows_the_window(case: DenoiserCase) -> None:
    """Only pixels of the window, [h w] in [0, 1], change the answer; every one of them does."""
    model, x = _explains(case, "colour"), case.x(count=1)
    shape = case.sets["colour"].shape
    for pixel in PIXELS:
        window = model.explain(x[0], pixel, SIGMA).window
        hold(window.shape == (shape.h, shape.w), f"the window has shape {tuple(window.shape)}")
        hold(((window >= 0) & (window <= 1)).all(), "the window leaves [0, 1]")
        rows = field_rows(case.model(), x, pixel_outputs(shape, pixel).double(), SIGMA)[0, 0]
        heard = rows.reshape(shape).abs().sum(dim=0)
        hold((heard[window == 0] <= 1e-12).all(), f"a pixel outside the window of {pixel} changes the answer")
        hold((heard[window > 0] > 0).all(), f"a pixel of the window of {pixel} changes nothing")


def _explains(case: DenoiserCase, name: str) -> Explains:
    model = case.model(name)
    hold(isinstance(model, Explains), "a model that averages images must have explain(x, pixel, sigma, top)")
    assert isinstance(model, Explains)
    return model


def _makes_the_answer(case: DenoiserCase, name: str) -> None:
    model, images, x = _explains(case, name), case.sets[name], case.x(name, 1)
    for pixel in PIXELS:
        found = model.explain(x[0], pixel, SIGMA, top=10**6)
        answer = case.model(name)(x, SIGMA)[0].reshape(images.shape)[:, pixel.row, pixel.col]
        close(found.weights.double() @ _values_at(images, found, pixel), answer, 1e-5)


def _values_at(images: Given, found: Evidence, pixel: Pixel) -> Float[Tensor, "m c"]:
    """What each item of evidence gives the pixel: at the same place, or at the centre of the moved patch."""
    pictures = images.x0().reshape(-1, *images.shape)[found.rows]
    pictures = torch.where(found.flipped[:, None, None, None], pictures.flip(3), pictures)
    places = torch.tensor(pixel).expand(len(found.rows), 2) if found.places is None else found.places
    return pictures[torch.arange(len(pictures)), :, places[:, 0], places[:, 1]]
