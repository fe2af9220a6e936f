"""Small training sets made here, and how tests fit a model to them."""

from __future__ import annotations

from locality.checks.sets import COLOUR, GREY, Given, Pair, SmallNetwork, eight_bit, floats, given, noisy, values
from locality.dataset import Images
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.store import Store
from locality.types import Denoiser
from locality.work import finish

__all__ = [
    "COLOUR",
    "GREY",
    "Given",
    "Pair",
    "SmallNetwork",
    "eight_bit",
    "fit",
    "floats",
    "given",
    "noisy",
    "values",
]


def fit(
    text: str, images: Images, store: Store, *, compute: Compute | None = None, reference: Denoiser | None = None
) -> Denoiser:
    """The fitted model of `name:option=value,...`."""
    return finish(DENOISERS.parse(text).fit(images, compute or Compute(), store, reference))
