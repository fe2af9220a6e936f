"""The gradient of a batch on a processor of several cores: each takes some of the images through the whole network.

With all cores at each layer they wait for one another some hundred times a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from locality.networks.parts.side_by_side import apart

_KNOWN = (
    "torch.nn.modules.",
    "diffusers.models.",
    "locality.networks.",
)  # homes of layers that do no more than they say
_LEAST = 2  # images for a core


def takes_images_apart(net: nn.Module) -> bool:
    """Whether a network's answer to an image depends on that image alone, so that batches may be shared out.

    Layers that draw (dropout), that look at the whole batch (its normalisation) or that nobody here knows do not.
    """
    parts = list(net.modules())
    known = all(f"{type(part).__module__}.".startswith(_KNOWN) for part in parts)
    drawn = any(isinstance(part, _BatchNorm) or (isinstance(part, _DropoutNd) and part.p > 0.0) for part in parts)
    return known and not drawn


def add_slopes(net: nn.Module, batch: Sequence[Tensor], loss: Callable[..., Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """Add the gradients of `loss(*batch)`, a mean over images, to those of the weights; the loss."""
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    count = len(batch[0])

    def part(first: int, last: int) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        found = loss(*(tensor[first:last] for tensor in batch)) * ((last - first) / count)
        return found.detach(), torch.autograd.grad(found, weights, allow_unused=True)

    made = apart(count, part, max(1, count // _LEAST))
    for slopes in zip(weights, *(slopes for _, slopes in made), strict=True):
        _add(*slopes)
    return torch.stack([found for found, _ in made]).sum()


def _add(weight: Tensor, *slopes: Tensor | None) -> None:
    for slope in slopes:
        if slope is not None:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)  # as the weight lies in memory, as fused optimisers take it
            weight.grad += slope
