"""What the statistics of a dataset are, before what they do."""

import streamlit as st

from pages._ui.cached import wiener
from pages._ui.choice import current_source, show_notes
from pages._ui.data import averages, components, export, notes, read_address, reading, samples, structure, summary
from pages._ui.frame import opening
from pages._ui.guard import guard

read_address()
show_notes()

opening(
    "What do these images have in common?",
    "The best linear denoiser needs two things of these images: their mean $\\mu$, and the covariance $S$, how "
    "every pixel varies with every other. The predicted fields follow from $S$ alone. This page shows both.\n\n"
    "$$\nS=\\frac{1}{n-1}\\sum_{i=1}^{n}(x_i-\\mu)(x_i-\\mu)^{\\!\\top}\n$$",
    lines=5,
)
with guard():
    source = current_source()

    with reading():
        fingerprint = source.fingerprint
    with st.container(key="data_top"):
        left, right = st.columns([3, 2], gap="large")
    with left:
        st.header("Images" if source.available else "Draws with the same statistics", anchor=False)
        samples(source)
    below = st.container()  # found after the images are on the screen
    with right:
        st.header("Mean and spread", anchor=False)
        filter_ = wiener(fingerprint, source)
        c, h, w = filter_.shape
        found = summary(fingerprint, filter_)
        averages(filter_, found)
        st.caption(
            f"{source.spec.info.title}: {filter_.count:,} training images of {h}×{w} pixels"
            f"{' in three colours' if c == 3 else ''}, d = {filter_.shape.d:,} numbers each."
        )
        notes(source)
    with below:
        components(filter_)
        structure(filter_.shape, found)
        export(source, filter_, found)
