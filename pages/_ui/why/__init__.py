"""The page on what keeps a learned field apart from the predicted one: four reasons, each with its number."""

from pages._ui.why.page import show

__all__ = ["show"]
