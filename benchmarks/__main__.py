"""Run the benchmarks named on the command line, or all of them; prints Markdown."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

import torch

from benchmarks import (
    agreement,
    bands,
    browser,
    calm,
    cluster,
    compiling,
    components,
    covariance,
    denoisers,
    edits,
    expected,
    eyes,
    fields,
    files,
    gpu,
    heap,
    large,
    load,
    patches,
    rows,
    shipped,
    steps,
    training,
)

BENCHMARKS = {
    "covariance": covariance.run,
    "fields": fields.run,
    "agreement": agreement.run,
    "denoisers": denoisers.run,
    "bands": bands.run,
    "calm": calm.run,
    "browser": browser.run,
    "cluster": cluster.run,
    "compiling": compiling.run,
    "components": components.run,
    "edits": edits.run,
    "expected": expected.run,
    "eyes": eyes.run,
    "files": files.run,
    "heap": heap.run,
    "large": large.run,
    "gpu": lambda: gpu.main([]),
    "load": load.run,
    "patches": patches.run,
    "rows": rows.run,
    "shipped": shipped.run,
    "steps": steps.run,
    "training": training.run,
}


def main(names: list[str]) -> None:
    """Print the machine, then one table per benchmark."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"Unknown benchmark {sorted(unknown)}. Known: {', '.join(BENCHMARKS)}.")
    python, threads = platform.python_version(), torch.get_num_threads()
    print(f"{platform.machine()}, {threads} threads, Python {python}, torch {version('torch')}\n")
    for name in names or BENCHMARKS:
        print(f"`python -m benchmarks {name}`\n")
        BENCHMARKS[name]()
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
