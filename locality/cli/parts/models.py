"""What commands say of a model: its options as a table, and what must stand beside its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from locality.cli.parts.app import table

if TYPE_CHECKING:
    from locality.studies import Model


def tell_note(chosen: Model) -> str:
    """What must be said beside the result: on stderr at once, and in the result."""
    note = chosen.note()
    if note:
        typer.echo(f"Note: {note}", err=True)
    return note


def option_lines(title: str, options: list[dict[str, Any]]) -> str:
    """Options as a table below a title."""
    headings = {"option": "option", "default": "default", "allowed": "allowed", "help": "meaning"}
    shown = [{**option, "option": option["name"], **_option_text(option)} for option in options]
    return "\n  ".join([title, *(table(shown, headings).splitlines() if shown else ["no options"])])


def _option_text(option: dict[str, Any]) -> dict[str, str]:
    """Default and range as one would type them."""
    default, choices = option["default"], option["choices"]
    low, high = ("" if limit is None else str(limit) for limit in (option["low"], option["high"]))
    if isinstance(default, bool):
        default, choices = str(default).lower(), ["true", "false"]
    elif isinstance(default, list):
        default = "-".join(map(str, default)) or "(none)"
    limits = f"{low}..{high} {option['unit']}".rstrip() if low or high else "any"
    return {"default": str(default), "allowed": ", ".join(map(str, choices)) or limits}
