"""Small training sets made here, how tests fit a model to them, and how they compare its answers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from locality.checks.sets import COLOUR, GREY, Given, Pair, SmallNetwork, eight_bit, floats, given, noisy, values
from locality.dataset import Images
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.store import Store
from locality.types import Denoiser
from locality.work import finish
from tests import naive

__all__ = [
    "COLOUR",
    "GREY",
    "Given",
    "Pair",
    "SmallNetwork",
    "close",
    "eight_bit",
    "fit",
    "floats",
    "given",
    "noisy",
    "pictures",
    "values",
]


def fit(
    text: str, images: Images, store: Store, *, compute: Compute | None = None, reference: Denoiser | None = None
) -> Denoiser:
    """The fitted model of `name:option=value,...`."""
    return finish(DENOISERS.parse(text).fit(images, compute or Compute(), store, reference))


def pictures(images: Given, *, flips: bool = False) -> np.ndarray:
    """What the plain loops are given: all images [n c h w], and mirrored behind them where models have them so."""
    plain = images.x0().reshape(-1, *images.shape).numpy()
    return naive.with_mirrored(plain) if flips else plain


def close(found: Tensor, expected: Tensor, atol: float) -> None:
    """In the type of what was found."""
    torch.testing.assert_close(found, expected.to(found), rtol=0, atol=atol)
