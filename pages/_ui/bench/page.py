"""One pass of the page: which table, its leaderboard, what is behind the picked cell, and everything around it."""

from __future__ import annotations

import dataclasses

import streamlit as st

from locality.datasets import Source
from locality.errors import LocalityError
from locality.studies import Bench, shipped_benches
from locality.studies.benchmark import leaderboard
from pages._ui.bench.ablations import show_ablations
from pages._ui.bench.costs import show_costs
from pages._ui.bench.detail import show_detail
from pages._ui.bench.published import show_published
from pages._ui.bench.ranking import show_ranking
from pages._ui.bench.run import found, own_plan, run_section
from pages._ui.bench.table import all_columns, offer_text, show_board, usual_columns
from pages._ui.choice import linked_select, note, offer_set
from pages._ui.guard import guard


@st.cache_resource(show_spinner=False)
def _shipped() -> list[Bench]:
    """The benchmarks of the repository, read once."""
    return shipped_benches()


def show(source: Source) -> None:
    """Everything below the title."""
    shipped = [table for table in _shipped() if table.dataset == source.text]
    tables = {f"{table.reference}, n = {table.plan.count}": table for table in shipped if not table.plan.presets}
    own = _own(source)
    if own is not None:
        tables["Your run"] = _joined(own, list(tables.values()))
    if tables:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            with st.container(width=260):
                name = linked_select("Table", list(tables)[::-1] if own is not None else list(tables), key="table")
            made = tables[name]
            columns = _columns(made)
            offer_text(made)
        show_ranking(made)
        with st.container(key="bench_pair"):
            left, right = st.columns([7, 5], gap="medium")
            with left:
                cell = show_board(made, columns)
            with right, guard():
                show_detail(made, cell)
    else:
        with st.container(key="bench_none"):
            st.info(
                "No benchmark of this dataset is stored. Run one below, or look at those that come with the "
                "repository: of MNIST, Fashion-MNIST, CIFAR-10 and AFHQ cats.",
                icon=":material/leaderboard:",
            )
            offer_set()
    run_section(source)
    show_ablations([table for table in shipped if table.plan.presets])
    show_costs(source.text)
    show_published(source.spec.name, shipped if own is None else [*shipped, own])


def _own(source: Source) -> Bench | None:
    """What is finished of the run that was asked for."""
    asked = own_plan(source)
    if asked is None:
        return None
    try:
        made = found(*asked)
    except LocalityError as error:
        note(str(error))
        return None
    return made if any(bool(mask.any()) for result in made.results for mask in result.have.values()) else None


def _joined(own: Bench, tables: list[Bench]) -> Bench:
    """A run with the rows of a stored table of the same noise and network: together they are one leaderboard."""
    plan = own.plan
    for table in tables:
        same = (table.reference, table.train_images) == (own.reference, own.train_images)
        if same and all(
            getattr(table.plan, name) == getattr(plan, name) for name in ("count", "steps", "seed", "sigmas")
        ):
            more = [result for result in table.results if result.name not in own.names]
            return dataclasses.replace(own, results=(*own.results, *more), distances=(*own.distances, *table.distances))
    return own


def _columns(made: Bench) -> list[str]:
    """The chosen columns, by id."""
    board = leaderboard(made)
    titles = {column["id"]: column["title"] for column in all_columns(board)}
    with st.popover("Columns", icon=":material/view_column:"):
        chosen = st.multiselect(
            "Columns of the table",
            list(titles),
            usual_columns(board),
            format_func=titles.__getitem__,
            key=f"bench_columns_{made.dataset}_{len(titles)}",
        )
    return list(chosen) or usual_columns(board)
