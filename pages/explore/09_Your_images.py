"""Your images: any folder, archive or upload becomes a dataset of every page."""

import streamlit as st

from pages._ui.own import show

st.title("Which statistics do your own images have?", anchor=False)
st.markdown(
    "Faces, cells, galaxies: the field that a denoiser of your images should have follows from their covariance alone, "
    "in seconds, before any network is trained. Images of any size are cropped and scaled to one."
)
show()
