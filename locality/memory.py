"""How much memory this process takes, and took at most, and how much is left: for reports and refusals."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

_MEMORY = Path("/proc/meminfo")
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory() -> int | None:
    """Largest resident size of this process so far in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    if _STATUS.exists():  # Linux: the peak of getrusage also counts the process that started this one
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_memory() -> int | None:
    """Bytes a new allocation may take without others being pushed out; None where the system does not tell."""
    if not _MEMORY.exists():
        return None
    line = next((line for line in _MEMORY.read_text().splitlines() if line.startswith("MemAvailable:")), None)
    return None if line is None else int(line.split()[1]) * 1024


def _give_back() -> None:
    """Return what is free inside the process to the system, where glibc can: what is reused would not be seen."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class PeakMemory:
    """The most memory taken since `start`: what the step in between needed, with all the process held already.

    On a CUDA device that of PyTorch's allocator there. On the CPU the largest resident size of the process, which
    Linux lets be set back; None where it does not, so that no older peak is taken for a step's.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._cuda = device.partition(":")[0] == "cuda"
        self._device = device
        self._reset = False

    def start(self) -> int | None:
        """Set the peak back to what is taken now, and tell that; None where the system does not tell."""
        if self._cuda:
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
            return int(torch.cuda.memory_allocated(self._device))
        _give_back()
        try:
            _RESET.write_text("5")  # Linux: the peak (VmHWM) becomes the present resident size
            self._reset = True
        except OSError:
            self._reset = False
        return self.read()

    def read(self) -> int | None:
        """Bytes at most since `start`."""
        if self._cuda:
            import torch

            return int(torch.cuda.max_memory_allocated(self._device))
        return peak_memory() if self._reset else None
