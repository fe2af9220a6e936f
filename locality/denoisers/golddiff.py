"""Locality on a retrieved subset: a few thousand training images near the noisy one, found in two stages."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.bank import Bank
from locality.denoisers.parts.compiled import holds_bytes
from locality.denoisers.parts.evidence import TOP, Evidence, evidence, masked_logits, softmax_weights
from locality.denoisers.parts.shards import ShardedBank, over_parts
from locality.denoisers.parts.spec import DENOISERS
from locality.denoisers.parts.threshold_spec import ThresholdSpec
from locality.denoisers.parts.walk import posterior_mean, ready
from locality.denoisers.pca_locality import PcaLocalityDenoiser
from locality.device import Compute, sent
from locality.schedule import check_sigma
from locality.specs import param
from locality.store import Store
from locality.types import Denoiser, ImageShape, Pixel
from locality.work import Progress, within


@DENOISERS.register("golddiff")
@dataclass(frozen=True)
class GoldDiff(ThresholdSpec):
    """pca_locality on the nearest N/20 to N/10 training images: another estimator, not only a faster one."""

    heading: ClassVar[str] = "GoldDiff"
    paper: ClassVar[str] = "Shang, Sun, Lin, Shen 2026 (arXiv 2602.16498)"
    cost: ClassVar[str] = "N d for the retrieval, then a tenth of pca_locality, per image and step"
    examples: ClassVar[tuple[str, ...]] = ("golddiff", "golddiff:tau=0.1,flips=true")

    seed: int = param(0, help="Seed of the random pre-sample.", low=0, high=2**31 - 1)

    @property
    def exempt(self) -> Mapping[str, str]:
        return {
            **super().exempt,
            "order_changes_nothing": "the pre-sample is a draw of places in the order",
            "noise_drowns_everything": "the mean of the retrieved images",
        }

    def approximations(self, available: int) -> list[str]:
        part = "averages a retrieved tenth to twentieth of the images: another estimator, not only a faster one"
        return [*super().approximations(available), part]

    @classmethod
    def released(cls, dataset: str, shape: ImageShape) -> dict[str, str]:
        return {"GoldDiff": cls.name}

    def fit(
        self, images: Images, compute: Compute, store: Store, reference: Denoiser | None = None
    ) -> Generator[Progress, None, GoldDiffDenoiser]:
        """The field; the training images are the rest of the model."""
        tau = self.threshold(images.name)
        bank = self.bank(images, compute)
        field = yield from self.field_of(images, "mean", compute, store, reference)
        yield from ready(1)
        return GoldDiffDenoiser(PcaLocalityDenoiser(bank, field, tau, self.mask_rule, self.temperature, 0), self.seed)


@dataclass(frozen=True, eq=False)
class GoldDiffDenoiser:
    """The pre-sample depends on seed and sigma alone. Memory: as pca_locality, plus 8 N bytes a noisy image."""

    inner: PcaLocalityDenoiser
    seed: int

    @property
    def shape(self) -> ImageShape:
        return self.inner.shape

    def __call__(self, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
        """Raises BadInput (size of x, sigma), NonFinite (x), TooLarge (memory budget)."""
        self.shape.check(x)
        plan = self.inner.plan(check_sigma(sigma))
        answers = []
        items = self._retrieved(x.detach(), sigma)
        for number, (query, chosen) in enumerate(zip(x, items, strict=True)):
            with within(number / len(x), (number + 1) / len(x)):
                near = self.inner.bank.pick(chosen)
                answers.append(posterior_mean(near, plan, query[None], sigma, self.inner.temperature))
        return torch.cat(answers)

    def explain(self, x: Float[Tensor, " d"], pixel: Pixel, sigma: float, top: int = TOP) -> Evidence:
        """Weights of the retrieved images, averaged over the pixel's channels."""
        bank, items = self.inner.bank, self.retrieve(x, check_sigma(sigma))
        masks = self.inner.pixel_masks(pixel, sigma)
        scale = 0.5 / (sigma**2 * self.inner.temperature)
        near = bank.pick(items)
        each = [softmax_weights(masked_logits(near, x, mask.nonzero().flatten().to(x.device), scale)) for mask in masks]
        weights = torch.zeros(len(bank), dtype=torch.float64, device=x.device)
        weights[items] = torch.stack(each).mean(dim=0)
        window = masks.reshape(-1, *self.shape).any(dim=1).float().mean(dim=0)
        return evidence(bank, weights, window, top)

    def retrieve(self, x: Float[Tensor, " d"], sigma: float) -> Int[Tensor, " k"]:
        """Items that are averaged: a random part, the nearest of it at half size, the nearest of those at full size.

        g = sigma / sqrt(1 + sigma^2), q = 1 - g: the cleaner the image, the more are looked at and the
        fewer are kept.
        """
        return next(self._retrieved(x[None], sigma))

    @torch.no_grad()
    def _retrieved(self, x: Float[Tensor, "b d"], sigma: float) -> Iterator[Int[Tensor, " k"]]:
        """For each noisy image; images are made half as large once for all."""
        n = len(self.inner.bank)
        most, least = max(1, n // 10), max(1, n // 20)
        q = 1.0 - sigma / math.sqrt(1.0 + sigma**2)
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + round(1e6 * sigma)) % 2**63)
        drawn = torch.randperm(n, generator=generator)[: most + round((n - most) * q)]
        looked_at = sent(drawn.sort().values, x.device)
        keep = max(1, round(most - (most - least) * q))
        for query, distance in zip(x, self._distances_at_half_size(x, looked_at), strict=True):
            coarse = looked_at[distance.topk(most, largest=False).indices].sort().values
            near = (self.inner.bank.pick(part) for part in coarse.split(self._together))
            fine = torch.cat([_squared_distances(query, bank) for bank in near])
            yield coarse[fine.topk(keep, largest=False).indices].sort().values

    @property
    def _together(self) -> int:
        """Images that are compared at a time."""
        return self.inner.bank.fit(16 * self.shape.d, most=4096)

    def _distances_at_half_size(self, x: Float[Tensor, "b d"], items: Int[Tensor, " m"]) -> Float[Tensor, "b m"]:
        bank = self.inner.bank
        if not isinstance(bank, ShardedBank):
            return _distances_at_half_size(bank, x, items)
        shares = {part: (mine, own) for part, mine, own in bank.owned(items)}
        each = over_parts(bank, x, lambda part, q: _distances_at_half_size(part, q, shares[part][1].to(q.device)))
        places = torch.cat([mine for mine, _ in shares.values()])
        found = torch.cat([distances.to(x.device) for distances in each], dim=1)
        return torch.empty_like(found).index_copy_(1, places, found)


def _distances_at_half_size(bank: Bank, x: Float[Tensor, "b d"], items: Int[Tensor, " m"]) -> Float[Tensor, "b m"]:
    size = bank.fit(16 * bank.shape.d, most=4096)

    def half(images: Float[Tensor, "k d"]) -> Float[Tensor, "k e"]:
        stacked = images.reshape(-1, *bank.shape)
        return torch.nn.functional.avg_pool2d(stacked, 2, ceil_mode=True).flatten(1)

    small, parts = half(x), [x.new_zeros(len(x), 0)]
    for part in items.split(size):
        if holds_bytes(bank):
            from locality.denoisers.parts.distances import half_size_distances  # Numba takes half a second to load

            parts.append(half_size_distances(bank.pick(part).data, bank.shape, small).to(x.dtype))
            continue
        for x_kd in bank.pick(part).chunks(size, x.dtype):
            near = half(x_kd)
            parts.append(torch.stack([(near - one).square().sum(dim=1) for one in small]))
    return torch.cat(parts, dim=1)


def _squared_distances(x: Float[Tensor, " d"], bank: Bank) -> Float[Tensor, " n"]:
    if holds_bytes(bank):
        from locality.denoisers.parts.distances import squared_distances

        return squared_distances(bank.data, x, torch.arange(len(x))).to(x.dtype)
    size = bank.fit(12 * len(x), most=4096)
    return torch.cat([(x_kd - x).square().sum(dim=1) for x_kd in bank.chunks(size, x.dtype)])
