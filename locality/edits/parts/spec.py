"""What every edit declares: how it changes images, and what that does to their mean and covariance.

An edit of a dataset acts on the images one split at a time. Where the mean and covariance of the edited
training images follow without looking at these, `statistics` gives them: `exact` for these very images, or
`expected` over the edit's random draws (the images of one seed scatter about it as 1 / sqrt(n)).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.device import Compute
from locality.errors import BadInput
from locality.linear.statistics import Derived, Statistics
from locality.pictures.room import filled
from locality.specs import Registry, Spec
from locality.store import Shipment, Store
from locality.types import ImageShape

E = TypeVar("E", bound="EditSpec")
Closed = Literal["exact", "expected", "none"]
REMOVES_ALL = (  # a conflict
    "at full strength the second removes every correlation, those the first made too. "
    "Put it first, or give it a strength below 1."
)
_STREAM = {"train": 0, "test": 1}


@dataclass(frozen=True)
class Stage:
    """What an edit may ask: the training set it changes, and the second one where it names one."""

    images: Images
    other: Derived | None
    compute: Compute
    store: Store


@dataclass(frozen=True)
class EditSpec(Spec):
    """Base of the edits. `about` is the formula shown beside its controls; units of x0 throughout."""

    heading: ClassVar[str]
    about: ClassVar[str]
    dial: ClassVar[str] = ""  # the field that says how much, which a sweep varies; "" for none
    symbol: ClassVar[str] = ""  # what `about` calls the dial; "" for its own name
    sweep_end: ClassVar[float] = math.inf  # where a sweep of the dial ends, unless its range ends before
    switch: ClassVar[str] = ""  # name of a switch that puts it at the end of a chain; then it is chosen for no place
    switch_help: ClassVar[str] = ""
    closed: ClassVar[Closed] = "exact"

    @classmethod
    def gaps(cls) -> list[str]:
        named = {"main": cls.main, "dial": cls.dial}
        lacks = [
            f"its {what} {field!r} is none of its fields"
            for what, field in named.items()
            if field and field not in cls.params()
        ]
        if cls.statistics is EditSpec.statistics and cls.closed != "none":
            lacks.append('statistics() is not written: write it, or say closed = "none", and the images are measured')
        return lacks

    @property
    def other(self) -> str:
        """The dataset it mixes in, as text; "" for none."""
        return ""

    def check(self, shape: ImageShape) -> None:
        """Refuse images that cannot be edited so. Raises BadInput."""

    def conflicts(self, earlier: EditSpec) -> str:
        """Why it undoes or doubles an edit that comes before it in a chain; "" where it does not."""
        return ""

    @classmethod
    def another(cls: type[E], chain: Sequence[EditSpec]) -> E:
        """A new one beside those of a chain, which it must not conflict with."""
        return cls()

    def shipment(self, stage: Stage) -> Shipment | None:
        """What the repository holds of a dataset so that this edit's statistics need no images; None for nothing."""
        return None

    @abstractmethod
    def images(self, data: Dataset, stage: Stage) -> Dataset:
        """The edited images of a split, a function of the images, the spec and its seed alone.

        Memory: n d bytes where 8-bit pixels stay such, else 4 n d; of a mapped set so much of the disk instead.
        """

    def statistics(self, before: Statistics, stage: Stage) -> Statistics | None:
        """Mean and covariance after the edit, float64; None where only the images tell (`closed` is "none")."""
        return None

    def identity(self, shape: ImageShape) -> dict[str, Any]:
        """Everything the edited images depend on besides the images, as plain JSON values."""
        return self.key()

    def scaled(self: E, level: float) -> E:  # not Self: the shape checker of the tests refuses it
        """The same edit at another level of its dial.

        Raises:
            BadInput: the edit has no dial, or a level out of range.
        """
        if not self.dial:
            dials = ", ".join(name for name, cls in EDITS.items() if cls.dial)
            raise BadInput(f"The edit {self.name} is all or nothing: it has no strength to vary. Those with: {dials}.")
        kind = type(getattr(self, self.dial))  # a dial may count
        return replace(self, **{self.dial: kind(round(level) if kind is int else level)})

    @property
    def dial_range(self) -> tuple[float, float]:
        """Ends of a slider of the dial: those of its field, unless an edit gives nearer ones. It has a dial."""
        about = type(self).params()[self.dial]
        return float(about.low or 0.0), max(1.0, 2 * abs(self.level)) if about.high is None else float(about.high)

    @property
    def level(self) -> float:
        """What its dial is at; 1 for an edit that has none."""
        return float(getattr(self, self.dial)) if self.dial else 1.0


EDITS: Registry[EditSpec] = Registry("edit", EditSpec)


def generator(edit: EditSpec, seed: int, split: str) -> np.random.Generator:
    """Random numbers of one edit, seed and split; the first k draws do not depend on how many follow."""
    name = int.from_bytes((edit.name or "").encode(), "little")
    return np.random.Generator(np.random.PCG64([seed, _STREAM.get(split, 2), name]))


def transformed(
    data: Dataset, change: Callable[[Shaped[Tensor, "k d"], slice], Shaped[Tensor, "k d"]], *, raw: bool = False
) -> Dataset:
    """The images with `change` applied to a few thousand at a time, given as x0, or as they are stored (`raw`)."""
    if not len(data):
        return data

    def part(rows: slice) -> Shaped[Tensor, "k d"]:
        return change(data.data[rows] if raw else data.x0(rows), rows)

    dtype = data.data.dtype if raw else torch.float32
    return replace(data, data=filled(len(data), data.shape.d, dtype, part, in_file=data.mapped))
