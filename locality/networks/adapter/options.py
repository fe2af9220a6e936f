"""Options that are typed behind a function of a Python file, as its parameters take them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from locality.errors import BadInput
from locality.specs import Code


def arguments_of(code: Code, function: Callable[..., Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Options as the function's parameters take them: numbers and flags by their defaults.

    Raises:
        BadInput: an option that it does not have, or one that it needs; lists those there are.
    """
    known = inspect.signature(function).parameters
    free = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    lost = [name for name, one in known.items() if one.default is inspect.Parameter.empty and one.kind in _NAMED]
    wrong = [name for name in options if name not in known and not free]
    wrong += [name for name in lost if name not in options]
    if wrong:
        listed = ", ".join(f"{name}={one.default}" for name, one in known.items() if one.kind in _NAMED) or "none"
        lacks = "needs" if wrong[0] in lost else "has no"
        raise BadInput(f"{code.short}: {code.function}() {lacks} option {wrong[0]!r}. Its options: {listed}.")
    return {name: _value(code, name, text, known.get(name)) for name, text in options.items()}


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _value(code: Code, name: str, text: str, about: inspect.Parameter | None) -> Any:
    if about is None or about.kind is inspect.Parameter.VAR_KEYWORD:
        return int(text) if re.fullmatch(r"-?\d+", text) else text
    kind = type(about.default)
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise BadInput(f"{code.short}: {name}={text!r} is not a number like {about.default!r}.") from None
    return text
