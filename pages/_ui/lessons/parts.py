"""What several lessons compute from shipped statistics, tables and studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from torch import Tensor

from locality.datasets import Source
from locality.errors import DataUnavailable
from locality.fields.codec import decode_rows
from locality.fields.jacobian import draw_inputs
from locality.fields.rows import rows
from locality.linear.wiener import WienerFilter, decompose
from locality.schedule import check_sigma, nearest_level
from locality.studies import (
    AgreementPlan,
    Bench,
    find_network,
    finish,
    fit_wiener,
    found_agreement,
    learned_table,
    shipped_benches,
)
from locality.studies.shipped import shipped
from locality.types import Denoiser, ImageShape, Pixel


def wiener_of(name: str) -> WienerFilter:
    """The filter of a dataset whose statistics are shipped."""
    return finish(fit_wiener(Source.parse(name)))


def brightness(name: str, scale: float) -> WienerFilter:
    """The filter of `scale` times the sum of a dataset's colours, one channel: grey at 1/3, and at 1/sqrt(3) the
    component of brightness, in which noise on every colour has the same sigma."""
    one = _summed(name)
    return replace(one, mean=one.mean * scale, eigvals=one.eigvals * scale**2)


@cache
def _summed(name: str) -> WienerFilter:
    wiener = wiener_of(name)
    c, h, w = wiener.shape
    summed = wiener.eigvecs.double().reshape(c, h * w, -1).sum(dim=0)
    cov = summed * wiener.eigvals @ summed.T
    mean = wiener.mean.double().reshape(c, -1).sum(dim=0)
    return WienerFilter(ImageShape(1, h, w), wiener.count, mean, *decompose((cov + cov.T) / 2))


def weights(cov: Float64[Tensor, "n n"], at: int, sigma: float) -> Float64[Tensor, " n"]:
    """Row `at` of S (S + sigma^2 I)^-1 for some pixels alone."""
    system = cov + check_sigma(sigma) ** 2 * torch.eye(len(cov), dtype=cov.dtype)
    return torch.linalg.solve(system, cov[at])


@dataclass(frozen=True)
class Agreed:
    """Pearson r without the own pixel of a network's fields and the predicted ones, its standard error over draws, at a
    noise level of the study; `means` says over which pixels and how many draws, with the marks of `words.py`."""

    r: float
    error: float
    sigma: float
    means: str


def agreement_with_wiener(name: str, network: str, sigma: float) -> Agreed:
    """From the shipped study, at its noise level nearest to `sigma`. Raises DataUnavailable."""
    study = found_agreement(Source.parse(name), ["wiener", network], plan=AgreementPlan())
    if study is None:
        raise DataUnavailable(f"The agreement study of {name} is not in cache/shipped. Restore it with git checkout.")
    at = nearest_level(study.sigmas, sigma)
    r, error = (float(of[at, 0, 1]) for of in (study.off_centre.value, study.off_centre.stderr))
    how = "by their variance, corrected for the draws’ noise,"
    means = f"mean over {len(study.pixels)} pixels {how} ± [[standard error]] over {study.plan.draws} noisy images"
    return Agreed(r, error, study.sigmas[at], means)


@dataclass(frozen=True)
class Stored:
    """Where and when stored fields were taken: pixels, noise levels, and how many noisy images each is a mean of."""

    pixels: list[Pixel]
    sigmas: list[float]
    draws: int


def stored_fields(name: str, network: str) -> tuple[Float[Tensor, "s p hw"], Stored]:
    """The shipped fields of a network. Raises DataUnavailable."""
    table = learned_table(find_network(Source.parse(name), network))
    if table is None:
        raise DataUnavailable(
            f"The fields of {name}'s {network} are not in cache/shipped. Restore it with git checkout."
        )
    pixels, sigmas = [Pixel(*pixel) for pixel in table.meta["pixels"]], list(table.meta["sigmas"])
    fields = decode_rows(table.arrays["codes"], table.arrays["scale"])
    return fields, Stored(pixels, sigmas, int(table.meta["draws"]))


def pixel_rows(wiener: WienerFilter, pixels: Sequence[Pixel], sigma: float) -> Float[Tensor, "p hw"]:
    """Predicted fields of some pixels, summed over channels; exact."""
    return wiener.pixel_matrix(sigma, torch.tensor([row * wiener.shape.w + col for row, col in pixels]))


def field_of(
    denoiser: Denoiser, pixel: Pixel, sigma: float, x0: Float[Tensor, "k d"], seed: int = 0
) -> Float[Tensor, " hw"]:
    """The field of any denoiser at noisy versions of some images, their mean, summed over channels."""
    found: Float[Tensor, " hw"] = (
        rows(denoiser, [pixel], sigma, lambda level: draw_inputs(x0, level, seed)).summed()[0].mean(dim=0)
    )
    return found


def weight_around(field: Float[Tensor, " hw"], place: Pixel, width: int) -> float:
    """Mean weight of a field within 1.6 pixels of a place, the size of an eye, over its largest absolute weight."""
    at = torch.arange(len(field))
    around = (at // width - place.row) ** 2 + (at % width - place.col) ** 2 <= 1.6**2
    return float(field[around].mean() / field.abs().max())


def weights_apart(wiener: WienerFilter, apart: int, sigma: float) -> Float[Tensor, " p"]:
    """Of every two pixels of a row so far apart the weight of one in the other's field, over its largest, both ways."""
    _, h, w = wiener.shape
    fields = wiener.pixel_matrix(sigma)
    size = fields.abs().amax(dim=1)
    here = torch.arange(h * w).reshape(h, w)[:, : w - apart].flatten()
    return torch.cat([fields[here, here + apart] / size[here], fields[here + apart, here] / size[here + apart]])


def recording() -> tuple[dict[str, Any] | None, dict[str, NDArray[Any]]]:
    """A shipped training, moment by moment, at its middle pixel and noise level: facts and coded fields; None and
    nothing where none is shipped."""
    for _, kept in shipped("recordings"):
        meta, arrays = kept.meta, kept.arrays
        s, p = len(meta["sigmas"]) // 2, len(meta["pixels"]) // 2
        facts = {
            "side": int(meta["shape"][1]),
            "images": list(meta["images"]),
            "dataset": Source.parse(meta["dataset"]).spec.info.title,
            "source": str(meta["dataset"]),
            "network": str(meta["name"]),
            "pixel": list(meta["pixels"][p]),
            "sigma": float(meta["sigmas"][s]),
        }
        coded = {
            "codes": arrays["learned.codes"][:, s, p],
            "scale": arrays["learned.scale"][:, s, p],
            "predicted": arrays["predicted.codes"][s, p],
            "predicted_scale": arrays["predicted.scale"][s, p : p + 1],
        }
        return facts, {name: array.flatten().numpy() for name, array in coded.items()}
    return None, {}


def mean_and_error(values: Float[Tensor, " n"]) -> tuple[float, float]:
    """Mean of n values and its standard error."""
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


def percent(share: float) -> str:
    """A share as whole percent, as the lessons' texts have it."""
    return f"{100 * share:.0f} %"


def leaderboard_of(name: str, reference: str) -> Bench:
    """The shipped benchmark of a dataset with all training images: the one of the most models."""
    found = [one for one in shipped_benches() if (one.dataset, one.reference) == (name, reference)]
    return max(found, key=lambda one: (len(one.names), not one.plan.presets))
