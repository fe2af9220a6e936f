"""What every registered denoiser must do, whoever wrote it. One function, one promise."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from locality.denoisers import DENOISERS, DenoiserSpec
from locality.denoisers.parts.evidence import Evidence, Explains
from locality.device import Compute
from locality.errors import BadInput, NonFinite, TooLarge
from locality.fields.jacobian import Differentiates, differentiate, field_rows, pixel_outputs
from locality.fields.rows import Linear, output_rows
from locality.types import Denoiser, ImageShape, Pixel
from tests.small_sets import Given

Fit = Callable[[Compute], Denoiser]
_BYTES = {"bytes": 1, "KB": 1000, "MB": 1000**2}
# float32: logits of size 100 keep five digits after the point; float64: the same with fourteen.
ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-9}


def close(found: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(found, expected.to(found), rtol=0, atol=atol)


def as_text(spec: DenoiserSpec) -> str:
    """The spec as `name:option=value,...`, every option written out but empty lists, which are defaults."""
    options = spec.key()
    name = options.pop("name")
    lists = {option: "-".join(map(str, value)) for option, value in options.items() if isinstance(value, tuple)}
    return f"{name}:" + ",".join(f"{option}={value}" for option, value in (options | lists).items() if value != "")


# --- what a spec declares


def spec_describes_itself(cls: type[DenoiserSpec]) -> None:
    """A sentence, a source and a cost; for every option help, and for every number a lower end at least."""
    assert cls.__doc__
    assert cls.__doc__.split("\n")[0].endswith(".")
    assert cls.paper
    assert cls.cost
    assert "\n" not in cls.cost
    defaults = cls().key()
    for name, about in cls.params().items():
        assert about.help.endswith("."), name
        numeric = isinstance(defaults[name], int | float) and not isinstance(defaults[name], bool)
        assert about.low is not None or not numeric, f"{name} has no lower end"
        if about.choices:
            assert defaults[name] in about.choices


def spec_survives_text(spec: DenoiserSpec) -> None:
    """Its key, written as text and parsed, is the same spec; keys of other options differ."""
    again = DENOISERS.parse(as_text(spec))
    assert again == spec
    assert again.key() == spec.key()
    assert hash(again) == hash(spec)
    assert spec.key()["name"] in DENOISERS


def note_is_nothing_or_a_sentence(spec: DenoiserSpec, count: int) -> None:
    """ "" or a sentence that names the model and the number of images."""
    note = spec.note(count)
    assert note == "" or (note.startswith(spec.name) and note.endswith((".", ".)")) and f"{count:,}" in note)


# --- what an answer is


def answers_keep_shape_type_and_device(denoiser: Denoiser, shape: ImageShape, x: Tensor, sigma: float) -> None:
    assert denoiser.shape == shape
    for dtype in (torch.float32, torch.float64):
        answer = denoiser(x.to(dtype), sigma)
        assert (answer.shape, answer.dtype, answer.device) == (x.shape, dtype, x.device)
        assert answer.isfinite().all()
        assert not answer.requires_grad


def types_agree(denoiser: Denoiser, x: Tensor, sigma: float, atol: float) -> None:
    """float32 is float64, rounded."""
    close(denoiser(x.float(), sigma), denoiser(x.double(), sigma), atol)


def input_is_left_alone(denoiser: Denoiser, x: Tensor, sigma: float) -> None:
    before = x.clone()
    denoiser(x, sigma)
    assert torch.equal(x, before)
    leaf = x.clone().requires_grad_(True)
    denoiser(leaf, sigma)
    assert torch.equal(leaf.detach(), before)


def answers_repeat(denoiser: Denoiser, again: Denoiser, x: Tensor, sigma: float) -> None:
    """Two calls, another noise level between them, and another fit give the same bits."""
    first = denoiser(x, sigma)
    denoiser(x, 3 * sigma)
    assert torch.equal(denoiser(x, sigma), first)
    assert torch.equal(again(x, sigma), first)


def batch_is_one_by_one(denoiser: Denoiser, x: Tensor, sigma: float) -> None:
    for dtype, atol in ROUNDING.items():
        queries = x.to(dtype)
        close(denoiser(queries, sigma), torch.cat([denoiser(one[None], sigma) for one in queries]), atol)


def chunks_change_nothing(fit: Fit, x: Tensor, sigma: float, atol: float) -> None:
    """Little memory gives the same answers as plenty."""
    little, plenty = small(fit, x, sigma), fit(Compute())
    for dtype, rounding in ROUNDING.items():
        close(little(x.to(dtype), sigma), plenty(x.to(dtype), sigma), max(rounding, atol))


def small(fit: Fit, x: Tensor, sigma: float) -> Denoiser:
    """The model on five times the memory that it says it needs at least: chunks of about five images."""
    memory = 1
    while True:
        try:
            denoiser = fit(Compute(images=7, memory=memory))
            denoiser(x, sigma)
        except TooLarge as error:
            need = re.search(r"needs ([\d.]+) (bytes|KB|MB)", str(error))
            assert need
            assert 5 * float(need[1]) * _BYTES[need[2]] > memory  # so that this ends
            memory = int(5 * float(need[1]) * _BYTES[need[2]])
        else:
            return denoiser


def order_changes_nothing(denoiser: Denoiser, shuffled: Denoiser, x: Tensor, sigma: float) -> None:
    """The same images in another order: exact models say the same."""
    for dtype, atol in ROUNDING.items():
        close(shuffled(x.to(dtype), sigma), denoiser(x.to(dtype), sigma), atol)


# --- where the answer goes


def noise_drowns_everything(denoiser: Denoiser, x: Tensor, mean: Tensor, sigma: float, atol: float) -> None:
    """The noise so large that x says nothing: the mean, whatever x is."""
    close(denoiser(x, sigma), mean.expand_as(x), atol)


def clean_images_stay(denoiser: Denoiser, x0: Tensor, sigma: float, atol: float) -> None:
    """Training images at nearly no noise."""
    close(denoiser(x0, sigma), x0, atol)


def answers_stay_in_range(denoiser: Denoiser, x: Tensor, low: Tensor, high: Tensor, sigma: float) -> None:
    """Averages lie between the least and the largest of what is averaged."""
    answer = denoiser(x, sigma)
    assert (answer >= low.to(answer) - 1e-6).all()
    assert (answer <= high.to(answer) + 1e-6).all()


# --- derivatives


def derivative_is_finite_and_true(denoiser: Denoiser, x: Tensor, sigma: float, pixels: list[Pixel]) -> None:
    """Rows of the Jacobian along a direction equal the change of the answer along it (central difference, float64).

    A difference over 2e-4 sigma errs by the third derivative times 1e-8 and by rounding over the step.
    """
    outputs = torch.cat([pixel_outputs(denoiser.shape, pixel) for pixel in pixels]).double()
    rows = field_rows(denoiser, x, outputs, sigma)  # refuses what is not finite
    assert rows.shape == (len(outputs), *x.shape)
    along = torch.randn(x.shape[1], generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    step = 1e-4 * sigma * along
    change = (denoiser(x + step, sigma) - denoiser(x - step, sigma)) / (2e-4 * sigma)
    close(rows @ along, outputs @ change.T, 1e-4 * (1 + float(change.abs().max())))
    single = field_rows(denoiser, x.float(), outputs.float(), sigma)
    assert single.dtype == torch.float32
    close(single.double(), rows, 1e-3 * (1 + float(rows.abs().max())))


def known_derivatives_are_true(denoiser: Denoiser, x: Tensor, sigma: float, pixels: list[Pixel], atol: float) -> None:
    """A linear model's own rows, and a derivative that a model knows, are those of a backward pass.

    `x` is float64; a filter's rows are float32: 1e-5 of rows of size one.
    """
    outputs = torch.cat([pixel_outputs(denoiser.shape, pixel) for pixel in pixels])
    outputs = torch.cat([outputs, outputs[:1] + 0.5 * torch.eye(x.shape[1])[7:8]]).double()  # of two pixels together
    truth = differentiate(denoiser, x, outputs, sigma)
    largest = 1 + float(truth.abs().max())
    close(output_rows(denoiser, outputs, sigma, lambda _: x).each.expand_as(truth).double(), truth, 1e-5 * largest)
    if isinstance(denoiser, Differentiates) and not isinstance(denoiser, Linear):
        known = denoiser.jacobian_rows(x, outputs, sigma)
        if known is not None:
            close(known, truth, atol * largest)
            single = denoiser.jacobian_rows(x.float(), outputs.float(), sigma)
            assert single is not None
            close(single.double(), truth, 1e-3 * largest)


def gradient_streams(fit: Fit, x: Tensor, sigma: float, pixel: Pixel) -> None:
    """Through several chunks and through one."""
    outputs = pixel_outputs(fit(Compute()).shape, pixel).double()
    parts = field_rows(small(fit, x, sigma), x, outputs, sigma)
    close(parts, field_rows(fit(Compute()), x, outputs, sigma), 1e-9)


def jacobian_is_a_covariance(denoiser: Denoiser, x: Tensor, sigma: float, atol: float) -> Tensor:
    """Symmetric and positive semi-definite, as Cov[x0 | x] / sigma^2 is; returns it, [d d] at one point x [1 d]."""
    jacobian = field_rows(denoiser, x, torch.eye(x.shape[1], dtype=x.dtype), sigma)[:, 0]
    close(jacobian, jacobian.T, atol)
    assert torch.linalg.eigvalsh((jacobian + jacobian.T) / 2).min() > -atol
    assert jacobian.diagonal().max() > 1e-3  # not zero everywhere
    return jacobian


# --- errors


def wrong_size_is_refused(denoiser: Denoiser, x: Tensor) -> None:
    with pytest.raises(BadInput, match=rf"Images of {x.shape[1] - 1} values do not fit a denoiser of {denoiser.shape}"):
        denoiser(x[:, 1:], 1.0)


def nan_is_refused(denoiser: Denoiser, x: Tensor) -> None:
    for bad in (math.nan, math.inf):
        broken = x.clone()
        broken[-1, 2] = bad
        with pytest.raises(NonFinite, match="hold NaN or infinity"):
            denoiser(broken, 1.0)


def noise_levels_are_checked(denoiser: Denoiser, x: Tensor) -> None:
    for bad in (0.0, -1.0, math.nan, math.inf, 1e-7):
        with pytest.raises(BadInput, match=r"is not a noise level\. Give a positive number, 1e-06 to 1e\+06"):
            denoiser(x, bad)
        if isinstance(denoiser, Explains):
            with pytest.raises(BadInput, match="is not a noise level"):
                denoiser.explain(x[0], Pixel(0, 0), bad)


def memory_is_refused_with_what_would_fit(fit: Fit, x: Tensor, sigma: float) -> None:
    """One byte is too little: says what is needed and the knob."""
    with pytest.raises(TooLarge, match=r"needs .*; the budget is .*\. Give at least \d+ MB \(--memory MB, Compute"):
        fit(Compute(memory=1))(x, sigma)


# --- evidence


def evidence_adds_up(denoiser: Explains, images: Given, x: Tensor, pixel: Pixel, sigma: float) -> None:
    """All weights are a softmax's; the heaviest alone keep their weights and come first; `effective` is of all."""
    every = denoiser.explain(x, pixel, sigma, top=10**6)
    total = float(every.weights.double().sum())
    assert total == pytest.approx(1.0, abs=1e-5)  # stored in float32
    assert (every.weights >= 0).all()
    heights = every.weights.double()
    assert every.effective == pytest.approx(float(torch.exp(-torch.special.xlogy(heights, heights).sum())), rel=1e-4)
    few = denoiser.explain(x, pixel, sigma, top=3)
    assert len(few.rows) == len(few.weights) == len(few.flipped) <= 3
    assert torch.equal(few.weights, every.weights[:3])
    assert (few.weights.diff() <= 0).all()
    assert float(few.weights.sum()) <= 1 + 1e-6
    assert few.effective == every.effective
    assert ((few.rows >= 0) & (few.rows < len(images.data))).all()
    assert few.rows.dtype == torch.int64
    assert few.flipped.dtype == torch.bool


def evidence_makes_the_answer(denoiser: Explains, images: Given, x: Tensor, pixel: Pixel, sigma: float) -> None:
    """sum_i w_i x_i[pixel] is the denoiser's own answer there, in every channel."""
    found = denoiser.explain(x, pixel, sigma, top=10**6)
    answer = denoiser(x[None], sigma)[0].reshape(images.shape)[:, pixel.row, pixel.col]
    close(found.weights.double() @ values_at(images, found, pixel), answer, 1e-5)


def values_at(images: Given, found: Evidence, pixel: Pixel) -> Tensor:
    """What each item of evidence gives the pixel, [m c]: at the same place, or at the centre of the moved patch."""
    pictures = images.x0().reshape(-1, *images.shape)[found.rows]
    pictures = torch.where(found.flipped[:, None, None, None], pictures.flip(3), pictures)
    places = torch.tensor(pixel).expand(len(found.rows), 2) if found.places is None else found.places
    return pictures[torch.arange(len(pictures)), :, places[:, 0], places[:, 1]]


def evidence_shows_the_window(denoiser: Explains, x: Tensor, pixel: Pixel, sigma: float) -> None:
    """Only pixels of the window, [h w] in [0, 1], change the answer; every one of them does."""
    shape = denoiser.shape
    window = denoiser.explain(x, pixel, sigma).window
    assert window.shape == (shape.h, shape.w)
    assert ((window >= 0) & (window <= 1)).all()
    rows = field_rows(denoiser, x[None], pixel_outputs(shape, pixel).double(), sigma)[0, 0]
    heard = rows.reshape(shape).abs().sum(dim=0)
    assert (heard[window == 0] <= 1e-12).all()
    assert (heard[window > 0] > 0).all()
