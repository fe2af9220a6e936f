"""Several scales of patches and the Wiener filter, combined by weights learned on images set aside."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Dataset
from locality.denoisers.parts import mixture as gaussians
from locality.denoisers.parts.blend import held_out
from locality.denoisers.parts.combine import estimate_mix
from locality.denoisers.parts.scale import Scale
from locality.denoisers.parts.scale_fit import Plan, learn_scale
from locality.denoisers.parts.subspace import SubspaceMixture
from locality.fields.codec import TABLE_SIGMAS
from locality.linear.wiener import WienerFilter
from locality.schedule import between
from locality.store import Artifact
from locality.types import ImageShape
from locality.work import Progress, map_progress, within


@dataclass(frozen=True, eq=False)
class ScalesDenoiser:
    """D_wiener + sum_f a_f(sigma) (D_f - D_wiener), a in `weights` [s f] at TABLE_SIGMAS, linear in ln sigma between.

    A scale without weight at a noise level is not computed there. Memory: that of the scales and of the filter.
    """

    shape: ImageShape
    wiener: WienerFilter
    scales: tuple[Scale, ...]
    weights: Float[Tensor, "s f"]

    def on(self, device: torch.device) -> ScalesDenoiser:
        """The same on a device; the weights, from which numbers are read, stay."""
        wiener, scales = self.wiener.on(device), tuple(scale.on(device) for scale in self.scales)
        return self if wiener is self.wiener else replace(self, wiener=wiener, scales=scales)

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Estimates of the images; differentiable in x.

        Raises:
            BadInput: images of another size, or sigma is not a noise level.
            NonFinite: x holds NaN or infinity.
        """
        self.shape.check(x)
        weights = between(TABLE_SIGMAS, self.weights, sigma).tolist()
        linear = self.wiener(x, sigma)
        answer, used = linear, [(scale, a) for scale, a in zip(self.scales, weights, strict=True) if a]
        for i, (scale, a) in enumerate(used):
            with within(i / len(used), (i + 1) / len(used)):
                answer = answer + a * (scale(x, sigma) - linear)
        return answer


def learn_scales(
    train: Dataset, sides: Mapping[int, int], positions: int, plan: Plan, wiener: WienerFilter, memory: int
) -> Generator[Progress, None, ScalesDenoiser]:
    """A scale for every side of `sides` at its rank, with positions > 1 another one by regions; then their weights.

    The last images of the set, as many as `held_out` says, are left out of the scales and judge them. Scales that
    have no weight at any noise level are dropped.
    """
    aside = held_out(len(train))
    seen = train.first(max(1, len(train) - aside))
    largest = max(train.shape.h, train.shape.w)
    asked = [
        (side, rank, grid)
        for side, rank in sides.items()
        for grid in dict.fromkeys((1, min(positions, largest - side + 1)))
    ]
    made: list[Scale] = []
    for side, rank, grid in asked:
        yield (begun := Progress(len(made), len(asked) + 1, f"Patches of {side} pixels"))

        def change(event: Progress, before: float = begun.done) -> Progress:
            return Progress(before + event.fraction, len(asked) + 1, event.note, event.numbers)

        made.append((yield from map_progress(learn_scale(seen, side, rank, grid, plan, memory), change)))

    def last(event: Progress) -> Progress:
        return Progress(len(asked) + event.fraction, len(asked) + 1, event.note)

    weights = yield from map_progress(estimate_mix(made, wiener, train.x0(slice(len(seen), None)), plan.seed), last)
    used = weights.any(dim=0)
    return ScalesDenoiser(
        train.shape, wiener, tuple(scale for scale, use in zip(made, used, strict=True) if use), weights[:, used]
    )


def pack(fitted: ScalesDenoiser, *, compact: bool) -> Artifact:
    """A fit as an artefact, without its Wiener filter; `compact` to ship it, 2 K q^2 + 4 m q bytes a mixture."""
    arrays, about = {"weights": fitted.weights}, []
    for i, scale in enumerate(fitted.scales):
        about.append({"window": scale.window, "grid": scale.grid, "precise": scale.precise})
        for j, mixture in enumerate(scale.mixtures):
            own = {"mean": mixture.mean, "basis": mixture.basis, "rests": mixture.rests}
            inner = gaussians.pack(mixture.inner, compact=compact).arrays
            arrays |= {f"{i}.{j}.{name}": array for name, array in own.items()}
            arrays |= {f"{i}.{j}.inner.{name}": array for name, array in inner.items()}
    return Artifact(arrays, {"shape": list(fitted.shape), "scales": about})


def unpack(artifact: Artifact, wiener: WienerFilter, memory: int) -> ScalesDenoiser:
    """The fit of an artefact made by `pack`."""
    meta: Any = artifact.meta
    shape = ImageShape(*meta["shape"])
    scales = []
    for i, about in enumerate(meta["scales"]):
        count = sum(name.startswith(f"{i}.") and name.endswith(".basis") for name in artifact.arrays)
        mixtures = tuple(_mixture(artifact, f"{i}.{j}.") for j in range(count))
        scales.append(Scale(shape, about["window"], about["grid"], about["precise"], mixtures, memory))
    return ScalesDenoiser(shape, wiener, tuple(scales), artifact.arrays["weights"])


def _mixture(artifact: Artifact, prefix: str) -> SubspaceMixture:
    own = {name.removeprefix(prefix): array for name, array in artifact.arrays.items() if name.startswith(prefix)}
    inner = {name.removeprefix("inner."): array for name, array in own.items() if name.startswith("inner.")}
    return SubspaceMixture(own["mean"], own["basis"], own["rests"], gaussians.unpack(Artifact(inner)))
