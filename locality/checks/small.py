"""A model on as little memory as makes it go through its training images in several chunks."""

from __future__ import annotations

import re
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from locality.checks.named import hold
from locality.device import Compute
from locality.errors import TooLarge
from locality.types import Denoiser

_BYTES = {"bytes": 1, "KB": 1000, "MB": 1000**2}


def small(fit: Callable[[Compute], Denoiser], x: Float[Tensor, "b d"], sigma: float) -> Denoiser:
    """The model on five times the memory that it says it needs at least: chunks of about five images."""
    memory = 1
    while True:
        try:
            denoiser = fit(Compute(images=7, memory=memory))
            denoiser(x, sigma)
        except TooLarge as error:
            need = re.search(r"needs ([\d.]+) (bytes|KB|MB)", str(error))
            hold(need is not None, f"the error does not say what is needed: {error}")
            assert need is not None
            asked = int(5 * float(need[1]) * _BYTES[need[2]])
            hold(asked > memory, f"with {memory} bytes it still needs {need[0]}")  # so that this ends
            memory = asked
        else:
            return denoiser
