"""Locality Lab: router and shared frame."""

import streamlit as st

from pages._ui.frame import ICON, begin_process, sections, sidebar
from pages._ui.theme import style

st.set_page_config(page_title="Locality Lab", page_icon=ICON, layout="wide")
page = st.navigation(sections(), position="top")
begin_process()
style()
sidebar(page)
page.run()
