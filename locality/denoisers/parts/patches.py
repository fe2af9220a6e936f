"""Square windows of images: a seeded sample of them, all of one image, and back to the image."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from locality.dataset import Dataset
from locality.types import ImageShape

_BLOCK = 8192  # windows gathered at a time; bounds the memory of their coordinates


def places(shape: ImageShape, window: int) -> int:
    """Number of windows that lie inside one image."""
    return (shape.h - window + 1) * (shape.w - window + 1)


def sample_patches(data: Dataset, window: int, count: int, seed: int) -> Float[Tensor, "n m"]:
    """`count` different windows, drawn evenly over images and places; all of them where there are no more.

    One is drawn from each of `count` equal stretches of the list of all windows. Values in [-1, 1],
    float32, channel-major as in the images: 4 m bytes per window, m = c window^2.
    """
    return gather(data, window, draw(data, window, count, seed))


def draw(data: Dataset, window: int, count: int, seed: int) -> Int[Tensor, " n"]:
    """Numbers of `count` windows in the list of all of them, one of each of so many equal stretches; ascending.

    Window w lies in image w // places, at place w % places.
    """
    return _stratified(len(data) * places(data.shape, window), count, seed)


def gather(data: Dataset, window: int, chosen: Int[Tensor, " n"]) -> Float[Tensor, "n m"]:
    """The windows of these numbers: 4 m bytes each."""
    per_image = places(data.shape, window)
    across = data.shape.w - window + 1
    place = chosen % per_image
    corner = place // across * data.shape.w + place % across
    inside = _offsets(data.shape, window)
    patches = torch.empty(len(chosen), len(inside))
    for start in range(0, len(chosen), _BLOCK):
        rows = slice(start, start + _BLOCK)
        picked = data.data[chosen[rows, None] // per_image, corner[rows, None] + inside].float()
        patches[rows] = picked.div_(127.5).sub_(1.0) if data.is_8bit else picked
    return patches


def unfold(x: Float[Tensor, "b d"], shape: ImageShape, window: int) -> Float[Tensor, "n m"]:
    """Every window of every image, image by image, n = b * places."""
    columns = functional.unfold(x.reshape(-1, *shape), window)
    return columns.transpose(1, 2).reshape(-1, columns.shape[1])


def fold(
    patches: Float[Tensor, "n m"], shape: ImageShape, window: int, trust: Float[Tensor, "n m"] | None = None
) -> Float[Tensor, "b d"]:
    """Images whose pixels are the mean of the windows that cover them, weighted by `trust`; inverts `unfold`."""

    def total(values: Float[Tensor, "k m"]) -> Float[Tensor, "i c h w"]:
        columns = values.reshape(-1, places(shape, window), patches.shape[1]).transpose(1, 2)
        return functional.fold(columns, (shape.h, shape.w), window)

    if trust is None:
        return (total(patches) / total(torch.ones_like(patches[: places(shape, window)]))).flatten(1)
    return (total(patches * trust) / total(trust)).flatten(1)


def regions(shape: ImageShape, window: int, grid: int) -> Int[Tensor, " p"]:
    """Which of grid x grid parts of an image each place of a window lies in, 0..; fewer where places are fewer."""
    down, across = shape.h - window + 1, shape.w - window + 1
    row = torch.arange(down) * min(grid, down) // down
    col = torch.arange(across) * min(grid, across) // across
    return (row[:, None] * min(grid, across) + col).flatten()


def _stratified(available: int, count: int, seed: int) -> Int[Tensor, " n"]:
    if count >= available:
        return torch.arange(available)
    generator = torch.Generator().manual_seed(seed)
    edges = torch.arange(count + 1) * available // count
    within = torch.rand(count, generator=generator, dtype=torch.float64) * edges.diff()
    return edges[:-1] + within.long()


def _offsets(shape: ImageShape, window: int) -> Int[Tensor, " m"]:
    """Flat coordinates of the window at the top left corner."""
    channel, row, col = (torch.arange(n) for n in (shape.c, window, window))
    return (channel[:, None, None] * shape.h * shape.w + row[:, None] * shape.w + col).flatten()
