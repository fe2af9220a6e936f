"""The current view as one HTML file that works offline: the page's own script, its data inside."""

from __future__ import annotations

import base64
import gzip
import html
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

import locality
from locality.datasets import Source
from locality.fields.codec import LEARNED_SIGMAS, TABLE_SIGMAS, encode_rows, mix_rows, weights_about
from locality.fields.jacobian import pixel_outputs, reduce_inputs
from locality.linear.wiener import WienerFilter
from locality.store.artifact import Artifact
from locality.studies import Draws, Trained, learned_field
from pages._ui.cached import network, table_of
from pages._ui.explorer import facts, fields, live, panel
from pages._ui.explorer.files import errors_of, payload
from pages._ui.explorer.options import Options
from pages._ui.explorer.view import View
from pages._ui.lab.alone import policy, theme
from pages._ui.lab.modules import linked
from pages._ui.lab.mount import pack, style

_HERE = Path(__file__).parent
_PACKED = 0.9  # bytes of the file per code: gzip to about 0.7, base64 to 4/3 of it
_REST = 107_000  # bytes of everything else: the scripts, most of it


def expected_size(wiener: WienerFilter) -> float:
    """About how large the file will be, in MB."""
    codes = (len(TABLE_SIGMAS) + len(LEARNED_SIGMAS) / 4) * (wiener.shape.h * wiener.shape.w) ** 2
    return (_PACKED * codes + _REST) / 1e6


def standalone(
    source: Source, wiener: WienerFilter, trained: Trained | None, options: Options, view: View, query: str
) -> bytes:
    """The file. `query` restores the view in the running app.

    Predicted fields of every pixel at the table's noise levels, reduced as the options ask. Learned
    fields from the network's table; without one, or with options it does not hold, those of the
    chosen pixel are computed, which needs the images.
    """
    view, options = View(view.pixel, view.sigma, view.pixel, 0), options.saved
    head, arrays = panel.contents(source, wiener, trained, options, view)
    learned = None
    if trained is not None:
        learned = table_of(source, trained) if options.stored else None
        if source.shows_held_out:
            found = live.estimate_of(source, trained, options, view.pixel, view.sigma)
            head["learned"], sent = live.reported(found, view.pixel, view.sigma, source.shape, options)
            arrays |= sent
            learned = learned or _learned_here(source, trained, options, view)
    predicted = [_predicted(wiener, sigma, options) for sigma in TABLE_SIGMAS]
    tables = {f"predicted-{i}": payload(table, {"sigma": table.meta["sigma"]}) for i, table in enumerate(predicted)}
    if learned is not None:
        facts_of = {key: learned.meta[key] for key in ("sigmas", "pixels", "draws")}
        tables["learned"] = payload(learned, facts_of, errors_of(learned))
    head |= _head(view, "learned" in head or learned is not None, trained)
    head["tables"] = {
        "predicted": [f"predicted-{i}" for i in range(len(predicted))],
        "learned": "learned" if learned is not None else None,
        "levels": list(TABLE_SIGMAS),
    }
    error = _error(wiener, predicted, options, view)
    shown = facts.Shown(source, wiener, trained, options, view, query, learned, error)
    return _assemble(shown, pack(head, arrays), tables)


def _predicted(wiener: WienerFilter, sigma: float, options: Options) -> Artifact:
    codes, scale = encode_rows(fields.predicted_everywhere(wiener, sigma, options))
    return Artifact({"codes": codes, "scale": scale}, {"sigma": sigma})


def _learned_here(source: Source, trained: Trained, options: Options, view: View) -> Artifact:
    """A table of the chosen pixel alone, with the options' own average and channels."""
    denoiser = network(str(trained.manifest["sha256"]), trained)
    outputs = pixel_outputs(source.shape, view.pixel, options.output)
    draws = Draws(options.draws, average=options.average)
    found = [learned_field(denoiser, draws.images(source), outputs, sigma, draws) for sigma in LEARNED_SIGMAS]
    codes, scale = encode_rows(torch.stack([reduce_inputs(one.values[0], options.inputs) for one in found]).flatten(1))
    error = torch.stack([one.stderr.norm() / one.values.norm() for one in found])
    meta = {"sigmas": list(LEARNED_SIGMAS), "pixels": [list(view.pixel)], "draws": draws.count}
    return Artifact({"codes": codes, "scale": scale, "error": error[:, None]}, meta)


def _error(wiener: WienerFilter, predicted: list[Artifact], options: Options, view: View) -> float:
    """Largest error of the chosen pixel's stored fields midway between levels, over the field's maximum."""
    index, worst = view.pixel.row * wiener.shape.w + view.pixel.col, 0.0
    for low, high in pairwise(TABLE_SIGMAS):
        sigma = (low * high) ** 0.5
        truth = torch.from_numpy(fields.predicted(wiener, view.pixel, sigma, options)).flatten()
        near = weights_about(TABLE_SIGMAS, sigma)
        parts = [predicted[k].arrays for k, _ in near]
        codes, scale = (torch.stack([part[name][index] for part in parts]) for name in ("codes", "scale"))
        error = (mix_rows(codes, scale, [weight for _, weight in near]) - truth).abs().max()
        worst = max(worst, float(error / truth.abs().max().clamp(min=1e-12)))
    return worst


def _head(view: View, has_learned: bool, trained: Trained | None) -> dict[str, Any]:
    """What the view says where the page would ask its server."""
    if trained is None:
        learned = "No network was trained on this dataset when the file was saved."
    elif has_learned:
        learned = "Not in this file"
    else:
        learned = "Not in this file: with these options the fields need the images, which were not at hand."
    here = f"In this file only for row {view.pixel.row}, column {view.pixel.col} at σ = {view.sigma:.3g}"
    return {
        "alone": True,
        "status": "",
        "levels": list(LEARNED_SIGMAS),
        "texts": {
            "preview": "Stored fields: 8 bits per value, interpolated over noise.",
            "failed": "The stored fields could not be unpacked: only the saved pixel and noise level are shown.",
        },
        "empty": {
            "learned": learned,
            "projection": here,
            "difference": "Needs both fields",
            "chart": "Needs learned fields",
        },
    }


def _assemble(shown: facts.Shown, start: bytes, tables: dict[str, bytes]) -> bytes:
    code = f'\n(() => {{ "use strict"\n{linked(_HERE / "standalone.js")}}})()\n'
    parts = {
        "policy": policy(code),
        "generator": f"Locality Lab {locality.__version__}",
        "title": html.escape(shown.title),
        "style": theme() + _read("standalone.css") + style(_HERE),
        "shown": html.escape(shown.sentence),
        "view": _read("view.html"),
        "facts": "\n".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in facts.facts(shown)),
        "start": base64.b64encode(start).decode(),
        "script": code,
        "tables": "\n".join(_table(name, table) for name, table in tables.items()),
    }
    return re.sub(r"<!--(\w+)-->", lambda mark: parts[mark[1]], _read("standalone.html")).encode()


def _table(name: str, table: bytes) -> str:
    packed = base64.b64encode(gzip.compress(table, 6, mtime=0)).decode()
    return f'<script type="text/plain" id="{name}">{packed}</script>'


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
