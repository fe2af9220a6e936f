"""A way through the rows of a mask on which little changes from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Int, Int16, Int32, Int64
from torch import Tensor

from locality.denoisers.parts.masked import MaskPlan
from locality.types import ImageShape

K = TypeVar("K", int, float)  # a window size, a noise level

# Channels, rows and columns on, with the diagonals, which spare a tenth of the changes where masks are wide; more of
# them spare nothing.
_NEIGHBOURS = ((0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, -1), (1, 0, 0), (2, 0, 0))


class Steps(NamedTuple):
    """Rows in the order they are visited, and what each adds to the sums of the one it comes from.

    Step i takes columns 2 starts[i] .. 2 starts[i+1] (in pairs, the odd one out with sign 0) with their signs, from
    the sums kept in slot `source[i]` (-1: from nothing) to those in slot `target[i]`.
    """

    rows: Int64[np.ndarray, " m"]
    source: Int32[np.ndarray, " m"]
    target: Int32[np.ndarray, " m"]
    slots: int
    starts: Int64[np.ndarray, " m1"]
    columns: Int32[np.ndarray, " p"]
    signs: Int16[np.ndarray, " p"]


@dataclass(frozen=True, eq=False)
class Masks:
    """A 0/1 matrix [m d]: row i is what the coordinates `outputs[i]` (one, or one per channel) compare; on the CPU."""

    rows: Bool[Tensor, "m d"]
    outputs: Int[Tensor, "m v"]
    shape: ImageShape

    @cached_property
    def tiles(self) -> MaskPlan:
        """Cut in tiles, for dense products."""
        return MaskPlan.of(self.rows, self.outputs, self.shape)

    @cached_property
    def steps(self) -> Steps:
        """The cheapest walk over neighbours."""
        return walk_through(np.ascontiguousarray(self.rows.numpy()), self._edges())

    @cached_property
    def alone(self) -> Steps:
        """Every row from nothing, columns one by one, in the order of the rows."""
        mask = self.rows.numpy()
        m, nothing = len(mask), np.zeros(0, np.int16)
        starts = np.concatenate([[0], self.counts.cumsum()])
        none = np.full(m, -1, np.int32)
        return Steps(np.arange(m), none, np.zeros(m, np.int32), 1, starts, mask.nonzero()[1].astype(np.int32), nothing)

    @cached_property
    def counts(self) -> Int64[np.ndarray, " m"]:
        """Columns of each row."""
        return np.asarray(np.count_nonzero(self.rows.numpy(), axis=1))

    @property
    def support(self) -> float:
        """Mean number of columns of a row."""
        return float(self.counts.mean())

    @property
    def widest(self) -> int:
        """Largest number of columns of a row."""
        return int(self.counts.max())

    @property
    def narrowest(self) -> int:
        """Least number of columns of a row."""
        return int(self.counts.min())

    def _edges(self) -> tuple[Int64[np.ndarray, " e"], Int64[np.ndarray, " e"]]:
        """Pairs of rows whose first coordinates are neighbours, or the same pixel in other channels."""
        c, h, w = self.shape
        first = self.outputs[:, 0].numpy()
        at = np.full((c + 2, h + 1, w + 2), -1, np.int64)  # a column more on either side
        at[first // (h * w), first // w % h, first % w + 1] = np.arange(len(first))
        pairs = [(at[:c, :h, 1 : w + 1], at[k : c + k, i : h + i, 1 + j : w + 1 + j]) for k, i, j in _NEIGHBOURS]
        one, other = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
        both = (one >= 0) & (other >= 0)
        return one[both], other[both]


def last_masks(kept: dict[K, Masks], key: K, make: Callable[[], Masks]) -> Masks:
    """The masks of a key; only those asked for last are kept."""
    made = kept.get(key)  # read once: another thread may ask for another key meanwhile
    if made is None:
        made = make()
        kept.clear()
        kept[key] = made
    return made


def walk_through(
    mask: Bool[np.ndarray, "m d"], edges: tuple[Int64[np.ndarray, " e"], Int64[np.ndarray, " e"]]
) -> Steps:
    """The spanning tree with the fewest changed columns, rooted in the empty row, depth first.

    Of a row's children the one whose subtree needs most slots comes last and overwrites the row's sums.
    """
    from scipy.sparse import coo_array  # a third of a second that most commands need not wait
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    m, d = mask.shape
    bits = np.packbits(np.pad(mask, ((0, 1), (0, -d % 64))), axis=1).view(np.uint64)  # row m: the empty one
    one, other = np.concatenate([edges[0], np.arange(m)]), np.concatenate([edges[1], np.full(m, m)])
    changed = np.bitwise_count(bits[one] ^ bits[other]).sum(axis=1, dtype=np.int64)
    tree = minimum_spanning_tree(coo_array((changed + 1.0, (one, other)), (m + 1, m + 1)).tocsr())  # 0 is no edge
    order, parent = breadth_first_order(tree, m, directed=False)
    children: list[list[int]] = [[] for _ in range(m + 1)]
    need = np.ones(m + 1, np.int64)
    for row in order[:0:-1].tolist():
        children[parent[row]].append(row)
    for row in order[::-1].tolist():
        children[row].sort(key=lambda child: (need[child], child))
        needs = [int(need[child]) for child in children[row]]
        need[row] = max([1, *needs[-1:], *(n + 1 for n in needs[:-1])])
    rows, source, target, slots = _depth_first(children)
    before = np.where(source[:, None] >= 0, mask[parent[rows] % m], False)
    return Steps(rows, source, target, slots, *_pairs(mask[rows], before))


def _depth_first(
    children: list[list[int]],
) -> tuple[Int64[np.ndarray, " m"], Int32[np.ndarray, " m"], Int32[np.ndarray, " m"], int]:
    """Rows in order, the slot each reads (-1: none) and writes, and the number of slots."""
    visits: list[tuple[int, int, int]] = []
    free: list[int] = []
    slots = 0
    waiting = [(child, -1, False) for child in children[-1]]
    while waiting:
        row, read, last = waiting.pop()
        if last:
            write = read
        elif free:
            write = free.pop()
        else:
            write, slots = slots, slots + 1
        visits.append((row, read, write))
        below = children[row]
        if not below:
            free.append(write)
        waiting += [(child, write, child == below[-1]) for child in reversed(below)]
    rows, source, target = np.array(visits, np.int64).T
    return rows, source.astype(np.int32), target.astype(np.int32), slots


def _pairs(
    mask: Bool[np.ndarray, "m d"], before: Bool[np.ndarray, "m d"]
) -> tuple[Int64[np.ndarray, " m1"], Int32[np.ndarray, " p"], Int16[np.ndarray, " p"]]:
    """Where the columns of each row's change start (in pairs), the columns, and +1, -1 or 0."""
    row, column = (mask != before).nonzero()
    count = np.bincount(row, minlength=len(mask))
    starts = np.concatenate([[0], ((count + 1) // 2).cumsum()])
    columns, signs = np.zeros(2 * starts[-1], np.int32), np.zeros(2 * starts[-1], np.int16)
    place = np.arange(len(row)) + np.repeat(2 * starts[:-1] - (count.cumsum() - count), count)
    columns[place], signs[place] = column, np.where(mask[row, column], 1, -1)
    return starts, columns, signs
