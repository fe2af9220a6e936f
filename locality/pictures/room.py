"""Room for many images: memory, or a file without a name, which the system may write out and drop from memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor

from locality.pictures.scratch import check_disk, pictures_folder, reserve, scratch_folder

_MOST, _VALUES = 4096, 4096 * 3072  # images filled at a time, and values


def room(count: int, d: int, dtype: torch.dtype, *, in_file: bool) -> Shaped[Tensor, "n d"]:
    """Images whose values are not set yet.

    Raises:
        BadInput: a cache folder that cannot be used. TooLarge: the disk does not hold the file.
    """
    if not in_file:
        return torch.empty(count, d, dtype=dtype)
    size = count * d * dtype.itemsize
    check_disk(pictures_folder(), f"What is made of {count:,} images", size)
    with scratch_folder() as scratch:
        path = scratch.folder / "images"
        reserve(path, size)
        mapped = torch.from_file(str(path), shared=True, size=count * d, dtype=dtype)
    return mapped.view(count, d)


def filled(
    count: int, d: int, dtype: torch.dtype, part: Callable[[slice], Shaped[Tensor, "k d"]], *, in_file: bool
) -> Shaped[Tensor, "n d"]:
    """The images that `part` gives, a few thousand rows at a time. Raises as `room` and `part`."""
    made, size = room(count, d, dtype, in_file=in_file), max(1, min(_MOST, _VALUES // d))
    for start in range(0, count, size):
        rows = slice(start, min(start + size, count))
        made[rows] = part(rows)
    return made
