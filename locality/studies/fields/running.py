"""A learned field that grows more certain: draws are added while somebody looks, and none is ever taken back."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from locality.device import Compute
from locality.fields.jackknife import jackknife
from locality.fields.jacobian import Average, Inputs, draw_inputs, reduce_inputs
from locality.fields.rows import output_rows
from locality.types import Denoiser, ImageShape

Images = Callable[[int], Float[Tensor, "k d"]]  # the held-out images of the first k draws


@dataclass(frozen=True, eq=False)
class Estimate:
    """The mean over `draws` draws [hw] and the standard error of each value: the jackknife; nan for one draw."""

    values: Float[Tensor, " hw"]
    stderr: Float[Tensor, " hw"]
    draws: int


@dataclass(eq=False)
class RunningField:
    """The field of one output at one noise level, over draws `first`, `first` + 1, ... of a seed.

    Draw k is the k-th held-out image with its own noise, whatever the number of draws: adding 8 and then 8 is adding
    16, and draws from `first` on are none of those below it, which a stored table has seen.
    """

    denoiser: Denoiser
    images: Images
    output: Float[Tensor, "1 d"]
    sigma: float
    first: int = 0
    seed: int = 0
    average: Average = "mean"
    inputs: Inputs | int = "sum"
    each: Float[Tensor, "k c h w"] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def shape(self) -> ImageShape:
        return self.denoiser.shape

    @property
    def draws(self) -> int:
        """How many there are."""
        return 0 if self.each is None else len(self.each)

    def add(self, most: int, between: Callable[[], None] = lambda: None, step: int = Compute().draws) -> None:
        """Draw until there are `most`, `step` at a time; `between` is called before each step, and may raise to end it.

        Raises:
            NonFinite: the denoiser's derivative is NaN or infinite.
        """
        while self.draws < most:
            between()
            with self._lock:
                start = self.first + self.draws
                stop = min(start + step, self.first + most)
                if stop > start:
                    found = self._rows(start, stop)
                    self.each = found if self.each is None else torch.cat([self.each, found])

    def _rows(self, start: int, stop: int) -> Float[Tensor, "k c h w"]:
        x = draw_inputs(self.images(stop)[start:], self.sigma, self.seed, start)
        rows = output_rows(self.denoiser, self.output, self.sigma, lambda _: x, batch=len(x)).each[0]
        sized = rows.abs() if self.average == "absolute" else rows
        return sized.reshape(len(x), *self.shape).detach()

    def estimate(self, most: int | None = None) -> Estimate:
        """Mean and error of the first `most` draws, of all there are by default; at least one."""
        assert self.each is not None
        each = self.each[:most].double()
        count = len(each)
        total = each.sum(dim=0)
        values = reduce_inputs(total / count, self.inputs).flatten()
        if count < 2:
            return Estimate(values.float(), torch.full_like(values, math.nan).float(), count)
        left_out = torch.stack([reduce_inputs((total - one) / (count - 1), self.inputs) for one in each]).flatten(1)
        return Estimate(values.float(), jackknife(left_out).float(), count)

    def reduced(self, most: int | None = None) -> Float[Tensor, "k hw"]:
        """Every draw alone."""
        assert self.each is not None
        return torch.stack([reduce_inputs(one, self.inputs) for one in self.each[:most]]).flatten(1)
