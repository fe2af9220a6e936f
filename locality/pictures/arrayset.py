"""The arrays of an .npy or .npz as a set of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locality.errors import BadInput
from locality.pictures.arrays import NamedArray
from locality.pictures.layouts import Part, by_axes, check_axes, class_numbers, parts_of
from locality.pictures.names import marks_of
from locality.pictures.recipe import Picture, Recipe
from locality.pictures.sets import ImageSet, Rows
from locality.pictures.values import Values

_BLOCK = 32_000_000  # bytes looked at at a time
_UNKNOWN = "Say which values are black and white: values=LOW..HIGH rounds to 8 bits, values=float:LOW..HIGH keeps them."


class ArraySet(ImageSet):
    """Images of one array, or of one for each split. Raises BadInput (arrays that are no images)."""

    splits_work = False

    def __init__(self, arrays: Sequence[NamedArray], key: str, title: str) -> None:
        self.title = title
        self._parts = parts_of(arrays, key, title)
        self._read = {part.images.name for part in self._parts} | {p.labels.name for p in self._parts if p.labels}
        self._rest = sorted({array.name for array in arrays} - self._read)
        self._axes: list[str] = []  # how they may be misunderstood
        for images in (part.images for part in self._parts):
            images.check()
            if images.dtype.kind not in "buif":
                raise BadInput(f"{images.where} is {images.dtype}: no numbers. Save pixels 0..255 as uint8.")
            self._axes += check_axes(images.shape, images.where)
        self._counts = [part.images.shape[0] for part in self._parts]
        self.names = _Rows(self._parts, self._counts)
        self.marks = np.repeat(marks_of(part.mark for part in self._parts), self._counts)
        self._doubts: list[str] = []
        self._asked = False  # whether the range is given, so that nobody has to look for it

    @property
    def notes(self) -> list[str]:
        rest = [f"Arrays not read: {', '.join(self._rest)}."] if self._rest else []
        return [*rest, *self._axes, *dict.fromkeys(self._doubts)]

    def classes(self) -> NDArray[np.int64] | None:
        found = []
        for part, count in zip(self._parts, self._counts, strict=True):
            numbers, why = (None, "") if part.labels is None else class_numbers(part.labels, count)
            self._doubts += [why] if why else []
            found.append(numbers)
        known = [numbers for numbers in found if numbers is not None]
        if known and len(known) < len(found) and not self._doubts:
            self._doubts.append("Only some of the splits have labels: they are left out.")
        return np.concatenate(known) if len(known) == len(found) else None

    def understood(self, values: Values) -> Values:
        self._asked = values.low is not None
        if self._floats and not values:
            keep = self._range != (0.0, 255.0)  # else `_range` found them to be 8 bits in disguise
            keep = keep and not self._in_disguise(*self._range)
            if keep:
                low, high = self._range
                self._doubts.append(
                    f"The values are floats and kept: {low:g} is black and {high:g} white. values={low:g}..{high:g} "
                    "rounds them to 8 bits."
                )
            return Values(keep)
        return values

    def pictures(self, rows: Rows) -> Iterator[tuple[int, Picture]]:
        black, white = (None, None) if self._asked else self._range
        for row in rows:
            view, at = self._place(int(row))
            yield row, Picture(self._checked(np.asarray(view[at])), black, white)

    def blocks(self, rows: Rows, recipe: Recipe) -> Iterator[tuple[int, NDArray[np.generic]]] | None:
        shapes = {view.shape[1:] for view in self._views}
        same = all(h == w == recipe.resolution and (c == 1 or (c == 3 and recipe.mode == "rgb")) for h, w, c in shapes)
        if not same or recipe.values.low is not None or (self._range == (0.0, 65535.0)):
            return None
        return self._blocks(rows, recipe)

    def _blocks(self, rows: Rows, recipe: Recipe) -> Iterator[tuple[int, NDArray[np.generic]]]:
        low, high = self._range
        size = max(1, _BLOCK // (8 * recipe.size))
        starts = np.cumsum([0, *self._counts])
        wanted, at = rows, 0
        while at < len(wanted):
            part = int(np.searchsorted(starts, wanted[at], side="right")) - 1
            stop = min(at + size, int(np.searchsorted(wanted, starts[part + 1])))
            chosen = wanted[at:stop] - starts[part]
            view = self._views[part]
            block = self._checked(np.asarray(view[int(chosen[0]) : int(chosen[-1]) + 1])[chosen - chosen[0]])
            plain = block.dtype == np.uint8 and not recipe.values.keep and (low, high) == (0.0, 255.0)
            scaled = block if plain else recipe.values.scaled(block, low, high)
            yield at, np.broadcast_to(scaled.transpose(0, 3, 1, 2), (len(chosen), recipe.channels, *block.shape[1:3]))
            at = stop

    def _place(self, row: int) -> tuple[NDArray[Any], int]:
        for view, count in zip(self._views, self._counts, strict=True):
            if row < count:
                return view, row
            row -= count
        raise IndexError(row)

    def _checked(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.dtype.kind == "f" and not bool(np.isfinite(array).all()):
            raise BadInput(f"{self.title} holds NaN or infinity: no colour. Clean it, or leave those images out.")
        return array

    @cached_property
    def _views(self) -> list[NDArray[Any]]:
        """[n h w c] of each part: here the numbers are unpacked."""
        return [by_axes(part.images.data) for part in self._parts]

    @property
    def _floats(self) -> bool:
        return any(part.images.dtype.kind == "f" for part in self._parts)

    @cached_property
    def _range(self) -> tuple[float, float]:
        """Which values are black and white: by the type, or by what is there."""
        kinds = {view.dtype for view in self._views}
        if kinds == {np.dtype(np.uint8)}:
            return 0.0, 255.0
        if kinds == {np.dtype(np.bool_)}:
            return 0.0, 1.0
        if kinds == {np.dtype(np.uint16)}:
            return 0.0, 65535.0
        low, high = self._extent()
        if self._floats and low >= -1 and high <= 1:
            return (0.0 if low >= 0 else -1.0), 1.0
        whole = not self._floats or self._in_disguise(0.0, 255.0)
        if low >= 0 and whole and high <= 255:
            return 0.0, 255.0
        if low >= 0 and not self._floats and high <= 65535:
            return 0.0, 65535.0
        where = self._parts[0].images.where
        raise BadInput(f"{where} is {', '.join(map(str, kinds))} with values from {low:g} to {high:g}. {_UNKNOWN}")

    def _looks(self) -> Iterator[NDArray[Any]]:
        for view in self._views:
            size = max(1, _BLOCK // max(view[:1].nbytes, 1))
            for start in range(0, len(view), size):
                yield self._checked(np.asarray(view[start : start + size]))

    def _extent(self) -> tuple[float, float]:
        ends = [(float(block.min()), float(block.max())) for block in self._looks() if block.size]
        return min((low for low, _ in ends), default=0.0), max((high for _, high in ends), default=0.0)

    def _in_disguise(self, low: float, high: float) -> bool:
        """Whether all floats are the 256 values of 8 bits, to their own rounding."""
        for block in self._looks():
            levels = np.rint((block.astype(np.float64) - low) / (high - low) * 255)
            exact = (levels / 255 * (high - low) + low).astype(block.dtype)
            rounding = 2 * np.spacing(np.maximum(np.abs(exact), high / 255).astype(block.dtype))
            if not bool((np.abs(exact - block) <= rounding).all()):
                return False
        return True


class _Rows(Sequence[str]):
    """Names of the images of some arrays, made when asked for."""

    def __init__(self, parts: Sequence[Part], counts: Sequence[int]) -> None:
        self._parts, self._counts = parts, counts

    def __len__(self) -> int:
        return sum(self._counts)

    def __getitem__(self, row: Any) -> Any:
        for part, count in zip(self._parts, self._counts, strict=True):
            if row < count:
                return f"image {row} of {part.images.where}"
            row -= count
        raise IndexError(row)
