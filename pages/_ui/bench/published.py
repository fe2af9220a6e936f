"""Figures that others published: marked, apart from ours, each with its source and protocol."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from locality.published import FIGURES, Figure
from locality.studies import Bench
from locality.studies.benchmark import METRICS, published_table


def show_published(dataset: str, tables: Sequence[Bench]) -> None:
    """Ours in the published protocol, where it was run; a table by source; figures of other datasets behind it."""
    st.header("Published figures", anchor=False)
    for table in tables:
        _beside_ours(table)
    st.warning(
        "Not ours, and not comparable line by line: other networks, other images, other seeds and in part other "
        "definitions. Listed for reference only.",
        icon=":material/menu_book:",
    )
    mine = [figure for figure in FIGURES if figure.dataset == dataset]
    others = [figure for figure in FIGURES if figure.dataset != dataset]
    for source in dict.fromkeys(figure.source for figure in mine):
        _table([figure for figure in mine if figure.source == source])
    if not mine:
        st.caption("None that we know of for this dataset.")
    if others:
        with st.expander("Of other datasets"):
            for source in dict.fromkeys(figure.source for figure in others):
                _table([figure for figure in others if figure.source == source])


def _beside_ours(table: Bench) -> None:
    """A row a model and metric: theirs and ours; below, all that is not as they did it."""
    found = published_table(table)
    if found is None:
        return
    st.markdown(f"**Our numbers in their protocol**, {table.dataset} against {table.reference}, n = {table.plan.count}")
    rows = [
        {
            "Model (as published)": row["published_as"],
            "Ours": row["model"],
            "": METRICS[row["metric"]].title,
            "Published": "" if row["published"] is None else f"{row['published']:.3f}",
            "Here": _here(row["ours"], row["stderr"], 4 if row["metric"] == "mse01" else 3),
        }
        for row in found["rows"]
    ]
    st.table(rows, hide_index=True)
    st.caption(f"Published: {found['source']}. Not as published: {' '.join(found['differs'])}")


def _here(ours: float | None, stderr: float | None, digits: int) -> str:
    if ours is None:
        return "not measured"
    return f"{ours:.{digits}f}" if stderr is None else f"{ours:.{digits}f} ± {stderr:.{digits}f}"


def _table(figures: list[Figure]) -> None:
    """One source: a row a model, a column a dataset and metric."""
    rows: dict[str, dict[str, str]] = {}
    for figure in figures:
        metric = METRICS[figure.metric].title if figure.metric in METRICS else figure.metric
        row = rows.setdefault(figure.model, {"Model (as published)": figure.model})
        row[f"{figure.title}: {metric}, {figure.statistic}"] = f"{figure.value:g}"
    st.table(list(rows.values()), hide_index=True)
    st.caption(f"{figures[0].source}. Protocol: {figures[0].protocol}.")
