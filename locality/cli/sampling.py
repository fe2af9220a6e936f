"""Commands about analytic models: sample, denoise, models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locality.cli.parts.app import DatasetArg, FirstOpt, JsonOpt, OutOpt, SigmaOpt, app, say, table, watch
from locality.cli.parts.machine import (
    ClusterOpt,
    DevicesOpt,
    MemoryOpt,
    cluster_facts,
    compute_on,
    elsewhere,
    spent_text,
    tell_expected,
)
from locality.cli.parts.models import option_lines, tell_note
from locality.cli.parts.npz import check_out, read_images, write_npz
from locality.cli.parts.plans import PlanOpt, planned
from locality.memory import peak_memory

if TYPE_CHECKING:
    from locality.datasets import Source
    from locality.device import Compute
    from locality.studies import Expected, Model, Sampling

ModelOpt = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A name from `models`, with options as name:option=value,...; a trained network; a checkpoint; "
        "my_net.py:FUNCTION.",
    ),
]


@app.command(cls=planned("locality.studies", "OwnSampling", typed={"count": "-n"}))
def sample(
    dataset: DatasetArg,
    model: ModelOpt,
    out: OutOpt,
    plan: PlanOpt = None,
    first: FirstOpt = None,
    device: DevicesOpt = "auto",
    memory: MemoryOpt = 512,
    cluster: ClusterOpt = "",
    as_json: JsonOpt = False,
) -> None:
    """Generate images from noise. The same seed gives the same noise for every model.

    Writes `x0_hat` and `x` float32 [steps, n, c, h, w], the last `x0_hat` being the image, and `sigmas` [steps].
    """
    import numpy as np

    from locality import studies

    sampling: Sampling = plan
    source, chosen, compute = _ready(dataset, model, first, device, memory, cluster)
    check_out(out)
    note = tell_note(chosen)
    began = time.perf_counter()
    drawn, expected = studies.found_samples(source, model, sampling), None
    if drawn is None:
        if not elsewhere(compute):
            expected = watch(studies.expected_sampling(source, model, sampling, compute=compute))
            tell_expected({model: expected})
        began = time.perf_counter()
        drawn = watch(studies.sample(source, model, sampling, compute=compute))
    shape = (sampling.steps, sampling.count, *drawn.shape)
    images, inputs = drawn.x0_hat.reshape(shape).numpy(), drawn.x.reshape(shape).numpy()
    write_npz(out, x0_hat=images, x=inputs, sigmas=np.array(drawn.sigmas))
    result = {
        "dataset": source.text,
        "model": model,
        "n": sampling.count,
        "steps": sampling.steps,
        "seed": sampling.seed,
        "sigmas": drawn.sigmas,
        "shape": list(drawn.shape),
        "seconds": time.perf_counter() - began,
        "seconds_per_step": drawn.seconds / sampling.steps,
        "expected": _facts(expected),
        "peak_memory_bytes": peak_memory(),
        "note": note,
        "out": str(out),
        **cluster_facts(compute),
    }
    text = (
        f"{out}: {sampling.count} images of {drawn.shape} by {model} in {sampling.steps} steps, "
        f"sigma {drawn.sigmas[0]:.3g} to {drawn.sigmas[-1]:.3g}\n{_spent(result)}, "
        f"{result['seconds_per_step']:.2g} s per step when computed"
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
    device: DevicesOpt = "auto",
    memory: MemoryOpt = 512,
    cluster: ClusterOpt = "",
    as_json: JsonOpt = False,
) -> None:
    """Estimate the clean images of noisy ones, x = x0 + sigma eps, in one call. Writes `x0_hat` [n, c, h, w]."""
    from locality import studies
    from locality.schedule import check_sigma

    check_sigma(sigma)
    source, chosen, compute = _ready(dataset, model, first, device, memory, cluster)
    x = read_images(given, "x", source.shape)
    check_out(out)
    note = tell_note(chosen)
    expected = None
    if not elsewhere(compute):
        expected = watch(studies.expected_call(source, model, len(x), sigma, compute=compute))
        tell_expected({model: expected})
    began = time.perf_counter()
    x0_hat = watch(studies.denoise(source, model, x, sigma, compute=compute))
    write_npz(out, x0_hat=x0_hat.reshape(-1, *source.shape).numpy())
    result = {
        "dataset": source.text,
        "model": model,
        "n": len(x),
        "sigma": sigma,
        "shape": list(source.shape),
        "seconds": time.perf_counter() - began,
        "expected": _facts(expected),
        "peak_memory_bytes": peak_memory(),
        "note": note,
        "out": str(out),
        **cluster_facts(compute),
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


def _ready(
    dataset: str, model: str, first: int | None, device: str, memory: int, cluster: str
) -> tuple[Source, Model, Compute]:
    """What both commands need, with every mistake reported before any work."""
    from locality.datasets import Source
    from locality.studies import find_model

    source = Source.parse(dataset, first)
    chosen = find_model(source, model)
    compute = compute_on(device, memory, cluster)
    if first is not None:
        _ = source.train  # a network would not look at them: asking for more than there are is an error all the same
    return source, chosen, compute


def _facts(expected: Expected | None) -> dict[str, float | None] | None:
    """What was expected, in numbers; None of what was kept already, and on a cluster."""
    if expected is None:
        return None
    return {"fit_seconds": expected.fit, "call_seconds": expected.calls, "bytes": expected.bytes}


def _spent(result: dict[str, Any]) -> str:
    return spent_text(result["seconds"], result["peak_memory_bytes"])
