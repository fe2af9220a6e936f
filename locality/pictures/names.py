"""What the names of a set of image files say: split and class."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from locality.errors import BadInput
from locality.pictures.archive import first_three
from locality.pictures.images import HEIC, SUFFIXES

Split = Literal["train", "test"]
Marks = NDArray[np.int8]
_HOLD_OUT = 10  # without a test folder every tenth image, from the first, is a test image
SPLITS: dict[str, Split] = {"train": "train", "test": "test", "val": "test", "validation": "test"}
_SHARD = re.compile(r"\d{5}")  # StyleGAN's folders of a thousand images each; no classes
_SHARD_FILE = re.compile(r"(train|test|val|validation)([-_.].*)?\.(tar|tar\.gz|tgz|parquet)", re.IGNORECASE)


def is_image(name: str) -> bool:
    """Whether a file's name ends as that of an image."""
    return name.lower().endswith(SUFFIXES)


def left_out(names: Sequence[str]) -> str:
    """What files that are no images are called in one sentence, "" for none: number, endings and the first three."""
    if not names:
        return ""
    kinds: dict[str, int] = {}
    for name in names:
        kind = PurePosixPath(name).suffix.lower() or "no ending"
        kinds[kind] = kinds.get(kind, 0) + 1
    counted = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items(), key=lambda one: -one[1])[:5])
    way = f" {HEIC}." if {".heic", ".heif"} & set(kinds) else ""
    return f"{len(names):,} file{'s' * (len(names) > 1)} not read: {counted} ({first_three(names)}).{way}"


def no_images(title: str, names: Sequence[str]) -> BadInput:
    """The message for a place without images."""
    seen = f"only {', '.join(sorted(names)[:3])} and the like" if names else "nothing"
    heic = any(name.lower().endswith((".heic", ".heif")) for name in names)
    way = f"{HEIC}." if heic else f"Give files ending in {', '.join(SUFFIXES)}."
    return BadInput(f"No images in {title}: it holds {seen}. {way}")


def marks_of(splits: Iterable[Split | None]) -> Marks:
    """Splits as numbers: 0 for none, 1 for train, 2 for test."""
    numbers = {None: 0, "train": 1, "test": 2}
    return np.fromiter((numbers[split] for split in splits), np.int8)


def by_tenths(count: int) -> Marks:
    """The marks of images that nothing marks: every tenth, from the first, is held out."""
    return np.where(np.arange(count) % _HOLD_OUT == 0, 2, 1).astype(np.int8)


def choose(marks: Marks, names: Sequence[str], limit: int, title: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which items are for training and which held out, in order, at most `limit` of each (0: all).

    What marks the items decides; without both marks, every tenth item is held out.

    Raises:
        BadInput: fewer than two training images or no test image; images outside both folders.
    """
    if (marks == 1).any() and (marks == 2).any():
        if (marks == 0).any():
            stray = names[int((marks == 0).argmax())]
            raise BadInput(f"{stray} in {title} is neither in its train nor in its test folder. Move it into one.")
    else:
        marks = by_tenths(len(marks))
    train, test = (np.flatnonzero(marks == mark)[: limit or None] for mark in (1, 2))
    if (marks == 1).sum() < 2 or not len(test):
        raise BadInput(
            f"{title} holds {len(marks)} image{'' if len(marks) == 1 else 's'}: too few for a statistic. "
            "Give at least 3: two to learn from, one held out."
        )
    return train, test


def split_of(name: str) -> Split | None:
    """What the folders of an image, or the name of its shard, say."""
    for part in PurePosixPath(name).parts[:-1]:
        if part.lower() in SPLITS:
            return SPLITS[part.lower()]
        if shard := _SHARD_FILE.fullmatch(part):
            return SPLITS[shard[1].lower()]
    return None


def folder_classes(names: Sequence[str]) -> list[int] | None:
    """Class numbers from the folders, in sorted order of these; one folder is no class."""
    kinds = [_kind(name) for name in names]
    numbers = {kind: i for i, kind in enumerate(sorted(set(kinds)))}
    return [numbers[kind] for kind in kinds] if len(numbers) > 1 else None


def noted_classes(names: Sequence[str], notes: bytes) -> list[int] | None:
    """Class numbers from a StyleGAN dataset.json. Raises BadInput (damaged, or it leaves images out)."""
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
    return [known[name] for name in names]


def _kind(name: str) -> str:
    folder = PurePosixPath(name).parent.name
    plain = folder.lower() in SPLITS or _SHARD.fullmatch(folder) or _SHARD_FILE.fullmatch(folder)
    return "" if plain or folder.lower().endswith(".tar") else folder
