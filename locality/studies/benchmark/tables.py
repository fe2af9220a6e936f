"""The leaderboard: a row for each model, the best first, and its text as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locality.metrics import Summary
from locality.studies.benchmark.competitors import CONTROL, REFERENCE, SECOND
from locality.studies.benchmark.metrics import HIGHER, LOWER, METRICS
from locality.studies.benchmark.rows import Bench

_ORDER = {REFERENCE: 0, SECOND: 1, CONTROL: 3}  # models stand between
_LABELS = {REFERENCE: "reference", SECOND: "second network"}
NOT_MEASURED = "not measured"
_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True)
class Column:
    """A metric, of distances with the features they are seen through."""

    metric: str
    features: str = ""

    @property
    def title(self) -> str:
        """Metric and features, never one without the other."""
        title = METRICS[self.metric].title
        if not self.features or self.metric in ("fid", "is"):
            return title
        return f"{title}, {self.features}{' features' if self.features == 'inception' else ''}"

    @property
    def better(self) -> str:
        return METRICS[self.metric].better


@dataclass(frozen=True)
class Leaderboard:
    """Columns that any model has, and of each model its number in every column (None: it has none)."""

    columns: tuple[Column, ...]
    models: tuple[tuple[str, str, tuple[Summary | None, ...], Mapping[str, Any]], ...]  # name, kind, numbers, facts

    def best(self, column: int) -> str | None:
        """The model with the best mean of a column, among models: no reference, second network or control."""
        better = self.columns[column].better
        rated = [(n[column], name) for name, kind, n, _ in self.models if kind not in _ORDER]
        means = [(found.mean, name) for found, name in rated if found is not None and math.isfinite(found.mean)]
        if not means or better not in (HIGHER, LOWER):
            return None
        return (max if better == HIGHER else min)(means)[1]


def leaderboard(bench: Bench) -> Leaderboard:
    """Overall numbers by model: reference, second network, models by R2 final, control."""
    found: dict[str, dict[Column, Summary]] = {result.name: {} for result in bench.results}
    for row in bench.rows():
        if row["sigma"] is None:
            mean, stderr = (math.nan if row[name] is None else row[name] for name in ("mean", "stderr"))
            found[row["model"]][Column(row["metric"], row.get("features", ""))] = Summary(mean, stderr, row["n"])
    order = list(METRICS)
    columns = sorted(
        {column for numbers in found.values() for column in numbers} | unmeasured(bench),
        key=lambda column: (order.index(column.metric), column.features),
    )

    def place(result: Any) -> tuple[int, float]:
        final = found[result.name].get(Column("r2_final"))
        mean = final.mean if final is not None and math.isfinite(final.mean) else -math.inf
        return _ORDER.get(result.kind, 2), -mean

    results = sorted(bench.results, key=place)
    numbers = [(r.name, r.kind, tuple(found[r.name].get(c) for c in columns), r.facts) for r in results]
    return Leaderboard(tuple(columns), tuple(numbers))


def unmeasured(bench: Bench) -> set[Column]:
    """What a benchmark stored on an earlier day has no numbers of, though one made now would."""
    wanted = ["denoise_steps", *(["r2_second"] if bench.second is not None else [])]
    has = {name for result in bench.results for name in bench.measured(result)}
    return {Column(name) for name in wanted if name not in has}


def number(found: Summary | None) -> str:
    """Mean ± standard error, to two digits of the error; the mean alone where it has none."""
    if found is None or not math.isfinite(found.mean):
        return ""
    if not math.isfinite(found.stderr) or found.stderr < 1e-6:
        return f"{found.mean:.3g}"
    digits = max(1 - math.floor(math.log10(found.stderr)), 0)
    return f"{found.mean:.{digits}f} ± {found.stderr:.{digits}f}"


def text_rows(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """Headings and cells, with time and memory as the last columns."""
    headings = ["model", *(column.title for column in board.columns), "n", "s/step", "peak MB"]
    rows = []
    measured = [any(numbers[i] is not None for _, _, numbers, _ in board.models) for i in range(len(board.columns))]
    for name, kind, numbers, facts in board.models:
        label = f"{name} ({_LABELS[kind]})" if kind in _LABELS else name
        n = max((found.n for found in numbers if found is not None), default=0)
        seconds, peak = facts.get("seconds_per_step"), facts.get("peak_bytes")
        spent = ["" if seconds is None else f"{seconds:.2g}", "" if peak is None else f"{peak / 1e6:.0f}"]
        cells = [number(found) if known else NOT_MEASURED for found, known in zip(numbers, measured, strict=True)]
        rows.append([label, *cells, str(n), *spent])
    return headings, rows


def row_notes(bench: Bench) -> list[str]:
    """What must be said of single rows, and of which: fewer images, labels, another training."""
    notes = dict.fromkeys(note for one in bench.results for note in one.notes)
    return [f"{', '.join(f'`{one.name}`' for one in bench.results if note in one.notes)}: {note}." for note in notes]


def markdown(bench: Bench) -> str:
    """The leaderboard as a Markdown table, below it what must be said of its rows."""
    headings, rows = text_rows(leaderboard(bench))
    lines = [[cell.replace("|", r"\|") for cell in line] for line in (headings, ["---"] * len(headings), *rows)]
    notes = "".join(f"- {note}\n" for note in row_notes(bench))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + (f"\n{notes}" if notes else "")


def latex(bench: Bench) -> str:
    """The leaderboard as a LaTeX tabular; no packages needed."""
    headings, rows = text_rows(leaderboard(bench))
    lines = [" & ".join(map(_latex, line)) + r" \\" for line in (headings, *rows)]
    body = [lines[0], r"\hline", *lines[1:]]
    return "\n".join([rf"\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}", *body, r"\end{tabular}", ""])


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, one number a line; empty where a number is not defined."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text).replace("±", r"$\pm$")
