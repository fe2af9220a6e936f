"""The gradient of a batch, its images shared out among the cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from locality.networks.parts.apart import apart, parts_of

_LEAST = 2  # images for a core
_MOST = 512 * 1024**2  # bytes of gradients, of which each part has its own


def add_slopes(
    net: nn.Module, batch: Sequence[Tensor], loss: Callable[..., Float[Tensor, ""]], shared: bool = True
) -> Float[Tensor, ""]:
    """Add the gradients of `loss(*batch)`, a mean over images, to those of the weights; the loss.

    Shared, which is for a network that `takes_images_apart`, each core takes some of the images.
    """
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    count, size = len(batch[0]), sum(weight.nbytes for weight in weights)
    parts = min(parts_of(count, _LEAST), _MOST // max(size, 1)) if shared else 1
    if parts <= 1:
        whole = loss(*batch)
        whole.backward()
        return whole.detach()

    def part(first: int, last: int) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        found = loss(*(tensor[first:last] for tensor in batch)) * ((last - first) / count)
        return found.detach(), torch.autograd.grad(found, weights, allow_unused=True)

    made = apart(count, part, parts)
    for slopes in zip(weights, *(slopes for _, slopes in made), strict=True):
        _add(*slopes)
    return torch.stack([found for found, _ in made]).sum()


def _add(weight: Tensor, *slopes: Tensor | None) -> None:
    for slope in slopes:
        if slope is not None:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)  # as the weight lies in memory, as fused optimisers take it
            weight.grad += slope
