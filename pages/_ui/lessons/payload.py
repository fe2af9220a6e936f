"""A lesson as the browser reads it: texts with their numbers, the question, the figure's arrays."""

from __future__ import annotations

from functools import cache

from pages._ui.lab.mount import pack
from pages._ui.lessons.lesson import Figure, Lesson
from pages._ui.lessons.registry import lesson, numbers
from pages._ui.lessons.words import marked, paragraphs


@cache
def figure_of(number: int) -> Figure:
    """The figure of a lesson, computed once a process."""
    return lesson(number).figure()


def payload(number: int, *, suffix: str = "") -> bytes:
    """The lesson packed for `lesson.js`; `suffix` is that of links to other lessons, ".html" among saved files."""
    this, figure, all_ = lesson(number), figure_of(number), numbers()
    at = all_.index(number)
    near = {"back": all_[at - 1] if at else None, "next": all_[at + 1] if at + 1 < len(all_) else None}
    head = {
        "context": f"lesson-{number}",
        "number": number,
        "count": len(all_),
        "title": this.title,
        "minutes": this.minutes,
        "parts": _parts(this, figure),
        "guess": {**this.guess.head(), **figure.guess},
        "answer": figure.answer,
        "links": {name: _link(one, suffix) for name, one in near.items()},
        "index": f"lessons{suffix}",
        "figure": dict(figure.data),
    }
    return pack(head, figure.arrays)


def _parts(this: Lesson, figure: Figure) -> dict[str, str]:
    texts = {
        "claim": this.claim,
        "question": this.guess.question,
        "answer": this.answer,
        "try": this.trying,
        "seen": this.seen,
        "not-shown": this.not_shown,
    }
    return {
        **{part: paragraphs(text, figure.facts, part) for part, text in texts.items()},
        "number": str(figure.result),
        "number-what": marked(figure.result.what, {}, "number-what"),
        "number-source": marked(figure.result.source, {}, "number-source"),
    }


def _link(number: int | None, suffix: str) -> dict[str, object] | None:
    if number is None:
        return None
    other = lesson(number)
    return {"number": number, "title": other.title, "href": f"{other.address}{suffix}"}
