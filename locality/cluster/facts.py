"""Who a worker is, and whether it runs the same code as whoever asks it."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

import locality
from locality.denoisers.parts.compiled import kernels
from locality.errors import BadInput, first_line
from locality.memory import free_memory, peak_memory
from locality.specs import allow_files, load_plugins


@dataclass(frozen=True)
class Facts:
    """A worker: `free` bytes are what its machine may still give, or Dask lets it take; None where nobody tells."""

    host: str
    pid: int
    package: str
    code: str
    torch: str
    numba: str
    free: int | None
    used: int
    address: str = ""

    def __str__(self) -> str:
        return f"{self.address} (process {self.pid} on {self.host})"


def facts() -> Facts:
    """Of this process."""
    numba = "that does not run" if kernels() is None else version("numba")
    versions = locality.__version__, code_digest(), str(torch.__version__), numba
    return Facts(platform.node(), os.getpid(), *versions, free_memory(), peak_memory() or 0)


def introduce() -> Facts:
    """Of a worker, which loads the plug-ins that its own LOCALITY_PLUGINS names: whoever started it may run code."""
    allow_files()
    load_plugins()
    return facts()


@cache
def code_digest() -> str:
    """Of every file of the package: two checkouts may differ under one version."""
    root, digest = Path(locality.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if "dashboard" not in path.relative_to(root).parts:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def check_same(address: str, told: Facts | BaseException, limit: int) -> Facts:
    """The worker as it told of itself; `limit`: the bytes that Dask lets it take, 0 for no limit.

    Raises:
        BadInput: it does not have the package, or another version of it, of torch or of Numba, without whose loops
            averages leave out other constants than with them.
    """
    ours = facts()
    again = "Install the same on every machine, and start its workers again."
    if not isinstance(told, Facts):
        raise BadInput(
            f"The worker {address} has no Locality Lab {ours.package} that it can import ({first_line(told)}). {again}"
        )
    worker = replace(told, address=address)
    for name, theirs, here in (
        ("Locality Lab", worker.package, ours.package),
        ("torch", worker.torch, ours.torch),
        ("Numba", worker.numba, ours.numba),
        ("the files of Locality Lab", worker.code, ours.code),
    ):
        if theirs != here:
            raise BadInput(f"The worker {worker} has {name} {theirs}, and here it is {here}. {again}")
    if limit:
        room = max(0, limit - worker.used)
        worker = replace(worker, free=room if worker.free is None else min(worker.free, room))
    return worker
