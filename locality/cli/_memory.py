"""How much memory this process has taken."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> int | None:
    """Largest resident size of this process so far in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    status = Path("/proc/self/status")
    if status.exists():  # Linux: the peak of getrusage also counts the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory_text(peak: int | None) -> str:
    """The same for people."""
    return "unknown" if peak is None else f"{peak / 1e6:.0f} MB"
