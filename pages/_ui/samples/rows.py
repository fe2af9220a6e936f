"""One row per model: who it is, and the steps there are of it, from the store or from a generation under way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import streamlit as st
import torch
from torch import Tensor

from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.errors import LocalityError
from locality.grammar import read
from locality.store import digest
from locality.studies import Expected, Grid, Model, Sampling, Trajectory, find_model, found_samples, shipped_grid
from pages._ui.samples.jobs import Drawing, Job, State
from pages._ui.samples.nearest import Nearest, kept


@dataclass(frozen=True, eq=False)
class Row:
    """A model of the grid. `x` and `x0_hat` are the steps drawn so far, [k n d]; `error` says why it has none.

    `key` names its images, `model_key` the model alone; both are empty where the model cannot be found. `shipped`:
    its images come with the repository, in 8 bits. `expected`: what generating them will take, where that is known;
    `timing`: it is being measured.
    """

    text: str
    about: str = ""
    paper: str = ""
    note: str = ""
    key: str = ""
    model_key: str = ""
    error: str = ""
    state: State | Literal["asked"] = "asked"
    x: Tensor | None = None
    x0_hat: Tensor | None = None
    nearest: Nearest | None = None
    shipped: bool = False
    expected: Expected | None = None
    timing: bool = False

    @property
    def drawn(self) -> int:
        """Number of steps drawn so far."""
        return 0 if self.x is None else len(self.x)


def find_rows(source: Source, texts: tuple[str, ...], sampling: Sampling) -> list[Row]:
    """The models and what the store has of them; nothing is computed."""
    return [_kept(source, _row(source, text, sampling), sampling) for text in texts]


def joined(row: Row, job: Job | None) -> Row:
    """The row with what a generation has drawn of it; images that are kept already stay."""
    drawing = None if job is None else next((one for one in job.drawings if one.key == row.key), None)
    if drawing is None or row.state == "done":
        return row
    x, x0_hat = _steps(drawing)
    return replace(row, state=drawing.state, error=drawing.error, x=x, x0_hat=x0_hat)


def _row(source: Source, text: str, sampling: Sampling) -> Row:
    about, paper = _words(text)
    try:
        model = find_model(source, text)
        address = model.key()
    except LocalityError as error:
        return Row(text, about, paper, error=str(error), state="failed")
    if model.network is not None and model.spec is None:
        about = _network(model)
    key = digest("samples_row", {"model": address, "sampling": sampling.key()})
    return Row(text, about, paper, model.note(), key, digest("samples_model", address))


def _words(text: str) -> tuple[str, str]:
    """What an analytic model does, and its paper."""
    cls = DENOISERS[name] if (name := read(text)[0]) in DENOISERS else None
    return ("", "") if cls is None else ((cls.__doc__ or "").strip().splitlines()[0], cls.paper)


def _network(model: Model) -> str:
    assert model.network is not None
    facts = model.network.manifest
    about = f"Trained network of {facts['parameters'] / 1e6:.1f} million parameters"
    return f"{about}, {facts['images_seen']:,} images seen in training." if "images_seen" in facts else f"{about}."


def _kept(source: Source, row: Row, sampling: Sampling) -> Row:
    if not row.key:
        return row
    try:
        found = _trajectory(row.key, source, row.text, sampling)
    except LookupError:
        return _shipped(source, row, sampling)
    nearest = (kept(row.key) if source.available else None) or _shipped(source, row, sampling).nearest
    return replace(row, state="done", x=found.x, x0_hat=found.x0_hat, nearest=nearest)


def _shipped(source: Source, row: Row, sampling: Sampling) -> Row:
    """The row with the images that come with the repository, where they are the ones that are asked for."""
    grid = grid_of(source)
    if grid is None or grid.sampling != sampling or row.text not in grid.drawn:
        return row
    drawn, nearest = grid.drawn[row.text], Nearest(*grid.nearest[row.text])
    return replace(row, state="done", x=drawn.x, x0_hat=drawn.x0_hat, nearest=nearest, shipped=True)


def grid_of(source: Source) -> Grid | None:
    """The sample grid that comes with the repository; None where there is none of these images."""
    try:
        return _grid(source.text, source.first, source)
    except LocalityError:
        return None  # images that are not known: the page itself says so


@st.cache_resource(max_entries=8, show_spinner=False)
def _grid(text: str, first: int | None, _source: Source) -> Grid | None:
    return shipped_grid(_source)


@st.cache_resource(max_entries=16, show_spinner=False)
def _trajectory(key: str, _source: Source, _text: str, _sampling: Sampling) -> Trajectory:
    """Images of the store, kept in memory between reruns. Raises LookupError where there are none."""
    found = found_samples(_source, _text, _sampling)
    if found is None:
        raise LookupError(key)
    return found


def _steps(drawing: Drawing) -> tuple[Tensor | None, Tensor | None]:
    steps = list(drawing.steps)  # the thread that draws goes on adding
    if not steps:
        return None, None
    return torch.stack([step.x for step in steps]), torch.stack([step.x0_hat for step in steps])
