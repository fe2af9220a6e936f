"""Plain forms of models that compare whole images or masks: all distances, or the whole mask, as one product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.plain_patches import Answer
from benchmarks.timing import Spent, spent
from locality.denoisers.parts.bank import Bank

_CHECKED = 12  # coordinates at most of each of two noisy images whose error is found
_TERMS = 3e7  # differences summed for that in one noisy image


@dataclass(frozen=True)
class Rows:
    """Each point of each noisy image, through each row of the mask, over a bank of its own."""

    banks: list[Bank]
    points: Tensor  # [b m d]
    rows: Tensor | None  # [r d]; None: whole images
    outputs: Tensor  # [r v]
    hard: bool = False  # the nearest image alone

    @property
    def images(self) -> int:
        return len(self.banks[0])

    def first(self, count: int) -> Rows:
        """Of the first noisy images only."""
        return replace(self, banks=self.banks[:count], points=self.points[:count])

    def takes(self, part: int, sigma: float) -> Spent:
        """Over all images, told from the first `part` of them."""
        some = self.banks[0].pick(torch.arange(min(part, self.images))).whole().float()
        work = (lambda: self._whole(some, sigma)) if self.rows is None else self._masked(some, sigma)
        return spent(work)[1].times(self.images / len(some))

    def _whole(self, some: Tensor, sigma: float) -> Tensor:
        far = torch.cdist(self.points.flatten(0, 1), some)
        return some[far.argmin(dim=1)] if self.hard else torch.softmax(far.square() / (-2 * sigma**2), dim=1) @ some

    def _masked(self, some: Tensor, sigma: float) -> Callable[[], None]:
        assert self.rows is not None
        rows, items = self.rows.float(), some.T.contiguous()

        def work() -> None:
            for query in self.points[:, 0]:
                logits = rows @ (items * ((query[:, None] - items / 2) / sigma**2))
                weights = (logits - logits.amax(dim=1, keepdim=True)).exp()
                _ = [(weights * items[column]).sum(dim=1) / weights.sum(dim=1) for column in self.outputs.T]

        return work

    def answers(self, sigma: float) -> Iterator[Answer]:
        """A few coordinates of the first two noisy images."""
        wide = self.images * (
            self.points.shape[2] if self.rows is None else float(self.rows.sum(dim=1).double().mean())
        )
        chosen = torch.linspace(0, len(self.outputs) - 1, min(_CHECKED, max(2, int(_TERMS / wide)))).long().unique()
        for number in range(min(2, len(self.points))):
            bank, points = self.banks[number], self.points[number]
            for row in chosen.tolist():
                columns = torch.arange(points.shape[1]) if self.rows is None else self.rows[row].nonzero().flatten()
                values = self.outputs[row][:: -(-self.outputs.shape[1] // _CHECKED)]
                exact, single = (
                    self._answer(bank, points.to(t), columns, values, sigma) for t in (torch.float64, torch.float32)
                )
                yield Answer(number, values, exact, single)

    def _answer(self, bank: Bank, points: Tensor, columns: Tensor, values: Tensor, sigma: float) -> Tensor:
        """Averages at a few coordinates, in the type of `points`: in float32 by products, as the plain form."""
        logits = []
        for part in bank.columns(columns, 4096, points.dtype):
            near = points[:, columns]
            if points.dtype == torch.float64:
                logits.append(torch.stack([(part - one).square().sum(dim=1) for one in near]) / (-2 * sigma**2))
            else:
                logits.append((near @ part.T - part.square().sum(dim=1) / 2) / sigma**2)
        joined = torch.cat(logits, dim=1)
        if self.hard:
            return bank.pick(joined.argmax(dim=1)).whole()[:, values].mean(dim=0).to(points.dtype)
        return (torch.softmax(joined, dim=1) @ torch.cat(list(bank.columns(values, 4096, points.dtype)))).mean(dim=0)
