"""What a denoiser refuses, and how it says so: contracts of every denoiser."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from locality.checks.denoisers import SIGMA, DenoiserCase, averages, contract
from locality.checks.named import refuses
from locality.denoisers import Explains
from locality.device import Compute
from locality.errors import BadInput, NonFinite, TooLarge
from locality.types import Denoiser, Pixel


@contract()
def wrong_input_is_refused(case: DenoiserCase) -> None:
    """Images of another size, NaN and infinity are refused, with what was wrong."""
    model, x = case.model(), case.x()
    sizes = rf"Images of {x.shape[1] - 1} values do not fit a denoiser of {model.shape}"
    refuses(BadInput, sizes, lambda: model(x[:, 1:], 1.0))
    for bad in (math.nan, math.inf):
        broken = x.clone()
        broken[-1, 2] = bad
        refuses(NonFinite, "hold NaN or infinity", _call(model, broken, 1.0))


@contract()
def noise_levels_are_checked(case: DenoiserCase) -> None:
    """A noise level that is not positive and finite is refused, with what is allowed."""
    model, x = case.model(), case.x()
    for bad in (0.0, -1.0, math.nan, math.inf, 1e-7):
        refuses(BadInput, r"is not a noise level\. Give a positive number, 1e-06 to 1e\+06", _call(model, x, bad))
        if isinstance(model, Explains):
            refuses(BadInput, "is not a noise level", _explanation(model, x[0], bad))


@contract(when=averages)
def too_little_memory_is_refused(case: DenoiserCase) -> None:
    """One byte of memory is too little: the error says what is needed and which knob gives it."""
    images, x = case.sets["colour"], case.x(count=1)
    case.model()  # windows are found before, as they are in every store after the first use
    text = r"needs .*; the budget is .*\. Give at least \d+ MB \(--memory MB, Compute"
    refuses(TooLarge, text, lambda: case.fit(images, Compute(memory=1))(x, SIGMA))


def _call(model: Denoiser, x: Tensor, sigma: float) -> Callable[[], Tensor]:
    return lambda: model(x, sigma)


def _explanation(model: Explains, x: Tensor, sigma: float) -> Callable[[], object]:
    return lambda: model.explain(x, Pixel(0, 0), sigma)
