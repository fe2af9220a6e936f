"""What every metric must do, whoever wrote it. One function, one contract; its first line says what is promised."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.checks.named import Checks, close, hold
from locality.checks.sets import COLOUR, GREY, eight_bit
from locality.checks.specs import explained, read, reversible
from locality.metrics import SCORES, ScoreSpec
from locality.types import ImageShape

_COUNT = 12


class MetricCase:
    """A spec with small images to compare."""

    def __init__(self, spec: ScoreSpec) -> None:
        self.spec = spec

    def pair(self, shape: ImageShape, noise: float) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """Estimates and what they are compared with: the same images and noise on them."""
        target = eight_bit(_COUNT, shape).x0().float()
        eps = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
        return target + noise * eps, target

    def scores(self, estimate: Tensor, target: Tensor, shape: ImageShape) -> Float64[Tensor, " n"]:
        """The scores of some images."""
        return self.spec.scores(estimate, target, shape)


METRIC_CHECKS: Checks[MetricCase] = Checks()
contract = METRIC_CHECKS.contract


def check_metric(spec: ScoreSpec | str) -> None:
    """Hold a metric to every contract, on small images made here.

    Args:
        spec: a spec, or the text of one: `name:option=value,...`; plug-ins of LOCALITY_PLUGINS are found.
    Raises:
        AssertionError: it does not meet one; names it, and what was found.
    """
    METRIC_CHECKS.every(MetricCase(read(spec, SCORES)))


@contract()
def describes_itself(case: MetricCase) -> None:
    """A sentence, a heading, what is computed and which end is better; help for every option."""
    cls = type(case.spec)
    explained(cls)
    hold(cls.heading and cls.about, "heading or about is empty")
    hold(cls.better in ("higher", "lower"), f"better is {cls.better!r}")


@contract()
def survives_text(case: MetricCase) -> None:
    """Written as text and parsed it is the same spec, with the same key and hash."""
    reversible(case.spec, SCORES)


@contract()
def scores_are_one_number_each(case: MetricCase) -> None:
    """One float64 for each image, finite on ordinary images; the images are left alone."""
    for shape in (COLOUR, GREY):
        estimate, target = case.pair(shape, 0.2)
        before = estimate.clone(), target.clone()
        found = case.scores(estimate, target, shape)
        hold((found.shape, found.dtype) == ((_COUNT,), torch.float64), f"{tuple(found.shape)}, {found.dtype}")
        hold(found.isfinite().all(), "a score is not finite")
        hold(torch.equal(estimate, before[0]) and torch.equal(target, before[1]), "the images were changed")


@contract()
def images_do_not_meet(case: MetricCase) -> None:
    """An image has the same score alone and among others, and every time."""
    estimate, target = case.pair(COLOUR, 0.2)
    together = case.scores(estimate, target, COLOUR)
    each = [case.scores(estimate[i : i + 1], target[i : i + 1], COLOUR) for i in range(_COUNT)]
    close(torch.cat(each), together, 1e-9 * (1 + float(together.abs().max())))
    hold(torch.equal(case.scores(estimate, target, COLOUR), together), "the second time it differs")


@contract()
def the_better_end_is_the_better_one(case: MetricCase) -> None:
    """On average the same images are rated better than noisy ones, and these than noisier ones."""
    means = [float(case.scores(*case.pair(COLOUR, noise), COLOUR).nanmean()) for noise in (0.0, 0.3, 1.0)]
    order = sorted(means, reverse=case.spec.better == "higher")
    hold(means == order and means[0] != means[2], f"{case.spec.better} is better, with growing noise it is {means}")
