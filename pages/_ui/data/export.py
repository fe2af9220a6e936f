"""The numbers of the page as a file, and the lines of Python that make them again."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from locality.datasets import Source
from locality.linear.wiener import WienerFilter
from pages._ui.charts import choose_format
from pages._ui.data.summary import Summary
from pages._ui.npz import npz

_CODE = """\
import numpy as np

from locality.linear.correlation import correlation_function, pixel_variance, radial_correlation
from locality.datasets import Source
from locality.linear.spectrum import fit_power_law, nyquist, power_spectrum, ring_average
from locality.studies import finish, fit_wiener

wiener = finish(fit_wiener(Source.parse({source!r})))
power = power_spectrum(wiener)                # by 2-D frequency, FFT order
rings = ring_average(power, wiener.shape)     # by |k|, in cycles per image
correlation = correlation_function(wiener)    # by displacement, zero in the middle
radial = radial_correlation(correlation)      # by distance, in pixels

numbers = {{
    "shape": np.array(wiener.shape),
    "mean": wiener.mean.numpy(),
    "deviation": pixel_variance(wiener).sqrt().numpy(),
    "eigenvalues": wiener.eigvals.numpy(),
    "power": power.numpy(),
    "ring_frequency": rings.frequency.numpy(),
    "ring_power": rings.power.numpy(),
    "ring_typical": rings.typical.numpy(),
    "ring_count": rings.count.numpy(),
    "correlation": correlation.value.numpy(),
    "correlation_pairs": correlation.pairs.numpy(),
    "distance": radial.distance.numpy(),
    "radial_correlation": radial.value.numpy(),
    "radial_pairs": radial.pairs.numpy(),
}}
print(fit_power_law(rings, 1, nyquist(wiener.shape)))
np.savez({file!r}, **numbers)
"""


def export(source: Source, wiener: WienerFilter, found: Summary) -> None:
    """Download of all numbers, format of the figures, and the code."""
    file = f"{source.slug}-statistics.npz"
    with st.expander("Download and reproduce"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
            st.download_button(
                "All numbers (npz)",
                lambda: npz(**numbers(wiener, found)),
                file,
                "application/octet-stream",
                icon=":material/download:",
                on_click="ignore",
            )
            choose_format()
        st.code(reproduce(source.text, file), language="python")


def reproduce(text: str, file: str) -> str:
    """Python that makes the file again from the dataset `text`, name:option=value."""
    return _CODE.format(source=text, file=file)


def numbers(wiener: WienerFilter, found: Summary) -> dict[str, NDArray[np.generic]]:
    """Everything the page shows, in [-1, 1] units; images flat and channel-major."""
    rings, correlation, radial = found.rings, found.correlation, found.radial
    tensors = {
        "mean": wiener.mean,
        "deviation": found.deviation,
        "eigenvalues": wiener.eigvals,
        "power": found.power,
        "ring_frequency": rings.frequency,
        "ring_power": rings.power,
        "ring_typical": rings.typical,
        "ring_count": rings.count,
        "correlation": correlation.value,
        "correlation_pairs": correlation.pairs,
        "distance": radial.distance,
        "radial_correlation": radial.value,
        "radial_pairs": radial.pairs,
    }
    return {"shape": np.array(wiener.shape), **{name: tensor.numpy() for name, tensor in tensors.items()}}
