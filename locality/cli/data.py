"""Commands about data: datasets, stats, download."""

from __future__ import annotations

import time
from typing import Any

from locality.cli._app import DatasetArg, FirstOpt, JsonOpt, app, say, table, watch


@app.command()
def datasets(as_json: JsonOpt = False) -> None:
    """List the datasets: shape, number of images, whether they are here or how to get them, licence."""
    from locality.datasets import DATASETS

    rows: list[dict[str, Any]] = []
    for name, cls in DATASETS.items():
        spec = cls()
        missing = spec.missing()
        rows.append(
            {
                "name": name,
                "title": spec.info.title,
                "shape": list(spec.shape),
                "number": spec.count("train"),
                "available": not missing,
                "how_to_get": missing,
                "licence": spec.info.licence,
                "source": spec.info.source,
            }
        )
    shown = [
        {
            **row,
            "shape": "x".join(map(str, row["shape"])),
            "number": row["number"] or "",
            "state": row["how_to_get"] or "available",
        }
        for row in rows
    ]
    headings = {"name": "name", "shape": "shape", "number": "images", "licence": "licence", "state": "state"}
    say(rows, as_json, table(shown, headings))


@app.command()
def stats(dataset: DatasetArg, first: FirstOpt = None, as_json: JsonOpt = False) -> None:
    """Mean and covariance of a dataset: size, trace, largest eigenvalues, time and peak memory."""
    from locality.datasets import Source
    from locality.studies import fit_wiener

    source = Source.parse(dataset, first)
    start = time.perf_counter()
    wiener = watch(fit_wiener(source))
    result: dict[str, Any] = {
        "dataset": dataset,
        "n": wiener.count,
        "d": wiener.shape.d,
        "shape": list(wiener.shape),
        "trace": float(wiener.eigvals.sum()),
        "largest_eigenvalues": wiener.eigvals[:10].tolist(),
        "units": "images in [-1, 1], squared",
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": peak_memory(),
    }
    values = ", ".join(f"{value:.4g}" for value in result["largest_eigenvalues"][:5])
    memory = "unknown" if result["peak_memory_bytes"] is None else f"{result['peak_memory_bytes'] / 1e6:.0f} MB"
    text = (
        f"{dataset}: n = {result['n']}, d = {result['d']}, trace = {result['trace']:.5g} ({result['units']})\n"
        f"largest eigenvalues: {values}\n{result['seconds']:.2f} s, peak memory {memory}"
    )
    say(result, as_json, text)


def peak_memory() -> int | None:
    """Largest resident size of this process so far in bytes; None where the system does not tell."""
    import sys

    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
