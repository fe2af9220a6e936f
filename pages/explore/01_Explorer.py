"""Explorer: the field predicted from the data's statistics beside the one a network learned."""

import streamlit as st

from pages._ui import cached
from pages._ui.choice import current_network, current_source, show_notes
from pages._ui.explorer import choose_options, current_view, show
from pages._ui.explorer.export import offer_export
from pages._ui.guard import guard

st.title("Where does a denoiser look?", anchor=False)


@st.fragment
def explorer() -> None:
    """Reruns alone when a pixel, the noise or an option changes."""
    with guard():
        source = current_source()
        wiener = cached.wiener(source.fingerprint, source)
        trained = current_network()
        notes, place = st.container(), st.container(key="explorer_place")
        place.html("<span></span>")  # a container without anything in it takes no room
        view = current_view(source)
        st.markdown(
            "Each *sensitivity field* shows how much every noisy pixel counts when the yellow one is denoised. The "
            "best linear denoiser takes it from the data's covariance $S$ alone; a trained network learns its own: "
            r"$\;W = S\,(S + \sigma^2 I)^{-1} \;\approx\; \mathbb{E}\left[\partial \hat x_0 / \partial x\right]$."
        )
        options = choose_options(source)
        with place:
            show(source, wiener, trained, options, view)
        offer_export(source, wiener, trained, options, view)
        with notes:
            show_notes()


explorer()
