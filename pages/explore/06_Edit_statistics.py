"""Edit statistics: plant a pattern in the data, and every denoiser becomes sensitive along it."""

import streamlit as st

from pages._ui.choice import current_source, show_notes
from pages._ui.edit import asked, choose, details, learn, offer_export, show, sweeping
from pages._ui.frame import opening
from pages._ui.guard import guard

opening(
    "Edit the statistics, watch the field follow",
    "If the field comes from the data's statistics, then changing these must change it. Paint a pattern: every image "
    "gets it with a random strength of its own, so that its pixels vary together. The predicted field follows while "
    "you drag; a network trained on the edited images shows how much of the change it learns.",
)


@st.fragment
def edit() -> None:
    """Reruns alone when the edit, the pixel or the noise changes."""
    with guard():
        source = current_source()
        notes = st.container()
        wish = choose(asked(source), source.shape)
        st.markdown(f"${wish.main.about}$")
        beside = show(source, wish)
        offer_export(source, wish)
        details(source, wish, beside)
        learn(source, wish)
        sweeping(source, wish)
        with notes:
            show_notes()


edit()
