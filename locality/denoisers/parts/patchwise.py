"""A mixture of Gaussians on patches of one size: every patch's posterior mean, averaged and blended with Wiener."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from locality.denoisers.parts import mixture as gaussians
from locality.denoisers.parts.blend import Blend
from locality.denoisers.parts.mixture import Mixture
from locality.denoisers.parts.patches import fold, places, unfold
from locality.denoisers.parts.rows import in_parts
from locality.linear.wiener import WienerFilter
from locality.schedule import check_sigma
from locality.store import Artifact
from locality.types import ImageShape

ARRAYS = 8  # working arrays of the size of the patches in one call
BLOCK = 8192  # patches at a time at most: larger blocks leave the processor's cache


@dataclass(frozen=True, eq=False)
class PatchMixtureDenoiser:
    """The mixture's posterior mean of every patch, averaged where patches overlap; `blend` None for that alone."""

    shape: ImageShape
    window: int
    mixture: Mixture
    blend: Blend | None
    memory: int

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """a(sigma) D_patch + (1 - a(sigma)) D_wiener; differentiable in x.

        Raises:
            BadInput: images of another size, or sigma is not a noise level.
            NonFinite: x holds NaN or infinity.
        """
        self.shape.check(x)
        weight = 1.0 if self.blend is None else self.blend.weight(sigma)
        check_sigma(sigma)
        if self.blend is None:
            return self._patchwise(x, sigma)
        linear = self.blend.wiener(x, sigma)
        return linear + weight * (self._patchwise(x, sigma) - linear) if weight > 0 else linear

    def _patchwise(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        per_image = places(self.shape, self.window)
        per_patch = self.mixture.means.shape[1] * x.element_size() * ARRAYS + 24 * len(self.mixture.weights)
        rows = min(BLOCK, max(1, self.memory // per_patch))

        def answer(part: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
            patches = unfold(part, self.shape, self.window).split(rows)
            return fold(torch.cat([self.mixture(u, sigma) for u in patches]), self.shape, self.window)

        return in_parts(x, rows // per_image, answer)


def pack(fitted: PatchMixtureDenoiser, *, compact: bool) -> Artifact:
    """A fit as an artefact, without its Wiener filter; `compact` to ship it: 2.2 MB at the defaults on CIFAR-10."""
    arrays = gaussians.pack(fitted.mixture, compact=compact).arrays
    if fitted.blend is not None:
        arrays["blend"] = fitted.blend.weights
    return Artifact(arrays, {"shape": list(fitted.shape), "window": fitted.window})


def unpack(artifact: Artifact, wiener: WienerFilter | None, memory: int) -> PatchMixtureDenoiser:
    """The fit of an artefact made by `pack`; `wiener` where it is blended."""
    arrays, meta = artifact.arrays, artifact.meta
    blend = None if wiener is None else Blend(wiener, arrays["blend"])
    mixture = gaussians.unpack(artifact)
    return PatchMixtureDenoiser(ImageShape(*meta["shape"]), int(meta["window"]), mixture, blend, memory)
