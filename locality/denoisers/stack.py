"""Stacked denoisers: the least-squares combination of chosen models, learned from training images alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.stacking import StackingSpec


@DENOISERS.register("stack")
@dataclass(frozen=True)
class Stack(StackingSpec):
    """mu + sum_f a_f(sigma) (D_f - mu_f), a_f by least squares on training images held out from the members.

    mu_f is the mean of the images that member f averages: what it answers where no signal is left.

    A ridge draws the weights to those of Wiener alone, as strongly as leaving out one held-out image at a time finds
    best: where hardly any signal is left the members differ by chance, and weights that follow it do harm.

    With `bands`, each band of principal components has weights of its own, drawn to those of all bands as one.
    """

    paper: ClassVar[str] = "Ours: stacked regression (Breiman 1996) of denoisers; no network is used"
    cost: ClassVar[str] = "the sum of its members"
    examples: ClassVar[tuple[str, ...]] = (
        "stack:members=wiener+optimal+pca_locality,validation=8",
        "stack:members=wiener+optimal,validation=8,bands=3",
    )
