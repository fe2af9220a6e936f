"""Samples: the same noise turned into images by every model, step by step."""

import streamlit as st

from pages._ui.choice import current_source, show_notes
from pages._ui.guard import guard
from pages._ui.samples import choose, show

st.title("What does each model make of the same noise?", anchor=False)
st.markdown(
    "A denoiser that is asked again and again draws: start from noise, estimate the clean image, keep a little less of "
    "the noise, repeat. The **optimal** denoiser copies a training image, **Wiener** blurs, models of patches make "
    "mosaics, a trained **network** does none of these. Each row is a model, each column starts from one noise."
)
notes = st.container()
with guard():
    source = current_source()
    show(source, choose(source))
with notes:
    show_notes()
