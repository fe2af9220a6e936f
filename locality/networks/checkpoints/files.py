"""Trained networks on disk: float16 safetensors and a JSON manifest; training states likewise.

Nothing here unpickles. Writes are atomic: a reader sees the old file or the new one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from locality.errors import BadInput, CheckpointMismatch, DigestMismatch, NonFinite, UnknownName
from locality.networks.parts.spec import NETWORKS, NetworkDenoiser, NetworkSpec
from locality.store.atomic import settle, write_pair
from locality.types import ImageShape

WEIGHTS, MANIFEST = "weights.safetensors", "manifest.json"
FORMAT = 2  # 1: v-prediction is the negative of the usual one, and `dataset` lacks the dataset's options


def save_network(folder: Path, denoiser: NetworkDenoiser, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write weights (float16) and manifest; returns the manifest."""
    head = {
        "format": FORMAT,
        "network": denoiser.spec.key(),
        "shape": list(denoiser.shape),
        "parameters": sum(tensor.numel() for tensor in denoiser.net.state_dict().values()),
    }
    return write_weights(folder, denoiser.net, head, facts)


def write_weights(folder: Path, net: nn.Module, head: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write weights (float16) and manifest, their digest between its two parts; returns the manifest."""
    payload = save({name: tensor.detach().half().contiguous() for name, tensor in net.state_dict().items()})
    manifest = {**head, "sha256": hashlib.sha256(payload).hexdigest(), **facts}
    write_pair(folder / WEIGHTS, payload, folder / MANIFEST, json.dumps(manifest, indent=1).encode() + b"\n")
    return manifest


def load_manifest(folder: Path) -> dict[str, Any]:
    """Read a manifest.

    Raises:
        BadInput: the folder holds no readable manifest.
    """
    path = folder / MANIFEST
    settle(folder / WEIGHTS, path)
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        NETWORKS[manifest["network"]["name"]], _shape(manifest["shape"])
        if manifest.get("format", 1) not in range(1, FORMAT + 1):
            raise ValueError(f"format {manifest['format']!r} is of a newer version; known: 1 to {FORMAT}")
    except UnknownName as error:
        error.args = (
            f"{folder}: {error} Where its architecture came with a plug-in, name that file in LOCALITY_PLUGINS.",
        )
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise BadInput(f"{folder} is not a trained network: no usable {MANIFEST} ({reason}).") from None
    return _with_code(manifest)


def _with_code(manifest: dict[str, Any]) -> dict[str, Any]:
    """`sha256` is what results of the network are kept by: of a plug-in from outside its file counts too."""
    source, weights = NETWORKS[manifest["network"]["name"]].source, manifest.get("sha256")
    if not source:
        return manifest
    both = hashlib.sha256(f"{weights} {source}".encode()).hexdigest()
    return {**manifest, "sha256": both, "weights_sha256": weights}


def load_network(folder: Path) -> NetworkDenoiser:
    """Read a trained network, ready to denoise (float32, gradients off for its weights).

    Raises:
        BadInput: not a trained network, or a damaged file.
        DigestMismatch: the weights are not the ones the manifest names.
        CheckpointMismatch: the weights do not fit the architecture; names the first three keys.
        NonFinite: a weight is NaN or infinite.
    """
    manifest = load_manifest(folder)
    path = checked_weights(folder, manifest.get("weights_sha256", manifest.get("sha256")))
    spec, shape = network_spec(manifest["network"], folder), _shape(manifest["shape"])
    net = spec.build(shape)
    load_weights(net, read_tensors(path)[0], str(folder))
    if spec.prediction == "v" and manifest.get("format", 1) == 1:
        net = Negated(net)
    return NetworkDenoiser(net.eval().requires_grad_(False), spec, shape)


def checked_weights(folder: Path, sha256: object) -> Path:
    """The file of the weights; whatever the manifest says is their digest. Raises DigestMismatch."""
    path = folder / WEIGHTS
    payload = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(payload).hexdigest() != sha256:
        raise DigestMismatch(f"{path} is missing or is not the file its manifest describes. Copy the folder again.")
    return path


class Negated(nn.Module):
    """A network that learned the negative of what is asked for."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        out: Tensor = -self.inner(images, label)
        return out


def _shape(value: Any) -> ImageShape:
    if isinstance(value, list) and len(value) == 3 and all(type(side) is int and side > 0 for side in value):
        return ImageShape(*value)
    raise ValueError(f"shape {value!r} is not three positive numbers")


def network_spec(options: Mapping[str, Any], folder: Path) -> NetworkSpec:
    """The network's hyper-parameters, as JSON holds them, checked by name, kind and range.

    Raises:
        CheckpointMismatch: an option that the architecture does not have.
        BadInput: a value of another kind or out of range.
    """
    cls = NETWORKS[options["name"]]
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    values: dict[str, Any] = {name: value for name, value in options.items() if name not in ("name", "source")}
    for name, value in values.items():
        if name not in defaults:
            raise CheckpointMismatch(f"{folder}: its manifest has an option {name!r}, which {cls.name} does not have.")
        if isinstance(value, list):
            values[name] = tuple(value)
        if not _alike(values[name], defaults[name]):
            raise BadInput(f"{folder}: its manifest has {name}={value!r}; a value like {defaults[name]!r} is needed.")
    return cls(**values)


def _alike(value: Any, default: Any) -> bool:
    """Whether a value is of the kind of the default; a whole number is a number too."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and value != () and all(type(item) is int for item in value)
    return type(value) is type(default) or (type(default) is float and type(value) is int)


def load_weights(net: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a network of exactly the same keys and shapes."""
    if wrong := difference(shapes_of(net.state_dict()), shapes_of(tensors)):
        raise CheckpointMismatch(f"{where} fits another architecture: {wrong}")
    check_finite(tensors, where)
    net.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def difference(want: Mapping[str, tuple[int, ...]], got: Mapping[str, tuple[int, ...]]) -> str:
    """How many tensors differ from those wanted by name or shape, and the first three; "" for none."""

    def told(name: str) -> str:
        if name not in got:
            return f"{name} is missing"
        return f"{name} has shape {got[name]}, {want[name]} expected" if name in want else f"{name} is not expected"

    both = want.keys() | got.keys()
    wrong = sorted(name for name in both if want.get(name) != got.get(name))
    return f"{len(wrong)} of {len(both)} tensors differ. {'; '.join(map(told, wrong[:3]))}." if wrong else ""


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Raises NonFinite (NaN or infinity); names the first."""
    bad = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise NonFinite(f"{where}: {len(bad)} tensors hold NaN or infinity, first {bad[0]!r}. Use another checkpoint.")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a safetensors file.

    Raises:
        BadInput: missing, truncated or not a safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{path} is not a readable safetensors file ({error}).") from None


def clone_state(net: nn.Module) -> dict[str, Tensor]:
    """A detached float32 copy of a network's weights."""
    with torch.no_grad():
        return {name: tensor.detach().clone().float() for name, tensor in net.state_dict().items()}
