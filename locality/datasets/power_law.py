"""Stationary Gaussian random images with spectrum A / k^a: a world known in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from locality.dataset import Dataset
from locality.datasets.parts.spec import DATASETS, DatasetInfo, DatasetSpec, Split
from locality.specs import param
from locality.types import ImageShape

_SIDE, _BLOCK = 32, 500
_STREAM = {"train": 0, "test": 1}  # spawns independent random streams from one seed


@DATASETS.register("power_law")
@dataclass(frozen=True)
class PowerLaw(DatasetSpec):
    """Periodic grey images: white Gaussian noise filtered to the power spectrum A / k^a.

    The mean is zero and the covariance is circulant, with eigenvalues `spectrum()`. The constant
    component, where A / k^a would diverge, gets the power of the lowest frequency, A.
    """

    a: float = param(2.0, help="Exponent of the spectrum A / k^a: 0 is white noise, 2 natural.", low=0.0, high=4.0)
    contrast: float = param(0.4, help="Standard deviation of a pixel; sets A.", low=0.01, high=2.0, unit="units of x0")
    images: int = param(10_000, help="Training images; there are a tenth as many test images.", low=20, high=100_000)
    seed: int = param(0, help="Seed of the random images.", low=0, high=2**31 - 1)

    examples: ClassVar[tuple[str, ...]] = ("power_law", "power_law:a=1,images=200,seed=3")
    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="Power-law noise",
        source="drawn by this project",
        licence="MIT",
        about="Gaussian images with spectrum A/k^a, 32x32 grey: the predicted field has a closed form.",
    )

    @property
    def shape(self) -> ImageShape:
        return ImageShape(1, _SIDE, _SIDE)

    def count(self, split: Split = "train") -> int:
        return self.images if split == "train" else self.images // 10

    def load(self, split: Split = "train") -> Dataset:
        draws = np.random.Generator(np.random.PCG64([self.seed, _STREAM[split]]))
        gain = self.spectrum().sqrt().numpy()[:, : _SIDE // 2 + 1]
        data = np.empty((self.count(split), _SIDE, _SIDE), np.float32)
        for start in range(0, len(data), _BLOCK):
            part = data[start : start + _BLOCK]
            part[...] = np.fft.irfft2(np.fft.rfft2(draws.standard_normal(part.shape)) * gain, s=(_SIDE, _SIDE))
        return Dataset(self.name, split, self.shape, torch.from_numpy(data).flatten(1))

    def spectrum(self) -> Float64[Tensor, "h w"]:
        """Variance of each Fourier component = eigenvalue of the covariance, in FFT order.

            P(k) = A / |k|^a,   P(0) = A,   sum_k P(k) = d contrast^2

        k in cycles per image side; squared units of x0.
        """
        f = torch.fft.fftfreq(_SIDE, 1 / _SIDE, dtype=torch.float64)
        k2 = f.square()[:, None] + f.square()[None, :]
        k2[0, 0] = 1.0
        power: Float64[Tensor, "h w"] = k2.pow(-self.a / 2)
        power *= self.shape.d * self.contrast**2 / power.sum()
        return power

    def mean(self) -> Float64[Tensor, " d"]:
        """Exact mean: zero."""
        return torch.zeros(self.shape.d, dtype=torch.float64)

    def covariance(self) -> Float64[Tensor, "d d"]:
        """Exact covariance of two pixels: the inverse transform of P at their offset, periodic.

        C[(y, x), (y', x')] = (1/d) sum_k P(k) cos(2 pi k . (y - y', x - x') / 32)
        """
        of_offset: Float64[Tensor, "h w"] = torch.fft.ifft2(self.spectrum()).real
        at = torch.arange(_SIDE)
        shift = (at[:, None] - at[None, :]) % _SIDE
        return of_offset[shift[:, None, :, None], shift[None, :, None, :]].flatten(2).flatten(0, 1)
