"""A mixture of Wiener filters on patches (ours): local, and better than Wiener at low noise."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts import mixture as gaussians
from locality.denoisers.parts.blend import Blend, estimate_weights
from locality.denoisers.parts.em import expect_maximise, initial_labels
from locality.denoisers.parts.mixture import Mixture
from locality.denoisers.parts.patches import fold, places, sample_patches, unfold
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.denoisers.wiener import Wiener
from locality.device import Compute
from locality.errors import BadInput
from locality.linear.wiener import WienerFilter
from locality.schedule import check_sigma
from locality.specs import param
from locality.store import Artifact, Shipment, Store
from locality.types import Denoiser, ImageShape
from locality.work import Progress, heartbeat

KIND, VERSION = "patch_mixture", 1
_LEAST = 10  # patches a component needs on average; fewer say nothing about a covariance
_HELD_OUT = 256  # last training images that only the blend sees
_ARRAYS = 8  # working arrays of the size of the patches in one call
_BLOCK = 8192  # patches at a time at most: larger blocks leave the processor's cache


@DENOISERS.register("patch_mixture")
@dataclass(frozen=True)
class PatchMixture(DenoiserSpec):
    """Mixture of Gaussians on P x P patches; overlapping answers averaged and blended with Wiener."""

    paper: ClassVar[str] = (
        "ours, after Zoran, Weiss 2011 (EPLL): posterior means, overlaps averaged, blend by least squares"
    )
    cost: ClassVar[str] = "K c^2 P^4 per pixel and step, whatever the number of training images"
    examples: ClassVar[tuple[str, ...]] = ("patch_mixture:window=3,components=2",)

    window: int = param(7, help="P: side of the patches, odd.", low=3, high=15, unit="px")
    components: int = param(48, help="K: number of Gaussians.", low=1, high=128)
    patches: int = param(200_000, help="Training patches used, at most.", low=1, high=1_000_000)
    steps: int = param(12, help="Expectation-maximisation (EM) steps.", low=1, high=100)
    shrink: float = param(0.02, help="Shrinkage of each Gaussian's covariance to the pooled one.", low=0.0, high=1.0)
    seed: int = param(0, help="Seed of the patches, the initialisation and the blend's noise.", low=0, high=2**31 - 1)
    blend: bool = param(True, help="Blend with Wiener, by least squares on held-out training images.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 2 == 0:
            raise BadInput(f"{self.name}:window={self.window} is even. Give an odd number, 3 to 15.")

    @property
    def exempt(self) -> Mapping[str, str]:
        return {
            "order_changes_nothing": "patches are a draw of places in the order",
            "noise_drowns_everything": "a patch does not know where in the image it lies",
        }

    @property
    def tolerance(self) -> Mapping[str, float]:
        return {"chunks_change_nothing": 1e-6}  # what is learned is kept in float32

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, PatchMixtureDenoiser]:
        """Expectation and maximisation on a sample of patches, or what the store has of it.

        With `blend`, the last 256 training images (a fifth of the set where it is smaller than 1,280)
        are left out of the sample, and judge how far to trust the patches at 12 noise levels.
        Memory: 4 c P^2 bytes per patch (118 MB at the defaults on CIFAR-10), the Wiener filter's beside it.

        Raises:
            DataUnavailable: neither the images nor a shipped fit are on this machine.
            BadInput: a window larger than the images, or too few patches for the components.
        """
        largest = (min(images.shape.h, images.shape.w) + 1) // 2 * 2 - 1
        if self.window > largest:
            hint = f"The largest window is {largest}." if largest >= 3 else "The least window is 3 pixels: use wiener."
            raise BadInput(
                f"{self.name}:window={self.window} does not fit {images.shape} images of {images.name}. {hint}"
            )
        wiener = (yield from Wiener().fit(images, compute, store)) if self.blend else None
        work = self._learn(images, wiener, compute)
        found = yield from store.kept(KIND, store_key(images.fingerprint, self), work)
        return unpack(found, wiener, compute.memory)

    def _learn(
        self, images: Images, wiener: WienerFilter | None, compute: Compute
    ) -> Generator[Progress, None, Artifact]:
        train = images.train
        aside = 0 if wiener is None else min(_HELD_OUT, max(1, len(train) // 5))
        seen = train.first(max(1, len(train) - aside))
        available = min(self.patches, len(seen) * places(train.shape, self.window))
        if available < _LEAST * self.components:
            more = "more patches, " if available == self.patches else ""
            raise BadInput(
                f"{self.name}: {available} patches are too few for {self.components} components; each needs {_LEAST}. "
                f"Give components={max(1, available // _LEAST)} or fewer, {more}a smaller window, or more images."
            )
        yield Progress(0.0, 1.0, "Patches")
        patches = sample_patches(seen, self.window, self.patches, self.seed)
        labels = initial_labels(patches, self.components)
        mixture = yield from expect_maximise(patches, labels, self.components, steps=self.steps, shrink=self.shrink)
        alone = PatchMixtureDenoiser(train.shape, self.window, mixture, None, compute.memory)
        if wiener is None:
            return pack(alone, compact=False)
        del patches
        x0 = train.x0(slice(len(seen), None))
        weights = yield from estimate_weights(alone, wiener, x0, self.seed)
        return pack(replace(alone, blend=Blend(wiener, weights)), compact=False)

    def shipment(self, images: Images, fitted: Denoiser, store: Store) -> Shipment:
        assert isinstance(fitted, PatchMixtureDenoiser)
        return Shipment(KIND, store_key(images.fingerprint, self), pack(fitted, compact=True))


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
        per_patch = self.mixture.means.shape[1] * x.element_size() * _ARRAYS + 24 * len(self.mixture.weights)
        rows = min(_BLOCK, max(1, self.memory // per_patch))
        answers: list[Tensor] = []
        for part in x.split(max(1, rows // per_image)):
            patches = unfold(part, self.shape, self.window).split(rows)
            answers.append(fold(torch.cat([self.mixture(u, sigma) for u in patches]), self.shape, self.window))
            heartbeat(sum(map(len, answers)) / max(1, len(x)))
        return torch.cat(answers)


def store_key(fingerprint: str, spec: PatchMixture) -> dict[str, Any]:
    """What a fit depends on."""
    return {"fingerprint": fingerprint, "spec": spec.key(), "version": VERSION}


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
