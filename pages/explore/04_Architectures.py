"""Architectures: the fields of very different networks beside the prediction, and how similar all of them are."""

import streamlit as st

from pages._ui import cached
from pages._ui.architectures import choose, show, show_study, unlike
from pages._ui.architectures.export import offer_export
from pages._ui.choice import current_source, link_to, show_notes
from pages._ui.frame import opening
from pages._ui.guard import guard

opening(
    "Does architecture matter?",
    "A UNet, a plain ResNet, a Transformer and fully connected layers learn from the same data with the same loss. "
    "Each panel shows the sensitivity field of one of them at the yellow pixel. If locality came from convolutions, "
    "the fields would differ by architecture; if it comes from the data, each should approach "
    r"$W = S\,(S + \sigma^2 I)^{-1}$ within its receptive field. The numbers below say how far each does.",
    lines=3,
)


@st.fragment
def architectures() -> None:
    """Reruns alone when a pixel, the noise or the choice of networks changes."""
    with guard():
        source = current_source()
        wiener = cached.wiener(source.fingerprint, source)
        notes = st.container()
        asked = choose(source)
        if not asked.networks:
            st.info(
                "No network is chosen. Choose one above, type the path of a checkpoint, or train one on this dataset "
                "on the Train page.",
                icon=":material/model_training:",
            )
        if said := unlike(asked.networks):
            st.caption(said)
        entries, study, pixel, view = show(source, wiener, asked)
        offer_export(source, wiener, entries, pixel, view.level)
        show_study(source, entries, study, view.level)
        if asked.networks:
            st.page_link(
                "pages/explore/03_Samples.py",
                label="See what these networks generate from the same noise",
                icon=":material/grid_view:",
                query_params={**link_to(source), "model": ["wiener", *asked.networks]},
            )
        with notes:
            show_notes()


architectures()
