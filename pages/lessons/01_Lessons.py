"""Lessons: the list of them."""

from pages._ui.lessons import index

index()
