"""Samples: the same noise turned into images by every model, step by step."""

import streamlit as st

from pages._ui.choice import current_source, show_notes
from pages._ui.frame import opening
from pages._ui.guard import guard
from pages._ui.samples import choose, show

opening(
    "What does each model generate from the same noise?",
    "Denoise, keep a little less of the noise, repeat: an image. The **optimal** denoiser copies a training image, "
    "**Wiener** blurs, patch models make mosaics; a trained **network** does none of this. A row is a model, a column "
    "one noise.",
)
notes = st.container()
with guard():
    source = current_source()
    show(source, choose(source))
with notes:
    show_notes()
