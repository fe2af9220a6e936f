"""Plain forms of the models that compare square patches: loops over windows, or all patches as vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.timing import Spent, spent
from locality.denoisers.els import EquivariantDenoiser
from locality.denoisers.parts.bank import Bank
from locality.denoisers.pspc_square import SquarePatchesDenoiser
from locality.types import ImageShape

_CHECKED = 4  # pixels of a noisy image whose error is found
_AT_ONCE = 256  # images a product meets


def over_windows(x: Tensor, items: Tensor, shape: ImageShape, size: int, sigma: float) -> Tensor:
    """Every window on its own: distances over its pixels, softmax, weighted sum; their mean at each pixel."""
    c, h, w = shape
    noisy, images = x.reshape(-1, c, h, w), items.reshape(-1, c, h, w)
    answer, cover = torch.zeros_like(noisy), torch.zeros(h, w, dtype=x.dtype)
    for row in range(h - size + 1):
        for col in range(w - size + 1):
            down, right = slice(row, row + size), slice(col, col + size)
            far = ((noisy[:, None, :, down, right] - images[None, :, :, down, right]) ** 2).sum(dim=(2, 3, 4))
            weights = torch.softmax(-far / (2 * sigma**2), dim=1)
            answer[:, :, down, right] += torch.einsum("bn,nchw->bchw", weights, images[:, :, down, right])
            cover[down, right] += 1
    return (answer / cover).flatten(1)


def over_patches(x: Tensor, bank: Bank, model: EquivariantDenoiser, size: int, sigma: float) -> Tensor:
    """All patches of all images as vectors, all distances of one border type by one matrix product."""
    items = bank.whole().float()
    c, h, w = bank.shape
    queries, candidates = model.patches(x, size), model.patches(items, size)
    centres = items.reshape(-1, c, h * w)
    answer = x.new_zeros(len(x), c, h * w)
    for group in model.groups(size):
        there = candidates[:, group].flatten(0, 1)
        values = centres[:, :, group].transpose(1, 2).flatten(0, 1)
        for number, query in enumerate(queries):
            logits = (query[group] @ there.T - 0.5 * there.square().sum(dim=1)) / sigma**2
            answer[number, :, group] = (torch.softmax(logits, dim=1) @ values).T
    return answer.flatten(1)


class Answer(NamedTuple):
    """What a noisy image has at some coordinates in float64, and by the plain form in float32."""

    image: int
    values: Tensor
    exact: Tensor
    single: Tensor


def errors(found: Tensor, answers: list[Answer]) -> tuple[float, float]:
    """Largest differences of `found`, and of the plain form, from float64, in the noisy images of `found`."""
    known = [answer for answer in answers if answer.image < len(found)]
    ours = max(float((found[answer.image, answer.values] - answer.exact).abs().max()) for answer in known)
    return ours, max(float((answer.single - answer.exact).abs().max()) for answer in known)


@dataclass(frozen=True)
class Patches:
    """The formula of a model of square patches at one noise level, for some noisy images."""

    model: SquarePatchesDenoiser | EquivariantDenoiser
    x: Tensor
    size: int

    @property
    def images(self) -> int:
        return len(self.model.bank)

    def first(self, count: int) -> Patches:
        """Of the first noisy images only."""
        return replace(self, x=self.x[:count])

    def takes(self, part: int, sigma: float) -> Spent:
        """Over all images, told from the first `part` of them."""
        some = self.model.bank.pick(torch.arange(min(part, self.images)))
        return spent(lambda: self._all(some, sigma))[1].times(self.images / len(some))

    def _all(self, some: Bank, sigma: float) -> None:
        if isinstance(self.model, SquarePatchesDenoiser):
            over_windows(self.x, some.whole().float(), some.shape, self.size, sigma)
        else:
            over_patches(self.x, some, self.model, self.size, sigma)

    def answers(self, sigma: float) -> Iterator[Answer]:
        """A few pixels of the first noisy image."""
        c, h, w = self.model.shape
        places = torch.linspace(0, h * w - 1, _CHECKED).long().tolist()
        exact, single = (self._answers(places, sigma, dtype) for dtype in (torch.float64, torch.float32))
        for place, *both in zip(places, exact, single, strict=True):
            yield Answer(0, torch.arange(c) * h * w + place, *both)

    def _answers(self, places: list[int], sigma: float, dtype: torch.dtype) -> list[Tensor]:
        if isinstance(self.model, SquarePatchesDenoiser):
            return [self._composed(place, sigma, dtype) for place in places]
        return self._met(places, sigma, dtype)

    def _chunks(self, dtype: torch.dtype) -> Iterator[Tensor]:
        bank = self.model.bank
        for start in range(0, len(bank), _AT_ONCE):
            yield bank.pick(torch.arange(start, min(len(bank), start + _AT_ONCE))).whole().to(dtype)

    def _composed(self, place: int, sigma: float, dtype: torch.dtype) -> Tensor:
        """pspc_square at a pixel: the mean of what every patch that covers it says."""
        (c, h, w), size = self.model.shape, self.size
        row, col = divmod(place, w)
        corners = [
            (top, left)
            for top in range(max(0, row - size + 1), min(row, h - size) + 1)
            for left in range(max(0, col - size + 1), min(col, w - size) + 1)
        ]
        query, logits, values = self.x[0].to(dtype).reshape(c, h, w), [], []
        for part in self._chunks(dtype):
            far = (part.reshape(-1, c, h, w) - query).square().sum(dim=1)
            boxes = [far[:, top : top + size, left : left + size].sum(dim=(1, 2)) for top, left in corners]
            logits.append(torch.stack(boxes) / (-2 * sigma**2))
            values.append(part.reshape(-1, c, h * w)[:, :, place])
        return (torch.softmax(torch.cat(logits, dim=1), dim=1) @ torch.cat(values)).mean(dim=0)

    def _met(self, places: list[int], sigma: float, dtype: torch.dtype) -> list[Tensor]:
        """els and bbels at some pixels: the patch of each meets every patch of its border type."""
        assert isinstance(self.model, EquivariantDenoiser)
        groups = [next(group for group in self.model.groups(self.size) if place in group) for place in places]
        queries = self.model.patches(self.x[:1].to(dtype), self.size)[0]
        met: list[list[tuple[Tensor, Tensor]]] = [[] for _ in places]
        for part in self._chunks(dtype):
            patches, centres = self.model.patches(part, self.size), part.reshape(len(part), self.model.shape.c, -1)
            own = patches.square().sum(dim=2) / 2
            for place, group, some in zip(places, groups, met, strict=True):
                logits = ((patches @ queries[place] - own) / sigma**2)[:, group]
                some.append((logits.flatten(), centres[:, :, group].transpose(1, 2).flatten(0, 1)))
        each = [tuple(map(torch.cat, zip(*some, strict=True))) for some in met]
        return [torch.softmax(logits, dim=0) @ values for logits, values in each]
