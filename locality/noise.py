"""The unit noise of image k: a function of a seed and k alone, never of the batch, the device or the precision.

Three recipes draw other numbers, and files that are shipped or kept were made with each, so all three stay:

    unit_noise     samples, benchmarks and ambient training. New code takes this one: its streams are separate by
                   construction, for any seeds, images and steps, and its bits are the same on any processor.
    field_noise    fields, their tables and agreements, and what models learn from their own noisy images.
    running_noise  one generator for all images, one after the other: the error ratios in the manifests of networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from locality.errors import BadInput

START = 0  # the "step" of the noise that sampling starts from; those it adds on the way are 1, 2, ...
ASIDE = 2**31  # ... of noise beside sampling, which takes fewer steps: held-out images, ambient training
_SEEDS = 2**31  # one 32-bit word each for seed, image and step: no two streams share their words


def check_seed(seed: int) -> int:
    """The seed itself. Raises BadInput outside 0..2^31 - 1."""
    if not 0 <= seed < _SEEDS:
        raise BadInput(f"seed={seed}: give 0..{_SEEDS - 1}.")
    return seed


def unit_noise(images: Iterable[int], d: int, seed: int, *, step: int = START) -> Float[Tensor, "b d"]:
    """N(0, I) of some images by number, float32, on the CPU; image k depends on (seed, k, step) alone.

    Raises:
        BadInput: seed outside 0..2^31 - 1.
    """
    check_seed(seed)
    streams = (np.random.Generator(np.random.Philox([seed, k, step])) for k in images)
    rows = [stream.standard_normal(d, dtype=np.float32) for stream in streams]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, d)


def field_noise(count: int, d: int, seed: int, first: int = 0) -> Float[Tensor, "k d"]:
    """N(0, I) of `count` images from image `first` on, float32, on the CPU; image k depends on (seed, k) alone."""
    numbers = range(first, first + count)
    return _rows(d, (torch.Generator().manual_seed((seed * 1_000_003 + k) % 2**63) for k in numbers))


def running_noise(count: int, d: int, seed: int) -> Float[Tensor, "k d"]:
    """N(0, I) of images 0..count-1, float32, on the CPU; image k is the k-th draw of one generator."""
    generator = torch.Generator().manual_seed(seed)
    return _rows(d, (generator for _ in range(count)))


def _rows(d: int, generators: Iterator[torch.Generator]) -> Float[Tensor, "k d"]:
    """A row from each generator; row by row, since a larger draw at once would give other numbers."""
    rows = [torch.randn(d, generator=generator) for generator in generators]
    return torch.stack(rows) if rows else torch.empty(0, d)
