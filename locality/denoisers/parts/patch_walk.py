"""Posterior means of patch centres over all patches of all images: the walk's loop on patches cut out when needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.shards import merged
from locality.denoisers.parts.walk import Walk
from locality.denoisers.parts.walk_plan import Masks
from locality.posterior import PosteriorMean
from locality.types import ImageShape
from locality.work import within

WIDEST = 512  # values of a patch up to which this costs less than maps of all shifts
_QUERIES = 1024  # noisy patches that share one turning of the candidates
_OUTSIDE = 128  # what counts outside an image, for query and candidate alike: it never makes a difference


@dataclass(frozen=True, eq=False)
class PatchBank(Bank):
    """The patches of some places of all images of a bank, image by image; `index` [g v], len(pixels): outside."""

    whole_images: Bank
    index: Int[Tensor, "g v"]

    def __len__(self) -> int:
        return len(self.whole_images) * len(self.index)

    def stored(self, start: int, stop: int) -> Shaped[Tensor, "k v"]:
        g = len(self.index)
        first = start // g
        images = self.whole_images.stored(first, -(-stop // g))
        bordered = torch.cat([images, images.new_full((len(images), 1), _OUTSIDE)], dim=1)
        return bordered[:, self.index].flatten(0, 1)[start - first * g : stop - first * g].contiguous()


def patch_posterior(
    bank: Bank, x: Float[Tensor, "b d"], sigma: float, index: Int[Tensor, "p v"], groups: list[Int[Tensor, " _"]]
) -> PosteriorMean | None:
    """For every pixel of a group, the mean of the centres of all its patches; None where the walk does not run.

    Row p of `index` is where in a flat image the patch of pixel p lies, d for what is outside; its side is odd.
    """
    c, h, w = bank.shape
    size = round((index.shape[1] // c) ** 0.5)
    shape = ImageShape(c, size, size)
    centre = torch.arange(c) * size**2 + size**2 // 2
    masks = Masks(torch.ones(1, shape.d).bool(), centre[None], shape)
    bordered = torch.cat([x, x.new_full((len(x), 1), (_OUTSIDE - 127.5) / 127.5)], dim=1)
    nothing = torch.zeros(len(x), c, h * w, dtype=torch.float64)
    found = PosteriorMean(nothing, torch.ones_like(nothing), torch.zeros_like(nothing))
    pairs, done = sum(len(group) ** 2 for group in groups), 0
    for group in sorted(groups, key=len, reverse=True):  # the largest first: its pace is that of the whole call
        queries = bordered[:, index[group]].flatten(0, 1)
        ways: dict[Bank, Walk] = {}
        for part in bank.parts:
            candidates = PatchBank(shape, part.data, part.rows, False, part.memory, part, index[group])
            walk = Walk.of(candidates, masks, queries, sigma, sigma, 0, _QUERIES)
            if walk is None:
                return None
            ways[part] = walk
        begun, done = done, done + len(group) ** 2
        with within(begun / pairs, done / pairs):
            answers = merged(bank, queries, lambda part, q, ways=ways: ways[part].average(q))  # type: ignore[misc]
        for every, values in zip(found, answers, strict=True):  # [c b*g 1], or [b*g 1] of all channels
            every[:, :, group] = values.reshape(-1, len(x), len(group)).transpose(0, 1)
    return PosteriorMean(*(every.flatten(1) for every in found))
