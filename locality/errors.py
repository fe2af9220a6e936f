"""Every error a user can meet, as one tree.

LocalityError
├── BadInput            a value, file or option that is not allowed
│   └── UnknownName     a name that is not registered; lists what exists
├── DataUnavailable     images that are not on this machine; says how to get them
├── DigestMismatch      bytes that are not the ones expected
├── CheckpointMismatch  weights of another architecture, resolution or dataset
├── NonFinite           NaN or infinity where a number is needed
├── TooLarge            more memory than the budget; names the knob
└── Unreachable         a cluster that does not answer, or all of whose workers are gone

Each text says what was wrong, the value, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 100  # letters of a name that a message repeats


class LocalityError(Exception):
    """Base of all errors with a message meant for the user."""


class BadInput(LocalityError):
    """A value, file or option that is not allowed."""


class UnknownName(BadInput):
    """A name that is not registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        name = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names) or 'none'}.")


class DataUnavailable(LocalityError):
    """Images that are not on this machine."""


class DigestMismatch(LocalityError):
    """Bytes that differ from the ones expected."""


class CheckpointMismatch(LocalityError):
    """Weights that do not fit the network, the resolution or the dataset."""


class NonFinite(LocalityError):
    """NaN or infinity where a finite number is needed."""


class TooLarge(LocalityError):
    """A request over the memory or size budget."""

    def __init__(self, what: str, need: int, budget: int, knob: str) -> None:
        super().__init__(f"{what} needs {_size(need)}; the budget is {_size(budget)}. {knob}")


class Unreachable(LocalityError):
    """A cluster that does not answer, or all of whose workers are gone."""


def first_line(error: BaseException) -> str:
    """Kind and first line of another library's error, for a message of one line."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "KB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
