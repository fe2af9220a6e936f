"""The leaderboard of a benchmark: its columns, its rows, what is picked, and its text to take away."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from locality.datasets import slug
from locality.metrics import Summary
from locality.studies import Bench
from locality.studies.benchmark import ABOUT, METRICS, Column, Leaderboard, as_csv, latex, leaderboard, markdown, number
from locality.studies.benchmark.tables import NOT_MEASURED
from pages._ui.bench.names import plain
from pages._ui.choice import note
from pages._ui.lab.mount import Component

COMPONENT = Component(Path(__file__).parent, "bench_board", "pick")
SECONDS, MEMORY = "seconds_per_step", "peak_bytes"
_FACTS = {SECONDS: ("Time per step", "s, batch of {batch}"), MEMORY: ("Peak memory", "MB, whole process")}
_KINDS = {
    "reference": "the network that is explained",
    "ceiling": "a second trained network, for scale",
    "control": "control: held-out images in place of samples",
    "network": "trained network",
    "analytic": "",
}


@dataclass(frozen=True)
class Picked:
    """A cell of the leaderboard: a model and a metric (with the features of a distance, where it is one)."""

    model: str
    column: str
    seq: int

    @property
    def metric(self) -> str:
        return self.column.partition("|")[0]


def show_board(made: Bench, columns: Sequence[str]) -> Picked:
    """The table; returns the picked cell, at first the best model's R2 final or what the link asks for."""
    board = leaderboard(made)
    chosen = [column for column in all_columns(board) if column["id"] in columns]
    cell = _picked(made, board)
    rows = [_row(made, board, i, chosen) for i in range(len(board.models))]
    COMPONENT.show(
        {
            "context": f"{made.dataset} {made.reference} {made.plan.key()}",
            "columns": chosen,
            "rows": rows,
            "picked": {"model": cell.model, "column": cell.column},
            "seq": cell.seq,
            "hint": "Click a header to sort, a cell for details.",
            "legend": _legend(made),
        },
        {},
    )
    return cell


def all_columns(board: Leaderboard) -> list[dict[str, Any]]:
    """Every column there is: id, title, what it means, which end is better."""
    found = []
    for column in board.columns:
        about = METRICS[column.metric]
        title = about.title if not column.features else column.title
        found.append(
            {
                "id": _id(column),
                "title": title[:1].upper() + title[1:],
                "about": about.sentence,
                "better": about.better,
                "note": about.brief,
            }
        )
    batch = next((facts.get("batch") for _, _, _, facts in board.models if facts.get("batch")), "?")
    for name, (title, unit) in _FACTS.items():
        found.append(
            {"id": name, "title": title, "about": ABOUT[name], "better": "lower", "note": unit.format(batch=batch)}
        )
    return found


def usual_columns(board: Leaderboard) -> list[str]:
    """The ones shown at first: pixels and class scores stay behind the choice of columns."""
    return [
        column["id"]
        for column in all_columns(board)
        if "pixels" not in column["id"]
        and not column["id"].startswith(("class_score", "mse|"))
        and column["id"] != "mse"
    ]


def offer_text(made: Bench) -> None:
    """The table as Markdown, LaTeX, CSV and JSON, each with a button that copies it and one that saves it."""
    stem = f"bench-{slug(made.dataset)}-{slug(made.reference)}"
    kinds: dict[str, tuple[str, Any]] = {
        "Markdown": ("md", lambda: markdown(made)),
        "LaTeX": ("tex", lambda: latex(made)),
        "CSV": ("csv", lambda: as_csv(made.rows())),
        "JSON": ("json", lambda: json.dumps(made.to_json(), indent=1)),
    }
    with st.popover("Copy or save", icon=":material/content_copy:"):
        kind = st.segmented_control("As", list(kinds), default="Markdown", required=True, key="bench_text")
        end, make = kinds[str(kind or "Markdown")]
        text = make()
        st.download_button(f"Save {stem}.{end}", text, f"{stem}.{end}", on_click="ignore", key="bench_save")
        st.code(text if len(text) < 20_000 else text[:20_000] + "\n… (the saved file holds the rest)", "text")
        st.caption("CSV and JSON hold every number, by noise level too; JSON explains each.")


_UNMEASURED = {"mean": None, "text": NOT_MEASURED, "error": "", "best": False, "waiting": False}


def _row(made: Bench, board: Leaderboard, i: int, columns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    name, kind, numbers, facts = board.models[i]
    result = made.result(name)
    by_id = {
        _id(column): (found, board.best(j))
        for j, (column, found) in enumerate(zip(board.columns, numbers, strict=True))
    }
    order = {_id(column): j for j, column in enumerate(board.columns)}
    waiting = any(cell["model"] == name for cell in made.missing)
    cells = []
    for column in columns:
        if column["id"] in _FACTS:
            cells.append(_fact(column["id"], facts.get(column["id"])))
        else:
            found, best = by_id[column["id"]]
            known = any(other[2][order[column["id"]]] is not None for other in board.models)
            cells.append(_cell(found, best == name, waiting) if known else _UNMEASURED)
    note = "; ".join(part for part in (_KINDS[kind], *result.notes) if part)
    return {
        "id": name,
        "name": plain(made, name),
        "kind": kind,
        "note": note,
        "about": f"{name}: {note}" if note else name,
        "cells": cells,
    }


def _cell(found: Summary | None, best: bool, waiting: bool) -> dict[str, Any] | None:
    if found is None:
        return {"mean": None, "waiting": True} if waiting else None
    text, _, error = number(found).partition(" ± ")
    mean = found.mean if math.isfinite(found.mean) else None
    return {"mean": mean, "text": text, "error": error, "best": best, "waiting": waiting}


def _fact(name: str, value: float | None) -> dict[str, Any] | None:
    if value is None:
        return None
    text = f"{value:.2g}" if name == SECONDS else f"{value / 1e6:,.0f}"
    return {"mean": value, "text": text, "error": "", "best": False, "waiting": False}


def _picked(made: Bench, board: Leaderboard) -> Picked:
    """From the browser, the link, or the best model's R2 final."""
    value = COMPONENT.chosen()
    usual = Picked(made.best("r2_final") or made.names[0], "r2_final", 0)
    known = {column["id"] for column in all_columns(board)}
    if value is not None:
        cell = Picked(str(value.get("model")), str(value.get("column")), int(value.get("seq", 0)))
        if cell.model in made.names and cell.column in known:
            st.query_params["cell"] = f"{cell.model}|{cell.column}"
            return cell
        return Picked(usual.model, usual.column, cell.seq)
    if asked := st.query_params.get("cell"):
        model, _, column = asked.partition("|")
        if model in made.names and column in known:
            return Picked(model, column, 0)
        note(f"The link asks for the cell “{asked[:60]}”, which is not in this table.")
        st.query_params.pop("cell", None)
    return usual


def _legend(made: Bench) -> str:
    parts = [
        f"Mean ± standard error over {made.plan.count} images from the same noise, {made.plan.steps} steps; "
        f"{made.train_images:,} training images. "
        "Bars: from the worst analytic model to the best, outliers aside; bold: the best."
    ]
    if made.plan.count == 1:
        parts.append("One image: no error bars.")
    if made.missing:
        parts.append(f"{len(made.missing)} cells are not finished yet (…): rows average the images that are.")
    return " ".join([*parts, *made.notes])


def _id(column: Column) -> str:
    return f"{column.metric}|{column.features}" if column.features else column.metric
