"""Posterior means through masks by walking: sums pass from one row to the next, which adds the columns that changed.

    S_q = sum_{p in M_q} (code_p p_i - p_i^2 / (2 step)),    x_p = step code_p + 1/2, p_i = u_i - 128, in grey levels

Sums are whole numbers of 32 bits, so nothing drifts; the softmax is fused, so no logit is ever stored. Where 16 bits of
x are too few each row of small masks sums (x_p - p_i)^2 in floats from nothing instead; for wide masks a second code
holds what the first leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from locality.denoisers.optimal import OptimalDenoiser
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.compiled import kernels, processor, runs_compiled
from locality.denoisers.parts.masked import masked_posterior
from locality.denoisers.parts.shards import merged
from locality.denoisers.parts.walk_loop import LARGEST, TOP, Form, Sums, Work
from locality.denoisers.parts.walk_plan import Masks
from locality.posterior import PosteriorMean
from locality.types import ImageShape
from locality.work import Progress, heartbeat, within

R = TypeVar("R")
_ERROR = 1e-3  # of a logit, below which 16 bits of x serve
_WIDEST = 384  # columns a row may have on average for sums from nothing to pay
_SHARPEST = 5000  # support / noise^2, above which rounding of logits in floats shows, whatever the code
_QUERIES = 32  # noisy images that share one turning of the training images
_SHORTEST = 128  # batches of the softmax below this would leave most lanes empty


def posterior_mean(
    bank: Bank, masks: Masks, x: Float[Tensor, "b d"], sigma: float, temperature: float = 1.0, *, batch: int = 0
) -> Float[Tensor, "b d"]:
    """Posterior mean of every output given the coordinates of its mask; see `posterior`.

    Exact over all images; `batch` as `masked_posterior` takes it.
    """
    return posterior(bank, masks, x, sigma, temperature, batch=batch).mean().to(x.dtype)


def posterior(
    bank: Bank, masks: Masks, x: Float[Tensor, "b d"], sigma: float, temperature: float = 1.0, *, batch: int = 0
) -> PosteriorMean:
    """The average of every output [b d] before it is divided: `quick_posterior`, else `masked_posterior`.

    Raises:
        TooLarge: the memory budget.
    """
    found = quick_posterior(bank, masks, x, sigma, temperature, batch=batch)
    return masked_posterior(bank, masks.tiles, x, sigma, temperature, batch=batch) if found is None else found


def quick_posterior(
    bank: Bank, masks: Masks, x: Float[Tensor, "b d"], sigma: float, temperature: float = 1.0, *, batch: int = 0
) -> PosteriorMean | None:
    """As `masked_posterior`: the optimal denoiser where rows compare everything, else the walk; None if neither serves.

    The walk does not for images that are not of 8 bits or not on a CPU, x not float32, a gradient, tiny batches of the
    softmax, wide masks at very little noise, without Numba, or with a budget below what it takes for one noisy image.
    """
    if not batch and masks.narrowest == masks.shape.d:
        return OptimalDenoiser(bank, temperature).posterior(x, sigma)
    parts = (bank,) if batch else bank.parts  # batches follow the order of all images
    walks = {part: Walk.of(part, masks, x, sigma, sigma * temperature**0.5, batch) for part in parts}
    ways = {part: walk for part, walk in walks.items() if walk is not None}
    if len(ways) < len(walks):
        return None
    if batch:
        found = PosteriorMean.weightless(ways[bank].batches(x, batch))
    else:
        found = merged(bank, x, lambda part, queries: ways[part].average(queries))
    return found.placed(masks.outputs, masks.shape.d)


def ready(values: int) -> Generator[Progress, None, None]:
    """Have the loops for rows of so many coordinates, which are compiled once on a machine, then kept by Numba."""
    loops = kernels()
    if loops is None:
        yield Progress(0.0, 1.0, "Numba does not run here: slower products serve (pip install -r requirements.txt)")
        return
    lanes, whole = processor()
    kinds = ((whole, 1), (loops.DIRECT, 1), (whole, 2))
    forms = [Form(queries, values, lanes, kind, parts) for kind, parts in kinds for queries in (1, 8 // parts)]
    missing = [form for form in forms if not loops.compiled(form.typed())]
    masks = Masks(torch.ones(1, values).bool(), torch.arange(values)[None], ImageShape(values, 1, 1))
    bank = Bank(masks.shape, torch.zeros(1, values, dtype=torch.uint8), torch.zeros(1).long(), False, 0)
    for number, form in enumerate(missing):
        yield Progress(number, len(missing), f"Averages for this processor (compiled {loops.KEPT})")
        Walk(bank, masks, 1.0, form, form.queries, 1).average(torch.zeros(form.queries, values))


@dataclass(frozen=True, eq=False)
class Walk:
    """How one call averages: the loop, and how many noisy images and threads at a time."""

    bank: Bank
    masks: Masks
    noise: float
    form: Form
    queries: int
    threads: int

    @staticmethod
    def of(
        bank: Bank,
        masks: Masks,
        x: Float[Tensor, "b d"],
        sigma: float,
        noise: float,
        batch: int,
        most: int = _QUERIES,
    ) -> Walk | None:
        """None where the walk does not serve; at most `most` noisy images at a time."""
        loops = kernels()
        if loops is None or not runs_compiled(bank, x) or 0 < batch < min(_SHORTEST, len(bank)):
            return None
        lanes, kind = processor()
        parts = 1
        # Coding x moves a logit by step / sqrt(12) |x_i| / noise^2, |x_i| about sqrt(support) / 2
        step = (1.0 + 4.5 * sigma) / min(TOP, LARGEST / (129 * masks.widest))
        if step / 12**0.5 * 0.5 * masks.support**0.5 / noise**2 > _ERROR:
            if masks.support <= _WIDEST:
                kind = loops.DIRECT
            elif masks.support / noise**2 > _SHARPEST:
                return None
            else:
                parts = 2
        for queries in (min(most, len(x)), min(8, len(x)), 1):
            form = Form(1 if queries == 1 else 8 // parts, masks.outputs.shape[1], lanes, kind, parts)
            for threads in range(torch.get_num_threads(), 0, -1):
                walk = Walk(bank, masks, noise, form, queries, threads)
                if walk.memory(batch) <= bank.memory:
                    return walk
        return None

    def memory(self, batch: int) -> int:
        """Bytes of a call's arrays, beside those of the masks."""
        steps = self.masks.alone if self._direct else self.masks.steps
        mirrored = 3 * self.masks.shape.d * self._part(batch) if self.bank.flips else 0
        each, shared = self.form.memory(steps, self.queries, self.masks.shape.d)
        return self.threads * (each + mirrored) + shared

    def average(self, x: Float[Tensor, "b d"]) -> PosteriorMean:
        """Averages over all images of every row, in order: values [v b m] in front, float64."""
        whole = self._of_blocks(x, 0, lambda sums: reduce(Sums.merge, sums))
        log_weights = [self._placed(sums.log_weight(), block) for sums, block in whole]
        means = [self._placed(sums.mean(), block) for sums, block in whole]
        return PosteriorMean.known(torch.cat(means).transpose(0, 1), torch.cat(log_weights))

    def batches(self, x: Float[Tensor, "b d"], batch: int) -> Float[Tensor, "v b m"]:
        """The mean of the averages over batches of so many images."""
        count = len(range(0, len(self.bank), batch))

        def mean(sums: Iterable[Sums]) -> Float64[np.ndarray, "b v m"]:
            total = np.zeros(())
            for one in sums:
                total = total + one.mean() / count
            return total

        found = self._of_blocks(x, batch, mean)
        return torch.cat([self._placed(means, block) for means, block in found]).transpose(0, 1)

    def _of_blocks(
        self, x: Float[Tensor, "b d"], batch: int, work: Callable[[Iterable[Sums]], R]
    ) -> list[tuple[R, int]]:
        """Of each block of noisy images what `work` makes of its sums over parts of the training images; its size."""
        blocks, parts, found = x.detach().split(self.queries), range(0, len(self.bank), self._part(batch)), []
        for number, block in enumerate(blocks):
            with within(number / len(blocks), (number + 1) / len(blocks)):
                found.append((work(self._each(self._work(block), parts)), len(block)))
        return found

    def _placed(self, found: Float64[np.ndarray, "q *v m"], noisy: int) -> Float[Tensor, "b *v m"]:
        """Of so many noisy images, from the order of the steps to that of the rows."""
        steps = self.masks.alone if self._direct else self.masks.steps
        placed = np.empty_like(found[:noisy])
        placed[..., steps.rows] = found[:noisy]
        return torch.from_numpy(placed)

    def _work(self, x: Float[Tensor, "b d"]) -> Work:
        steps = self.masks.alone if self._direct else self.masks.steps
        outputs = np.ascontiguousarray(self.masks.outputs.cpu().numpy()[steps.rows])
        noisy = x.double().numpy()
        if self._direct:
            return Work.direct(self.form, steps, outputs, noisy, self.noise)
        return Work.coded(self.form, steps, outputs, noisy, self.noise, self.masks.widest)

    def _each(self, work: Work, parts: range) -> Iterator[Sums]:
        """Sums over the parts in order, so that the number of threads changes nothing."""

        def one(start: int) -> Sums:
            return work.run(self.bank.stored(start, min(start + parts.step, len(self.bank))).numpy())

        with ExitStack() as stack:
            each: Iterable[Sums] = map(one, parts)
            if self.threads > 1 and len(parts) > 1:
                pool = ThreadPoolExecutor(self.threads, "averages")
                stack.callback(pool.shutdown, cancel_futures=True)  # also where the listener of a heartbeat cancels
                each = pool.map(one, parts)
            for done, sums in enumerate(each, start=1):
                heartbeat(done / len(parts))
                yield sums

    def _part(self, batch: int) -> int:
        """Images whose softmax is one piece of work: 4, 8, ... pieces of 512 to 4096, whatever the threads."""
        n = len(self.bank)
        pieces = max(1, min(4 * -(-n // 16384), n // 512))
        return batch or -(-n // pieces // 32) * 32

    @property
    def _direct(self) -> bool:
        loops = kernels()
        return loops is not None and self.form.kind == loops.DIRECT
