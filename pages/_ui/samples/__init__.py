"""The Samples page: what is asked for, the work in a thread of the server, the grid, and what decided a pixel."""

from pages._ui.samples.board import show
from pages._ui.samples.choice import choose

__all__ = ["choose", "show"]
