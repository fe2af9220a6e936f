"""One pass of the page: gather what is ready, show it, then make what is still missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from locality.datasets import Source
from locality.errors import LocalityError
from locality.fields.codec import LEARNED_SIGMAS, TABLE_SIGMAS
from locality.linear.wiener import WienerFilter
from locality.studies import Agreement, pixel_grid
from locality.types import Pixel
from pages._ui.architectures import live
from pages._ui.architectures.choice import Asked
from pages._ui.architectures.entries import STEP, Entry, entries_of
from pages._ui.architectures.study import find_study, reported_study
from pages._ui.architectures.view import COMPONENT, View, current_view
from pages._ui.explorer import fields, files


def show(source: Source, wiener: WienerFilter, asked: Asked) -> tuple[list[Entry], Agreement | None, Pixel, View]:
    """Paint the view with everything at hand; afterwards make hover tables that are missing, and paint again."""
    entries = entries_of(source.text, asked.networks)
    pixels = pixel_grid(source.shape, STEP)
    view = current_view(source.shape, pixels, LEARNED_SIGMAS, [entry.text for entry in entries])
    pixel, sigma = pixels[view.place], LEARNED_SIGMAS[view.level]
    names = files.predicted_names(source.fingerprint)
    stored = [names[TABLE_SIGMAS.index(level)] for level in LEARNED_SIGMAS] if files.ready(names) else []
    x0, eps, title = fields.picture(source, wiener, live.PLAIN if source.shows_held_out else live.DRAWN)
    arrays: dict[str, Any] = {"x0": x0, "eps": eps}
    refusals: dict[int, str] = {}
    for i, entry in enumerate(entries):
        try:
            if (field := live.field_of(source, wiener, entry, pixel, sigma)) is not None:
                arrays[f"field{i}"] = field
            if asked.twins and source.available and entry.twin:
                arrays[f"twin{i}"] = live.twin_of(source, entry, pixel, sigma)
        except LocalityError as error:  # a noise level beyond a checkpoint's own schedule, say
            refusals[i] = str(error)
    found = find_study(source, entries)
    study, no_study = reported_study(source, found)
    status = _status(entries, bool(stored), source.available or not asked.twins)
    head = {
        "context": f"{source.fingerprint} {[entry.text + entry.sha256 for entry in entries]} {asked.twins}",
        "name": source.text,
        "file": source.slug,
        "shape": list(source.shape),
        "image": title,
        "pixels": [list(pixel) for pixel in pixels],
        "stride": STEP,
        "sigmas": list(LEARNED_SIGMAS),
        "place": view.place,
        "level": view.level,
        "measure": view.measure,
        "scope": view.scope,
        "colours": view.colours,
        "reference": view.reference,
        "seq": view.seq,
        "twins": asked.twins and source.available,
        "entries": [_reported(entry, stored, source, refusals.get(i, "")) for i, entry in enumerate(entries)],
        "study": study,
        "no_study": no_study,
        "status": f"{view.snapped} {status}".strip(),
    }
    COMPONENT.show(head, arrays)
    if not stored and files.tables_fit(source.shape):
        files.write_predicted(source.fingerprint, wiener)
        st.rerun()
    return entries, found, pixel, view


def _reported(entry: Entry, predicted: Sequence[str], source: Source, refusal: str) -> dict[str, Any]:
    """What the browser knows of a panel."""
    reported: dict[str, Any] = {"id": entry.text, "title": entry.title, "sub": entry.sub, "colour": entry.colour}
    reported |= {"twin": entry.twin, "empty": "Click a pixel to compute", "refusal": refusal}
    if entry.trained is None:
        reported["urls"] = [files.url(name) for name in predicted]
    elif entry.table is not None:
        reported["url"] = files.learned_address(entry.sha256, entry.table)
    elif not source.available and not refusal:
        reported["empty"] = "Needs the images, which are not on this machine."
    return reported


def _status(entries: Sequence[Entry], ready: bool, images: bool) -> str:
    if not ready:
        return "Preparing the predicted fields of every pixel for hovering, once for this dataset…"
    tables = [entry for entry in entries if entry.table is not None]
    parts = [
        f"{entry.title} {entry.table.meta['draws']} draws, error {float(entry.table.arrays['error'].median()):.0%}"
        for entry in tables
        if entry.table is not None
    ]
    about = "Stored fields of every second pixel (median relative standard error)"
    text = f"{about}: {'; '.join(parts)}." if parts else ""
    others = [entry.title for entry in entries if entry.trained is not None and entry.table is None]
    if others:
        text += f" {', '.join(others)}: computed after a click, {live.DRAWS.count} draws."
    return text if images else f"{text} Untrained twins need the images, which are not on this machine."
