"""Prism (ours): an image split into bands of principal components, each put together again from what knows it best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from locality.dataset import Images
from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.stacking import StackingSpec
from locality.specs import param

MEMBERS = (
    "wiener",
    "gaussian_mixture:groups=clusters,components=10,rank=256",
    "gaussian_mixture:groups=clusters,components=50,rank=128",
    "patch_mixture:windows=5-9-31,rank=64-64-128,overlap=precision,components=24,patches=40000,steps=5",
)  # one filter for all images, one for each kind of image, one for each kind of patch: quick, and without labels


@DENOISERS.register("prism")
@dataclass(frozen=True)
class Prism(StackingSpec):
    """mu + sum_k P_k sum_f a_kf(sigma) (D_f - mu): Wiener filters of images, of kinds of them and of patches, by band.

    P_k projects on the k-th band of the images' principal components: few of large variance first, which mixtures of
    whole images know, many of small variance last, which patches know. The a_kf are learned as those of `stack`, from
    training images that the members D_f have not seen; no network is looked at, no label is used, no image averaged.
    """

    paper: ClassVar[str] = "Ours: mixtures of Wiener filters on images and patches, stacked by principal component"
    cost: ClassVar[str] = "the sum of its members, whatever the number of training images"
    examples: ClassVar[tuple[str, ...]] = (
        "prism:members=(wiener+gaussian_mixture:groups=clusters,components=3+patch_mixture:window=3,components=2),"
        "validation=8,bands=4",
    )

    members: str = param("+".join(MEMBERS), help="Models to combine, joined by '+'; options of each follow a ':'.")
    validation: int = param(
        256,
        help="Held-out training images the weights are learned from; at most a fifth of all.",
        low=8,
        high=4096,
    )
    bands: int = param(8, help="Bands of principal components, each with weights of its own.", low=1, high=64)

    def held_out(self, images: Images) -> int:
        return min(self.validation, len(images.train) // 5)
