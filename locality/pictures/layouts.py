"""Which arrays of a file are images, which labels, and which axis of an array is what."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locality.errors import BadInput
from locality.pictures.arrays import NamedArray
from locality.pictures.names import SPLITS, Split

_IMAGES = ("images", "data", "x", "arr_0")
_LABELS = ("labels", "label", "y", "targets", "arr_1")
_IMAGE_WORDS, _LABEL_WORDS = {"x", "images", "image", "imgs", "data"}, {"y", "labels", "label", "targets", "target"}
_CHANNELS = (1, 3, 4)


class Part(NamedTuple):
    """An array of images, the split it belongs to, and the array with their labels."""

    images: NamedArray
    mark: Split | None = None
    labels: NamedArray | None = None


def parts_of(arrays: Sequence[NamedArray], key: str, title: str) -> list[Part]:
    """What to read: `key`; else Keras' x_train, y_train, x_test, y_test or MedMNIST's train_images, ...; or one.

    Raises:
        BadInput: no such array, or several that may be meant.
    """
    by_name = {array.name: array for array in arrays}
    if key:
        if key not in by_name:
            raise BadInput(f"key={key}: {title} has the arrays {_list(arrays)}.")
        return [Part(by_name[key])]
    lower = {array.name.lower(): array for array in arrays}
    if pairs := _split_pairs(lower):
        return pairs
    big = [array for array in arrays if len(array.shape) >= 3]
    only = arrays if len(arrays) == 1 else big if len(big) == 1 else []
    chosen = next((lower[name] for name in _IMAGES if name in lower), only[0] if only else None)
    if chosen is None:
        way = f", or name one: key={arrays[0].name}" if arrays else ""
        raise BadInput(f"{title} has the arrays {_list(arrays)}; call the images one 'images'{way}.")
    named = next((lower[name] for name in _LABELS if name in lower), None)
    if named is not None and named.name == "arr_1" and named.dtype.kind not in "iu":
        named = None
    return [Part(chosen, None, named)]


def _split_pairs(lower: dict[str, NamedArray]) -> list[Part]:
    """[] where there are not both a train and a test split."""
    images: dict[str, NamedArray] = {}
    labels: dict[str, NamedArray] = {}
    for name, array in lower.items():
        words = set(re.split(r"[^a-z]+", name))
        split = next((word for word in words if word in SPLITS), None)
        if split and words & _LABEL_WORDS:
            labels[split] = array
        elif split and words & _IMAGE_WORDS:
            images[split] = array
    if {SPLITS[split] for split in images} != {"train", "test"}:
        return []
    order = sorted(images, key=lambda split: (split != "train", split))  # train, then the held-out ones by name
    return [Part(images[split], SPLITS[split], labels.get(split)) for split in order]


def _list(arrays: Sequence[NamedArray]) -> str:
    return ", ".join(sorted(array.name for array in arrays)) or "none"


def check_axes(shape: tuple[int, ...], where: str) -> list[str]:
    """What may be misunderstood about an array of images, in sentences.

    Raises:
        BadInput: axes of no set of images.
    """
    n = len(shape)
    if n == 2:
        raise BadInput(f"{where} is {_axes(shape)}: rows without a form. Save array.reshape(-1, {_form(shape[1])}).")
    if n == 3 and shape[2] in (3, 4) and min(shape[:2]) > 4:
        raise BadInput(f"{where} is {_axes(shape)}, which looks like one image. A set is [n, h, w, {shape[2]}].")
    if n == 4 and not {shape[1], shape[3]} & set(_CHANNELS) and shape[2] in _CHANNELS:
        raise BadInput(f"{where} is {_axes(shape)}, which looks like [h, w, c, n]. Save np.moveaxis(array, -1, 0).")
    if n not in (3, 4) or (n == 4 and not {shape[1], shape[3]} & set(_CHANNELS)) or 0 in shape[1:]:
        raise BadInput(f"{where} holds an array of shape {shape}; give [n,h,w], [n,h,w,3] or [n,3,h,w].")
    return _doubt(shape, where)


def by_axes(array: NDArray[Any]) -> NDArray[Any]:
    """A view [n h w c], c of 1, 3 or 4, of an array that `check_axes` lets pass."""
    if array.ndim == 3:
        return array[..., None]
    return array if array.shape[3] in _CHANNELS else array.transpose(0, 2, 3, 1)


def _form(d: int) -> str:
    """How d numbers may be arranged as a square image."""
    sides = {c: math.isqrt(d // c) for c in (1, 3)}
    return next((f"{s}, {s}{', 3' * (c == 3)}" for c, s in sides.items() if c * s * s == d), "h, w")


def _doubt(shape: tuple[int, ...], where: str) -> list[str]:
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] == shape[1]:
        return []
    n, h, w = shape
    return [
        f"{where} is {_axes(shape)} and read as {n} images of {h} x {w:,} pixels. If it holds {w:,} images "
        f"of {n} x {h}, save np.moveaxis(array, -1, 0)."
    ]


def _axes(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def class_numbers(labels: NamedArray, n: int) -> tuple[NDArray[np.int64] | None, str]:
    """Labels [n], [n, 1] or one-hot [n, k], numbers or names, as class numbers; or None, and why.

    Raises:
        BadInput: another number of labels than of images.
    """
    if not labels.shape or labels.shape[0] != n:
        count = labels.shape[0] if labels.shape else 0
        raise BadInput(f"{labels.where} holds {count:,} labels for {n:,} images. Save one for each.")
    values = np.asarray(labels.data)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.dtype.kind in "buif" and _one_hot(values):
        values = values.argmax(axis=1)
    if values.ndim != 1 or values.dtype.kind not in "buifU":
        return None, f"{labels.where} ({_axes(labels.shape)}) is not one class an image and is left out."
    if values.dtype.kind == "U":
        values = np.unique(values, return_inverse=True)[1]
    if values.dtype.kind == "f" and not bool((values == np.rint(values)).all()):
        return None, f"{labels.where} holds fractions, no class numbers, and is left out."
    return values.astype(np.int64), ""


def _one_hot(values: NDArray[Any]) -> bool:
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all())
