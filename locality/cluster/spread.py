"""A model whose average over the training images is taken where they are."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.cluster.held import Array, Rows, average, keep_model, merge_averages, stop
from locality.cluster.reduction import Reduction
from locality.dataset import Dataset, Images, InMemory
from locality.datasets import Source
from locality.denoisers.parts.averaging import Averaging
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.evidence import Evidence
from locality.posterior import PosteriorMean
from locality.types import ImageShape, Pixel
from locality.work import heartbeat, within

if TYPE_CHECKING:
    from distributed import Future

    from locality.cluster.compute import ClusterCompute

_MESSAGE = 4 * 1024**2  # bytes of noisy images that travel with a step


@dataclass(frozen=True, eq=False)
class SpreadDenoiser:
    """The same answers as `inner` to 1e-6, for any number of workers; gradients and evidence are its own.

    Each worker averages over its images, in the memory of the bank's budget; then two and two are merged.
    """

    inner: Averaging
    images: Images
    compute: ClusterCompute
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    there: set[str] = field(default_factory=set)  # workers that hold the model

    @property
    def shape(self) -> ImageShape:
        return self.inner.shape

    @property
    def bank(self) -> Bank:
        return self.inner.bank

    @property
    def merges(self) -> bool:
        return True

    @cached_property
    def averaged(self) -> Images:
        """The images of the bank, those that it makes from others left out."""
        rows, images = self.bank.rows, self.images
        if len(rows) == len(images.train):
            return images
        if isinstance(images, Source) and not images.edits and int(rows[-1]) == len(rows) - 1:
            return replace(images, first=len(rows))
        return InMemory(Dataset(images.name, "train", self.shape, self.bank.stored(0, self.bank.stored_images).cpu()))

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises as `inner`, and as `Team.look` and `Shards.place`."""
        if torch.is_grad_enabled() and x.requires_grad:
            return self.inner(x, sigma)
        return self.posterior(x, sigma).mean().to(x)

    def posterior(self, x: Float[Tensor, "b d"], sigma: float) -> PosteriorMean:
        """The answer before it is divided, float64."""
        self.shape.check(x)
        blocks, found = x.detach().cpu().split(max(1, _MESSAGE // (x.element_size() * self.shape.d))), []
        for number, block in enumerate(blocks):
            with within(number / len(blocks), (number + 1) / len(blocks)):
                found.append(PosteriorMean(*map(torch.from_numpy, self._step(block.numpy(), sigma))))
        return PosteriorMean.joined(found)

    def jacobian_rows(
        self, x: Float[Tensor, "b d"], outputs: Float[Tensor, "m d"], sigma: float
    ) -> Float[Tensor, "m b d"] | None:
        """As `inner`; None where it has no closed form."""
        closed = getattr(self.inner, "jacobian_rows", None)
        return None if closed is None else closed(x, outputs, sigma)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int) -> Evidence:
        """As `inner`."""
        asked: Any = self.inner
        found: Evidence = asked.explain(x, pixel, sigma, top)
        return found

    def _step(self, x: Array, sigma: float) -> tuple[Array, ...]:
        team, shards, job = self.compute.team, self.compute.shards(self.averaged), uuid.uuid4().hex
        self.compute.use(self.key, self.there)

        def leaf(worker: str, rows: Rows) -> Future[Any]:
            self._have(worker)
            team.moved += x.nbytes
            return team.submit(worker, average, job, self.key, shards.key, rows, x, sigma)

        work = Reduction(shards, leaf, merge_averages)
        running = work.run()
        try:
            while True:
                heartbeat(next(running))
        except StopIteration as end:
            found: tuple[Array, ...] = end.value
            team.moved += (work.crossed + 1) * sum(array.nbytes for array in found)
            return tuple(array.copy() for array in found)
        except BaseException:
            team.tell(stop, job)
            raise
        finally:
            running.close()

    def _have(self, worker: str) -> None:
        """Have the model on a worker; where that is gone, whoever waits for its answer finds out."""
        team, bank = self.compute.team, self.bank
        if worker in self.there or worker not in team.members:
            return
        data, rows = bank.data[:0].clone(), bank.rows[:0].clone()  # a view takes all along
        nothing = Bank(bank.shape, data, rows, bank.flips, bank.memory)
        plans: dict[str, Any] = {"plans": {}} if hasattr(self.inner, "plans") else {}
        without = replace(self.inner, bank=nothing, **plans)  # type: ignore[type-var]
        while worker in team.members and worker not in self.there:
            sent = team.send(worker, without)
            if sent is not None and team.result(team.submit(worker, keep_model, self.key, sent, self.compute.devices)):
                self.there.add(worker)
