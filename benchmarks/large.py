"""A set in memory against the same one mapped from its file, at several memory limits: seconds, memory at the peak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

_SIDE, _N = 16, 200_000  # 154 MB
_LARGE, _FEW = 64, 2_000  # images of 12,288 values
_LIMITS = (512, 32)
_TASKS = {
    "statistics, exact": "stats",
    "statistics, `--approximate 32`": "sketch",
    "a step of `optimal`, 8 images": "optimal",
    "a step of `golddiff`, 1 image": "golddiff",
    "training, 4,096 images": "train",
}
_WORK = """
import json, os, sys, threading, time
from pathlib import Path
task, source, way, memory = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) * 10**6
import numpy as np, torch
from locality.datasets import Source
from locality.denoisers import DENOISERS
from locality.device import Compute
from locality.networks import NETWORKS, Budget, Training, TrainSpec
from locality.pictures import kept
from locality.store import Store
from locality.studies import finish, fit_wiener

if way == "memory":
    def read(path, dtype, start, shape):
        return np.fromfile(path, dtype, shape[0] * shape[1], offset=start).reshape(shape)
    kept._mapped = read
compute = Compute(memory=memory, decomposition=memory)
folder = Path(os.environ["LOCALITY_CACHE"])

def work(source, place):
    store = Store(folder / f"{place}-{os.getpid()}")
    if task == "stats":
        finish(fit_wiener(source, compute=compute, store=store, exact=True))
    elif task == "sketch":
        finish(fit_wiener(source, compute=compute, store=store, approximate=32))
    elif task == "train":
        training = Training(source.train, NETWORKS.parse("mlp:width=16,depth=1"), TrainSpec(batch=64), store.local)
        for _ in training.run(Budget(images=4096)):
            pass
    else:
        text = "golddiff:field=wiener" if task == "golddiff" else task
        denoiser = finish(DENOISERS.parse(text).fit(source, compute, store))
        rows = torch.arange(1 if task == "golddiff" else 8)
        denoiser(source.train.x0(rows), 1.0)

def taken():
    status = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line for line in status if line.startswith("RssAnon:")).split()[1])

work(Source.parse(source, 1000), "warm")  # libraries take what they take
before, most, done = taken(), 0, threading.Event()
def watch():
    global most
    while not done.wait(0.005):
        most = max(most, taken())
threading.Thread(target=watch, daemon=True).start()
kept_ready = Source.parse(source)
began = time.perf_counter()
work(kept_ready, "large")
seconds = time.perf_counter() - began
done.set()
print(json.dumps({"seconds": seconds, "bytes": max(most, before) - before}))
"""


def run() -> None:
    """Print both tables."""
    with TemporaryDirectory() as place:
        source, wide = (_written(Path(place), n, side) for n, side in ((_N, _SIDE), (_FEW, _LARGE)))
        env = {**os.environ, "LOCALITY_CACHE": f"{place}/cache", "MALLOC_MMAP_THRESHOLD_": "1000000"}
        ways = [("memory", _LIMITS[0]), *(("mapped", limit) for limit in _LIMITS)]
        print(f"{_N:,} images of 3 x {_SIDE} x {_SIDE} bytes, {_N * 3 * _SIDE**2 / 1e6:.0f} MB:\n")
        print("| | in memory | " + " | ".join(f"mapped, {limit} MB" for limit in _LIMITS) + " |")
        print("|---|" + "---|" * len(ways))
        for name, task in _TASKS.items():
            print(f"| {name} | " + " | ".join(_measured(task, source, way, limit, env) for way, limit in ways) + " |")
        d = 3 * _LARGE**2
        print(f"\n{_FEW:,} images of {d:,} values, whose covariance alone has {8 * d**2 / 1e9:.1f} GB:\n")
        print("| | mapped, 300 MB |\n|---|---|")
        print(f"| statistics, `--approximate 32` | {_measured('sketch', wide, 'mapped', 300, env)} |")


def _written(place: Path, n: int, side: int) -> str:
    """A set on disk with a spectrum that falls as those of photographs do; the text of its source."""
    path, draws = place / f"{side}.npy", np.random.default_rng(0)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n + n // 9, side, side, 3))
    axis = np.fft.fftfreq(side)
    gain = 1.0 / np.maximum(np.hypot(axis[:, None], axis[None, : side // 2 + 1]), 1 / side)
    for start in range(0, len(images), 4096):
        part = images[start : start + 4096]
        white = draws.standard_normal((len(part), 3, side, side), np.float32)
        smooth = np.fft.irfft2(np.fft.rfft2(white) * gain, s=(side, side))
        part[:] = np.clip(128 + 50 * smooth / smooth.std(), 0, 255).transpose(0, 2, 3, 1)
    return f"folder:path={path},resolution={side}"


def _measured(task: str, source: str, way: str, limit: int, env: dict[str, str]) -> str:
    command = [sys.executable, "-c", _WORK, task, source, way, str(limit)]
    ran = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if ran.returncode:
        return ran.stderr.strip().splitlines()[-1]
    found = json.loads(ran.stdout)
    return f"{found['seconds']:.1f} s, {found['bytes'] / 1e6:.0f} MB"
