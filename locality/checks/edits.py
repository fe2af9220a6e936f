"""What every edit must do, whoever wrote it. One function, one contract; its first line says what is promised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from torch import Tensor

from locality.checks.named import Checks, close, hold
from locality.checks.sets import Pair, eight_bit
from locality.checks.specs import explained, read, reversible
from locality.dataset import Dataset
from locality.device import Compute
from locality.edits import EDITS, EditSpec, Stage
from locality.linear.statistics import Statistics
from locality.store import Store
from locality.store.artifact import canonical
from locality.types import ImageShape

SHAPE, COUNT = ImageShape(3, 6, 5), 400  # where a closed form is exact
SMALL, MANY = ImageShape(2, 4, 3), 20_000  # where it holds in expectation
_ERRORS = 6  # standard errors that entries of mean and covariance may be away from their expectation
_OTHER = 5  # seed of the second set, for edits that name one


class EditCase:
    """A spec with small 8-bit sets and what an edit may ask of the set it changes."""

    def __init__(self, spec: EditSpec, store: Store) -> None:
        self.spec, self.store = spec, store

    def stage(self, shape: ImageShape, count: int) -> Stage:
        """Random images of a shape, and a second set where the edit names one."""
        other = Pair(eight_bit(count, shape, _OTHER, "other").data) if self.spec.other else None
        return Stage(Pair(eight_bit(count, shape).data), other, Compute(), self.store)

    def edited(self, stage: Stage, split: str = "train", count: int | None = None) -> Dataset:
        """The edited images of a split, or of its first ones."""
        train = stage.images.train
        data = Dataset(train.name, split, train.shape, train.data, train.labels).first(count)
        return self.spec.images(data, stage)


EDIT_CHECKS: Checks[EditCase] = Checks()
contract = EDIT_CHECKS.contract


def check_edit(spec: EditSpec | str) -> None:
    """Hold an edit to every contract, on small images made here.

    Args:
        spec: a spec, or the text of one: `name:option=value,...`; plug-ins of LOCALITY_PLUGINS are found.
    Raises:
        AssertionError: it does not meet one; names it, and what was found.
    """
    with edit_case(read(spec, EDITS)) as case:
        EDIT_CHECKS.every(case)


@contextmanager
def edit_case(spec: EditSpec) -> Iterator[EditCase]:
    """A case with a store of its own, gone afterwards."""
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))
        try:
            yield EditCase(spec, store)
        finally:
            store.close()


def moments(x: Float[Tensor, "n d"]) -> Statistics:
    """Number, mean and covariance of images, 1 / (n - 1), written out in float64."""
    centred = x.double() - x.double().mean(dim=0)
    cov = centred.T @ centred / (len(x) - 1)
    return Statistics(len(x), x.double().mean(dim=0), (cov + cov.T) / 2)


# --- what a spec declares


@contract()
def describes_itself(case: EditCase) -> None:
    """A sentence, a heading and a formula; help for every option, and for every number a lower end at least."""
    cls = type(case.spec)
    explained(cls)
    hold(cls.heading and cls.about, "heading or about is empty")
    low, high = case.spec.dial_range if cls.dial else (0.0, 1.0)
    hold(low < high, f"its dial goes from {low} to {high}")


@contract()
def survives_text(case: EditCase) -> None:
    """Written as text and parsed it is the same spec, with the same key and hash; so are those at other levels."""
    reversible(case.spec, EDITS)
    for spec in _levels(case.spec):
        reversible(spec, EDITS)


@contract(when=lambda spec: bool(spec.dial))
def dial_says_how_much(case: EditCase) -> None:
    """Each level of its dial is another edit that says its level, and makes other images."""
    stage = case.stage(SHAPE, 60)
    few = [spec.images(stage.images.train, stage).x0(slice(0, 60)) for spec in _levels(case.spec)]
    for spec, level in zip(_levels(case.spec), _ends(case.spec), strict=True):
        hold(spec.level == level, f"at level {level} it says {spec.level}")
    hold(not torch.equal(few[0], few[1]), "both ends of its dial make the same images")


@contract()
def identity_tells_edits_apart(case: EditCase) -> None:
    """What the edited images depend on is plain JSON, and differs between levels of the dial."""
    texts = {canonical(spec.identity(SHAPE)) for spec in (case.spec, *_levels(case.spec))}
    hold(len(texts) == len({case.spec, *_levels(case.spec)}), "different edits have the same identity")


def _ends(spec: EditSpec) -> tuple[float, ...]:
    return spec.dial_range if spec.dial else ()


def _levels(spec: EditSpec) -> list[EditSpec]:
    return [spec.scaled(level) for level in _ends(spec)]


# --- images


@contract()
def images_are_well_formed(case: EditCase) -> None:
    """Edited images are finite float32 or 8-bit, with a label each or none; those before are left alone."""
    stage = case.stage(SHAPE, COUNT)
    before = stage.images.train.data.clone()
    for split in ("train", "test"):
        after = case.edited(stage, split)
        hold(torch.equal(stage.images.train.data, before), "the images before were changed")
        hold(after.split == split, f"{split} images became {after.split} images")
        hold(after.data.isfinite().all(), "a pixel is not finite")
        hold(after.labels is None or len(after.labels) == len(after), "there is not one label for each image")


@contract()
def images_repeat(case: EditCase) -> None:
    """The same spec makes the same bytes again."""
    stage = case.stage(SHAPE, 60)
    for split in ("train", "test"):
        hold(torch.equal(case.edited(stage, split).data, case.edited(stage, split).data), f"other {split} images")


@contract()
def images_do_not_depend_on_those_behind(case: EditCase) -> None:
    """The first images of a split are edited in the same way whatever follows them.

    A float32 product of fewer images may be summed in another order: terms of order one, 1e-5.
    """
    stage = case.stage(SHAPE, 60)
    whole, part = case.edited(stage).x0(slice(0, 20)), case.edited(stage, count=20).x0(slice(0, 20))
    close(part, whole, case.spec.tolerance.get("images_do_not_depend_on_those_behind", 1e-5))


# --- statistics


@contract(when=lambda spec: spec.closed == "exact")
def mean_is_that_of_its_images(case: EditCase) -> None:
    """An exact mean is that of the edited images, to float32 rounding of these."""
    found, measured = _both(case)
    close(found.mean, measured.mean, case.spec.tolerance.get("mean_is_that_of_its_images", 2e-7))


@contract(when=lambda spec: spec.closed == "exact")
def covariance_is_that_of_its_images(case: EditCase) -> None:
    """An exact covariance is that of the edited images, to float32 rounding of these, and symmetric."""
    found, measured = _both(case)
    hold(found.count == measured.count, f"{found.count} images, there are {measured.count}")
    hold(torch.equal(found.cov, found.cov.T), "the covariance is not symmetric")
    size = max(float(measured.cov.abs().max()), 1.0)
    close(found.cov, measured.cov, case.spec.tolerance.get("covariance_is_that_of_its_images", 1e-6) * size)


@contract(when=lambda spec: spec.closed == "expected")
def statistics_are_those_of_many_images(case: EditCase) -> None:
    """Mean and covariance in expectation are within six standard errors of those of 20,000 edited images."""
    stage = case.stage(SMALL, MANY)
    before, after = moments(stage.images.train.x0(slice(None))), case.edited(stage).x0(slice(None)).double()
    found, measured = case.spec.statistics(before, stage), moments(after)
    assert found is not None
    centred = after - measured.mean
    apart = (found.mean - measured.mean).abs() - _ERRORS * centred.std(dim=0) / len(after) ** 0.5
    hold(float(apart.max()) <= 1e-9, f"a mean is {float(apart.max()):.3g} beyond its error")
    for a in range(SMALL.d):
        error = (centred[:, a : a + 1] * centred).std(dim=0) / len(after) ** 0.5
        beyond = float(((found.cov[a] - measured.cov[a]).abs() - _ERRORS * error).max())
        hold(beyond <= 1e-6, f"a covariance with coordinate {a} is {beyond:.3g} beyond its error")


@contract()
def says_how_its_statistics_are_known(case: EditCase) -> None:
    """There is a closed form where `closed` says so, and none where it says "none"."""
    stage = case.stage(SHAPE, 60)
    found = case.spec.statistics(moments(stage.images.train.x0(slice(None))), stage)
    hold((found is None) == (case.spec.closed == "none"), f"closed is {case.spec.closed!r}, found is {found}")


def _both(case: EditCase) -> tuple[Statistics, Statistics]:
    """The closed form, and what is measured on the edited images."""
    stage = case.stage(SHAPE, COUNT)
    found = case.spec.statistics(moments(stage.images.train.x0(slice(None))), stage)
    assert found is not None, "an exact edit has statistics"
    return found, moments(case.edited(stage).x0(slice(None)))
