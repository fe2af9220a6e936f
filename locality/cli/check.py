"""The command check: does a plug-in meet the contracts of its kind?"""

from __future__ import annotations

import unittest
from typing import Annotated

import typer

from locality.cli.parts.app import app
from locality.errors import BadInput, DataUnavailable, UnknownName


@app.command()
def check(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="denoiser, dataset, edit, network or metric.")],
    plugin: Annotated[
        str, typer.Argument(metavar="NAME", help="All examples of a plug-in, or one spec, name:option=value,...")
    ],
) -> None:
    """Hold a plug-in to the contracts that those of the package meet; says which one it breaks, and how."""
    from locality.checks import CHECKS

    if kind not in CHECKS:
        raise UnknownName("kind of plug-in", kind, CHECKS)
    registry, contracts, holds = CHECKS[kind]
    for text in [plugin] if ":" in plugin else registry[plugin].examples:
        try:
            holds(text)
        except AssertionError as error:
            raise BadInput(str(error)) from error
        except unittest.SkipTest as error:
            raise DataUnavailable(str(error)) from error
        typer.echo(f"{text}: meets {len(contracts.of(registry.parse(text)))} contracts")
