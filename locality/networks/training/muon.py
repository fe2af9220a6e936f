"""Muon: the momentum of a weight matrix, made orthogonal, is its step, so that all its directions learn equally.

For a matrix W [r, c] (the kernel of a convolution: r output channels, c input channels times taps), gradient G,

    M <- .95 M + .05 G,    U = polar(.95 M + .05 G),    W <- W - rate BOOST .2 sqrt(max(r, c)) U,

polar(A) being the orthogonal factor of A, here to about 30 % by five steps of an odd polynomial of degree five.

Sources: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks" (momentum, polynomial);
Liu et al. 2025 (arXiv 2502.16982), equation 4 (the factor .2 sqrt(max(r, c)), which gives steps the size of Adam's).
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

BOOST = 4.0  # rate of the matrices over that of all else: 3 to 6 learn alike, 20 does not hold
_MOMENTUM = 0.95
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.AdamW):
    """Muon for the matrices of linear and convolutional layers but the first and the last, AdamW for all else."""

    def __init__(self, net: nn.Module, work: torch.dtype, **adam: Any) -> None:
        super().__init__(net.parameters(), **adam)
        self._work = work  # what the products are computed in
        layers = [module.weight for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        self._alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)  # matrices of one shape step together
        for weight in layers[1:-1]:
            self._alike[weight.shape[0], weight[0].numel()].append(weight)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; AdamW's part of it passes by the matrices, whose gradients are taken away."""
        rate = BOOST * self.param_groups[0]["lr"]
        for (rows, columns), weights in self._alike.items():
            stack = torch.stack([self._momentum(weight).reshape(rows, columns) for weight in weights])
            for weight, step in zip(weights, orthogonal(stack.to(self._work)).to(stack.dtype), strict=True):
                weight.add_(step.reshape(weight.shape), alpha=-rate * 0.2 * math.sqrt(max(rows, columns)))
                weight.grad = None
        return super().step(closure)

    def _momentum(self, weight: Tensor) -> Tensor:
        """Nesterov's momentum of the gradient, [as the weight]."""
        grad = weight.grad
        assert grad is not None
        state = self.state[weight]
        if not state:
            # AdamW asks each state for a step
            state |= {"step": weight.new_zeros(()), "momentum": torch.zeros_like(weight)}
        mean: Tensor = state["momentum"].lerp_(grad, 1.0 - _MOMENTUM)
        return grad.lerp(mean, _MOMENTUM)


def orthogonal(matrices: Float[Tensor, "n r c"]) -> Float[Tensor, "n r c"]:
    """Matrices of the same singular vectors with singular values of about 1 (.7 to 1.2), where they are not tiny."""
    a, b, c = _POLYNOMIAL
    tall = matrices.shape[1] > matrices.shape[2]
    x: Tensor = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
