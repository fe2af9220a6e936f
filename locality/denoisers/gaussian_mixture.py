"""A mixture of Wiener filters on whole images: one Gaussian per class or cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.denoisers.parts.groups import decompose_groups, merge_lone
from locality.denoisers.parts.kmeans import cluster
from locality.denoisers.parts.ladder import Ladder, counted, unpack_ladder
from locality.denoisers.parts.mixture import Mixture, pack, unpack
from locality.denoisers.parts.rows import in_parts
from locality.denoisers.parts.rungs import bytes_of, learn_ladder, rungs
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.denoisers.parts.thin import thin_groups
from locality.denoisers.wiener import Wiener
from locality.device import Compute
from locality.errors import BadInput, TooLarge
from locality.linear.passes import chunk_size
from locality.schedule import check_sigma
from locality.specs import param
from locality.store import Artifact, Store
from locality.types import Denoiser, ImageShape
from locality.work import Progress, map_progress

KIND, VERSION = "gaussian_mixture", 1
_MOST_BYTES = 4 * 10**9  # of eigenvectors; the local cache holds no more either
_ARRAYS = 8  # working arrays of the size of x in one call
_FEWEST = 16  # images that a number of components can be chosen on


@DENOISERS.register("gaussian_mixture")
@dataclass(frozen=True)
class GaussianMixture(DenoiserSpec):
    """One Wiener filter per class or cluster of images, weighed by how likely each made x.

    With components=auto mixtures of several sizes and the Wiener filter, blended at every noise level as held-out
    training images say.

    Memory of the fitted model: 4 groups d rank bytes (10 groups of d = rank = 3072: 377 MB); above 4 GB it is
    refused. Fitting takes about 40 d^2 bytes more, one group at a time, and keeping the result in the
    store copies it: 1.8 GB at the peak with ten classes of CIFAR-10.
    """

    paper: ClassVar[str] = "Wang, Vastola 2024 (arXiv 2412.09726); Zoran, Weiss 2011 (EPLL)"
    cost: ClassVar[str] = "groups d^2 per image and step, whatever the number of training images"
    examples: ClassVar[tuple[str, ...]] = (
        "gaussian_mixture",
        "gaussian_mixture:groups=clusters,components=3",
        "gaussian_mixture:groups=clusters,components=3,rank=12,prior=4,kappa=true",
        "gaussian_mixture:groups=clusters,components=auto",
    )

    components: int = param(
        10,
        help="Clusters; used with groups=clusters. 0, auto: several numbers, blended at each noise level by held-out "
        "error on training images; groups=classes adds the classes.",
        low=0,
        high=1000,
        zero="auto",
    )
    groups: str = param(
        "classes",
        help="classes: one group per class label. clusters: k-means, also for sets without labels.",
        choices=("classes", "clusters"),
    )
    shrink: float = param(
        0.1, help="Shrinkage of each group's covariance to the pooled within-group one.", low=0.0, high=1.0
    )
    seed: int = param(0, help="Seed of the clusters.", low=0, high=2**31 - 1)
    rank: int = param(
        0,
        help="Directions with a variance of their own; the others share one. 0: all, or by memory.",
        low=0,
        later=True,
    )
    prior: float = param(
        0.0,
        help="Images that the pooled covariance counts as in every group, in place of shrink. 0: shrink, or automatic.",
        low=0.0,
        later=True,
    )
    kappa: bool = param(
        False, help="Correct each group's filter for its number of images: kappa for sigma squared.", later=True
    )

    @property
    def exempt(self) -> Mapping[str, str]:
        reasons = {}
        if self.groups == "clusters" or not self.components:
            reasons["order_changes_nothing"] = "the first guess is a draw of places in the order"
        if self.kappa:
            reasons["clean_images_stay"] = "groups of fewer images than directions are never trusted in full"
        return reasons

    def unlabelled(self) -> GaussianMixture | None:
        """As many clusters as `components` in place of the classes."""
        return replace(self, groups="clusters") if self.groups == "classes" else None

    def approximations(self, available: int) -> list[str]:
        return super().approximations(available) + (["uses class labels"] if self.groups == "classes" else [])

    @property
    def tolerance(self) -> Mapping[str, float]:
        # Eigenvectors kept in float32 are orthogonal to 1e-6, which a backward pass knows and the closed form does not.
        return {"known_derivatives_are_true": 2e-6}

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, GaussianMixtureDenoiser]:
        """Covariance and eigendecomposition of every group, or what the store has of them.

        A group of one image joins the group whose mean is nearest: one image has no covariance.

        Raises:
            DataUnavailable: the images are not on this machine.
            BadInput: groups=classes without labels, fewer than two images, or fewer than two per cluster.
            TooLarge: more than 4 GB of eigenvectors; says how many groups fit, or which rank.
        """
        labels = None
        if self.groups == "classes":
            labels = images.train.labels
            if labels is None:
                raise BadInput(f"{self.name}:groups=classes: {images.name} has no labels. Use groups=clusters.")
        key = store_key(images.fingerprint, self, labels)
        if not self.components:
            mixture: Mixture | Ladder = yield from self._fit_ladder(images, labels, key, compute, store)
        else:
            count = self.components if labels is None else len(labels.unique())
            _check_size(count, images.shape, self.rank)
            found = yield from store.kept(KIND, key, self._learn(images, labels, compute))
            mixture = counted(unpack(found), len(images.train), kappa=self.kappa)
        return GaussianMixtureDenoiser(images.shape, mixture, compute.memory)

    def _fit_ladder(
        self, images: Images, labels: Int[Tensor, " n"] | None, key: Mapping[str, Any], compute: Compute, store: Store
    ) -> Generator[Progress, None, Ladder]:
        n, classes = len(images.train), 0 if labels is None else len(labels.unique())
        if n < _FEWEST:
            raise BadInput(
                f"{self.name}: {images.name} has {n} training images. components=auto needs at least {_FEWEST}. "
                "Give more images, or wiener."
            )
        tried = rungs(n, images.shape, classes, self.rank, self.prior)
        need = bytes_of(tried, classes, images.shape)
        if need > _MOST_BYTES:
            fits = max(1, self.rank * _MOST_BYTES // need)
            raise TooLarge(
                f"{self.name}: {len(tried)} mixtures of {images.shape} images", need, _MOST_BYTES, f"Give rank={fits}."
            )
        wiener = yield from Wiener().fit(images, compute, store)
        work = learn_ladder(images.train, wiener, tried, labels, self.seed, kappa=self.kappa)
        said = map_progress(work, lambda event: replace(event, note=f"{event.note} ({need / 1e6:,.0f} MB in all)"))
        found = yield from store.kept(KIND, key, said)
        return unpack_ladder(found, wiener, n, kappa=self.kappa)

    def _learn(
        self, images: Images, labels: Int[Tensor, " n"] | None, compute: Compute
    ) -> Generator[Progress, None, Artifact]:
        rows = yield from self._rows(images.train, labels, compute)
        if not self.rank and not self.prior:
            return pack((yield from decompose_groups(images.train, rows, self.shrink, compute)))
        rank = self.rank or images.shape.d
        return pack((yield from thin_groups(images.train, rows, rank, self.prior, self.shrink)))

    def _rows(
        self, train: Dataset, labels: Int[Tensor, " n"] | None, compute: Compute
    ) -> Generator[Progress, None, list[Int[Tensor, " _"]]]:
        """The image numbers of every group, each at least two."""
        least = 2 * self.components if labels is None else 2
        if len(train) < least:
            need = f"{self.components} clusters need at least {least}" if labels is None else "It needs at least two"
            hint = f" Give components={len(train) // 2} or fewer." if len(train) >= 2 else " Give more images."
            raise BadInput(f"{self.name}: {train.name} has {len(train)} training images. {need}.{hint}")
        if labels is None:
            yield Progress(0.0, 1.0, "Clusters")
            labels = cluster(train, self.components, self.seed, chunk_size(train, compute))
        return merge_lone(train, [torch.nonzero(labels == label).squeeze(1) for label in labels.unique()])


@dataclass(frozen=True, eq=False)
class GaussianMixtureDenoiser:
    """The exact posterior mean of the fitted mixture. `memory` bounds the working arrays of a call."""

    shape: ImageShape
    mixture: Mixture | Ladder
    memory: int

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """sum_k r_k [mu_k + W_k (x - mu_k)]; differentiable in x.

        Raises:
            BadInput: images of another size, or sigma is not a noise level.
            NonFinite: x holds NaN or infinity.
        """
        self.shape.check(x)
        check_sigma(sigma)
        rows = self.memory // (_ARRAYS * self.shape.d * x.element_size())
        return in_parts(x, rows, lambda part: self.mixture(part, sigma))

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"]:
        """outputs @ Cov[x0 | x] / sigma^2 of every image, exact for this mixture. Raises as a call."""
        self.shape.check(x)
        check_sigma(sigma)
        return self.mixture.jacobian_rows(x, outputs, sigma)


def store_key(fingerprint: str, spec: GaussianMixture, labels: Int[Tensor, " n"] | None) -> dict[str, Any]:
    """What the fit depends on: images, labels where they make the groups, and the options that count then."""
    options = spec.key()
    if labels is None:
        return {"fingerprint": fingerprint, "spec": options, "version": VERSION}
    if spec.components:
        del options["components"], options["seed"]
    digest = hashlib.sha256(labels.contiguous().numpy().tobytes()).hexdigest()
    return {"fingerprint": fingerprint, "spec": options, "labels": digest, "version": VERSION}


def _check_size(groups: int, shape: ImageShape, rank: int) -> None:
    each = 4 * shape.d * min(rank or shape.d, shape.d)
    if groups * each <= _MOST_BYTES:
        return
    fitting, thin = _MOST_BYTES // each, _MOST_BYTES // (4 * groups * shape.d)
    hint = f"At most {fitting} groups fit: use groups=clusters,components={fitting}." if fitting else "Not one fits."
    more = f" Or give rank={thin}." if thin and (rank or groups > 64) else ""
    raise TooLarge(
        f"{GaussianMixture.name}: {groups} groups of {shape} images",
        groups * each,
        _MOST_BYTES,
        f"{hint}{more} Smaller images take less.",
    )
