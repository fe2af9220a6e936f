"""Edits that are a linear map of every image about a fixed one: their statistics are exact.

x0' = m + L (x0 - m),   mean' = m + L (mean - m),   S' = L S L^T
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

from locality.dataset import Dataset
from locality.edits.parts.spec import EditSpec, Stage, transformed
from locality.linear.statistics import Statistics, covariance_of, fit_filter
from locality.linear.wiener import WienerFilter
from locality.types import ImageShape
from locality.work import Progress

T = TypeVar("T")
Map = Callable[[Float[Tensor, "k d"]], Float[Tensor, "k d"]]


@dataclass(frozen=True)
class LinearEdit(EditSpec):
    """Base of the linear edits that need nothing but the shape: a map about zero."""

    @abstractmethod
    def linear(self, x: Float[Tensor, "k d"], shape: ImageShape) -> Float[Tensor, "k d"]:
        """L x for every row, in the type of x."""

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        return transformed(data, lambda x0, rows: self.linear(x0, data.shape))

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        shape = stage.images.shape
        return mapped(before, lambda x: self.linear(x, shape))


@dataclass(frozen=True)
class FittedEdit(EditSpec):
    """Base of the linear edits whose map follows from the statistics before: about the mean."""

    @property
    def tolerance(self) -> Mapping[str, float]:
        # The map follows from eigenvectors that are stored in float32.
        return {
            "mean_is_that_of_its_images": 1e-6,
            "covariance_is_that_of_its_images": 5e-6,
            "images_do_not_depend_on_those_behind": 1e-6,
        }

    @abstractmethod
    def fitted(self, before: Statistics, stage: Stage) -> Map:
        """L, for rows of any float type."""

    def images(self, data: Dataset, stage: Stage) -> Dataset:
        before = before_edit(stage)
        change, mean = self.fitted(before, stage), before.mean.float()
        return transformed(data, lambda x0, rows: mean + change(x0 - mean))

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        after = mapped(before, self.fitted(before, stage))
        return replace(after, mean=before.mean)


def mapped(before: Statistics, linear: Map) -> Statistics:
    """Statistics of images that went through a linear map."""
    half = linear(before.cov)  # S L^T: every row of S is an image
    return Statistics(before.count, linear(before.mean[None])[0], symmetric(linear(half.T.contiguous())))


def symmetric(cov: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The mean of a matrix and its transpose: rounding leaves them apart."""
    return (cov + cov.T).mul_(0.5)


def before_edit(stage: Stage) -> Statistics:
    """Mean and covariance of the set an edit changes."""
    return covariance_of(filter_before(stage))


def filter_before(stage: Stage) -> WienerFilter:
    """The eigendecomposition of the set an edit changes."""
    return run(fit_filter(stage.images, stage.compute, stage.store))


def run(work: Generator[Progress, None, T]) -> T:
    """The result of a fit that is asked for inside another result: what it says of its progress is not heard."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found


def pixels(x: Float[Tensor, "k d"], shape: ImageShape) -> Float[Tensor, "k c h w"]:
    """Flat rows as images."""
    return x.reshape(len(x), *shape)
