"""Benchmark: which analytic model explains a trained network best, by how much, and how sure that is."""

import streamlit as st

from pages._ui.bench import show
from pages._ui.choice import current_source, show_notes
from pages._ui.frame import opening
from pages._ui.guard import guard

opening(
    "Which analytic model explains a trained network best?",
    "Every model and the network start from the same noise; every number has its standard error and its definition. "
    "**R2 final** compares the images each arrives at, **R2 on-trajectory** the estimates at the network’s own noisy "
    "images; a second trained network is there for scale.",
)
notes = st.container()
with guard():
    show(current_source())
with notes:
    show_notes()
