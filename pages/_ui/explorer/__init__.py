"""The explorer: image, predicted and learned field, noise slider, numbers and chart in one view."""

from pages._ui.explorer.options import Options, choose_options
from pages._ui.explorer.panel import show
from pages._ui.explorer.view import View, current_view

__all__ = ["Options", "View", "choose_options", "current_view", "show"]
