"""Freed memory is kept for the next arrays.

A network's layers take and free megabytes many times a second. The C library gives what is freed back to the system,
which hands it out again page by page, each filled with zeros: thousands of page faults in every pass of a UNet.
Each thread has a heap of its own, which keeps less than a batch needs, unless there is one for all. A server stays with
several: its threads come and go, and one heap gives nothing back below what is in use.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping

KEPT = 256 * 1024**2  # bytes of freed memory that stay with the process, at most
_LARGEST = 32 * 1024**2  # bytes of an array that is taken from what is kept; glibc allows no more
_CHOICES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
_TRIM, _MAP, _HEAPS = -1, -3, -8  # numbers of glibc's malloc.h


def keep_freed(environment: Mapping[str, str] = os.environ, *, one_heap: bool = False) -> bool:
    """Set it for this process, unless the user has chosen; whether it is set. Elsewhere than in glibc it is not."""
    if sys.platform != "linux" or any(name in environment for name in _CHOICES):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if set_option is None:
        return False
    if one_heap and "MALLOC_ARENA_MAX" not in environment:
        set_option(_HEAPS, 1)
    return bool(set_option(_MAP, _LARGEST) and set_option(_TRIM, KEPT))
