"""Where and how large: the only place for memory knobs. No knob changes a result."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib.metadata import version
from threading import Event
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from locality.errors import BadInput
from locality.work import heartbeat, listening

T = TypeVar("T")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for torch's products; small ones are slower on two than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Compute:
    """Device and chunk sizes of a computation.

    Args:
        device: "cpu", "cuda", "mps", ...
        others: further devices of the same kind, among which and `device` training images are shared out; the same
            device may be named twice.
        images: images per chunk of a streamed statistic.
        draws: (image, noise) pairs per batch of a Jacobian.
        memory: bytes for the working arrays of one denoising call, on each device.
        decomposition: bytes for the eigendecomposition of a dataset; None for what is free on this machine.
    """

    device: str = "cpu"
    images: int = 8192
    draws: int = 16
    memory: int = 512 * 1024**2
    decomposition: int | None = None
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for knob in ("images", "draws", "memory"):
            if getattr(self, knob) < 1:
                raise BadInput(f"Compute.{knob}={getattr(self, knob)}: give at least 1.")
        if self.decomposition is not None and self.decomposition < 1:
            raise BadInput(f"Compute.decomposition={self.decomposition}: give at least 1.")
        if self.others and len(kinds := sorted({torch.device(name).type for name in self.devices})) > 1:
            raise BadInput(f"Training images are shared out among devices of one kind, not {' and '.join(kinds)}.")

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices, the first of which does what is not shared out."""
        return (self.device, *self.others)


def usable_device(text: str) -> str:
    """The name of a device that works here; "auto" is the best one.

    Raises:
        BadInput: no such device on this machine; more than one.
    """
    found = usable_devices(text)
    if len(found) > 1:
        raise BadInput(f"--device {text!r} names {len(found)} devices; this runs on one. Try {found[0]}.")
    return found[0]


def usable_devices(text: str) -> tuple[str, ...]:
    """Names of devices that work here, joined by commas; "auto" is the best one.

    Raises:
        BadInput: none is named, or one that is not on this machine.
    """
    names = [best_device() if name.strip() == "auto" else name.strip() for name in text.split(",")]
    if not all(names):
        here = ", ".join(devices_here())
        raise BadInput(f"--device {text!r} leaves a device out. Give auto, or some of {here}, joined by commas.")
    for name in dict.fromkeys(names):
        try:
            torch.zeros(1, device=name).cpu()  # meta has no values to copy
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise BadInput(
                f"--device {name!r} cannot be used here ({reason}). Try auto, or some of {', '.join(devices_here())}."
            ) from None
    return tuple(names)


def devices_here() -> list[str]:
    """Names of this machine's devices, the CPU first."""
    more = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count())), *more]


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """On a device, for which the host does not wait: a GPU takes it from pinned memory when its turn comes."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@runtime_checkable
class Movable(Protocol):
    """What knows which of its tensors belong on a device."""

    def on(self, device: torch.device) -> Any:
        """The same there; itself where it is there."""
        ...


def placed(made: T, device: torch.device) -> T:
    """A model as it is fitted or read, on the CPU, with what its calls read on a device: every `Movable` part of it."""
    found: Any = made
    if isinstance(made, Movable):
        found = made.on(device)
    elif is_dataclass(made) and not isinstance(made, type):
        before = {field.name: getattr(made, field.name) for field in fields(made) if field.init}
        after = {name: placed(part, device) for name, part in before.items()}
        if any(after[name] is not part for name, part in before.items()):
            found = replace(made, **after)
    placed_there: T = found
    return placed_there


def together(works: Sequence[Callable[[], T]]) -> list[T]:
    """What each returns, run at once: the first here, each other in a thread of its own, where gradients are as here.

    Heartbeats of the first are heard, so the works should be about equally long. What one raises ends the others at
    their next heartbeat, and passes through.
    """
    if len(works) == 1:
        return [works[0]()]
    stop, grad, outside = Event(), torch.is_grad_enabled(), copy_context()

    def run(work: Callable[[], T], heard: bool) -> T:
        def hear(fraction: float) -> None:
            if stop.is_set():
                raise _Stopped
            if heard:
                outside.run(heartbeat, fraction)

        try:
            with torch.set_grad_enabled(grad), listening(hear):
                return work()
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(len(works) - 1, "device") as pool:
        others = [pool.submit(run, work, False) for work in works[1:]]
        try:
            first = run(works[0], True)
        except _Stopped:
            for other in others:
                if not isinstance(error := other.exception(), _Stopped | None):
                    raise error from None
            raise
        return [first, *(other.result() for other in others)]


class _Stopped(Exception):
    """Another of the works that run together has failed."""


def fast_integers(kind: str) -> bool:
    """Whether products of 8-bit integers are fast on a kind of device: tensor cores, or a CPU with AVX-512 VNNI.

    Elsewhere PyTorch forms them one by one: 45 times the time of exact float products on an AVX2 machine.
    """
    return kind == "cuda" or (kind == "cpu" and bool(torch.cpu._is_vnni_supported()))


def fast_bfloat16(kind: str) -> bool:
    """Whether a kind of device computes in bfloat16 itself; one that does not takes 17 times as long as in float32."""
    if kind == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def machine_facts() -> dict[str, Any]:
    """System, processor and number of cores, as results name them."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of some packages, as results name them."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def best_device() -> str:
    """The name of the GPU where there is one, else of the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"
