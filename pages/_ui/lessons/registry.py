"""The lessons there are: every lesson_N_NAME.py beside this file, in order of N."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from pages._ui.lessons.lesson import Lesson

_HERE = Path(__file__).parent


def numbers() -> list[int]:
    """Their numbers; no lesson is imported."""
    return sorted(_names())


@cache
def lesson(number: int) -> Lesson:
    """A lesson by its number. Raises KeyError."""
    found: Lesson = import_module(f"pages._ui.lessons.{_names()[number]}").LESSON
    return found


def lessons() -> list[Lesson]:
    """All of them, in order."""
    return [lesson(number) for number in numbers()]


@cache
def _names() -> dict[int, str]:
    return {int(path.stem.split("_")[1]): path.stem for path in _HERE.glob("lesson_[0-9]*_*.py")}
