"""Widgets made from the fields of a spec: a new field appears without a page being edited."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import streamlit as st

from locality.grammar import value_text
from locality.specs import Param, Spec


def controls_for(cls: type[Spec], *, prefix: str) -> dict[str, str]:
    """Draw one widget per field; return the options as strings, for `Spec.parse`."""
    fields = dataclasses.fields(cls)
    if not fields:
        return {}
    with st.expander("Dataset options", expanded=any(field.default == "" for field in fields)):
        values = {
            field.name: _control(
                field.name, field.default, cls.params()[field.name], key=f"{prefix}_{field.name}", bind="query-params"
            )
            for field in fields
        }
    return {name: str(value) for name, value in values.items() if value != _default(cls, name)}


def start_option(cls: type[Spec], name: str, *, prefix: str, text: str | None = None) -> None:
    """Give the widget of a field its first value: `text`, which must parse, or the default."""
    key = f"{prefix}_{name}"
    if key not in st.session_state:
        value = _default(cls, name) if text is None else getattr(cls.parse({name: text}), name)
        st.session_state[key] = _shown(value)


def option(cls: type[Spec], name: str, *, prefix: str, label: str = "", **changed: Any) -> str | None:
    """Draw the widget of one field, started before; its text for `Spec.parse`, None for the default.

    `changed` are attributes of the field's Param that this page wants otherwise.
    """
    default, about = _default(cls, name), dataclasses.replace(cls.params()[name], **changed)
    value = _control(label or name, default, about, key=f"{prefix}_{name}")
    return None if value == _shown(default) else value_text(value)


def _default(cls: type[Spec], name: str) -> Any:
    return next(field.default for field in dataclasses.fields(cls) if field.name == name)


def _shown(value: Any) -> Any:
    return "-".join(map(str, value)) if isinstance(value, tuple) else value


def _control(name: str, default: Any, about: Param, *, key: str, bind: Any = None) -> Any:
    label = name.replace("_", " ").capitalize() + (f" ({about.unit})" if about.unit else "")
    shared: dict[str, Any] = {"key": key, "help": about.help, "bind": bind, "persist_state": "session"}
    fresh = bool(bind) or key not in st.session_state  # Streamlit wants a first value from one side only
    if about.choices:
        index = {"index": about.choices.index(default)} if fresh else {}
        return st.selectbox(label, about.choices, **index, **shared)
    first = {"value": _shown(default)} if fresh else {}
    if isinstance(default, bool):
        return st.toggle(label, **first, **shared)
    if isinstance(default, int | float):
        kind = type(default)
        low = None if about.low is None else kind(about.low)
        high = None if about.high is None else kind(about.high)
        finer = {} if bind or kind is int else {"step": _step(default), "format": "%.6g"}
        return st.number_input(label, min_value=low, max_value=high, **finer, **first, **shared)
    return st.text_input(label, **first, **shared)


def _step(value: float) -> float:
    """What the buttons of a number change it by: one unit of its first digit, 0.1 at most."""
    return float(min(10.0 ** math.floor(math.log10(value)), 0.1)) if value > 0 else 0.1
