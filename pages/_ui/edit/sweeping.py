"""The sweep: non-locality and mass on the pattern against the strength, predicted and learned, with fitted lines."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from locality.datasets import Source
from locality.edits import EditSpec
from locality.grammar import command, value_text
from locality.sharing import refusal
from locality.store.artifact import defined, digest
from locality.studies import PREDICTED, Sweep, SweepPlan, run_sweep, shipped_sweeps
from pages._ui.charts import GREY, figure, name_lines, show
from pages._ui.edit.networks import look
from pages._ui.edit.state import Asked
from pages._ui.work import WORKS, Work, follow, running

_QUANTITIES = {
    "non_locality": "Mass beyond 4 px",
    "mass_without_own": "Mass on the pattern, excluding the pixel itself",
}


def sweeping(source: Source, asked: Asked) -> None:
    """The finished sweep that comes with the repository, or one made here."""
    st.header("Sweep over the strength", anchor=False)
    edit, before = asked.main, asked.before(source)
    if not edit.dial or asked.clipped:
        st.caption("This edit is all or nothing, or is clipped: there is no strength to vary.")
        return
    finished = shipped_sweeps(before, edit)
    same = edit.scaled(type(edit)().level).text()  # whatever the strength
    key = digest("edit_sweep", {"images": before.fingerprint, "edit": same, "sigma": asked.sigma})
    work = WORKS.find(key)
    made: Sweep | None = None if work is None else work.result
    shown = made or (finished[0] if finished else None)
    with st.container(horizontal=True, vertical_alignment="center"):
        if running(key):
            follow(key)
        elif why := refusal("bench"):
            st.caption(why)
        elif st.button(f"Run it at σ = {asked.sigma:.3g}", icon=":material/play_arrow:", key="edit_sweep_run"):
            strengths = _strengths(edit)
            plan = SweepPlan(sigma=asked.sigma, strengths=strengths)
            WORKS.ask(Work(key, lambda: run_sweep(before, edit, plan=plan)))
            st.rerun()
    if work is not None and work.error:
        st.error(work.error, icon=":material/error:")
    if shown is None:
        st.caption("Computes the predicted fields at five strengths, and the learned ones where a network is trained.")
        return
    _chart(shown, from_here=made is not None)
    _tables(shown)


def _strengths(edit: EditSpec) -> tuple[float, ...]:
    low, high = edit.dial_range
    start, end = max(low, 0.0), min(high, edit.sweep_end)
    return tuple(dict.fromkeys(edit.scaled(start + (end - start) * i / 4).level for i in range(5)))


def _chart(made: Sweep, *, from_here: bool) -> None:
    where = f"{len(made.pixels)} pixels along the pattern" if math.isfinite(made.chance) else "the middle pixel"
    st.caption(
        f"{'Made here' if from_here else 'Comes with the repository'}: {made.dataset}, fields of {where} at "
        f"σ = {made.plan.sigma:g}; networks over {made.plan.draws} draws. Bars are standard errors over draws; a "
        "network trained from another seed would scatter more."
    )
    quantities = [name for name in _QUANTITIES if made.curve(PREDICTED, name)]
    for column, quantity in zip(st.columns(len(quantities), gap="large"), quantities, strict=True):
        with column:
            st.markdown(f"**{_QUANTITIES[quantity]}**, share of a field")
            alt = f"{_QUANTITIES[quantity]} against the strength, one line per model"
            show(_figure(_key(made), quantity, made), name=f"sweep_{quantity}", alt=alt)
            st.caption(" ".join(compared(made, quantity)))


def _key(made: Sweep) -> str:
    return digest("sweep_figure", {"rows": [str(row) for row in made.rows]})


@st.cache_resource(max_entries=16, show_spinner=False)
def _figure(key: str, quantity: str, _made: Sweep) -> go.Figure:
    """The prediction as a curve, networks as dots with their errors."""
    fig = figure("Strength of the edit", "Share of the mass", height=330)
    for place, model in enumerate(_made.models):
        title, ink = ("Predicted", GREY) if model == PREDICTED else look(model, place)
        _trace(fig, _made.curve(model, quantity), title, ink, joined=model == PREDICTED)
    chance = {"mass_on_pattern": _made.chance, "mass_without_own": _made.chance_without_own}.get(quantity, math.nan)
    if math.isfinite(chance):
        fig.add_hline(y=chance, line={"color": GREY, "dash": "dot", "width": 1}, annotation_text="by chance")
    name_lines(fig)
    fig.update_yaxes(tickformat=".0%", rangemode="tozero")
    return fig


def _trace(fig: go.Figure, points: Sequence[tuple[float, float, float]], title: str, ink: str, *, joined: bool) -> None:
    errors = [0.0 if math.isnan(point[2]) else point[2] for point in points]
    fig.add_scatter(
        x=[point[0] for point in points],
        y=[point[1] for point in points],
        mode="lines+markers" if joined else "markers",
        name=title,
        line={"color": ink, "width": 2},
        marker={"color": ink, "size": 9},
        error_y={"type": "data", "array": errors, "visible": any(errors), "thickness": 1.5},
        hovertemplate=f"{title} at %{{x:.3g}}: %{{y:.1%}}<extra></extra>",
    )


def compared(made: Sweep, quantity: str) -> list[str]:
    """A sentence for each network: how far it lies from the prediction at the strongest edit it was trained on."""
    predicted = {strength: value for strength, value, _ in made.curve(PREDICTED, quantity)}
    found = []
    for place, model in enumerate(name for name in made.models if name != PREDICTED):
        points = [point for point in made.curve(model, quantity) if point[0] in predicted]
        if not points:
            continue
        strength, value, error = points[-1]
        apart = value - predicted[strength]
        errors = f", {abs(apart) / error:.0f} standard errors" if error > 0 else ""
        side = "above" if apart > 0 else "below"
        found.append(
            f"{look(model, place)[0]} at {strength:g}: {value:.1%}, {abs(100 * apart):.1f} points {side} the "
            f"prediction{errors}."
        )
    return found


def lines_of(made: Sweep) -> list[dict[str, Any]]:
    """The fitted lines of what is shown."""
    return [fit for fit in made.fits() if fit["quantity"] in _QUANTITIES]


def _tables(made: Sweep) -> None:
    lines = [
        {
            "Model": "Predicted" if fit["model"] == PREDICTED else look(fit["model"], 0)[0],
            "Quantity": _QUANTITIES[fit["quantity"]],
            "Against": "the strength" if fit["against"] == "strength" else "the prediction",
            "Slope [95 % interval]": f"{fit['slope']:.3f} [{fit['slope_low']:.3f}, {fit['slope_high']:.3f}]",
            "R²": "–" if math.isnan(fit["r2"]) else f"{fit['r2']:.3f}",
            "Points": fit["n"],
        }
        for fit in lines_of(made)
    ]
    with st.expander("Fits, data and commands"):
        if lines:
            st.table(lines, hide_index=True)
        st.caption("A line only through four points or more, where the curve is straight; one training a point.")
        for text in made.notes:
            st.caption(text)
        strengths = ",".join(map(value_text, made.plan.strengths))
        words = ("--edit", made.edit, "--strengths", strengths, "--sigma", value_text(made.plan.sigma), "--json")
        st.code(command("sweep", made.dataset, *words), "bash", wrap_lines=True)
        left, right = st.columns(2)
        left.download_button(
            "All numbers (JSON)", lambda: _json(made), "sweep.json", on_click="ignore", key="sweep_json"
        )
        right.download_button("Rows (CSV)", lambda: _csv(made), "sweep.csv", on_click="ignore", key="sweep_csv")


def _json(made: Sweep) -> str:
    return json.dumps(defined(made.to_json()), indent=1)


def _csv(made: Sweep) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(made.rows[0]))
    writer.writeheader()
    writer.writerows(made.rows)
    return out.getvalue()
