"""Training images shared out among devices: each averages its own, and the averages are merged.

Logits leave out what all images of a row have in common, which depends on the way they are found: all parts of a bank
must go the same way, so it is chosen once, before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import TypeVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from locality.denoisers.parts.bank import Bank
from locality.device import together
from locality.posterior import PosteriorMean

R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class ShardedBank(Bank):
    """A bank in parts, each on a device; what is asked of all of it at once comes, piece by piece, to the first one.

    `data` is empty: its images are in the parts.
    """

    data: Shaped[Tensor, "0 d"]
    rows: Int[Tensor, " n"]
    shards: tuple[Bank, ...]

    @property
    def stored_images(self) -> int:
        return sum(part.stored_images for part in self.shards)

    @property
    def parts(self) -> tuple[Bank, ...]:
        return self.shards

    def stored(self, start: int, stop: int) -> Shaped[Tensor, "k d"]:
        return self.pick(torch.arange(start, stop)).data

    def items(self, part: int, own: Int[Tensor, "*b"]) -> Int[Tensor, "*b"]:
        """Items of the bank from items of one of its parts."""
        before, here = self._before()[part], self.shards[part].stored_images
        mirrored = own >= here
        return own + before + mirrored * (self.stored_images - here)

    def owned(self, items: Int[Tensor, " k"]) -> Iterator[tuple[Bank, Int[Tensor, " m"], Int[Tensor, " m"]]]:
        """For every part its share of some items: where among them, and as items of the part."""
        n = self.stored_images
        for before, part in zip(self._before(), self.shards, strict=True):
            here, place = part.stored_images, items % n - before
            mine = ((place >= 0) & (place < here)).nonzero().flatten()
            yield part, mine, place[mine] + (items[mine] >= n) * here

    def _before(self) -> list[int]:
        """Stored images in the parts before each."""
        sizes = torch.tensor([0] + [part.stored_images for part in self.shards])
        return [int(total) for total in sizes.cumsum(0)[:-1]]

    def _pieces(self, size: int, columns: Int[Tensor, " p"] | None = None) -> Iterator[Shaped[Tensor, "k p"]]:
        for part in self.shards:
            there = None if columns is None else columns.to(part.device)
            yield from (piece.to(self.device) for piece in part._pieces(size, there))

    def _taken(self, items: Int[Tensor, " k"]) -> Shaped[Tensor, "k d"]:
        found = self.data.new_empty(len(items), self.shape.d)
        for part, mine, own in self.owned(items):
            found[mine] = part._taken(own.to(part.device)).to(self.device)
        return found


def shared_out(bank: Bank, devices: tuple[str, ...]) -> Bank:
    """Images of a bank in consecutive parts of like size, one on each device; devices without an image stay out."""
    data, numbers = (tensor.tensor_split(len(devices)) for tensor in (bank.data, bank.rows))
    parts = tuple(
        Bank(bank.shape, some, theirs, bank.flips, bank.memory // devices.count(device)).on(torch.device(device))
        for some, theirs, device in zip(data, numbers, devices, strict=True)
        if len(some)
    )
    if len(parts) == 1:
        return parts[0]
    rows = bank.rows.to(parts[0].device)
    return ShardedBank(bank.shape, parts[0].data[:0], rows, bank.flips, bank.memory, parts)


def over_parts(bank: Bank, x: Float[Tensor, "b d"], work: Callable[[Bank, Float[Tensor, "b d"]], R]) -> list[R]:
    """work(part, x on its device) of every part, at once."""
    return together([partial(work, part, x.to(part.device)) for part in bank.parts])


def merged(
    bank: Bank, x: Float[Tensor, "b d"], work: Callable[[Bank, Float[Tensor, "b d"]], PosteriorMean]
) -> PosteriorMean:
    """The average over all parts of a bank, on the device of x, from that over each."""
    found = over_parts(bank, x, work)
    return reduce(PosteriorMean.merge, (one.on(x.device) for one in found))
