"""Reads the python batches of CIFAR-10 without running anything a pickle asks for.

A pickle is a program: it names functions and calls them. Here the three names a numpy array needs
lead to inert stand-ins of this file; every other name is refused, so nothing but dicts, lists,
tuples, bytes, text and integers can come out.
"""

from __future__ import annotations

import io
import pickle  # noqa: TID251 - subclassed below so that nothing it names is called
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from locality.errors import BadInput


class _Dtype:
    """Stand-in for numpy.dtype: keeps the type code, ignores the state."""

    def __init__(self, code: object = None, *_: object) -> None:
        self.code = code

    def __setstate__(self, _: object) -> None:
        pass


class _Array:
    """Stand-in for numpy.ndarray: keeps the state tuple (version, shape, dtype, order, bytes)."""

    state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def _reconstruct(*_: object) -> _Array:
    return _Array()


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _Refused(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: object) -> Never:
        raise _Refused("it refers to objects outside the file")


class _Refused(Exception):
    pass


def read_batch(path: Path, n: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Pixels [n, 3072] and the n labels of one python batch of CIFAR-10.

    Raises:
        BadInput: a pickle that asks for anything but arrays, or that is no CIFAR-10 batch.
    """
    try:
        batch = _Reader(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        return _pixels(batch[b"data"], n), _labels(batch[b"labels"], n)
    except _Refused as error:
        raise BadInput(
            f"{path.name} was not opened: {error}, which a CIFAR-10 batch never does. "
            "Delete it and run `python -m locality download cifar10`."
        ) from None
    except (
        pickle.UnpicklingError, EOFError, KeyError, IndexError, TypeError, ValueError, AttributeError, MemoryError,
        OverflowError, ImportError, struct.error,
    ) as error:  # fmt: skip
        why = f"{type(error).__name__}: {error}"
        raise BadInput(f"{path.name} is not a python batch of CIFAR-10 ({why}). Download it again.") from None


def _pixels(array: object, n: int) -> NDArray[np.uint8]:
    if not isinstance(array, _Array) or not isinstance(array.state, tuple):
        raise ValueError("no array of pixels")
    _, shape, dtype, columns_first, raw = array.state
    if not isinstance(dtype, _Dtype) or dtype.code not in (b"u1", "u1") or columns_first or not isinstance(raw, bytes):
        raise ValueError("pixels are not rows of bytes")
    if shape != (n, 3072):
        raise ValueError(f"pixels have the shape {shape}, ({n}, 3072) expected")
    return np.frombuffer(raw, np.uint8).reshape(shape)


def _labels(values: object, n: int) -> list[int]:
    if not isinstance(values, list) or len(values) != n or not all(type(value) is int for value in values):
        raise ValueError(f"labels are not a list of {n} integers")
    return values
