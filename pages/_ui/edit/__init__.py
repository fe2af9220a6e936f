"""The page of edits: paint a pattern into the statistics and watch the fields follow."""

from pages._ui.edit.chain import choose
from pages._ui.edit.details import details
from pages._ui.edit.export import offer_export
from pages._ui.edit.learn import learn
from pages._ui.edit.panel import show
from pages._ui.edit.state import asked
from pages._ui.edit.sweeping import sweeping

__all__ = ["asked", "choose", "details", "learn", "offer_export", "show", "sweeping"]
