"""The Architectures page: which networks, their fields at one pixel, how similar they are, and the stored study."""

from pages._ui.architectures.choice import choose, unlike
from pages._ui.architectures.panel import show
from pages._ui.architectures.study import show_study

__all__ = ["choose", "show", "show_study", "unlike"]
