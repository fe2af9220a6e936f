"""Every pair of several denoisers: their fields over a grid of pixels, their estimates, their samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from locality.datasets import Source
from locality.device import Compute
from locality.errors import TooLarge
from locality.fields.corrected import LEAST, memory_per_pixel
from locality.fields.jacobian import draw_inputs
from locality.fields.similarity import MEASURES, Similarity, Tally
from locality.fields.single import Single, SingleTally
from locality.metrics import explained
from locality.sampler import ddim, initial, start_noise
from locality.studies.agreement.asked import Asked, fields_here
from locality.studies.agreement.initialisations import joined
from locality.studies.agreement.plan import AgreementPlan
from locality.studies.fields.draws import Draws
from locality.studies.models import finite
from locality.studies.sampling.config import Sampling
from locality.types import Denoiser, Pixel
from locality.work import Progress

Arrays = dict[str, Tensor]
FEW = LEAST  # draws of a network with several initialisations, whose spread is far larger than the noise of draws
_TOGETHER = 64  # images a network sees at once: its activations are megabytes an image
_PIXELS = 64  # outputs of one forward pass, where memory allows


def compare_fields(
    source: Source,
    every: Sequence[Sequence[Denoiser]],
    plan: AgreementPlan,
    pixels: Sequence[Pixel],
    share: Float64[Tensor, " p"],
    compute: Compute,
    ask: Callable[[Sequence[Asked]], Iterator[Float[Tensor, "p k q"]]] | None = None,
) -> Generator[Progress, None, Arrays]:
    """Similarity of every pair by noise level: arrays `pearson`, `pearson_stderr`, ... [s n n], reliabilities [s n].

    With `plan.single` also `single`, ...: at each image, of the models that are one each (nan for the others).

    Args:
        every: of each model its denoiser, or one for each initialisation: these are asked at the first few draws only.
        share: how much each pixel counts.
        ask: the fields of what is asked, in its order; by default they are computed here.
    """
    counts = [len(denoisers) for denoisers in every]
    one = [i for i, count in enumerate(counts) if count == 1]
    several = len(one) < len(every)
    size = _chunk(source, len(one), sum(counts) if several else 0, plan, compute)
    chunks = [tuple(pixels[start : start + size]) for start in range(0, len(pixels), size)]
    asked = [
        Asked(model, number, sigma, part, plan.draws if counts[model] == 1 else FEW)
        for sigma in plan.sigmas
        for part in chunks
        for model, denoisers in enumerate(every)
        for number in range(len(denoisers))
    ]
    found = fields_here(source, every, asked, plan, compute) if ask is None else ask(asked)
    levels, singles, done, total = [], [], 0, len(plan.sigmas) * len(pixels) * sum(counts)
    for sigma in plan.sigmas:
        whole, few, single = Tally(), Tally(intervals=False), SingleTally()
        for start, part in zip(range(0, len(pixels), size), chunks, strict=True):
            centres = torch.tensor([row * source.shape.w + col for row, col in part])
            fields: list[list[Float[Tensor, "p k q"]]] = []
            for denoisers in every:
                fields.append([])
                for _ in denoisers:
                    yield Progress(done, total, f"Fields at sigma {sigma:.3g}")
                    fields[-1].append(next(found))
                    done += len(part)
            counted = share[start : start + size]
            if one:
                alone = torch.stack([fields[i][0] for i in one], dim=2)
                whole.add(alone, centres, counted)
                if plan.single:
                    single.add(alone, centres, counted)
            if several:
                flat = [field[:, :FEW] for group in fields for field in group]
                few.add(torch.stack(flat, dim=2), centres, counted)
        measured = whole.similarities() if one else {}
        over = few.similarities() if several else {}
        levels.append({name: joined(measured.get(name), over.get(name), counts) for name in MEASURES})
        if plan.single and one:
            singles.append(single.result().among(one, len(counts)))
    arrays: Arrays = {}
    for measure in MEASURES:
        arrays |= _stacked(measure, Similarity, [level[measure] for level in levels])
    return arrays | (_stacked("single", Single, singles) if singles else {})


def compare_outputs(
    source: Source, denoisers: Sequence[Denoiser], plan: AgreementPlan, compute: Compute
) -> Generator[Progress, None, Arrays]:
    """R2 of estimates of held-out noisy images: arrays `r2_outputs`, `_stderr` and `_images` [s n n]."""
    x0 = Draws(plan.outputs, plan.seed).images(source)
    levels = []
    for s, sigma in enumerate(plan.sigmas):
        scores = []
        for i, part in enumerate(draw_inputs(x0, sigma, plan.seed).split(_TOGETHER)):
            yield Progress(s + i * _TOGETHER / len(x0), len(plan.sigmas), f"Estimates at sigma {sigma:.3g}")
            estimates = [_estimate(denoiser, part.to(compute.device), sigma) for denoiser in denoisers]
            scores.append(_scores(estimates))
        levels.append(_summary("r2_outputs", torch.cat(scores, dim=2)))
    return {name: torch.stack([level[name] for level in levels]) for name in levels[0]}


def compare_samples(
    source: Source, denoisers: Sequence[Denoiser], plan: AgreementPlan, compute: Compute
) -> Generator[Progress, None, Arrays]:
    """R2 of final images from the same noise: arrays `r2_samples`, `_stderr` and `_images` [n n].

    DDIM as `sample` draws it by default: the last estimate, not clamped, is the image.
    """
    usual = Sampling(count=plan.samples, steps=plan.steps, seed=plan.seed)
    sigmas = usual.sigmas()
    x_T = initial(start_noise(source.shape, usual.count, usual.seed), sigmas[0], usual.start)
    scores, done, total = [], 0, -(-usual.count // _TOGETHER) * len(denoisers) * len(sigmas)
    for part in x_T.split(_TOGETHER):
        images = []
        for denoiser in denoisers:
            for step in ddim(denoiser, part.to(compute.device), sigmas, clip=usual.clip):
                done += 1
                yield Progress(done, total, f"Samples, sigma {step.sigma:.3g}")
            images.append(finite(step.x0_hat, "A model", step.sigma))
        scores.append(_scores(images))
    return _summary("r2_samples", torch.cat(scores, dim=2))


def _stacked(name: str, kind: type[Similarity] | type[Single], levels: Sequence[Any]) -> Arrays:
    """Every part of a measure, noise levels first, by name: `value` by that of the measure."""
    parts = [part.name for part in dataclasses.fields(kind)]
    return {
        name if part == "value" else f"{name}_{part}": torch.stack([getattr(level, part) for level in levels])
        for part in parts
    }


def _chunk(source: Source, single: int, every: int, plan: AgreementPlan, compute: Compute) -> int:
    """Pixels at a time, for the models that are one each and for all initialisations."""
    size = source.shape.h * source.shape.w
    each = memory_per_pixel(plan.draws, single, size) + memory_per_pixel(FEW, every, size)
    if each > compute.memory:
        knob = "Take fewer draws or models, or more memory (--memory MB, Compute.memory)."
        raise TooLarge(f"The fields of {max(single, every)} models in {plan.draws} draws", each, compute.memory, knob)
    return min(_PIXELS, compute.memory // each)


@torch.no_grad()
def _estimate(denoiser: Denoiser, x: Float[Tensor, "b d"], sigma: float) -> Float[Tensor, "b d"]:
    return finite(denoiser(x, sigma), "A model", sigma)


def _scores(images: Sequence[Float[Tensor, "b d"]]) -> Float64[Tensor, "n n b"]:
    """R2 of every image, row as the estimate of column."""
    return torch.stack([torch.stack([explained(a, u) for u in images]) for a in images])


def _summary(name: str, scores: Float64[Tensor, "n n b"]) -> Arrays:
    """Mean over images, standard error and number of images that count."""
    count: Int[Tensor, "n n"] = scores.isfinite().sum(dim=2)
    mean = scores.nanmean(dim=2)
    spread = (scores - mean[..., None]).square().nansum(dim=2)
    stderr = (spread / (count * (count - 1)).clamp(min=1)).sqrt().where(count > 1, torch.nan)
    return {name: mean, f"{name}_stderr": stderr, f"{name}_images": count}
