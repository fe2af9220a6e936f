"""Small plots as SVG text: curves over noise with error bars, and a leaderboard of dots. No library, no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# Okabe, Ito: told apart by colour-blind readers too.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
_DASHES = ("", "6 3", "2 2")
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 190.0, 14.0, 44.0


@dataclass(frozen=True)
class Series:
    """A curve: (x, y, standard error); the error may be nan. `look` numbers its colour and dashes."""

    label: str
    points: tuple[tuple[float, float, float], ...]
    look: int = 0


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    log: bool
    start: float
    stop: float

    def at(self, value: float) -> float:
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / ((high - low) or 1.0) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        if self.log:
            low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            some = (1,) if high - low > 3 else (1, 2, 5)
            every = [m * 10.0**e for e in range(low, high + 1) for m in some]
            return [tick for tick in every if self.low <= tick <= self.high]
        step = _step((self.high - self.low) / 5)
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def curves(
    series: Sequence[Series], x_title: str, y_title: str, *, log_y: bool = False, width: int = 760, height: int = 340
) -> str:
    """Curves over a logarithmic x; "" where there is no point. Bars are one standard error each way."""
    points = [(x, y) for one in series for x, y, _ in one.points if math.isfinite(y) and (y > 0 or not log_y)]
    if not points:
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    across = _Axis(min(xs) / 1.15, max(xs) * 1.15, True, _LEFT, width - _RIGHT)
    low, high = min(ys), max(ys)
    pad = 0.05 * ((high - low) or abs(high) or 1.0)
    limits = (low / 1.1, high * 1.1) if log_y else (low - pad, high + pad)
    up = _Axis(*limits, log_y, height - _BOTTOM, _TOP)
    parts = [*_frame(across, up, x_title, y_title, width, height)]
    for i, one in enumerate(series):
        parts += _curve(one, across, up, log_y)
        parts.append(_legend(one, i, width))
    return _svg(parts, width, max(height, _TOP + 18 * len(series) + 10))


def dots(items: Sequence[tuple[str, float, float]], title: str, *, width: int = 760) -> str:
    """(label, value, standard error) as dots with bars, one below the other; "" where there is none."""
    known = [(label, value, error) for label, value, error in items if math.isfinite(value)]
    if not known:
        return ""
    reach = [value + sign * (error if math.isfinite(error) else 0.0) for _, value, error in known for sign in (-1, 1)]
    pad = 0.04 * ((max(reach) - min(reach)) or 1.0)
    left, height = 300.0, _TOP + 22 * len(known) + _BOTTOM
    across = _Axis(min(reach) - pad, max(reach) + pad, False, left, width - 20)
    parts = []
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{height - _BOTTOM:.1f}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - _BOTTOM + 16:.1f}" class="mid">{tick:.3g}</text>')
    for i, (label, value, error) in enumerate(known):
        y = _TOP + 22 * i + 11
        text = label if len(label) <= 44 else label[:43] + "…"
        parts.append(f'<text x="{left - 10}" y="{y + 4:.1f}" class="end">{escape(text)}</text>')
        parts += _mark(across.at(value), y, f"{label}: {value:.4g}{_error(error)}", _COLOURS[0])
        if math.isfinite(error):
            ends = across.at(value - error), across.at(value + error)
            parts.append(f'<line x1="{ends[0]:.1f}" y1="{y}" x2="{ends[1]:.1f}" y2="{y}" stroke="{_COLOURS[0]}"/>')
    parts.append(f'<text x="{(left + width - 20) / 2:.1f}" y="{height - 8:.1f}" class="mid">{escape(title)}</text>')
    return _svg(parts, width, height)


def _frame(across: _Axis, up: _Axis, x_title: str, y_title: str, width: int, height: int) -> list[str]:
    left, right, top, bottom = across.start, across.stop, up.stop, up.start
    parts = []
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16:.1f}" class="mid">{tick:g}</text>')
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" class="end">{tick:.3g}</text>')
    parts.append(f'<text x="{(left + right) / 2:.1f}" y="{height - 8}" class="mid">{escape(x_title)}</text>')
    middle = (top + bottom) / 2
    parts.append(f'<text transform="translate(14 {middle:.1f}) rotate(-90)" class="mid">{escape(y_title)}</text>')
    return parts


def _curve(one: Series, across: _Axis, up: _Axis, log_y: bool) -> list[str]:
    colour, dash = _look(one)
    shown = sorted(p for p in one.points if math.isfinite(p[1]) and (p[1] > 0 or not log_y))
    path = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y, _ in shown)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-dasharray="{dash}"/>']
    for x, y, error in shown:
        at = across.at(x)
        if math.isfinite(error):
            low = max(y - error, up.low) if log_y else y - error
            ends = up.at(low), up.at(y + error)
            parts.append(f'<line x1="{at:.1f}" y1="{ends[0]:.1f}" x2="{at:.1f}" y2="{ends[1]:.1f}" stroke="{colour}"/>')
        parts += _mark(at, up.at(y), f"{one.label}, sigma {x:.3g}: {y:.4g}{_error(error)}", colour)
    return parts


def _mark(x: float, y: float, text: str, colour: str) -> list[str]:
    return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{escape(text)}</title></circle>']


def _look(one: Series) -> tuple[str, str]:
    return _COLOURS[one.look % len(_COLOURS)], _DASHES[one.look // len(_COLOURS) % len(_DASHES)]


def _legend(one: Series, i: int, width: int) -> str:
    (colour, dash), label = _look(one), one.label
    x, y = width - _RIGHT + 12, _TOP + 18 * i + 6
    text = escape(label if len(label) <= 24 else label[:23] + "…")
    line = f'<line x1="{x}" y1="{y}" x2="{x + 18}" y2="{y}" stroke="{colour}" stroke-dasharray="{dash}"/>'
    return f'{line}<text x="{x + 24}" y="{y + 4}"><title>{escape(label)}</title>{text}</text>'


def _svg(parts: Sequence[str], width: float, height: float) -> str:
    style = "<style>text{font:11px sans-serif}.mid{text-anchor:middle}.end{text-anchor:end}.grid{stroke:#ddd}</style>"
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{style}{"".join(parts)}</svg>'


def _error(error: float) -> str:
    return f" ± {error:.2g}" if math.isfinite(error) else ""


def _step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least as large."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
