"""Commands about analytic models: sample, denoise, models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, OutOpt, SeedOpt, SigmaOpt, app, say, table, watch
from locality.cli.parts.memory import memory_text, peak_memory
from locality.cli.parts.npz import check_out, read_images, write_npz
from locality.errors import BadInput

if TYPE_CHECKING:
    from locality.datasets import Source
    from locality.device import Compute
    from locality.studies import Model, Sampling

ModelOpt = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A name from `models`, with options as name:option=value,...; a trained network; a checkpoint folder.",
    ),
]
DeviceOpt = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
MemoryOpt = Annotated[int, typer.Option(metavar="MB", help="Memory for the work of one denoising call.")]


@app.command()
def sample(
    dataset: DatasetArg,
    model: ModelOpt,
    out: OutOpt,
    n: Annotated[int, typer.Option("-n", metavar="N", help="Images to draw, 1 to 4096.")] = 8,
    steps: Annotated[int, typer.Option(metavar="K", help="Noise levels on the way, 2 to 1000.")] = 10,
    seed: SeedOpt = 0,
    first: FirstOpt = None,
    grid: Annotated[str, typer.Option(help="Noise levels: ddpm, edm or log.")] = "ddpm",
    sampler: Annotated[str, typer.Option(help="ddim or heun.")] = "ddim",
    eta: Annotated[float, typer.Option(help="Noise added in each ddim step, 0 to 1.")] = 0.0,
    clip: Annotated[
        bool, typer.Option("--clip/--no-clip", help="Clamp the estimate to [-1, 1] on the way; never the result.")
    ] = True,
    start: Annotated[str, typer.Option(help="ddpm: sqrt(1 + sigma^2) z; edm: sigma z.")] = "ddpm",
    device: DeviceOpt = "auto",
    memory: MemoryOpt = 512,
    as_json: JsonOpt = False,
) -> None:
    """Draw images from noise. The same seed is the same noise for every model.

    Writes `x0_hat` float32 [steps, n, c, h, w], of which the last is the image, `x` alike, and `sigmas` [steps].
    """
    import numpy as np

    from locality import studies

    sampling = _sampling(count=n, steps=steps, seed=seed, grid=grid, sampler=sampler, eta=eta, clip=clip, start=start)
    source, chosen, compute = _ready(dataset, model, first, device, memory)
    check_out(out)
    note, began = tell_note(chosen), time.perf_counter()
    drawn = watch(studies.sample(source, model, sampling, compute=compute))
    shape = (sampling.steps, sampling.count, *drawn.shape)
    images, inputs = drawn.x0_hat.reshape(shape).numpy(), drawn.x.reshape(shape).numpy()
    write_npz(out, x0_hat=images, x=inputs, sigmas=np.array(drawn.sigmas))
    result = {
        "dataset": source.text,
        "model": model,
        "n": n,
        "steps": steps,
        "seed": seed,
        "sigmas": drawn.sigmas,
        "shape": list(drawn.shape),
        "seconds": time.perf_counter() - began,
        "seconds_per_step": drawn.seconds / steps,
        "peak_memory_bytes": peak_memory(),
        "note": note,
        "out": str(out),
    }
    text = (
        f"{out}: {n} images of {drawn.shape} by {model} in {steps} steps, "
        f"sigma {drawn.sigmas[0]:.3g} to {drawn.sigmas[-1]:.3g}\n{_spent(result)}, "
        f"{result['seconds_per_step']:.2g} s a step when it was made"
    )
    say(result, as_json, text)


@app.command()
def denoise(
    dataset: DatasetArg,
    model: ModelOpt,
    given: Annotated[Path, typer.Option("--input", metavar="F.npz", help="Noisy images `x` [n, c, h, w].")],
    sigma: SigmaOpt,
    out: OutOpt,
    first: FirstOpt = None,
    device: DeviceOpt = "auto",
    memory: MemoryOpt = 512,
    as_json: JsonOpt = False,
) -> None:
    """Estimate the clean images of noisy ones, x = x0 + sigma eps, in one call. Writes `x0_hat` [n, c, h, w]."""
    from locality import studies
    from locality.schedule import check_sigma

    check_sigma(sigma)
    source, chosen, compute = _ready(dataset, model, first, device, memory)
    x = read_images(given, "x", source.shape)
    check_out(out)
    note, began = tell_note(chosen), time.perf_counter()
    x0_hat = watch(studies.denoise(source, model, x, sigma, compute=compute))
    write_npz(out, x0_hat=x0_hat.reshape(-1, *source.shape).numpy())
    result = {
        "dataset": source.text,
        "model": model,
        "n": len(x),
        "sigma": sigma,
        "shape": list(source.shape),
        "seconds": time.perf_counter() - began,
        "peak_memory_bytes": peak_memory(),
        "note": note,
        "out": str(out),
    }
    say(result, as_json, f"{out}: {len(x)} images by {model} at sigma {sigma:g}\n{_spent(result)}")


@app.command()
def models(as_json: JsonOpt = False) -> None:
    """List the analytic models: paper, cost, and every option with its range. `networks` lists the trained ones."""
    from locality.studies import model_list

    rows = model_list()
    blocks = [table(rows, {"name": "name", "cost": "cost", "paper": "paper"})]
    blocks += [option_lines(f"{row['name']}: {row['about']}", row["options"]) for row in rows]
    say(rows, as_json, "\n\n".join(blocks))


def _sampling(**options: Any) -> Sampling:
    """The checked options; messages name them as they are typed."""
    from locality.studies import Sampling

    try:
        return Sampling(**options)
    except BadInput as error:
        raise BadInput(str(error).replace("Sampling:count", "-n").replace("Sampling:", "--")) from None


def _ready(dataset: str, model: str, first: int | None, device: str, memory: int) -> tuple[Source, Model, Compute]:
    """What both commands need, with every mistake reported before any work."""
    from locality.datasets import Source
    from locality.device import Compute, usable_device
    from locality.studies import find_model

    if memory < 1:
        raise BadInput(f"--memory {memory}: give at least 1 (MB).")
    source = Source.parse(dataset, first)
    chosen = find_model(source, model)
    compute = Compute(usable_device(device), memory=memory * 1024**2)
    if first is not None:
        _ = source.train  # a network would not look at them: more than there are is reported all the same
    return source, chosen, compute


def tell_note(chosen: Model) -> str:
    """What must be said beside the result: on stderr at once, and in the result."""
    note = chosen.note()
    if note:
        typer.echo(f"Note: {note}", err=True)
    return note


def _spent(result: dict[str, Any]) -> str:
    return f"{result['seconds']:.2f} s, peak memory {memory_text(result['peak_memory_bytes'])}"


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
    return {"default": str(default), "allowed": ", ".join(choices) or limits}
