"""Samples: the same noise turned into images by every model, step by step."""

import streamlit as st

from pages._ui.choice import current_source, show_notes
from pages._ui.guard import guard
from pages._ui.samples import choose, show

st.title("What does each model generate from the same noise?", anchor=False)
st.markdown(
    "Apply a denoiser repeatedly and it generates: start from noise, estimate the clean image, take a small step "
    "towards it, repeat. The **optimal** denoiser copies a training image, **Wiener** blurs, patch models produce "
    "mosaics; a trained **network** does none of this. Each row is a model; each column starts from the same noise."
)
notes = st.container()
with guard():
    source = current_source()
    show(source, choose(source))
with notes:
    show_notes()
