"""What the store keeps: named arrays and facts about them, as safetensors bytes; and their address.

Nothing here pickles: arrays travel as raw numbers, facts as JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from locality.errors import BadInput, DigestMismatch


@dataclass(frozen=True, eq=False)
class Artifact:
    """A result worth keeping: `arrays` by name (any shape and type), `meta` in plain JSON values."""

    arrays: dict[str, Shaped[Tensor, "..."]]
    meta: dict[str, Any] = field(default_factory=dict)


class Shipment(NamedTuple):
    """A result as it comes with the repository: where the store keeps it, and what."""

    kind: str
    key: dict[str, Any]
    artifact: Artifact


def digest(kind: str, key: Mapping[str, Any]) -> str:
    """Address of a result: SHA-256 of `kind` and `key` as canonical JSON, 64 hexadecimal digits.

    The order of keys never matters; a tuple and a list of the same values are the same key.

    Args:
        kind: what the result is, e.g. "wiener"; give it a new name when its meaning changes.
        key: everything the result depends on: data fingerprint, spec, version of the code.
    Raises:
        BadInput: a value JSON cannot hold exactly; says where and what to give instead.
    """
    return hashlib.sha256(canonical({"kind": kind, "key": key}).encode()).hexdigest()


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII."""
    return json.dumps(_plain(value, "key"), sort_keys=True, separators=(",", ":"), allow_nan=False)


def encode(artifact: Artifact) -> bytes:
    """Artifact -> safetensors bytes, facts in the header.

    Raises:
        BadInput: a fact JSON cannot hold, or an array whose type safetensors cannot hold.
    """
    arrays: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in artifact.arrays.items():
        flat = tensor.detach().cpu().contiguous()
        address = flat.untyped_storage().data_ptr()
        arrays[name] = flat.clone() if address in seen else flat  # two views of one storage are refused otherwise
        seen.add(address)
    try:
        return save(arrays, {"meta": canonical(artifact.meta)})
    except (KeyError, ValueError, SafetensorError) as error:
        kinds = ", ".join(f"{name} {tensor.dtype}" for name, tensor in arrays.items())
        raise BadInput(f"These arrays cannot be kept ({error}): {kinds}. Use real numbers of 8 to 64 bits.") from None


def decode(payload: bytes) -> Artifact:
    """Safetensors bytes -> Artifact.

    Raises:
        DigestMismatch: not the bytes `encode` makes.
    """
    try:
        size = int.from_bytes(payload[:8], "little")
        header: dict[str, Any] = json.loads(payload[8 : 8 + size])
        return Artifact(dict(sorted(load(payload).items())), json.loads(header["__metadata__"]["meta"]))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DigestMismatch(
            f"{len(payload)} bytes are not a stored artefact ({error}). Delete and rebuild it."
        ) from None


def as_stored(artifact: Artifact) -> Artifact:
    """The artefact as a later reader will see it: arrays by name on the CPU, tuples of the facts as lists."""
    arrays = {name: tensor.detach().cpu() for name, tensor in sorted(artifact.arrays.items())}
    return Artifact(arrays, json.loads(canonical(artifact.meta)))


def defined(value: Any) -> Any:
    """Plain values with None in place of NaN and infinity, which JSON cannot hold."""
    if isinstance(value, dict):
        return {name: defined(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [defined(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any, where: str) -> Any:
    """The value in dict, list, str, int, float, bool and None alone, or BadInput."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise BadInput(f"{where} is {value}: JSON holds finite numbers only. Leave it out or give None.")
    if isinstance(value, Mapping):
        wrong = [name for name in value if not isinstance(name, str)]
        if wrong:
            raise BadInput(f"{where} has the key {wrong[0]!r}: give strings as keys.")
        return {name: _plain(item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise BadInput(
        f"{where} is a {type(value).__name__}: JSON holds text, numbers, true, false, null, lists and mappings. "
        "Give a digest of it instead."
    )
