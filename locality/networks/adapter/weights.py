"""Weights by name, however they were saved: .pt, .pth, .ckpt, .bin, safetensors, in one file or in shards.

Nothing a file asks for is run: pickles go through torch's reader of plain tensors (`weights_only`), the format of
before torch 1.6 too. A file may hold several sets of weights (the network's own and their average, an optimiser's
state): `key` says which, as `ema` or `ema.shadow`; `prefix` says which of its names are the network's.
"""

from __future__ import annotations

import argparse
import json
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - the error's name only
from typing import Any

import torch
from torch import Tensor, nn

from locality.errors import BadInput, CheckpointMismatch, TooLarge, first_line
from locality.networks.checkpoints.files import check_finite, difference, read_tensors, shapes_of
from locality.networks.checkpoints.opened import BUILD_ERRORS, LARGEST, check_size

TENSORS, PICKLES = ".safetensors", (".pt", ".pth", ".ckpt")
_INDEX = ".index.json"
_READ_ERRORS = (*BUILD_ERRORS, OSError, EOFError, UnpicklingError, MemoryError, ImportError, struct.error)
_WRAPPERS = ("module.", "_orig_mod.")  # names that DataParallel and torch.compile put before all others
_DEEPEST = 3  # levels of a file's dictionaries that are looked through for weights

State = dict[str, Tensor]


def read_weights(path: Path, *, key: str = "", prefix: str = "") -> State:
    """Weights by name.

    Args:
        path: a file; or a sharded one's `*.index.json`, or the folder of one.
        key: which set of weights of the file, where it holds several: names joined by dots.
        prefix: only names that begin with this, without it.
    Raises:
        BadInput: not a file of weights, not a safe one, or several sets and no key; names them.
        TooLarge: over 3 GB.
    """
    state = _chosen(_read(path), key, path)
    need = sum(tensor.element_size() * tensor.numel() for tensor in state.values())
    if need > LARGEST:  # a tensor may claim more values than the file holds
        raise TooLarge(f"{path}", need, LARGEST, "Use a smaller network.")
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    found = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not found:
        raise BadInput(f"{path}: no name begins with {prefix!r}. Its names: {_some(state)}.")
    return found


def fit_weights(net: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Copy weights into a network of exactly the same names and shapes; its own types are kept.

    Raises:
        CheckpointMismatch: others; names the first three, and the prefix that would help. NonFinite: NaN or infinity.
    """
    state = _named(net, state)
    want = net.state_dict()
    if wrong := difference(shapes_of(want), shapes_of(state)):
        fits = [prefix for prefix in _prefixes(state, want) if all(f"{prefix}{name}" in state for name in want)]
        hint = f" They fit with prefix={' or prefix='.join(map(repr, fits))}." if fits else ""
        raise CheckpointMismatch(f"The weights of {where} do not fit the network: {wrong}{hint}")
    check_finite(state, where)
    net.load_state_dict(dict(state))


def _named(net: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A list of weights, as some keep a running average, by the names of the network's parameters in order."""
    names = [name for name, _ in net.named_parameters()]
    if list(state) != [str(i) for i in range(len(names))]:
        return state
    return {**net.state_dict(), **dict(zip(names, state.values(), strict=True))}


def _prefixes(got: Mapping[str, Any], want: Mapping[str, Any]) -> list[str]:
    """What stands before the first of the wanted names, wherever it ends one of those that are there."""
    first = next(iter(want), "")
    return [name.removesuffix(first) for name in got if first and name.endswith(f".{first}")]


# --- which set of a file


def _chosen(value: Any, key: str, path: Path) -> State:
    found = dict(_sets(value))
    if key:
        if key not in found:
            there = f"It holds {_listed(found)}." if any(found) else "It holds one set only: leave the key out."
            raise BadInput(f"{path} has no weights under the key {key!r}. {there}")
        return found[key]
    if len(found) > 1:
        raise BadInput(
            f"{path} holds {len(found)} sets of weights: {_listed(found)}. Say which, as key={next(iter(found))}."
        )
    if not found:
        raise BadInput(f"{path} holds no weights by name. Save the network's state_dict().")
    return next(iter(found.values()))


def _sets(value: Any, at: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Dictionaries of tensors by name, wherever they lie; lists of tensors by number."""
    if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
        value = {str(i): tensor for i, tensor in enumerate(value)}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        return
    tensors = {name: tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    if tensors and all(isinstance(one, Tensor | int | float | str | bool | None) for one in value.values()):
        yield at, tensors
    elif depth < _DEEPEST:
        for name, inner in value.items():
            yield from _sets(inner, f"{at}.{name}" if at else name, depth + 1)


def _listed(found: Mapping[str, State]) -> str:
    return ", ".join(f"{key} ({len(state)} tensors: {_some(state, 1)})" for key, state in found.items())


def _some(state: Mapping[str, Tensor], count: int = 3) -> str:
    return ", ".join(list(state)[:count]) + (", ..." if len(state) > count else "")


# --- files


def _read(path: Path) -> Any:
    if path.is_dir() or path.name.endswith(_INDEX):
        return _shards(path)
    if not path.is_file():
        raise BadInput(f"{path} does not exist. Give a file of weights: {TENSORS}, {', '.join(PICKLES)}.")
    check_size(path)
    return read_tensors(path)[0] if path.suffix == TENSORS else read_pickle(path)


def read_pickle(path: Path) -> Any:
    """What a file of torch holds, by its reader that runs no code. Raises BadInput."""
    try:
        mapped = zipfile.is_zipfile(path)  # files of before torch 1.6 are none
        with torch.serialization.safe_globals([argparse.Namespace]):  # of settings that trainers save beside weights
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)  # noqa: TID251
    except _READ_ERRORS as error:
        raise BadInput(
            f"{path} was not opened: it is damaged or holds more than plain tensors ({first_line(error)}). "
            "Where you trust it, save its weights alone: torch.save(network.state_dict(), NEW)."
        ) from None


def _shards(path: Path) -> State:
    """All tensors of a sharded checkpoint. Raises BadInput, TooLarge."""
    found = [path] if path.is_file() else sorted(path.glob(f"*{_INDEX}"))
    if len(found) != 1:
        raise BadInput(
            f"{path} has {len(found)} files NAME{_INDEX}: give a file of weights, or the one index of its shards."
        )
    files = shards_of(found[0])
    total = sum(file.stat().st_size for file in files)
    if total > LARGEST:
        raise TooLarge(f"Reading {path}", total, LARGEST, "No network of images is so large: check the files.")
    state: State = {}
    for file in files:
        state |= _chosen(_read(file), "", file)
    lost = sorted(_index_of(found[0]).keys() - state.keys())
    if lost:
        raise BadInput(f"{found[0]}: its shards lack {len(lost)} tensors, first {lost[0]}. Copy the checkpoint again.")
    return state


def _index_of(index: Path) -> dict[str, str]:
    try:
        where = json.loads(index.read_text())["weight_map"]
        return {str(name): Path(file).name for name, file in where.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{index} is no index of shards ({first_line(error)}). Copy the checkpoint again.") from None


def shards_of(index: Path) -> list[Path]:
    """The files an index of shards names, all beside it. Raises BadInput."""
    files = [index.parent / name for name in sorted(set(_index_of(index).values()))]
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        first = missing[0] if missing else "none"
        raise BadInput(f"{index} names {len(missing)} shards that are not beside it, first {first}. Copy all of them.")
    return files
