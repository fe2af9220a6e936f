"""Locality Lab: router and shared frame."""

import streamlit as st

from pages._ui.frame import ICON, begin_process, dress, sections, sidebar

st.set_page_config(page_icon=ICON, layout="wide")  # before the menu: else its icon is fetched from a foreign host
pages = sections()
page = st.navigation(pages, position="top")
dress(page)
begin_process()
sidebar(page, pages)
page.run()
