"""A mixture of Wiener filters on patches (ours): local, and better than Wiener at low noise."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from locality.dataset import Images
from locality.denoisers.parts import scales
from locality.denoisers.parts.blend import Blend, estimate_weights, held_out
from locality.denoisers.parts.em import expect_maximise, initial_labels
from locality.denoisers.parts.patches import places, sample_patches
from locality.denoisers.parts.patchwise import PatchMixtureDenoiser, pack, unpack
from locality.denoisers.parts.scale_fit import Plan
from locality.denoisers.parts.scales import ScalesDenoiser, learn_scales
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.denoisers.wiener import Wiener
from locality.device import Compute
from locality.errors import BadInput
from locality.linear.wiener import WienerFilter
from locality.specs import param
from locality.store import Artifact, Shipment, Store
from locality.types import Denoiser
from locality.work import Progress

KIND, VERSION = "patch_mixture", 1
_LEAST = 10  # patches a component needs on average; fewer say nothing about a covariance
PRECISION = "precision"


@DENOISERS.register("patch_mixture")
@dataclass(frozen=True)
class PatchMixture(DenoiserSpec):
    """Mixture of Gaussians on P x P patches; overlapping answers averaged and blended with Wiener."""

    paper: ClassVar[str] = (
        "ours, after Zoran, Weiss 2011 (EPLL): posterior means, overlaps averaged, blend by least squares"
    )
    cost: ClassVar[str] = "K c^2 P^4 per pixel and step, whatever the number of training images"
    examples: ClassVar[tuple[str, ...]] = (
        "patch_mixture:window=3,components=2",
        "patch_mixture:windows=3-5,rank=6-9,positions=2,overlap=precision,components=2",
    )

    window: int = param(7, help="P: side of the patches, odd.", low=3, high=15, unit="px")
    components: int = param(48, help="K: number of Gaussians.", low=1, high=128)
    patches: int = param(200_000, help="Training patches used, at most.", low=1, high=1_000_000)
    steps: int = param(12, help="Expectation-maximisation (EM) steps.", low=1, high=100)
    shrink: float = param(0.02, help="Shrinkage of each Gaussian's covariance to the pooled one.", low=0.0, high=1.0)
    seed: int = param(0, help="Seed of the patches, the initialisation and the blend's noise.", low=0, high=2**31 - 1)
    blend: bool = param(True, help="Blend with Wiener, by least squares on held-out training images.")
    windows: tuple[int, ...] = param(
        (),
        help="Several sides in place of `window`, as 5-9-15; what is larger than the images is cut.",
        low=3,
        high=63,
        later=True,
    )
    rank: tuple[int, ...] = param(
        (),
        help="Principal directions of a patch that components differ in: one number, or one a window.",
        low=1,
        later=True,
    )
    positions: int = param(
        1, help="N: each window also with mixtures of its own for N x N parts of the image.", low=1, high=16, later=True
    )
    overlap: str = param(
        "mean",
        help="Overlapping answers: plain mean, or weighted by posterior precision.",
        choices=("mean", PRECISION),
        later=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 2 == 0:
            raise BadInput(f"{self.name}:window={self.window} is even. Give an odd number, 3 to 15.")
        given = "-".join(map(str, self.windows))
        if list(self.windows) != sorted({side for side in self.windows if side % 2}):
            raise BadInput(f"{self.name}:windows={given}: give odd numbers, each once, from small to large: 5-9-15.")
        if len(self.rank) not in {0, 1, len(self.windows)}:
            ranks = "-".join(map(str, self.rank))
            raise BadInput(
                f"{self.name}:rank={ranks}: give one number, or one for each of windows={given or '5-9-15'}."
            )
        if self.scaled and not self.blend:
            raise BadInput(f"{self.name}:blend=false: scales are combined by their weights. Leave it out.")

    @property
    def scaled(self) -> bool:
        """Whether any option asks for scales, each a mixture of low rank, combined."""
        return bool(self.windows or self.rank or self.positions > 1 or self.overlap == PRECISION)

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
    ) -> Generator[Progress, None, PatchMixtureDenoiser | ScalesDenoiser]:
        """Expectation and maximisation on a sample of patches, or what the store has of it.

        With `blend`, the last 256 training images (a fifth of the set where it is smaller than 1,280)
        are left out of the sample, and judge how far to trust the patches at 12 noise levels.
        Memory: 4 c P^2 bytes per patch (118 MB at the defaults on CIFAR-10), the Wiener filter's beside it.
        Of scales, see `learn_scales`; a window larger than the images becomes the largest that fits.

        Raises:
            DataUnavailable: neither the images nor a shipped fit are on this machine.
            BadInput: a window larger than the images, or too few patches for the components.
        """
        largest = (min(images.shape.h, images.shape.w) + 1) // 2 * 2 - 1
        if largest >= 3 and self.scaled:
            linear = yield from Wiener().fit(images, compute, store)
            work = self._scales(images, linear, compute, largest)
            found = yield from store.kept(KIND, store_key(images.fingerprint, self), work)
            return scales.unpack(found, linear, compute.memory)
        if self.window > largest:
            hint = f"The largest window is {largest}." if largest >= 3 else "The least window is 3 pixels: use wiener."
            raise BadInput(
                f"{self.name}:window={self.window} does not fit {images.shape} images of {images.name}. {hint}"
            )
        wiener = (yield from Wiener().fit(images, compute, store)) if self.blend else None
        found = yield from store.kept(KIND, store_key(images.fingerprint, self), self._learn(images, wiener, compute))
        return unpack(found, wiener, compute.memory)

    def _learn(
        self, images: Images, wiener: WienerFilter | None, compute: Compute
    ) -> Generator[Progress, None, Artifact]:
        train = images.train
        aside = 0 if wiener is None else held_out(len(train))
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

    def _scales(
        self, images: Images, wiener: WienerFilter, compute: Compute, largest: int
    ) -> Generator[Progress, None, Artifact]:
        windows = self.windows or (self.window,)
        ranks = self.rank if len(self.rank) == len(windows) else (self.rank or (0,)) * len(windows)
        plan = Plan(self.components, self.overlap == PRECISION, self.patches, self.steps, self.shrink, self.seed)
        sides = {min(side, largest): rank for side, rank in zip(windows, ranks, strict=True)}
        fitted = yield from learn_scales(images.train, sides, self.positions, plan, wiener, compute.memory)
        return scales.pack(fitted, compact=False)

    def shipment(self, images: Images, fitted: Denoiser, store: Store) -> Shipment:
        key = store_key(images.fingerprint, self)
        if isinstance(fitted, ScalesDenoiser):
            return Shipment(KIND, key, scales.pack(fitted, compact=True))
        assert isinstance(fitted, PatchMixtureDenoiser)
        return Shipment(KIND, key, pack(fitted, compact=True))


def store_key(fingerprint: str, spec: PatchMixture) -> dict[str, Any]:
    """What a fit depends on."""
    return {"fingerprint": fingerprint, "spec": spec.key(), "version": VERSION}
