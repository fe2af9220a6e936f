"""Making the cells that are missing: one model open at a time, every finished cell kept at once."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from locality.device import Compute
from locality.features import Features
from locality.memory import PeakMemory
from locality.metrics import SCORES, explained
from locality.sampler import ddim
from locality.store import Artifact, Store
from locality.studies.benchmark.cells import (
    WALK,
    Cell,
    drawn_key,
    own_artifact,
    score_steps,
)
from locality.studies.benchmark.competitors import Competitor, Setup
from locality.studies.benchmark.extractors import Extractor
from locality.studies.benchmark.metrics import BESIDE, FEATURES, HELD_OUT, LEVELS, NEAREST, OWN, score_cell
from locality.studies.benchmark.sampling import held_out_noise
from locality.studies.models import finite
from locality.studies.sampling.nearest import nearest_training
from locality.types import Denoiser
from locality.work import Progress, map_progress, within

Work = Generator[Progress, None, Artifact]  # events tell the share done: 0..1


class Runner:
    """What cells are made with; `unit` is about how many seconds the whole cell takes, for news inside a step."""

    def __init__(self, setup: Setup, store: Store, compute: Compute) -> None:
        self.setup, self.store, self.compute = setup, store, compute
        self.unit = 1.0
        self._peak = PeakMemory(compute.device)
        self._denoisers: dict[str, Denoiser] = {}  # the reference and one other
        self._features: dict[str, Features] = {}
        self._drawn: dict[str, Artifact] = {}  # those of the cells at hand

    def make(self, cell: Cell) -> Work:
        """The artefact of a cell; its meta holds the seconds it took."""
        began = time.perf_counter()
        makers = {OWN: self._own, BESIDE: self._beside, NEAREST: self._nearest, FEATURES: self._read}
        makers |= {HELD_OUT: self._held_out, LEVELS: self._held_out}
        makers |= dict.fromkeys(map(score_cell, SCORES), self._score)
        made = yield from makers.get(cell.kind, self._trajectory)(cell)
        return Artifact(made.arrays, {**made.meta, "seconds": time.perf_counter() - began})

    def extractor(self, extractor: Extractor) -> Features:
        """An extractor, opened once."""
        if extractor.name not in self._features:
            self._features[extractor.name] = extractor.open(self.compute.device)
        return self._features[extractor.name]

    def denoiser(self, competitor: Competitor) -> Generator[Progress, None, Denoiser]:
        """A model fitted or read; the one before is let go, but for the reference."""
        reference = self.setup.reference.name
        if competitor.name not in self._denoisers:
            self._denoisers = {name: one for name, one in self._denoisers.items() if name == reference}
            assert competitor.model is not None
            fit = competitor.model.open(store=self.store, compute=self.compute)
            self._denoisers[competitor.name] = yield from map_progress(
                fit, lambda event: Progress(0.0, 1.0, f"{competitor.name}: {event.note} {event.fraction:.0%}")
            )
        return self._denoisers[competitor.name]

    def _own(self, cell: Cell) -> Work:
        target = yield from self._drawing(self.setup.reference_for(cell.competitor), cell.images)
        drawn = yield from self._drawing(cell.competitor, cell.images)
        return own_artifact(drawn, target, self.setup.source.shape)

    def _beside(self, cell: Cell) -> Work:
        """R2 of last estimates against the second network's."""
        second = self.setup.second_for(cell.competitor)
        assert second is not None
        drawn = yield from self._drawing(cell.competitor, cell.images)
        target = yield from self._drawing(second, cell.images)
        return Artifact({"r2": explained(drawn.arrays["x0_hat"][-1], target.arrays["x0_hat"][-1])})

    def _score(self, cell: Cell) -> Work:
        """The scores of a metric plug-in: last estimates of the model beside the reference's."""
        name = next(name for name in SCORES if score_cell(name) == cell.kind)
        target = yield from self._drawing(self.setup.reference_for(cell.competitor), cell.images)
        drawn = yield from self._drawing(cell.competitor, cell.images)
        estimate, wanted = drawn.arrays["x0_hat"][-1], target.arrays["x0_hat"][-1]
        return Artifact({name: SCORES[name]().scores(estimate, wanted, self.setup.source.shape)})

    def _trajectory(self, cell: Cell) -> Work:
        """The model's estimates at the reference's inputs; at the first, where both begin, it was asked already."""
        reference = self.setup.reference_for(cell.competitor)
        target = yield from self._drawing(reference, cell.images)
        own = self.store.get(WALK, drawn_key(cell.competitor, cell.images))
        denoiser = yield from self.denoiser(cell.competitor)
        sigmas, x = reference.sampling.sigmas(), target.arrays["x"]
        estimates = [] if own is None else [own.arrays["x0_hat"][0]]
        for i, sigma in list(enumerate(sigmas))[len(estimates) :]:
            yield self._event(i, len(sigmas), cell, sigma)
            estimates.append(self._estimate(cell.competitor, denoiser, x[i], sigma, len(sigmas)))
        return Artifact(score_steps(torch.stack(estimates), target.arrays["x0_hat"], ("r2", "pearson", "mse")))

    def _held_out(self, cell: Cell) -> Work:
        """Squared errors [sigma, k], summed over pixels and channels, float64; the same noise at every level."""
        denoiser = yield from self.denoiser(cell.competitor)
        sigmas = self.setup.plan.sigmas if cell.kind == HELD_OUT else self.setup.levels
        shape = self.setup.source.shape
        x0 = self.setup.source.held_out.x0(slice(cell.images.start, cell.images.stop))
        eps, errors = held_out_noise(cell.images, shape, self.setup.plan.seed), []
        for i, sigma in enumerate(sigmas):
            yield self._event(i, len(sigmas), cell, sigma)
            x0_hat = self._estimate(cell.competitor, denoiser, x0 + sigma * eps, sigma, len(sigmas))
            errors.append((x0_hat.double() - x0).square().sum(dim=1))
        return Artifact({"errors": torch.stack(errors)})

    def _nearest(self, cell: Cell) -> Work:
        images = yield from self._images(cell.competitor, cell.images)
        work = nearest_training(cell.competitor.source, images, compute=self.compute)
        _, nearest, second = yield from map_progress(work, lambda event: Progress(event.fraction, 1.0, cell.label))
        return Artifact({"nearest": nearest, "second": second})

    def _read(self, cell: Cell) -> Work:
        """Features, and class probabilities where there are some."""
        assert cell.extractor is not None
        images = yield from self._images(cell.competitor, cell.images)
        yield Progress(0.5, 1.0, cell.label)
        features = self.extractor(cell.extractor)
        arrays, probs = {"features": features.of(images)}, features.probabilities(images)
        return Artifact(arrays if probs is None else {**arrays, "probs": probs})

    def _images(self, competitor: Competitor, images: range) -> Generator[Progress, None, Float[Tensor, "k d"]]:
        """Final images, not clamped; of the control, held-out ones."""
        if competitor.model is None:
            return competitor.source.held_out.x0(slice(images.start, images.stop))
        drawn = yield from self._drawing(competitor, images)
        return drawn.arrays["x0_hat"][-1]

    def _drawing(self, competitor: Competitor, images: range) -> Work:
        """A model's trajectory: at hand, kept from before, or drawn and kept."""
        key = drawn_key(competitor, images)
        place = f"{competitor.name} {competitor.sampling}"
        found = self._drawn.get(place)
        if found is None or found.meta["images"] != [images.start, images.stop]:
            found = yield from self.store.kept(WALK, key, self._draw(competitor, images), once=False)
            keep = f"{self.setup.reference.name} "
            self._drawn = {name: drawn for name, drawn in self._drawn.items() if name.startswith(keep)}
            self._drawn[place] = found
        return found

    def _draw(self, competitor: Competitor, images: range) -> Work:
        """Draw images; seconds of each step and the peak of memory are measured around the steps alone."""
        denoiser = yield from self.denoiser(competitor)
        sigmas, shape, device = competitor.sampling.sigmas(), self.setup.source.shape, self.compute.device
        x_T = competitor.sampling.start(images, shape).to(device)
        steps = ddim(denoiser, x_T, sigmas, clip=competitor.sampling.clip)
        x, x0_hat, seconds = [], [], []
        self._peak.start()
        for i, sigma in enumerate(sigmas):
            yield Progress(i, len(sigmas), f"{_who(competitor, images)}: drawing, sigma {sigma:.3g}")
            began = time.perf_counter()
            with within(0.0, self.unit / len(sigmas)):
                step = next(steps)
                x0_hat.append(finite(step.x0_hat, competitor.name, sigma))
            seconds.append(time.perf_counter() - began)
            x.append(step.x.float().cpu())
        meta: dict[str, Any] = {"images": [images.start, images.stop], "step_seconds": seconds, "device": device}
        arrays = {"x0_hat": torch.stack(x0_hat)}
        if competitor.model is not None and competitor.model.spec is None:
            arrays["x"] = torch.stack(x)  # a network may be a reference: others are asked at its inputs
        return Artifact(arrays, {**meta, "peak_bytes": self._peak.read()})

    @torch.no_grad()
    def _estimate(
        self, competitor: Competitor, denoiser: Denoiser, x: Float[Tensor, "k d"], sigma: float, calls: int
    ) -> Float[Tensor, "k d"]:
        with within(0.0, self.unit / calls):
            return finite(denoiser(x.to(self.compute.device), sigma), competitor.name, sigma)

    def _event(self, i: int, calls: int, cell: Cell, sigma: float) -> Progress:
        return Progress(i, calls, f"{cell.label}, sigma {sigma:.3g}")


def _who(competitor: Competitor, images: range) -> str:
    return f"{competitor.name}: images {images.start + 1}-{images.stop}"
