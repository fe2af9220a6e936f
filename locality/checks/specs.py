"""What every spec must do, of whatever kind: explain itself, and survive being written and read."""

from __future__ import annotations

import dataclasses
import json
from typing import TypeVar

from locality.checks.named import hold
from locality.specs import Registry, Spec, load_plugins
from locality.store.artifact import canonical

S = TypeVar("S", bound=Spec)


def read(spec: S | str, registry: Registry[S]) -> S:
    """A spec, or that of a text, whose plug-in may come from outside. Raises UnknownName, BadInput."""
    if not isinstance(spec, str):
        return spec
    load_plugins()
    return registry.parse(spec)


def explained(cls: type[Spec]) -> None:
    """A sentence for the class; for every option one too, and for every number a lower end at least, or choices."""
    hold(cls.summary().endswith((".", ":")), f"the first line of its docstring is no sentence: {cls.summary()!r}")
    for field in dataclasses.fields(cls):
        about = field.metadata["param"]
        hold(about.help.endswith("."), f"the help of {field.name} is no sentence: {about.help!r}")
        numeric = isinstance(field.default, int | float) and not isinstance(field.default, bool)
        bounded = about.low is not None or about.choices
        hold(bounded or not numeric, f"the number {field.name} has no lower end")
        hold(not about.choices or field.default in about.choices, f"the default of {field.name} is none of its choices")


def reversible(spec: S, registry: Registry[S]) -> None:
    """Written as text and parsed it is the same spec, with the same key and hash; its key is plain and its own."""
    text = spec.text()
    again = registry.parse(text)
    hold(again == spec, f"{text!r} parses as {again}")
    hold(hash(again) == hash(spec), "equal specs have different hashes")
    hold(canonical(again.key()) == canonical(spec.key()), "equal specs have different keys")
    hold(json.loads(canonical(spec.key()))["name"] == spec.name, "its key does not name it")
    usual = type(spec)()
    hold(spec == usual or canonical(spec.key()) != canonical(usual.key()), "another spec has the same key")
