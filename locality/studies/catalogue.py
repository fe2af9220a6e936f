"""What models and edits there are, as plain values: for the command line and for pages."""

from __future__ import annotations

import dataclasses
from typing import Any

from locality.denoisers import DENOISERS
from locality.edits import EDITS
from locality.networks import NETWORKS
from locality.specs import Spec


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


def network_list() -> list[dict[str, Any]]:
    """Every architecture `train --network` makes, in order: what it is, what it may look at, presets, options."""
    return [
        {
            "name": name,
            "about": NETWORKS[name].summary(),
            "sees": NETWORKS[name].sees,
            "presets": ["small", *NETWORKS[name].presets],
            "options": _options(NETWORKS[name]),
        }
        for name in NETWORKS.listed()
    ]


_CLOSED = {"exact": "exact", "expected": "exact in expectation", "none": "measured on the edited images"}


def edit_list() -> list[dict[str, Any]]:
    """Every edit by name: what it does, how its statistics are known, its options as those of `model_list`."""
    return [
        {
            "name": name,
            "about": (cls.__doc__ or "").strip().partition("\n")[0],
            "closed": _CLOSED[cls().closed],
            "options": _options(cls),
        }
        for name, cls in EDITS.items()
    ]


def _options(cls: type[Spec]) -> list[dict[str, Any]]:
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
