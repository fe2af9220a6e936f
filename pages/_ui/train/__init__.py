"""The Train page: a new training, processes that train one at a time, and what they have learned so far."""

from pages._ui.train.board import show
from pages._ui.train.form import new_training

__all__ = ["new_training", "show"]
