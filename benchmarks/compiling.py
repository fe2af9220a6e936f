"""What the first call of an averaging model waits for: loops compiled for this processor, then kept in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

_CALL = """
import sys, time, torch
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.store import default_store
from locality.studies import finish
source = Source.parse("digits")
x, start, used = torch.zeros(8, source.shape.d), time.perf_counter(), time.process_time()
with torch.no_grad():
    finish(DENOISERS.parse(sys.argv[1]).fit(source, Compute(), default_store()))(x, 1.0)
print(time.perf_counter() - start, time.process_time() - used)
"""
MODELS = ("pca_locality", "ls:window=3", "optimal", "golddiff", "pspc_square:window=3", "els:window=3")


def run() -> None:
    """Print the table: each model in two new processes, the first with nothing kept."""
    print("| fit and first call on digits, 8 noisy images | nothing kept, s | of the processor | kept, s |")
    print("|---|--:|--:|--:|")
    for name in MODELS:
        with TemporaryDirectory() as folder:
            environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
            command = [sys.executable, "-c", _CALL, name]
            (wall, used), (again, _) = (
                map(float, subprocess.check_output(command, env=environment, text=True).split()) for _ in range(2)
            )
        print(f"| {name} | {wall:.1f} | {used:.1f} | {again:.1f} |", flush=True)
