"""A benchmark as one HTML page that works offline: table, plots, samples, differences and what every number is."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import torch
from PIL import Image

from locality.studies.benchmark.competitors import CONTROL, REFERENCE
from locality.studies.benchmark.metrics import METRICS
from locality.studies.benchmark.result import Result
from locality.studies.benchmark.rows import Bench
from locality.studies.benchmark.svg import Series, curves, dots
from locality.studies.benchmark.tables import leaderboard, text_rows
from locality.types import ImageShape

_CURVES = 12  # models whose curves are drawn: more cannot be told apart
_SAMPLES = 8  # images of each model
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;font-size:13px;display:block;overflow-x:auto}
td,th{padding:.25rem .6rem;text-align:right}td{white-space:nowrap}td:first-child,th:first-child{text-align:left}
tr:nth-child(even){background:#f6f6f6}th{border-bottom:1px solid #999}
img{image-rendering:pixelated;vertical-align:middle}code{background:#f2f2f2;padding:.1rem .3rem;overflow-wrap:anywhere}
.best{font-weight:600}dt{font-weight:600}dd{margin:0 0 .5rem 1rem}svg{max-width:100%;height:auto}
li{overflow-wrap:anywhere}
"""


def report(bench: Bench) -> str:
    """The page; no other file and no network is needed."""
    title = f"What explains {bench.reference} of {bench.dataset}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{_what(bench)}</p>",
        _list(bench.notes),
        "<h2>Leaderboard</h2>",
        _board(bench),
        dots(_finals(bench), "R2 final: 1 is the reference's own image; bars: one standard error"),
        *_plots(bench),
        "<h2>Samples</h2><p>The first images of every model, from the same noise.</p>",
        _samples(bench),
        *_compared(bench),
        "<h2>What the numbers are</h2>",
        _definitions(bench.to_json()["about"]),
        f"<h2>Made by</h2><p><code>{escape(str(bench.facts.get('command', '')))}</code></p>",
        f"<p>{escape(', '.join(f'{name} {value}' for name, value in _made_with(bench)))}</p>",
    ]
    wide = '<meta name="viewport" content="width=device-width,initial-scale=1">'  # else a phone shows it at desk width
    head = f'<meta charset="utf-8">{wide}<title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _made_with(bench: Bench) -> list[tuple[str, Any]]:
    return [*sorted(bench.facts.get("versions", {}).items()), *sorted(bench.facts.get("machine", {}).items())]


def _what(bench: Bench) -> str:
    second = f"; the second network is {bench.second}" if bench.second else ""
    unfinished = f" <b>{len(bench.missing)} cells are not finished.</b>" if bench.missing else ""
    return (
        f"{bench.plan.count} images of {bench.shape}, generated in {bench.plan.steps} DDIM steps from the same noise "
        f"(seed {bench.plan.seed}) by every model and by the network {escape(bench.reference)}{escape(second)}. "
        f"{bench.train_images:,} training images.{unfinished}"
    )


def _board(bench: Bench) -> str:
    board = leaderboard(bench)
    headings, rows = text_rows(board)
    best = [board.best(i) for i in range(len(board.columns))]
    lines = [_row(headings, "th")]
    for (name, *_), cells in zip(board.models, rows, strict=True):
        marks = [False, *(winner == name for winner in best), False, False, False]
        lines.append(_row(cells, "td", marks))
    notes = [f"{result.name}: {'; '.join(result.notes)}." for result in bench.results if result.notes]
    return f"<table>{''.join(lines)}</table>{_list(notes)}"


def _finals(bench: Bench) -> list[tuple[str, float, float]]:
    found = [(r.name, bench.summary(r.name, "r2_final")) for r in _models(bench) if r.of("r2_own").numel()]
    return sorted(((name, s.mean, s.stderr) for name, s in found), key=lambda item: -item[1])


def _plots(bench: Bench) -> Iterable[str]:
    """Curves of the best models and the second network, as many as can be told apart."""
    order = [name for name, *_ in _finals(bench)]
    shown = sorted(
        _models(bench), key=lambda r: (r.name != bench.second, order.index(r.name) if r.name in order else 0)
    )
    for metric, log_y in (("r2_trajectory", False), ("denoise_ratio", True)):
        series = [_series(bench, result, metric) for result in shown[:_CURVES]]
        if metric == "denoise_ratio":
            series = [_series(bench, bench.result(bench.reference), metric), *series[: _CURVES - 1]]
        drawn = curves(series, "sigma, units of images in [-1, 1]", METRICS[metric].title, log_y=log_y)
        left_out = len(shown) - _CURVES
        few = f" The {left_out} models with the lowest R2 final are left out." if left_out > 0 else ""
        title, sentence = escape(METRICS[metric].title), escape(METRICS[metric].sentence)
        yield f"<h2>{title} over noise</h2><p>{sentence}.{few}</p>{drawn}"


def _series(bench: Bench, result: Result, metric: str) -> Series:
    found = bench.curve(result.name, metric) if result.of(METRICS[metric].score).numel() else []
    points = tuple((sigma, s.mean, s.stderr) for sigma, s in found)
    return Series(result.name, points, bench.names.index(result.name))


def _samples(bench: Bench) -> str:
    lines = []
    for result in bench.results:
        count = min(len(result.images), _SAMPLES)
        if count:
            picture = png(result.images[:count], bench.shape)
            width = 3 * count * (bench.shape.w + 1)
            image = f'<img alt="{escape(result.name)}" width="{width}" src="data:image/png;base64,{picture}">'
            lines.append(f"<tr><td>{escape(result.name)}</td><td>{image}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def png(images: torch.Tensor, shape: ImageShape) -> str:
    """8-bit images [n d] side by side, one white pixel between, as base64 of a PNG."""
    tiles = torch.nn.functional.pad(images.reshape(-1, *shape), (0, 1), value=255)
    strip = torch.cat(list(tiles), dim=2)
    pixels = strip[0] if shape.c == 1 else strip[:3].permute(1, 2, 0)
    out = io.BytesIO()
    Image.fromarray(pixels.contiguous().numpy()).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def _compared(bench: Bench) -> Iterable[str]:
    overall = [row for row in bench.differences() if row["sigma"] is None]
    if overall:
        yield "<h2>Differences</h2><p>Model minus the other, image by image; 95 % intervals of one comparison each.</p>"
        yield _differences(overall)
    moved = bench.ablations()
    if moved:
        yield "<h2>Ablations</h2><p>How far a setting moves its baseline; the same images and noise.</p>"
        yield _differences(sorted(moved, key=lambda row: (row["preset"], row["metric"], row["model"])))


def _differences(rows: Sequence[dict[str, Any]]) -> str:
    lines = [_row(["model", "minus", "metric", "difference", "95 % interval", "n"], "th")]
    for row in rows:
        between = "" if row["low"] is None else f"{row['low']:+.4f} to {row['high']:+.4f}"
        cells = [row["model"], row["to"], METRICS[row["metric"]].title, f"{row['mean']:+.4f}", between, str(row["n"])]
        lines.append(_row(cells, "td"))
    return f"<table>{''.join(lines)}</table>"


def _definitions(about: dict[str, str]) -> str:
    titled = ((METRICS[name].title if name in METRICS else name, text) for name, text in about.items())
    items = (f"<dt>{escape(name)}</dt><dd>{escape(text)}.</dd>" for name, text in titled)
    return f"<dl>{''.join(items)}</dl>"


def _row(cells: Sequence[str], tag: str, marks: Sequence[bool] = ()) -> str:
    best = [*marks, *[False] * (len(cells) - len(marks))]
    opened = (f"<{tag} class=best>" if mark else f"<{tag}>" for mark in best)
    made = (f"{start}{escape(cell)}</{tag}>" for start, cell in zip(opened, cells, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def _list(lines: Sequence[str]) -> str:
    items = (f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{''.join(items)}</ul>" if lines else ""


def _models(bench: Bench) -> list[Result]:
    return [result for result in bench.results if result.kind not in (REFERENCE, CONTROL)]
