"""Locality Lab: router and shared frame."""

import streamlit as st

from pages._ui.frame import ICON, begin_process, dress, sections, sidebar
from pages._ui.theme import style

st.set_page_config(page_icon=ICON, layout="wide")  # before the menu: else its icon is fetched from a foreign host
page = st.navigation(sections(), position="top")
dress(page)
begin_process()
style()
sidebar(page)
page.run()
