"""Why not exactly equal: what keeps a learned field apart from the predicted one, each reason with its number."""

import streamlit as st

from pages._ui.choice import current_source, show_notes
from pages._ui.frame import opening
from pages._ui.guard import guard
from pages._ui.why import show

opening(
    "Why are the two fields not exactly equal?",
    r"The theory says that the average field of an optimal denoiser of *Gaussian* images is "
    r"$W = S\,(S + \sigma^2 I)^{-1}$. Networks come close and stay apart, for reasons that can be measured one by one.",
)
notes = st.container()
with guard():
    show(current_source())
with notes:
    show_notes()
