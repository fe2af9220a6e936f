"""What models there are, as plain values: for the command line and for pages."""

from __future__ import annotations

import dataclasses
from typing import Any

from locality.denoisers import DENOISERS, DenoiserSpec


def model_list() -> list[dict[str, Any]]:
    """Every analytic model by name: what it does, its paper, how its time grows, its options.

    Options are `{name, default, low, high, choices, unit, help}`; low and high are None where there is no limit.
    """
    return [
        {
            "name": name,
            "about": (cls.__doc__ or "").strip().partition("\n")[0],
            "paper": cls.paper,
            "cost": cls.cost,
            "options": _options(cls),
        }
        for name, cls in DENOISERS.items()
    ]


def _options(cls: type[DenoiserSpec]) -> list[dict[str, Any]]:
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    return [
        {
            "name": name,
            "default": list(default) if isinstance(default := defaults[name], tuple) else default,
            "low": about.low,
            "high": about.high,
            "choices": list(about.choices),
            "unit": about.unit,
            "help": about.help,
        }
        for name, about in cls.params().items()
    ]
