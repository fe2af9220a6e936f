"""Commands about fields: field, and precompute for the tables that hovering uses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locality.cli.parts.app import (
    ApproximateOpt,
    DatasetArg,
    ExactOpt,
    FirstOpt,
    JsonOpt,
    LeadingOpt,
    OutOpt,
    SeedOpt,
    SigmaOpt,
    app,
    parse_pixel,
    say,
    watch,
)
from locality.cli.parts.machine import SpaceOpt, decomposing
from locality.cli.parts.models import tell_note
from locality.cli.parts.npz import check_out, write_npz
from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.linear.compact import Tolerance


@app.command()
def field(
    dataset: DatasetArg,
    pixel: Annotated[
        str, typer.Option("--pixel", metavar="ROW,COL", help="Row from the top, column from the left, from 0.")
    ],
    sigma: SigmaOpt,
    out: OutOpt,
    first: FirstOpt = None,
    model: Annotated[str, typer.Option(help="wiener, a trained network's name, or a checkpoint folder.")] = "wiener",
    draws: Annotated[int, typer.Option(help="Pairs (held-out image, noise) a network's field is averaged over.")] = 16,
    seed: SeedOpt = 0,
    exact: ExactOpt = False,
    leading: LeadingOpt = 0,
    approximate: ApproximateOpt = 0,
    memory: SpaceOpt = None,
    solve: Annotated[
        bool, typer.Option("--solve", help="One exact row of the Wiener filter by a Cholesky solve, no decomposition.")
    ] = False,
    as_json: JsonOpt = False,
) -> None:
    """Sensitivity field of a pixel, signed: d x0_hat[c_out, ROW, COL] / d x[c_in, :, :].

    Writes `field` float32 [c_out, c_in, h, w], `pixel` and `sigma`.
    """
    import numpy as np

    from locality.datasets import Source
    from locality.fields.jacobian import measure, reduce_inputs
    from locality.linear.statistics import solved_rows
    from locality.linear.wiener import coordinates
    from locality.schedule import check_sigma
    from locality.store import default_store
    from locality.studies import Draws, find_model, fit_wiener, pixel_field

    source, spot = Source.parse(dataset, first), parse_pixel(pixel)
    coords, pairs = coordinates(source.shape, spot), Draws(draws, seed)
    check_sigma(sigma)
    tell_note(find_model(source, model))
    check_out(out)
    if solve and (exact or leading or approximate):
        raise BadInput("--solve needs no components: leave --exact, --leading and --approximate out.")
    if solve and model != "wiener":
        raise BadInput(f"--solve is for the Wiener filter: {model} has no rows to solve for.")
    if solve:
        values = watch(solved_rows(source, coords, sigma, decomposing(memory), default_store()))
        values, error = values.reshape(-1, *source.shape), None
    elif model == "wiener":
        compute = decomposing(memory)
        wiener = watch(fit_wiener(source, compute=compute, exact=exact, leading=leading, approximate=approximate))
        values, error = wiener.rows(coords, sigma).reshape(-1, *source.shape), wiener.error
    else:
        values, error = watch(pixel_field(source, model, spot, sigma, pairs)), None
    write_npz(out, field=values.numpy(), pixel=np.array(spot), sigma=np.float64(sigma))
    width = measure(reduce_inputs(values.sum(dim=0)), spot)
    result = {
        "dataset": source.text,
        "model": model,
        "pixel": list(spot),
        "sigma": sigma,
        "shape": list(values.shape),
        "radius": width.radius,
        "outside": width.outside,
        "error": None if error is None else vars(error),
        "out": str(out),
    }
    about = f"half of its mass within {width.radius:.3g} px, {width.outside:.1%} beyond 4 px"
    text = f"{out}: field {tuple(values.shape)}; {about if math.isfinite(width.radius) else 'zero everywhere'}"
    if error is not None:
        below = "" if sigma >= error.sigma else f"; none is stated at sigma {sigma:g}"
        text += f"\n{error}{below}; --exact for all digits"
    say(result, as_json, text)


@app.command()
def precompute(
    dataset: DatasetArg,
    network: Annotated[
        str | None, typer.Option(help="Compute the hover table of this trained network instead of the statistics.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Fit patch_mixture or stack, which takes minutes, instead of the statistics.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Pairs (held-out image, noise) per field.")] = 32,
    step: Annotated[int, typer.Option(help="Every step-th pixel of rows and columns.")] = 2,
    sigmas: Annotated[
        str | None, typer.Option(metavar="S,S,...", help="Noise levels of the hover table; by default six to 20.")
    ] = None,
    seed: SeedOpt = 0,
    tolerance: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD[,ROW]",
            help="Ship statistics as coarsely as this: largest error of a field and of a row for sigma >= 0.1, "
            "over their largest value; by default 16 bits per value.",
        ),
    ] = None,
    held_out: Annotated[bool, typer.Option("--held-out", help="Ship some held-out images instead.")] = False,
    ship: Annotated[Path | None, typer.Option(help="Also write it to this folder of shipped files, compactly.")] = None,
) -> None:
    """Prepare what pages open with: a dataset's eigendecomposition, a network's hover table, a model's long fit."""
    from locality.datasets import Source
    from locality.fields.codec import LEARNED_SIGMAS
    from locality.studies import Draws, ship_held_out, ship_learned_table, ship_model, ship_statistics

    source = Source.parse(dataset)
    if held_out:
        if ship is None:
            raise BadInput("--held-out writes files: give --ship FOLDER.")
        typer.echo(ship_held_out(source, ship))
    elif model is not None:
        typer.echo(watch(ship_model(source, model, ship)))
    elif network is None:
        typer.echo(watch(ship_statistics(source, ship, None if tolerance is None else _tolerance(tolerance))))
    else:
        levels = LEARNED_SIGMAS if sigmas is None else _levels(sigmas)
        typer.echo(watch(ship_learned_table(source, network, Draws(draws, seed), step, ship, levels)))


def _tolerance(text: str) -> Tolerance:
    """`FIELD` or `FIELD,ROW`; rows may be off by four times as much where nothing else is said."""
    from locality.linear.compact import Tolerance

    try:
        field, _, row = text.partition(",")
        return Tolerance(float(field), float(row) if row else 4 * float(field))
    except ValueError:
        raise BadInput(f"--tolerance {text!r} is not FIELD or FIELD,ROW. Write for example 0.001,0.004.") from None


def _levels(text: str) -> tuple[float, ...]:
    """Increasing noise levels, each the nearest usual one where it is within a thousandth of it."""
    from locality.fields.codec import LEARNED_SIGMAS
    from locality.schedule import check_sigma

    try:
        asked = sorted({check_sigma(float(part)) for part in text.split(",")})
    except ValueError:
        raise BadInput(
            f"--sigmas {text!r} is not a list of numbers. Write for example --sigmas 0.26,0.76,2.3."
        ) from None
    return tuple(next((s for s in LEARNED_SIGMAS if abs(s / one - 1) < 1e-3), one) for one in asked)
