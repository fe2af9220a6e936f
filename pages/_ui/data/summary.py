"""The numbers of the Data page, computed once per dataset."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from jaxtyping import Float64
from torch import Tensor

from locality.linear.correlation import (
    Correlation,
    RadialCorrelation,
    correlation_function,
    pixel_variance,
    radial_correlation,
)
from locality.linear.spectrum import Rings, power_spectrum, ring_average
from locality.linear.wiener import WienerFilter


@dataclass(frozen=True, eq=False)
class Summary:
    """What a covariance says: standard deviation of each coordinate, power spectrum, correlation."""

    deviation: Float64[Tensor, " d"]
    power: Float64[Tensor, "h w"]
    rings: Rings
    correlation: Correlation
    radial: RadialCorrelation


@st.cache_resource(max_entries=8, show_spinner="Power spectrum and correlation, once for this dataset")
def summary(fingerprint: str, _wiener: WienerFilter) -> Summary:
    """Summary of a training set."""
    power = power_spectrum(_wiener)
    correlation = correlation_function(_wiener)
    return Summary(
        pixel_variance(_wiener).sqrt(),
        power,
        ring_average(power, _wiener.shape),
        correlation,
        radial_correlation(correlation),
    )
