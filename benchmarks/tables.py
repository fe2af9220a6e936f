"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def row(cells: Iterable[object]) -> str:
    """One line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def table(heads: Iterable[object], rows: Iterable[Iterable[object]] = ()) -> Iterator[str]:
    """The lines of a table: headings, the rule below them, rows."""
    heads = list(heads)
    yield row(heads)
    yield row("---" for _ in heads)
    yield from map(row, rows)


def show(heads: Iterable[object], rows: Iterable[Iterable[object]]) -> None:
    """Print a table and an empty line."""
    print("\n".join(table(heads, rows)), end="\n\n")


def pm(mean: float | None, stderr: float | None, digits: int = 3) -> str:
    """A mean with its standard error, where they are known."""
    if mean is None:
        return ""
    return f"{mean:.{digits}f}" if stderr is None or stderr != stderr else f"{mean:.{digits}f} ± {stderr:.{digits}f}"
