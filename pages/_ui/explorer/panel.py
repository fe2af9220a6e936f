"""One pass of the explorer: gather what is ready, show it, then do what is still missing."""

from __future__ import annotations

from typing import Any

import streamlit as st

from locality.datasets import Source
from locality.fields.codec import SIGMA_HIGH, SIGMA_LOW, TABLE_SIGMAS
from locality.grammar import command
from locality.linear.wiener import WienerFilter
from locality.studies import Trained
from pages._ui import cached
from pages._ui.explorer import fields, files
from pages._ui.explorer.basis import leading_name, write_leading
from pages._ui.explorer.options import Options
from pages._ui.explorer.view import COMPONENT, View, write_url

OUTSIDE = 4  # pixels beyond which mass counts as non-local
_PREVIEW = "Preview: 8-bit fields, interpolated over noise. Rest the pointer for exact values."
_LEADING = "Preview: leading components. Rest the pointer for all."
_FAILED = "Hover tables did not load; clicks still work. Reload the page to try again."


@st.cache_resource
def _warm() -> set[str]:
    """Networks that have answered once: loading one takes seconds, so the page is painted before."""
    return set()


def show(source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, view: View) -> None:
    """Paint the view with everything at hand; afterwards make tables or load the network, and paint again."""
    sha = "" if trained is None else str(trained.manifest["sha256"])
    whole = files.tables_fit(source.shape)
    names = files.predicted_names(source.fingerprint) if whole else [leading_name(source.fingerprint)]
    have_tables = files.ready(names)
    live = trained is not None and source.shows_held_out
    cold = live and sha not in _warm()
    head, arrays = contents(source, wiener, trained, options, view)
    if trained is not None and live and not cold and not view.resting:
        arrays["learned"] = fields.learned(sha, tuple(view.target), view.sigma, options, source, trained)
    table = cached.table_of(source, trained)
    tables = None
    if options.stored and have_tables:
        learned_url = None if table is None or trained is None else files.url(files.learned_name(sha, table))
        tables = {"predicted": [files.url(name) for name in names] if whole else [], "levels": list(TABLE_SIGMAS)}
        tables["basis"] = None if whole else files.url(names[0])
        tables["learned"] = learned_url
    status = _status(cold, have_tables, options)
    head |= {
        "tables": tables,
        "status": status,
        "texts": {"preview": _PREVIEW if whole else _LEADING, "failed": _FAILED},
        "empty": _empty(source, trained, table is not None, cold, options),
    }
    COMPONENT.show(head, arrays, changed=write_url)
    if not have_tables:
        (files.write_predicted if whole else write_leading)(source.fingerprint, wiener)
    if cold and trained is not None:
        fields.learned(sha, tuple(view.pixel), view.sigma, options, source, trained)
        _warm().add(sha)
    if cold or not have_tables:
        st.rerun()


def contents(
    source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, view: View
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What every showing of a view holds, on the page or in a file: header, and picture and predicted fields."""
    x0, eps, title = fields.picture(source, wiener, options)
    arrays: dict[str, Any] = {"x0": x0, "predicted": fields.predicted(wiener, view.target, view.sigma, options)}
    if options.noise:
        arrays["eps"] = eps
    if "projection" in options.extra:
        arrays["projection"] = fields.predicted(wiener, view.target, view.sigma, options, projection=True)
    sha = "" if trained is None else str(trained.manifest["sha256"])
    head = {
        "context": f"{source.fingerprint}{sha}{options}",
        "name": source.text,
        "file": source.slug,
        "shape": list(source.shape),
        "pixel": list(view.pixel),
        "sigma": view.sigma,
        "seq": view.seq,
        "range": [SIGMA_LOW, SIGMA_HIGH],
        "exact": {"pixel": list(view.target), "sigma": view.sigma},
        "options": {"symlog": options.symlog, "outside_radius": OUTSIDE},
        "panels": _panels(title, options, trained, wiener),
        "learned_note": _learned_note(options),
    }
    return head, arrays


def _panels(title: str, options: Options, trained: Trained | None, wiener: WienerFilter) -> list[dict[str, str]]:
    noisy = "as a network sees it: √ᾱ (x₀ + σ ε)" if options.noise else "without noise"
    mean = "|W|" if options.average == "absolute" else "W"
    panels = [
        _panel("image", title, noisy),
        _panel(
            "predicted",
            "Predicted from the data",
            f"Row of {mean} = S (S + σ²I)⁻¹, from the covariance S alone{_accuracy(wiener, options)}",
        ),
        _panel("learned", f"Learned by {trained.name if trained else 'a network'}", _learned_note(options)),
    ]
    if "projection" in options.extra:
        panels.append(_panel("projection", "High-SNR projection", "Components with λ > σ² only: a rough proxy of W"))
    if "difference" in options.extra:
        panels.append(_panel("difference", "Difference", "Predicted minus learned, same colour scale"))
    return panels


def _accuracy(wiener: WienerFilter, options: Options) -> str:
    """How far an approximate decomposition may be off; nothing for an exact one."""
    if wiener.error is None:
        return ""
    most = wiener.error.field if options.stored else wiener.error.row
    return f"; within {100 * most:.2g} % of its largest value for σ ≥ {wiener.error.sigma:g}"


def _panel(kind: str, title: str, sub: str) -> dict[str, str]:
    return {"id": kind, "title": title, "sub": sub}


def _learned_note(options: Options) -> str:
    kind = "Jacobian row, absolute values," if options.average == "absolute" else "Jacobian row"
    return f"Average {kind} over {options.draws} noisy held-out image{'s' * (options.draws > 1)}"


def _status(cold: bool, have_tables: bool, options: Options) -> str:
    if not have_tables:
        return "Preparing the fields of every pixel for hovering, once for this dataset…"
    if cold:
        return "Loading the network…"
    return "" if options.stored else "With these options the fields follow when the pointer rests, or on a click."


def _empty(source: Source, trained: Trained | None, stored: bool, cold: bool, options: Options) -> dict[str, str]:
    """What to say where a panel has nothing to show."""
    if trained is None:
        words = ("--network", "unet", "--minutes", 20, "--out", "cache/local/networks/mine")
        learned = f"No network is trained on this dataset yet. Train one: {command('train', *source.words, *words)}"
    elif cold:
        learned = "Loading the network…"
    elif not source.shows_held_out and not (stored and options.stored):
        learned = "Needs the images, which are not on this machine."
    else:
        learned = "Click to compute"
    chart = "Needs stored fields of this network" if trained is not None and not stored else ""
    return {"learned": learned, "chart": chart or ("Loading…" if trained is not None else "Needs a trained network")}
