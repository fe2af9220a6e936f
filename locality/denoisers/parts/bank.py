"""The training images an averaging model looks at, streamed in chunks: a view of the set, or a selection.

A selection that is larger than the memory of a call lies in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from locality.dataset import Dataset, Images
from locality.denoisers.parts.spec import DenoiserSpec
from locality.device import Compute
from locality.errors import BadInput, TooLarge
from locality.pictures.room import filled
from locality.specs import param
from locality.types import ImageShape


@dataclass(frozen=True)
class AveragingSpec(DenoiserSpec):
    """What all models that average training images share: which images."""

    quick: ClassVar[bool] = False  # whether all images of a large set can be averaged in no time

    first: int = param(0, help="Use at most the first N training images; 0 for all.", low=0)
    classes: tuple[int, ...] = param((), help="Only training images of these classes; empty for all.", low=0)
    flips: bool = param(False, help="Add every training image mirrored left to right.")

    @property
    def exempt(self) -> Mapping[str, str]:
        part = 0 < self.first != self._usual()
        return {"order_changes_nothing": "the first images are others in another order"} if part else {}

    @property
    def tolerance(self) -> Mapping[str, float]:
        return {"clean_images_stay": 1e-3}  # one pixel alone is known to sigma

    def bank(self, images: Images, compute: Compute) -> Bank:
        """The chosen training images.

        Raises:
            DataUnavailable: the images are not on this machine.
            BadInput: more images than there are, classes without labels, or a class without images.
        """
        train = images.train
        rows = torch.arange(len(train))
        if self.classes:
            if train.labels is None:
                raise BadInput(f"{self.name}:classes: {train.name} has no class labels. Leave classes empty.")
            known = train.labels.unique().tolist()
            if absent := sorted(set(self.classes) - set(known)):
                classes = ", ".join(map(str, known[:20])) + (", ..." if len(known) > 20 else "")
                raise BadInput(
                    f"{self.name}:classes: no training image of {train.name} has {absent[0]}. Give {classes}."
                )
            rows = rows[torch.isin(train.labels, torch.tensor(self.classes))]
        if self.first > len(rows) and self.first != self._usual():
            raise BadInput(
                f"{self.name}:first={self.first}: {train.name} has {len(rows)} training images to choose from. "
                f"Give 1..{len(rows)}, or 0 for all."
            )
        if 0 < self.first < len(rows):
            rows = rows[: self.first]
        return Bank.of(train, rows, flips=self.flips, compute=compute)

    def note(self, available: int) -> str:
        """That this model sees only a part of the training images, where its default makes it so."""
        usual = self._usual()
        if usual and self.first == usual < available:
            return f"{self.name} averages the first {usual:,} of {available:,} training images (first=0 for all)."
        return ""

    def approximations(self, available: int) -> list[str]:
        found = super().approximations(available)
        if not found and 0 < self.first < available:
            found.append(f"averages the first {self.first:,} of {available:,} training images")
        if self.classes:
            found.append(f"averages the classes {', '.join(map(str, self.classes))} only")
        return found

    def _usual(self) -> int:
        return int(next(field for field in fields(self) if field.name == "first").default)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Bank:
    """Training images on one device; `rows` are their numbers in the training set.

    With `flips`, images n..2n-1 are the mirrored ones, made when asked for.
    """

    shape: ImageShape
    data: Shaped[Tensor, "n d"]
    rows: Int[Tensor, " n"]
    flips: bool
    memory: int

    @staticmethod
    def of(train: Dataset, rows: Int[Tensor, " n"], *, flips: bool, compute: Compute) -> Bank:
        """The given rows of a training set (a view where they are its first ones)."""
        contiguous = bool(len(rows) == int(rows[-1]) + 1)
        data = train.data[: len(rows)] if contiguous else _taken(train.data, rows, compute.memory)
        if compute.others:
            from locality.denoisers.parts.shards import shared_out  # which knows what a bank is

            return shared_out(Bank(train.shape, data, rows, flips, compute.memory), compute.devices)
        return Bank(train.shape, data, rows, flips, compute.memory).on(torch.device(compute.device))

    def on(self, device: torch.device) -> Bank:
        """The same on a device; a bank in parts stays where its parts are."""
        if len(self.parts) > 1 or self.data.device == device:
            return self
        return replace(self, data=self.data.to(device), rows=self.rows.to(device))

    def __len__(self) -> int:
        return self.stored_images * (2 if self.flips else 1)

    @property
    def stored_images(self) -> int:
        """Without mirrored ones."""
        return len(self.data)

    @property
    def device(self) -> torch.device:
        """Where they are, or where they are answered from if they are on several."""
        return self.data.device

    @property
    def is_8bit(self) -> bool:
        """Whether pixels are whole numbers."""
        return self.data.dtype == torch.uint8

    @property
    def parts(self) -> tuple[Bank, ...]:
        """One bank for each device they are on: this one."""
        return (self,)

    def pick(self, items: Int[Tensor, " k"]) -> Bank:
        """Only these items (0..len-1), mirrored ones made."""
        chosen = items.to(self.device)
        return Bank(self.shape, self._taken(chosen), self.rows[chosen % self.stored_images], False, self.memory)

    def stored(self, start: int, stop: int) -> Shaped[Tensor, "k d"]:
        """Items `start` to `stop` as they are stored, mirrored ones made: a view where there are none."""
        inside = stop <= len(self.data)
        return (self.data[start:stop] if inside else self.pick(torch.arange(start, stop)).data).contiguous()

    def whole(self) -> Float[Tensor, "n d"]:
        """All items at once, float64: for banks of a few images."""
        return torch.cat(list(self.chunks(max(1, self.stored_images), torch.float64)))

    def origin(self, items: Int[Tensor, " m"]) -> tuple[Int[Tensor, " m"], Shaped[Tensor, " m"]]:
        """Numbers in the training set of some items, and whether they are mirrored."""
        items = items.cpu()
        return self.rows.cpu()[items % self.stored_images], items >= self.stored_images

    def chunks(self, size: int, dtype: torch.dtype = torch.float32) -> Iterator[Float[Tensor, "k d"]]:
        """All items in order, `size` at a time, in [-1, 1]."""
        for stored in self._pieces(size):
            yield self._x0(stored, dtype)
        if self.flips:
            for stored in self._pieces(size):
                yield self._x0(self._mirror(stored), dtype)

    def columns(
        self, coords: Int[Tensor, " p"], size: int, dtype: torch.dtype = torch.float32
    ) -> Iterator[Float[Tensor, "k p"]]:
        """As `chunks`, of some coordinates only: O(n p), not O(n d)."""
        for columns in [coords, self.mirrored(coords)] if self.flips else [coords]:
            for piece in self._pieces(size, columns):
                yield self._x0(piece, dtype)

    def mirrored(self, coords: Int[Tensor, " p"]) -> Int[Tensor, " p"]:
        """Where in a stored image the coordinates of its mirror image are."""
        return self._mirror(torch.arange(self.shape.d)[None])[0][coords.cpu()].to(self.device)

    def count(self, size: int) -> int:
        """Number of chunks of this size."""
        return sum(-(-part.stored_images // size) for part in self.parts) * (2 if self.flips else 1)

    def fit(self, per_image: int, fixed: int = 0, *, most: int = 1 << 20) -> int:
        """Images per chunk so that `fixed + per_image * size` bytes stay within the memory budget.

        Raises:
            TooLarge: not even one image fits.
        """
        size = (self.memory - fixed) // per_image
        if size < 1:
            raise TooLarge(
                f"Denoising {self.shape} images",
                fixed + per_image,
                self.memory,
                f"Give at least {-(-(fixed + per_image) // 1024**2)} MB (--memory MB, Compute.memory).",
            )
        return int(min(size, most, self.stored_images))

    def _pieces(self, size: int, columns: Int[Tensor, " p"] | None = None) -> Iterator[Shaped[Tensor, "k p"]]:
        """As they are stored, without mirrored ones, `size` at a time; of some columns only."""
        for piece in self.data.split(size):
            yield piece if columns is None else piece[:, columns]

    def _taken(self, items: Int[Tensor, " k"]) -> Shaped[Tensor, "k d"]:
        return _taken(self.data, items, self.memory, self._mirror if self.flips else None)

    def _mirror(self, flat: Shaped[Tensor, "k d"]) -> Shaped[Tensor, "k d"]:
        return flat.reshape(len(flat), *self.shape).flip(3).flatten(1)

    def _x0(self, stored: Shaped[Tensor, "k p"], dtype: torch.dtype) -> Float[Tensor, "k p"]:
        if stored.dtype != torch.uint8:
            return stored.to(dtype)
        return stored.to(dtype).div_(127.5).sub_(1.0)


def _taken(
    data: Shaped[Tensor, "n d"],
    items: Int[Tensor, " k"],
    memory: int,
    mirror: Callable[[Shaped[Tensor, "j d"]], Shaped[Tensor, "j d"]] | None = None,
) -> Shaped[Tensor, "k d"]:
    """Some of the images, the mirrored ones made; on the CPU in a file where they take more than `memory` bytes."""

    def part(rows: slice) -> Shaped[Tensor, "j d"]:
        some = items[rows]
        found = data[some % len(data)]
        return found if mirror is None else torch.where((some >= len(data))[:, None], mirror(found), found)

    if data.device.type != "cpu" or len(items) * data.shape[1] * data.itemsize <= memory:
        return part(slice(None))
    return filled(len(items), data.shape[1], data.dtype, part, in_file=True)


def precise(dtype: torch.dtype, terms: int, sigma: float) -> torch.dtype:
    """The type to expand squared distances of `terms` coordinates in: float64 where float32 would show.

    A logit is a sum of `terms` products of size one over 2 sigma^2; float32 keeps seven digits of it.
    """
    return torch.float64 if 6e-8 * terms / sigma**2 > 2e-2 else dtype
