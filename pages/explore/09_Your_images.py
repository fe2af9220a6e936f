"""Your images: any folder, archive or upload becomes a dataset of every page."""

from pages._ui.frame import opening
from pages._ui.own import show

opening(
    "Which statistics do your own images have?",
    "Faces, cells, galaxies: the field that a denoiser of your images should have follows from their covariance alone, "
    "in seconds, before any network is trained. Images of any size are cropped and scaled to one.",
)
show()
