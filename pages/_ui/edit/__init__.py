"""The page of edits: paint a pattern into the statistics and watch the fields follow."""

from pages._ui.edit.chain import choose
from pages._ui.edit.panel import show
from pages._ui.edit.state import asked

__all__ = ["asked", "choose", "show"]
