"""What the members of a stack answer where no signal is left: the mean of the images that each averages."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.bank import AveragingSpec
from locality.denoisers.parts.part import mean_image
from locality.denoisers.parts.spec import DenoiserSpec
from locality.device import Compute


def centres(
    specs: Sequence[DenoiserSpec], images: Images, compute: Compute
) -> tuple[Float[Tensor, " d"], Float[Tensor, "f d"]]:
    """The mean image, and that of the images each member averages: what it answers where no signal is left."""
    train = images.train
    counts = {spec.first for spec in specs if isinstance(spec, AveragingSpec)} | {0}
    known = {count: mean_image(train.first(min(count, len(train)) if count else None)) for count in counts}

    def averaged(spec: DenoiserSpec) -> Float[Tensor, " d"]:
        if not isinstance(spec, AveragingSpec):
            return known[0]
        if not chooses(spec):
            return known[spec.first]
        bank = spec.bank(images, compute)
        size = bank.fit(16 * train.shape.d, most=8192)
        total = sum(
            (chunk.sum(dim=0).cpu() for chunk in bank.chunks(size, torch.float64)), torch.zeros(train.shape.d).double()
        )
        return (total / len(bank)).float().cpu()

    return known[0], torch.stack([averaged(spec) for spec in specs])


def chooses(spec: DenoiserSpec) -> bool:
    """Whether a member averages other images than the first ones: of some classes, or mirrored ones too."""
    return isinstance(spec, AveragingSpec) and bool(spec.classes or spec.flips)
