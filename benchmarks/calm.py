"""Two threads of PyTorch beside other processes that want the same cores: threads that spin, and threads that wait."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from locality.calm import wait_calmly

_NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_WORK = """
import sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
net = torch.nn.Sequential(*(torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(6)))
x = torch.randn(8, 16, 32, 32)
net(x).sum().backward()
start = time.perf_counter()
for _ in range(40):
    net(x).square().mean().backward()
print(time.perf_counter() - start)
"""


def run() -> None:
    """Print the table."""
    cores = os.cpu_count() or 1
    print(f"| 40 passes through six small convolutions, {cores} cores | alone | beside {cores} busy processes |")
    print("|---|---|---|")
    for label, threads, calm in (
        ("one thread", 1, True),
        (f"{cores} threads, spinning (PyTorch's default)", cores, False),
        (f"{cores} threads, waiting (as the command line and the server set it)", cores, True),
    ):
        alone = _seconds(threads, calm=calm)
        with _busy(cores):
            beside = _seconds(threads, calm=calm)
        print(f"| {label} | {alone:.2f} s | {beside:.2f} s |", flush=True)


def _seconds(threads: int, *, calm: bool) -> float:
    environment = {name: value for name, value in os.environ.items() if name not in _NAMES}
    if calm:
        wait_calmly(environment)
    command = [sys.executable, "-c", _WORK, str(threads)]
    runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(3)]
    return statistics.median(float(out.stdout) for out in runs)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Processes that compute without end."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
