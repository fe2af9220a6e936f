"""Widgets made from the fields of a spec: a new field appears without a page being edited."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from locality.params import Param, Spec


def controls_for(cls: type[Spec], *, prefix: str) -> dict[str, str]:
    """Draw one widget per field; return the options as strings, for `Spec.parse`."""
    fields = dataclasses.fields(cls)
    if not fields:
        return {}
    with st.expander("Dataset options", expanded=any(field.default == "" for field in fields)):
        values = {field.name: _control(field.name, field.default, cls.params()[field.name], prefix) for field in fields}
    return {name: str(value) for name, value in values.items() if value != _default(cls, name)}


def _default(cls: type[Spec], name: str) -> Any:
    return next(field.default for field in dataclasses.fields(cls) if field.name == name)


def _control(name: str, default: Any, about: Param, prefix: str) -> Any:
    label = name.replace("_", " ").capitalize() + (f" ({about.unit})" if about.unit else "")
    shared: dict[str, Any] = {
        "key": f"{prefix}_{name}",
        "help": about.help,
        "bind": "query-params",
        "persist_state": "session",
    }
    if about.choices:
        return st.selectbox(label, about.choices, index=about.choices.index(default), **shared)
    if isinstance(default, bool):
        return st.toggle(label, value=default, **shared)
    if isinstance(default, int | float):
        kind = type(default)
        low = None if about.low is None else kind(about.low)
        high = None if about.high is None else kind(about.high)
        return st.number_input(label, min_value=low, max_value=high, value=default, **shared)
    return st.text_input(label, value=str(default), **shared)
