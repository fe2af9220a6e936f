"""Learned fields that grow while somebody looks: stored draws first, more of the same seed afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
import torch

from locality.datasets import Source
from locality.fields.codec import LEARNED_SIGMAS
from locality.fields.corrected import noise_of_mean
from locality.fields.jacobian import pixel_outputs
from locality.fields.radius import half_mass_radius, radius_error
from locality.store.artifact import Artifact
from locality.studies import Draws, RunningField, Trained, table_row
from locality.types import ImageShape, Pixel
from pages._ui.cached import network
from pages._ui.explorer.options import Options
from pages._ui.explorer.view import View

BATCH = 16  # draws of one answer
CURVE = 16  # draws for each point of the curve
_STEP = 8  # draws between two looks at whether the reader has gone on: fewer at once take longer in all


@st.cache_resource
def warm() -> set[str]:
    """Networks that have answered once: loading one takes seconds."""
    return set()


def stored_draws(table: Artifact | None, options: Options) -> int:
    """How many draws a table holds for what the options ask for: 0 where its fields are others."""
    return int(table.meta["draws"]) if table is not None and options.stored and options.growing else 0


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs={Source: lambda source: source.fingerprint})
def running(
    sha256: str, pixel: tuple[int, int], sigma: float, options: Options, first: int, source: Source, _trained: Trained
) -> RunningField:
    """What has been drawn of a field so far, for every session; kept by weights and images."""
    denoiser = network(sha256, _trained)
    warm().add(sha256)

    def images(count: int) -> torch.Tensor:
        return Draws(count).images(source)

    outputs = pixel_outputs(denoiser.shape, Pixel(*pixel), options.output)
    return RunningField(denoiser, images, outputs, sigma, first, average=options.average, inputs=options.inputs)


def grown(source: Source, trained: Trained, table: Artifact | None, options: Options, view: View, more: int) -> Any:
    """`more` draws added to the field of the view's target: header and arrays of what there is then, None for nothing.

    Draws below the table's own number are left out, as it has seen them.
    """
    pixel, first = (view.target.row, view.target.col), stored_draws(table, options)
    field = _field(source, trained, options, pixel, view.sigma, first)
    if field is None and not more:
        return None
    field = field or running(_sha(trained), pixel, view.sigma, options.reduction, first, source, trained)
    if more:
        field.add(min(field.draws + more, options.draws), _between, _STEP)
    return reported(field, view.target, view.sigma, source.shape, options) if field.draws else None


def estimate_of(source: Source, trained: Trained, options: Options, pixel: Pixel, sigma: float) -> RunningField:
    """As many draws as the options ask for, from the first: what a saved file holds."""
    field = running(_sha(trained), tuple(pixel), sigma, options.reduction, 0, source, trained)
    field.add(options.draws)
    return field


def reported(
    field: RunningField, pixel: Pixel, sigma: float, shape: ImageShape, options: Options
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the browser is told of a field: header and arrays; others may have drawn more than is asked for here."""
    found, each = field.estimate(options.draws), field.reduced(options.draws)
    error, noise = radius_error(each, pixel, shape), noise_of_mean(each, pixel.row * shape.w + pixel.col)
    head = {"pixel": list(pixel), "sigma": sigma, "draws": found.draws, "radius_error": _finite(error)}
    head["noise"] = [_finite(value) for value in noise]
    return head, {"learned": found.values.numpy(), "stderr": found.stderr.nan_to_num(-1.0).numpy()}


def point(source: Source, trained: Trained, table: Artifact | None, options: Options, pixel: Pixel, level: int) -> Any:
    """Half-mass radius of the learned field at a level of the curve, with its error: [level, radius, error, draws]."""
    level, first = min(max(level, 0), len(LEARNED_SIGMAS) - 1), stored_draws(table, options)
    sigma = LEARNED_SIGMAS[level]
    field = running(_sha(trained), tuple(pixel), sigma, options.reduction, first, source, trained)
    field.add(min(CURVE, options.draws), _between, _STEP)
    found = field.estimate(options.draws)
    count, error = found.draws, radius_error(field.reduced(options.draws), pixel, source.shape)
    values = found.values.double()
    if table is not None and first and list(pixel) in table.meta["pixels"] and sigma in table.meta["sigmas"]:
        places = table.meta["sigmas"].index(sigma), table.meta["pixels"].index(list(pixel))
        values = (first * table_row(table, *places).double() + count * values) / (first + count)
        error *= (count / (first + count)) ** 0.5
        count += first
    radius = float(half_mass_radius(values, pixel, source.shape))
    return [level, _finite(radius), _finite(error), count]


def _field(
    source: Source, trained: Trained, options: Options, pixel: tuple[int, int], sigma: float, first: int
) -> RunningField | None:
    """The field of a network that is loaded; None of one that is not."""
    if _sha(trained) not in warm():
        return None
    return running(_sha(trained), pixel, sigma, options.reduction, first, source, trained)


def _between() -> None:
    """Streamlit ends a run that was overtaken where it next looks at the session."""
    st.session_state.get("explorer")


def _sha(trained: Trained) -> str:
    return str(trained.manifest["sha256"])


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
