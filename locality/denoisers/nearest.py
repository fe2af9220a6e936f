"""The nearest training image: what the optimal denoiser becomes as the noise vanishes."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.bank import AveragingSpec, Bank
from locality.denoisers.parts.evidence import TOP, Evidence, evidence
from locality.denoisers.parts.shards import ShardedBank, over_parts
from locality.denoisers.parts.spec import DENOISERS
from locality.device import Compute
from locality.schedule import check_sigma
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress, heartbeat


@DENOISERS.register("nearest")
@dataclass(frozen=True)
class Nearest(AveragingSpec):
    """The training image with the smallest distance to the noisy one, whatever the noise level."""

    paper: ClassVar[str] = "The limit sigma -> 0 of the optimal denoiser"
    cost: ClassVar[str] = "N d per image and step, as one matrix product"
    examples: ClassVar[tuple[str, ...]] = ("nearest",)
    quick: ClassVar[bool] = True

    @property
    def exempt(self) -> Mapping[str, str]:
        return {
            **super().exempt,
            "noise_drowns_everything": "there is always a nearest image",
            "evidence_shows_the_window": "its derivative is zero",
        }

    @property
    def tolerance(self) -> Mapping[str, float]:
        return {"clean_images_stay": 2e-6}  # whole images are compared: every other one is thousands of sigma^2 away

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, NearestDenoiser]:
        """Nothing to compute: the training images are the model."""
        yield Progress(0.0, 1.0, "Training images")
        return NearestDenoiser(self.bank(images, compute))


@dataclass(frozen=True, eq=False)
class NearestDenoiser:
    """Near ties go to the right image, for float64 decides them; the first one wins a true tie."""

    bank: Bank

    @property
    def shape(self) -> ImageShape:
        return self.bank.shape

    @torch.no_grad()
    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Piecewise constant in x. Raises BadInput (size of x, sigma), NonFinite (x), TooLarge (memory budget)."""
        self.shape.check(x)
        check_sigma(sigma)
        return self.bank.pick(self._nearest(x)).whole().to(x.dtype)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """The one image that is copied."""
        check_sigma(sigma)
        weights = torch.zeros(len(self.bank))
        weights[self._nearest(x[None]).cpu()] = 1.0
        return evidence(self.bank, weights, torch.ones(self.shape.h, self.shape.w), 1)

    def _nearest(self, x: Float[Tensor, "b d"]) -> Int[Tensor, " b"]:
        found = over_parts(self.bank, x.double(), _nearest_of)
        if not isinstance(self.bank, ShardedBank):
            return found[0][1]
        best = torch.stack([nearness.to(x.device) for nearness, _ in found])
        items = torch.stack([self.bank.items(number, where.to(x.device)) for number, (_, where) in enumerate(found)])
        return items.masked_fill(best < best.amax(dim=0), len(self.bank)).amin(dim=0)


def _nearest_of(bank: Bank, x: Float64[Tensor, "b d"]) -> tuple[Float64[Tensor, " b"], Int[Tensor, " b"]]:
    """How near the nearest item is, up to what all parts share, and which.

    In float64 throughout on an accelerator, where float32 first would have the host wait for what it cannot tell apart.
    """
    return _screened(bank, x) if x.device.type == "cpu" else _compared(bank, x)


def _compared(bank: Bank, x: Float64[Tensor, "b d"]) -> tuple[Float64[Tensor, " b"], Int[Tensor, " b"]]:
    best = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device)
    where = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    size = bank.fit(8 * (3 * bank.shape.d + 3 * len(x)), most=4096)  # the chunk, the one before, squares
    start = 0
    for x_kd in bank.chunks(size, torch.float64):
        nearness = (x @ x_kd.T - 0.5 * x_kd.square().sum(dim=1)).max(dim=1)
        where = torch.where(nearness.values > best, nearness.indices + start, where)
        best = torch.maximum(best, nearness.values)
        start += len(x_kd)
        heartbeat(start / len(bank))
    return best, where


def _screened(bank: Bank, x: Float64[Tensor, "b d"]) -> tuple[Float64[Tensor, " b"], Int[Tensor, " b"]]:
    """What float32 cannot tell apart is compared again in float64: twice as fast."""
    size = bank.fit(4 * (3 * bank.shape.d + 4 * len(x)), most=4096)  # the chunk, the one before, squares
    best = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device)
    where = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for query, items in enumerate(_possible(bank, x, size)):
        for some in items.split(size // 2 + 1):  # of twice the bytes
            near = ((bank.pick(some).whole() - x[query]).square().sum(dim=1) * -0.5).max(dim=0)
            if near.values > best[query]:
                best[query], where[query] = near.values, some[near.indices]
    return best, where


def _possible(bank: Bank, x: Float64[Tensor, "b d"], size: int) -> list[Int[Tensor, " k"]]:
    """For every noisy image the items that float32 cannot tell from the nearest, in their order: all that may be it.

    x x_i - |x_i|^2 / 2 in float32 is off by at most d + 8 roundings of |x| |x_i| + |x_i|^2 / 2: products, sums and
    the rounding of x and x_i themselves.
    """
    single, norms = x.float(), x.norm(dim=1).float()
    unit = (bank.shape.d + 8) * torch.finfo(torch.float32).eps
    floor = torch.full_like(norms, -torch.inf)
    found, start = [], 0
    for x_kd in bank.chunks(size, torch.float32):
        own = x_kd.square().sum(dim=1)
        most = own.max().sqrt()
        off = unit * (norms * most + 0.5 * most**2)
        near = torch.addmm(-0.5 * own, single, x_kd.T)
        floor = torch.maximum(floor, near.amax(dim=1) - off)
        query, item = (~(near < (floor - off)[:, None])).nonzero(as_tuple=True)  # all of them where products overflow
        found.append((query, item + start, near[query, item] + off[query]))
        start += len(x_kd)
        heartbeat(start / len(bank))
    queries, items, highest = map(torch.cat, zip(*found, strict=True))
    kept = ~(highest < floor[queries])
    return [items[kept & (queries == query)] for query in range(len(x))]
