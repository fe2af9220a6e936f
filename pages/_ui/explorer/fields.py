"""The exact fields of the chosen pixel, as the options ask for them."""

from __future__ import annotations

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from locality.datasets import Source
from locality.fields.jacobian import pixel_outputs, reduce_inputs
from locality.linear.wiener import WienerFilter, coordinates
from locality.studies import Draws, Trained, learned_field
from locality.types import Pixel
from pages._ui.cached import network
from pages._ui.explorer.options import Options

Array = NDArray[np.float32]
IMAGE_SEED = 7  # of the noise on the picture and of draws from the statistics


def predicted(wiener: WienerFilter, pixel: Pixel, sigma: float, options: Options, *, projection: bool = False) -> Array:
    """Row of W (or of the projection) as the options reduce it, [h, w]."""
    coords = coordinates(wiener.shape, pixel)
    rows = (wiener.projection_rows if projection else wiener.rows)(coords, sigma)
    row = rows.sum(dim=0) if options.output is None else rows[options.output]
    values = row.abs() if options.average == "absolute" else row
    return reduce_inputs(values.reshape(wiener.shape), options.inputs).numpy()


def predicted_everywhere(wiener: WienerFilter, sigma: float, options: Options) -> torch.Tensor:
    """`predicted` of every pixel, [hw, hw]; takes 2 d^3 operations."""
    c, hw = wiener.shape.c, wiener.shape.h * wiener.shape.w
    if options.stored:
        return wiener.pixel_matrix(sigma)
    outputs = wiener.matrix(sigma).reshape(c, hw, c, hw)
    rows = outputs.sum(dim=0) if options.output is None else outputs[options.output]
    values = rows.abs() if options.average == "absolute" else rows
    return reduce_inputs(values.transpose(0, 1), options.inputs)


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs={Source: lambda source: source.fingerprint})
def learned(
    sha256: str, pixel: tuple[int, int], sigma: float, options: Options, source: Source, _trained: Trained
) -> Array:
    """Field of a network, averaged over held-out images and noise, as the options reduce it, [h, w].

    Kept by weights and images: one network may be looked at on several sets.
    """
    denoiser = network(sha256, _trained)
    outputs = pixel_outputs(denoiser.shape, Pixel(*pixel), options.output)
    draws = Draws(options.draws, average=options.average)
    field = learned_field(denoiser, draws.images(source), outputs, sigma, draws)
    return reduce_inputs(field.values[0], options.inputs).numpy()


def picture(source: Source, wiener: WienerFilter, options: Options) -> tuple[Array, NDArray[np.int8], str]:
    """The chosen image [c, h, w] in [-1, 1], unit noise for it (code = 32 eps), and its title."""
    eps = torch.randn(wiener.shape.d, generator=torch.Generator().manual_seed(IMAGE_SEED))
    code = (eps * 32).round().clamp(-127, 127).to(torch.int8)
    x0, title = _image(source, wiener, options)
    return x0.float().numpy(), code.numpy(), title


def _image(source: Source, wiener: WienerFilter, options: Options) -> tuple[torch.Tensor, str]:
    if options.image == "Mean image":
        return wiener.mean, "Mean image"
    if options.image == "Draw from the statistics":
        generator = torch.Generator().manual_seed(IMAGE_SEED + options.index)
        return wiener.sample(1, generator)[0], "A draw of N(mean, covariance)"
    data = source.train if options.image == "Training image" else source.held_out
    index = options.index % len(data)
    return data.x0(torch.tensor([index]))[0], f"{options.image} {index}"
