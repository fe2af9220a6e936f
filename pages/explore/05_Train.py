"""Train: a network learns while one looks on; what it learns is the field that the data predict."""

import streamlit as st

from pages._ui.choice import current_source, show_notes, source_text
from pages._ui.frame import opening
from pages._ui.guard import guard
from pages._ui.train import new_training, show

opening(
    "Train a network and watch its field appear",
    "Nothing tells a network where to look. As it learns to denoise these images, the field that their covariance "
    "predicts emerges.",
    lines=1,
)
notes = st.container()
with guard():
    new_training(current_source())
with guard():
    show(source_text())
with notes:
    show_notes()
