"""What every dataset must do, whoever wrote it. One function, one contract; its first line says what is promised."""

from __future__ import annotations

import os
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import torch

from locality.checks.named import Checks, hold, refuses
from locality.checks.specs import explained, read, reversible
from locality.dataset import Dataset
from locality.datasets import DATASETS, DatasetSpec, Split
from locality.datasets.parts.excerpt import shipped_excerpt
from locality.errors import BadInput, DataUnavailable

SPLITS: tuple[Split, ...] = get_args(Split)


class DatasetCase:
    """A spec whose images are read once. Where it can write stand-ins for images nobody may pass on, these are read."""

    def __init__(self, spec: DatasetSpec, folder: Path) -> None:
        self.folder = folder
        made = spec.stand_in(folder)
        self.spec, self.made = made or spec, made is not None
        self._loaded: dict[Split, Dataset] = {}

    def load(self, split: Split) -> Dataset:
        """The images of a split. Raises unittest.SkipTest where they are not on this machine."""
        if split not in self._loaded:
            with self.place():
                if why := self.spec.missing():
                    raise unittest.SkipTest(f"no {self.spec.name} images here: {why}")
                self._loaded[split] = self.spec.load(split)
        return self._loaded[split]

    @contextmanager
    def place(self) -> Iterator[None]:
        """Stand-ins are found where LOCALITY_DATA points."""
        with environment(**({"LOCALITY_DATA": str(self.folder)} if self.made else {})):
            yield


DATASET_CHECKS: Checks[DatasetCase] = Checks()
contract = DATASET_CHECKS.contract


def check_dataset(spec: DatasetSpec | str) -> None:
    """Hold a dataset to every contract, on its own images or on stand-ins that it writes.

    Args:
        spec: a spec, or the text of one: `name:option=value,...`; plug-ins of LOCALITY_PLUGINS are found.
    Raises:
        AssertionError: it does not meet one; names it, and what was found.
        unittest.SkipTest: its images are not on this machine; says how to get them.
    """
    with TemporaryDirectory() as folder:
        case = DatasetCase(read(spec, DATASETS), Path(folder))
        _loads(case)
        DATASET_CHECKS.every(case)


def _loads(case: DatasetCase) -> None:
    """Images that cannot be read are no matter of whichever contract looks at them first."""
    for split in SPLITS:
        try:
            case.load(split)
        except unittest.SkipTest:  # for the contracts to say
            return
        except BadInput as error:
            raise AssertionError(
                f"{case.spec}: its {split} images cannot be loaded. {error} Images are given flat, [n, d], d = c h w."
            ) from error


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contract()
def describes_itself(case: DatasetCase) -> None:
    """Title, origin, licence and a sentence; help for every option, and for every number a lower end at least."""
    info = case.spec.info
    explained(type(case.spec))
    hold(info.title and info.source and info.licence, "title, source or licence is empty")
    hold(info.about.endswith("."), f"about is no sentence: {info.about!r}")


@contract()
def survives_text(case: DatasetCase) -> None:
    """Written as text and parsed it is the same spec, with the same key and hash."""
    reversible(case.spec, DATASETS)


@contract()
def absence_is_explained(case: DatasetCase) -> None:
    """On a machine without the files it says how to get them, and loading fails with the same text."""
    with TemporaryDirectory() as empty, environment(LOCALITY_DATA=empty, XDG_DATA_HOME=empty):
        spec = type(case.spec)()
        text = spec.missing()
        if not text:  # made or shipped: works anywhere
            hold(len(spec.load("test")), "nothing is missing, and yet there is no test image")
            return
        hold(any(way in text for way in ("Run `", "LOCALITY_DATA", "path")), f"{text!r} does not say how to get them")
        hold(spec.count("train") != 0, "it has no training image")
        excerpt = shipped_excerpt(spec)
        if excerpt is not None:
            same = torch.equal(spec.load("test").data, excerpt.data)
            same &= spec.count("test") == len(excerpt) == spec.excerpt
            hold(same, "its held-out images are not those shipped")
        for split in SPLITS if excerpt is None else ("train",):
            try:
                spec.load(split)
            except DataUnavailable as error:
                hold(text in str(error), f"loading says {str(error)!r}, missing() {text!r}")
            else:
                raise AssertionError("loading works though missing() says that it cannot")


@contract()
def images_are_well_formed(case: DatasetCase) -> None:
    """Images have the declared shape, number and type; labels are one whole number each."""
    for split in SPLITS:
        data, spec = case.load(split), case.spec
        got, want = (data.name, data.split, data.shape), (spec.name, split, spec.shape)
        hold(got == want, f"name, split and shape are {got}, declared as {want}")
        with case.place():
            hold(len(data) == spec.count(split), f"{len(data)} {split} images, {spec.count(split)} declared")
        hold(data.data.shape == (len(data), spec.shape.d), f"the images are {tuple(data.data.shape)}")
        hold(data.data.dtype in (torch.uint8, torch.float32), f"pixels are {data.data.dtype}")
        hold(data.is_8bit or torch.isfinite(data.data).all(), "a pixel is not finite")
        below = data.is_8bit or (data.data < 0).any()
        hold(below, "no float is below 0: give x0 in [-1, 1], which is 2 v - 1 of values v in [0, 1], or 8-bit pixels")
        if data.labels is not None:
            hold(data.labels.shape == (len(data),), f"labels have shape {tuple(data.labels.shape)}")
            hold(data.labels.dtype == torch.int64, f"labels are {data.labels.dtype}")


@contract()
def loading_is_repeatable(case: DatasetCase) -> None:
    """Loading again, from an equal spec, gives the same bytes; known digests are the true ones."""
    for split in SPLITS:
        data = case.load(split)
        with case.place():
            again = DATASETS.parse(case.spec.text()).load(split)
        hold(again is not data and again.fingerprint == data.fingerprint, f"other {split} images the second time")
        known = case.spec.known_fingerprint(split)
        same = known is None or data.fingerprint == known
        hold(same, f"the {split} images have the digest {data.fingerprint}, known is {known}")


@contract()
def splits_share_no_image(case: DatasetCase) -> None:
    """No test image is a training image."""
    seen = {row.numpy().tobytes() for row in case.load("train").data}
    shared = sum(row.numpy().tobytes() in seen for row in case.load("test").data)
    hold(shared == 0, f"{shared} test images are training images")


@contract()
def first_takes_a_prefix(case: DatasetCase) -> None:
    """first(n) is the first n images, another content, and refuses what does not exist."""
    data = case.load("train")
    part = data.first(2)
    hold(torch.equal(part.data, data.data[:2]), "the first two are others")
    hold(part.fingerprint != data.fingerprint, "two images have the digest of all")
    hold(data.first(None) is data, "None is not all of them")
    refuses(BadInput, f"give 1..{len(data)}", lambda: data.first(0))
    refuses(BadInput, f"give 1..{len(data)}", lambda: data.first(len(data) + 1))
