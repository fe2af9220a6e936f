"""The stored study of a dataset: for the view's matrix and curves, and in numbers below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from torch import Tensor

from locality.datasets import Source
from locality.errors import LocalityError
from locality.grammar import command
from locality.studies import Agreement, found_agreement
from pages._ui.architectures.entries import Entry
from pages._ui.architectures.live import twin_name

_MATRICES = ("pearson", "off_centre", "cosine")


def reported_study(source: Source, found: Agreement | None) -> tuple[dict[str, Any] | None, str]:
    """A study for the browser; else None and what makes one."""
    if found is None:
        return None, f"Not computed yet: {command('agreement', *source.words)}"
    reported: dict[str, Any] = {"names": [_shown(name) for name in found.names], "pixels": len(found.pixels)}
    for name in _MATRICES:
        part = getattr(found, name)
        reported |= {name: _plain(part.value), f"{name}_stderr": _plain(part.stderr)}
        reported |= {f"{name}_chance": _plain(part.chance)}
    corrected = ", each by the variance of the images there, corrected for the noise of the draws"
    reported["note"] = (
        f"Mean over {len(found.pixels)} pixels{corrected}; fields averaged over "
        f"{found.plan.draws} draws. Point at a cell for the standard error over draws and the chance level: the second "
        "field taken at another pixel."
    )
    alike = [f"{model['name']} was {model['note']}" for model in found.models if model["note"].startswith("trained ")]
    reported["note"] += "".join(f" {sentence}" for sentence in alike)
    return reported, ""


def show_study(source: Source, entries: Sequence[Entry], found: Agreement | None, level: int) -> None:
    """Tables: error, estimates, samples, and the same architectures untrained."""
    with st.expander("The study in numbers"):
        if found is None:
            st.markdown("No study of these networks is stored yet. This command computes one in some minutes:")
            st.code(command("agreement", *source.words), "bash")
            return
        titles = {entry.text: entry.title for entry in entries}
        shown = [titles[_shown(name)] for name in found.names]
        _errors(found, shown)
        _twins(source, entries, found)
        _explained(found, shown, level)
        _reliability(found, shown)
        st.caption(f"Computed by `{command('agreement', *source.words)}`; `--json` prints every number.")


def find_study(source: Source, entries: Sequence[Entry]) -> Agreement | None:
    """The stored study of all panels, or of those that are no checkpoint of the user's own."""
    networks = [entry.text for entry in entries if entry.trained is not None]
    shipped = [name for name in networks if "/" not in name]
    for names in (networks, shipped) if shipped != networks else (networks,):
        if not names:
            continue
        found = _kept(source, ["wiener", *names])
        if found is not None:
            return found
    return None


def _kept(source: Source, names: Sequence[str]) -> Agreement | None:
    """The stored study of these models; None where there is none, or a checkpoint is none a study can take."""
    try:
        return found_agreement(source, names)
    except LocalityError:
        return None


def _shown(name: str) -> str:
    return "predicted" if name == "wiener" else name


def _plain(values: Any) -> list[Any]:
    """Nested lists with None for what is not defined: JSON has no NaN."""
    rounded: list[Any] = [[[_number(v) for v in row] for row in matrix] for matrix in values.tolist()]
    return rounded


def _number(value: float) -> float | None:
    return round(value, 4) if value == value else None


def _errors(found: Agreement, titles: Sequence[str]) -> None:
    rows = {
        title: {f"σ = {float(sigma):g}": f"{ratio:.2f}" for sigma, ratio in model["error_ratio"].items()}
        for title, model in zip(titles, found.models, strict=True)
        if model["error_ratio"]
    }
    if rows:
        st.markdown("**Test MSE ÷ Wiener MSE**, same noise; lower is better, 1 is the Wiener filter")
        st.table(_sideways(rows))


def _twins(source: Source, entries: Sequence[Entry], found: Agreement) -> None:
    """Trained against untrained: how similar the field is to the prediction.

    Without the centre: at low noise every denoiser, trained or not, weighs the pixel itself most.
    """
    twins = {entry.text: twin_name(entry) for entry in entries if entry.twin and entry.text in found.names}
    both = _kept(source, ["wiener", *twins, *twins.values()]) if twins else None
    if both is None:
        return
    several = both.plan.seeds
    st.markdown(
        "**Pearson r with the prediction, excluding the centre pixel, trained → untrained**: what training adds to "
        "the architecture" + (f". Untrained: mean ± standard deviation of {several} initialisations" * (several > 1))
    )
    rows = {}
    for entry in entries:
        if entry.text in twins:
            pair = [both.names.index(name) for name in (entry.text, twins[entry.text])]
            row = both.names.index("wiener")
            values, spread = both.off_centre.value[:, row], both.off_centre.spread[:, row, pair[1]]
            rows[entry.title] = {
                f"σ = {sigma:.2g}": f"{values[s, pair[0]]:.2f} → {values[s, pair[1]]:.2f}"
                + (f" ± {spread[s]:.2f}" if spread[s] == spread[s] else "")
                for s, sigma in enumerate(both.sigmas)
            }
    st.table(_sideways(rows))


def _reliability(found: Agreement, titles: Sequence[str]) -> None:
    """How much of an averaged field is no noise of the draws, of the measure the tables above use."""
    st.markdown(
        f"**Reliability** of fields averaged over {found.plan.draws} draws, excluding the centre pixel: the share of a "
        "field that is not noise. It is no upper limit of agreement: r above is corrected for that noise"
    )
    rows = {
        title: {f"σ = {s:.2g}": f"{found.off_centre.reliability[k, i]:.2f}" for k, s in enumerate(found.sigmas)}
        for i, (title, model) in enumerate(zip(titles, found.models, strict=True))
        if model["kind"] != "analytic"
    }
    st.table(_sideways(rows))


def _explained(found: Agreement, titles: Sequence[str], level: int) -> None:
    """R2 between estimates at the noise level of the view, and between final samples."""
    if found.r2_outputs is not None:
        st.markdown(
            f"**R² of the estimates** of {found.plan.outputs} held-out images at σ = {found.sigmas[level]:.2g}: "
            "the row as a prediction of the column"
        )
        _square(found.r2_outputs.value[level], titles)
    if found.r2_samples is not None:
        st.markdown(
            f"**R² of final samples** from one noise ({found.plan.samples} images, {found.plan.steps} DDIM steps): "
            "the row as a prediction of the column"
        )
        _square(found.r2_samples.value, titles)


def _square(values: Tensor, titles: Sequence[str]) -> None:
    rows = {title: {other: f"{values[i, j]:.2f}" for j, other in enumerate(titles)} for i, title in enumerate(titles)}
    st.table(_sideways(rows))


def _sideways(rows: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    """Columns of a table whose first column holds the names of the rows."""
    columns = list(next(iter(rows.values())))
    return {"Network": list(rows), **{column: [row.get(column, "–") for row in rows.values()] for column in columns}}
