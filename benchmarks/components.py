"""Held-out error of Gaussian mixtures over the Wiener filter's: classes, clusters, and their number by noise level."""

from __future__ import annotations

import time

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.denoisers.gaussian_mixture import GaussianMixtureDenoiser
from locality.denoisers.parts.ladder import Ladder
from locality.device import Compute
from locality.metrics.denoising import error_ratio
from locality.store import default_store
from locality.studies import finish

_SIGMAS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_IMAGES = 256
_AUTO = "gaussian_mixture:components=auto,groups=clusters,rank=128"
MODELS = {
    "fashion_mnist": ("gaussian_mixture", _AUTO),
    "afhq_cats": ("gaussian_mixture:components=auto,groups=clusters,rank=64", "wiener:kappa=true"),
}


def run() -> None:
    """One table for all sets; fits are kept, so that only the first run tells their time."""
    print("| set | model | fit, s | a step of 16, s | MB |" + "".join(f" {sigma:g} |" for sigma in _SIGMAS))
    print("|---|---|---|---|---|" + "---|" * len(_SIGMAS))
    for name, texts in MODELS.items():
        source = Source.parse(name)
        x0 = source.held_out.x0(slice(0, _IMAGES))
        wiener = finish(DENOISERS.parse("wiener").fit(source, Compute(), default_store()))
        for text in texts:
            began = time.perf_counter()
            model = finish(DENOISERS.parse(text).fit(source, Compute(), default_store()))
            fitted = time.perf_counter() - began
            began = time.perf_counter()
            for sigma in _SIGMAS:
                model(x0[:16], sigma)
            step = (time.perf_counter() - began) / len(_SIGMAS)
            ratios = [error_ratio(model, wiener, x0, sigma) for sigma in _SIGMAS]
            size = f"{_bytes(model.mixture) / 1e6:,.0f}" if isinstance(model, GaussianMixtureDenoiser) else ""
            cells = "".join(f" {ratio:.3f} |" for ratio in ratios)
            print(f"| {name} | `{text}` | {fitted:.1f} | {step:.2f} | {size} |{cells}", flush=True)


def _bytes(mixture: Ladder | object) -> int:
    mixtures = mixture.mixtures if isinstance(mixture, Ladder) else (mixture,)
    return sum(4 * one.eigvecs.numel() for one in mixtures)  # type: ignore[attr-defined]
