"""Memory in words."""

from __future__ import annotations

from locality.memory import peak_memory

__all__ = ["memory_text", "peak_memory"]


def memory_text(peak: int | None) -> str:
    """The same for people."""
    return "unknown" if peak is None else f"{peak / 1e6:.0f} MB"
