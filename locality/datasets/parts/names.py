"""What the names of a set of image files say: split and class."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from locality.datasets.parts.images import SUFFIXES
from locality.datasets.parts.spec import Split
from locality.errors import BadInput

T = TypeVar("T", int, str)
_HOLD_OUT = 10  # without a test folder every tenth image, from the first, is a test image
_SPLITS: dict[str, Split] = {"train": "train", "test": "test", "val": "test", "validation": "test"}
_SHARD = re.compile(r"\d{5}")  # StyleGAN's folders of a thousand images each; no classes


def image_names(names: Sequence[str], title: str) -> list[str]:
    """Names with an image's ending, in the order given. Raises BadInput where there are none."""
    found = [name for name in names if name.lower().endswith(SUFFIXES)]
    if not found:
        seen = f"only {', '.join(sorted(names)[:3])} and the like" if names else "nothing"
        raise BadInput(f"No images in {title}: it holds {seen}. Give files ending in {', '.join(SUFFIXES)}.")
    return found


def pick(items: Sequence[T], split: Split, limit: int, title: str) -> list[T]:
    """The items of one split, at most `limit` of them (0: all).

    Folders called train and test (or val) decide; without both, every tenth item is held out.

    Raises:
        BadInput: fewer than two training images or no test image; images outside both folders.
    """
    marks = [_mark(item) for item in items]
    if "train" in marks and "test" in marks:
        if None in marks:
            stray = items[marks.index(None)]
            raise BadInput(f"{stray} in {title} is neither in its train nor in its test folder. Move it into one.")
    else:
        marks = ["test" if i % _HOLD_OUT == 0 else "train" for i in range(len(items))]
    if marks.count("train") < 2 or "test" not in marks:
        raise BadInput(
            f"{title} holds {len(items)} image{'' if len(items) == 1 else 's'}: too few for a statistic. "
            "Give at least 3: two to learn from, one held out."
        )
    chosen = [item for item, mark in zip(items, marks, strict=True) if mark == split]
    return chosen[: limit or None]


def class_labels(names: Sequence[str], every: Sequence[str], notes: bytes | None) -> Int[Tensor, " n"] | None:
    """Class numbers of `names`: from dataset.json if there is one, else from the folders.

    Folders count in sorted order over `every` image, so both splits agree; one folder is no class.

    Raises:
        BadInput: dataset.json is damaged or leaves images out.
    """
    if notes is not None:
        return _noted_labels(names, notes)
    kinds = sorted({_kind(name) for name in every})
    return torch.tensor([kinds.index(_kind(name)) for name in names]) if len(kinds) > 1 else None


def _mark(item: int | str) -> Split | None:
    if isinstance(item, int):
        return None
    folders = PurePosixPath(item).parts[:-1]
    return next((_SPLITS[part.lower()] for part in folders if part.lower() in _SPLITS), None)


def _kind(name: str) -> str:
    folder = PurePosixPath(name).parent.name
    return "" if folder.lower() in _SPLITS or _SHARD.fullmatch(folder) else folder


def _noted_labels(names: Sequence[str], notes: bytes) -> Int[Tensor, " n"] | None:
    try:
        labels = json.loads(notes)["labels"]
        known = None if labels is None else dict(labels)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadInput('dataset.json is damaged: {"labels": [[name, class], ...]} expected.') from None
    if known is None:
        return None
    absent = [name for name in names if type(known.get(name)) is not int]
    if absent:
        raise BadInput(f"dataset.json has no class number for {absent[0]}. Correct it, or set labels to null.")
    return torch.tensor([known[name] for name in names])
