"""Stacked denoisers: the least-squares combination of chosen models, learned from training images alone."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.bank import AveragingSpec
from locality.denoisers.parts.part import Part, mean_image
from locality.denoisers.parts.spec import DENOISERS, DenoiserSpec
from locality.denoisers.wiener import Wiener
from locality.device import Compute, placed
from locality.errors import BadInput
from locality.fields.jacobian import field_rows
from locality.grammar import read_chain
from locality.noise import field_noise
from locality.schedule import check_sigma, log_grid
from locality.specs import param
from locality.store import Shipment, Store
from locality.store.artifact import Artifact
from locality.types import Denoiser, ImageShape
from locality.work import Progress, within

KIND, VERSION = "stack", 4
SIGMAS = log_grid(0.02, 40.0, 12)  # noise levels the weights are learned at, linear in ln sigma between
_RIDGES = tuple(10.0**power for power in range(-3, 7))  # of the normal matrix's mean diagonal
_BATCH = 32  # noisy images per call of a member


@DENOISERS.register("stack")
@dataclass(frozen=True)
class Stack(DenoiserSpec):
    """mu + sum_f a_f(sigma) (D_f - mu_f), a_f by least squares on training images held out from the members.

    mu_f is the mean of the images that member f averages: what it answers where no signal is left.

    A ridge draws the weights to those of Wiener alone, as strongly as leaving out one held-out image at a time finds
    best: where hardly any signal is left the members differ by chance, and weights that follow it do harm.
    """

    paper: ClassVar[str] = "Ours: stacked regression (Breiman 1996) of denoisers; no network is used"
    cost: ClassVar[str] = "the sum of its members"
    examples: ClassVar[tuple[str, ...]] = ("stack:members=wiener+optimal+pca_locality,validation=8",)

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
            return f"stack: its local members average the first {self.first:,} of {available:,} training images."
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
        mean, means = _means(specs, images, compute)
        return StackDenoiser(images.shape, tuple(members), mean, means, found.arrays["weights"])

    def specs(self) -> list[DenoiserSpec]:
        """The members, with their options.

        Raises:
            UnknownName: no such model.
            BadInput: a model named twice with the same options, a stack, a member that follows a network.
        """
        words = DENOISERS.words()
        specs = [DENOISERS[name].parse(options) for name, options in read_chain(self.members, words, words)]
        if len(set(specs)) < len(specs) or any(isinstance(spec, Stack) for spec in specs):
            raise BadInput(f"stack:members={self.members!r}: name each model once, joined by '+', without stack.")
        for spec in specs:
            if network := spec.network_needed():
                raise BadInput(
                    f"stack:members={self.members!r}: {spec.name} follows the network {network!r}; members learn from "
                    "the training images alone. Leave that option out."
                )
        return specs

    def _limited(self, spec: DenoiserSpec, available: int) -> DenoiserSpec:
        """The spec with fewer training images where its model is slow."""
        if not isinstance(spec, AveragingSpec) or spec.quick or not 0 < self.first < available:
            return spec
        return replace(spec, first=min(self.first, spec.first or self.first))

    def _learn(self, images: Images, compute: Compute, store: Store) -> Generator[Progress, None, Artifact]:
        train = images.train
        if len(train) < 2 * self.validation:
            raise BadInput(
                f"stack:validation={self.validation} needs at least {2 * self.validation} training images; "
                f"{images.name} has {len(train)}. Give a smaller validation."
            )
        rest = Part(images, len(train) - self.validation)
        members, specs = [], [self._limited(spec, len(rest.train)) for spec in self.specs()]
        for spec in specs:
            members.append((yield from spec.fit(rest, compute, store)))
        x0 = train.x0(slice(len(train) - self.validation, len(train))).to(compute.device)
        eps = field_noise(len(x0), train.shape.d, seed=0)
        mean, means = _means(specs, rest, compute)
        weights = torch.zeros(len(SIGMAS), len(members), dtype=torch.float64)
        prior = _prior(specs)
        for level, sigma in enumerate(SIGMAS):
            yield Progress(level, len(SIGMAS), f"Weights of the stack at sigma {sigma:.2g}")
            x = x0 + sigma * eps.to(x0)
            answers = []
            for i, (member, its) in enumerate(zip(members, means, strict=True)):
                with torch.no_grad(), within(i / len(members), (i + 1) / len(members)):
                    answers.append(torch.cat([member(part, sigma) for part in x.split(_BATCH)]) - its.to(x0))
            weights[level] = least_squares(torch.stack(answers), x0 - mean.to(x0), prior)
        return Artifact({"weights": weights}, {"sigmas": SIGMAS})

    def shipment(self, images: Images, fitted: Denoiser, store: Store) -> Shipment:
        key = store_key(images.fingerprint, self)
        found = store.get(KIND, key)
        assert found is not None  # the fit has put it there
        return Shipment(KIND, key, found)


def store_key(fingerprint: str, spec: Stack) -> dict[str, Any]:
    """What the weights depend on."""
    chosen = {"means": "of what is averaged"} if any(_chooses(member) for member in spec.specs()) else {}
    return {"fingerprint": fingerprint, "spec": spec.key(), "version": VERSION, **chosen}


@dataclass(frozen=True, eq=False)
class StackDenoiser:
    """Members at their weights; outside the levels the weights of the nearest one. Memory: that of the members."""

    shape: ImageShape
    members: tuple[Denoiser, ...]
    mean: Float[Tensor, " d"]
    means: Float[Tensor, "f d"]
    weights: Float[Tensor, "s f"]

    def on(self, device: torch.device) -> StackDenoiser:
        """The same on a device; the weights, from which numbers are read, stay."""
        members = tuple(placed(member, device) for member in self.members)
        return replace(self, members=members, mean=self.mean.to(device), means=self.means.to(device))

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma), NonFinite (x), TooLarge (memory budget)."""
        self.shape.check(x)
        mean, total = self.mean.to(x), torch.zeros_like(x)
        weights = self.weights_at(check_sigma(sigma)).tolist()
        for i, (member, weight) in enumerate(zip(self.members, weights, strict=True)):
            with within(i / len(weights), (i + 1) / len(weights)):
                total = total + weight * (member(x, sigma) - self.means[i].to(x))
        return mean + total

    def with_parts(self, change: Callable[[Denoiser], Denoiser]) -> Denoiser:
        return replace(self, members=tuple(map(change, self.members)))

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"]:
        """The same combination of the members' rows. Raises as a call."""
        self.shape.check(x)
        weights = self.weights_at(check_sigma(sigma)).tolist()
        rows = [
            weight * field_rows(member, x, outputs, sigma) for member, weight in zip(self.members, weights, strict=True)
        ]
        return torch.stack(rows).sum(dim=0)

    def weights_at(self, sigma: float) -> Float[Tensor, " f"]:
        """a_f(sigma), linear in ln sigma between the levels."""
        above = min(max(bisect.bisect(SIGMAS, sigma), 1), len(SIGMAS) - 1)
        low, high = math.log(SIGMAS[above - 1]), math.log(SIGMAS[above])
        part = min(max((math.log(sigma) - low) / (high - low), 0.0), 1.0)
        return torch.lerp(self.weights[above - 1], self.weights[above], part)


def least_squares(
    answers: Float[Tensor, "f b d"], target: Float[Tensor, "b d"], prior: Float[Tensor, " f"]
) -> Float[Tensor, " f"]:
    """Weights a that make sum_f a_f answers_f most like the target, with a ridge towards the prior; float64.

    The ridge is the largest of `_RIDGES` whose error on images left out of b, one at a time, is within two standard
    errors of the least: a hundred images have a mean of their own, and weights that fit it do harm.
    """
    flat, wanted, prior = answers.double(), target.double(), prior.double().to(answers.device)
    normals = torch.einsum("fbd,gbd->bfg", flat, flat)
    right = torch.einsum("fbd,bd->bf", flat, wanted)
    every, sums = normals.sum(dim=0), right.sum(dim=0)
    scale = every.diagonal().mean() * torch.eye(len(flat), dtype=torch.float64, device=flat.device)

    def solved(normal: Float[Tensor, "*b f f"], side: Float[Tensor, "*b f"], ridge: float) -> Float[Tensor, "*b f"]:
        moved: Tensor = torch.linalg.solve(normal + ridge * scale, side - normal @ prior)
        return prior + moved

    def left_out(ridge: float) -> Float[Tensor, " b"]:
        a = solved(every - normals, sums - right, ridge)
        errors: Tensor = torch.einsum("bf,bfg,bg->b", a, normals, a) - 2.0 * (a * right).sum(dim=1)
        return errors

    errors = {ridge: left_out(ridge) for ridge in _RIDGES}
    best = min(errors.values(), key=lambda found: float(found.sum()))
    more = {ridge: found - best for ridge, found in errors.items()}
    close = [r for r, by in more.items() if float(by.mean()) <= 2.0 * float(by.std()) / len(by) ** 0.5]
    weights: Float[Tensor, " f"] = solved(every, sums, max(close))
    return weights.cpu()


def _means(
    specs: Sequence[DenoiserSpec], images: Images, compute: Compute
) -> tuple[Float[Tensor, " d"], Float[Tensor, "f d"]]:
    """The mean image, and that of the images each member averages: what it answers where no signal is left."""
    train = images.train
    counts = {spec.first for spec in specs if isinstance(spec, AveragingSpec)} | {0}
    known = {count: mean_image(train.first(min(count, len(train)) if count else None)) for count in counts}

    def averaged(spec: DenoiserSpec) -> Float[Tensor, " d"]:
        if not isinstance(spec, AveragingSpec):
            return known[0]
        if not _chooses(spec):
            return known[spec.first]
        bank = spec.bank(images, compute)
        size = bank.fit(16 * train.shape.d, most=8192)
        total = sum(
            (chunk.sum(dim=0).cpu() for chunk in bank.chunks(size, torch.float64)), torch.zeros(train.shape.d).double()
        )
        return (total / len(bank)).float().cpu()

    return known[0], torch.stack([averaged(spec) for spec in specs])


def _chooses(spec: DenoiserSpec) -> bool:
    """Whether a member averages other images than the first ones: of some classes, or mirrored ones too."""
    return isinstance(spec, AveragingSpec) and bool(spec.classes or spec.flips)


def _prior(specs: Sequence[DenoiserSpec]) -> Float[Tensor, " f"]:
    """Wiener alone, or equal weights where it is no member."""
    named = torch.tensor([float(isinstance(spec, Wiener)) for spec in specs], dtype=torch.float64)
    chosen = named if bool(named.any()) else torch.ones_like(named)
    return chosen / chosen.sum()
