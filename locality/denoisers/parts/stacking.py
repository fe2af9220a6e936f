"""What models that combine others share: which members, and how their weights are learned and kept."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.bands import Bands, spaced
from locality.denoisers.parts.bank import AveragingSpec
from locality.denoisers.parts.centres import centres, chooses
from locality.denoisers.parts.part import Part
from locality.denoisers.parts.ridge import least_squares
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.denoisers.parts.stacked import SIGMAS, StackDenoiser
from locality.denoisers.wiener import Wiener
from locality.device import Compute
from locality.errors import BadInput
from locality.grammar import read_chain
from locality.linear.statistics import fit_filter
from locality.noise import field_noise
from locality.specs import param
from locality.store import Shipment, Store
from locality.store.artifact import Artifact
from locality.types import Denoiser, ImageShape
from locality.work import Progress, within

KIND, VERSION = "stack", 4
_BATCH = 32  # noisy images per call of a member


@dataclass(frozen=True)
class StackingSpec(DenoiserSpec):
    """Base of the models that combine others by least squares on training images held out from these."""

    members: str = param(
        "wiener+optimal+pca_locality+patch_mixture",
        help="Models to combine, joined by '+'; options of each follow a ':'.",
    )
    first: int = param(
        10_000, help="At most this many training images for ls, pspc and locality members; 0: all (slow).", low=0
    )
    validation: int = param(
        96, help="Held-out training images the weights are learned from.", low=8, high=4096, alias="judges"
    )
    bands: int = param(
        1, help="Bands of principal components, each with weights of its own.", low=1, high=64, later=True
    )

    @property
    def exempt(self) -> Mapping[str, str]:
        return {
            "order_changes_nothing": "the last images are the validation images of the members",
            "clean_images_stay": "weights learned on images the members have not seen are below 1",
        }

    @property
    def tolerance(self) -> Mapping[str, float]:
        return {"chunks_change_nothing": 1e-6}  # what is learned is kept in float32

    def note(self, available: int) -> str:
        if any(self._limited(spec, available) != spec for spec in self.specs()):
            return f"{self.name}: its local members average the first {self.first:,} of {available:,} training images."
        return ""

    def approximations(self, available: int) -> list[str]:
        alike = [spec for spec in self.specs() if self._limited(spec, available) == spec]
        own = [f"its {spec.name} {phrase}" for spec in alike for phrase in spec.approximations(available)]
        return super().approximations(available) + own

    def check(self, dataset: str, shape: ImageShape) -> None:
        for spec in self.specs():
            spec.check(dataset, shape)

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, StackDenoiser]:
        """Weights from members fitted without the held-out images, then the members fitted on all; kept in the store.

        Raises:
            BadInput: unknown or repeated members, a member that needs a network, too few training images.
        """
        specs = [self._limited(spec, len(images.train)) for spec in self.specs()]
        key, work = store_key(images.fingerprint, self), self._learn(images, compute, store)
        found = yield from store.kept(KIND, key, work, once=False)
        members = []
        for spec in specs:
            members.append((yield from spec.fit(images, compute, store)))
        mean, means = centres(specs, images, compute)
        bands = Bands.one(images.shape.d)
        if ends := found.meta.get("ends"):
            bands = Bands.of((yield from fit_filter(images, compute, store)), ends)
        weights = found.arrays["weights"].reshape(len(SIGMAS), len(bands), len(members))
        return StackDenoiser(images.shape, tuple(members), mean, means, weights, bands)

    def specs(self) -> list[DenoiserSpec]:
        """The members, with their options.

        Raises:
            UnknownName: no such model.
            BadInput: a model named twice with the same options, a stack, a member that follows a network.
        """
        words = DENOISERS.words()
        specs = [DENOISERS[name].parse(options) for name, options in read_chain(self.members, words, words)]
        if len(set(specs)) < len(specs) or any(isinstance(spec, StackingSpec) for spec in specs):
            raise BadInput(f"{self.name}:members={self.members!r}: name each model once, joined by '+', without stack.")
        for spec in specs:
            if network := spec.network_needed():
                raise BadInput(
                    f"{self.name}:members={self.members!r}: {spec.name} follows the network {network!r}; members learn "
                    "from the training images alone. Leave that option out."
                )
        return specs

    def held_out(self, images: Images) -> int:
        """How many training images the weights are learned from. Raises BadInput: more than half of all."""
        if (available := len(images.train)) < 2 * self.validation:
            raise BadInput(
                f"{self.name}:validation={self.validation} needs at least {2 * self.validation} training images; "
                f"{images.name} has {available}. Give a smaller validation."
            )
        return self.validation

    def _limited(self, spec: DenoiserSpec, available: int) -> DenoiserSpec:
        """The spec with fewer training images where its model is slow."""
        if not isinstance(spec, AveragingSpec) or spec.quick or not 0 < self.first < available:
            return spec
        return replace(spec, first=min(self.first, spec.first or self.first))

    def _learn(self, images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Artifact]:
        train = images.train
        left = len(train) - self.held_out(images)
        rest = Part(images, left)
        members, specs = [], [self._limited(spec, len(rest.train)) for spec in self.specs()]
        for spec in specs:
            members.append((yield from spec.fit(rest, compute, store)))
        bands = Bands.one(train.shape.d)
        if self.bands > 1:
            every = yield from fit_filter(images, compute, store)
            known = yield from fit_filter(rest, compute, store)
            bands = Bands.of(known, spaced(min(len(every.eigvals), len(known.eigvals)), self.bands))
        x0 = train.x0(slice(left, len(train))).to(compute.device)
        eps = field_noise(len(x0), train.shape.d, seed=0)
        mean, means = centres(specs, rest, compute)
        weights, prior, wanted = [], _prior(specs), x0 - mean.to(x0)
        for level, sigma in enumerate(SIGMAS):
            yield Progress(level, len(SIGMAS), f"Weights of the {self.name} at sigma {sigma:.2g}")
            x = x0 + sigma * eps.to(x0)
            answers = []
            for i, (member, its) in enumerate(zip(members, means, strict=True)):
                with torch.no_grad(), within(i / len(members), (i + 1) / len(members)):
                    answers.append(torch.cat([member(part, sigma) for part in x.split(_BATCH)]) - its.to(x0))
            weights.append(_by_band(torch.stack(answers), wanted, prior, bands).flatten())
        ends = {"ends": bands.ends} if bands.ends else {}
        return Artifact({"weights": torch.stack(weights)}, {"sigmas": SIGMAS, **ends})

    def shipment(self, images: Images, fitted: Denoiser, store: Store) -> Shipment:
        key = store_key(images.fingerprint, self)
        found = store.get(KIND, key)
        assert found is not None  # the fit has put it there
        return Shipment(KIND, key, found)


def store_key(fingerprint: str, spec: StackingSpec) -> dict[str, Any]:
    """What the weights depend on."""
    chosen = {"means": "of what is averaged"} if any(chooses(member) for member in spec.specs()) else {}
    return {"fingerprint": fingerprint, "spec": spec.key(), "version": VERSION, **chosen}


def _by_band(
    answers: Float[Tensor, "f b d"], target: Float[Tensor, "b d"], prior: Float[Tensor, " f"], bands: Bands
) -> Float[Tensor, "k f"]:
    """Weights of all bands as one, drawn to the prior, and where there are several, those of each, drawn to these."""
    shared = least_squares(answers, target, prior)
    if len(bands) == 1:
        return shared[None]
    parts = zip(bands.split(answers), bands.split(target), strict=True)
    return torch.stack([least_squares(away, wanted, shared) for away, wanted in parts])


def _prior(specs: Sequence[DenoiserSpec]) -> Float[Tensor, " f"]:
    """Wiener alone, or equal weights where it is no member."""
    named = torch.tensor([float(isinstance(spec, Wiener)) for spec in specs], dtype=torch.float64)
    chosen = named if bool(named.any()) else torch.ones_like(named)
    return chosen / chosen.sum()
