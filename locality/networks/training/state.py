"""A training as a file: weights, averages, the optimiser's moments, the generator and how far it came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from locality.errors import BadInput, CheckpointMismatch
from locality.networks.checkpoints.files import read_tensors
from locality.store.atomic import write_atomic

STATE = "state.safetensors"


def _without_v(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity["network"].items() if name != "v"}


def write_state(
    folder: Path,
    about: Mapping[str, Any],
    net: nn.Module,
    ema: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    """Replace the state of a folder in one step."""
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    tensors |= {f"ema.{name}": tensor for name, tensor in ema.items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
    tensors["generator"] = generator.get_state()
    payload = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    write_atomic(folder / STATE, save(payload, {"about": json.dumps(about)}))


def read_state(
    folder: Path, identity: object, net: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Put a saved state into network, optimiser and generator; returns what it says of itself, and the averages.

    Raises:
        BadInput: there is none, or it is damaged.
        CheckpointMismatch: it belongs to another training.
    """
    path = folder / STATE
    if not path.exists():
        raise BadInput(f"{folder} holds no training to resume. Leave out --resume to start one.")
    tensors, meta = read_tensors(path)
    about: dict[str, Any] = json.loads(meta.get("about", "{}"))
    wanted, found = json.loads(json.dumps(identity)), about.get("identity")
    if found != wanted and found == {**wanted, "network": _without_v(wanted)}:
        raise CheckpointMismatch(
            f"{path} is of a version in which v had the other sign: it cannot be resumed. Choose another folder; "
            "a network finished then is read as before."
        )
    if found != wanted:
        raise CheckpointMismatch(
            f"{path} is a training with other data or options. Use the same ones, or choose another folder."
        )
    parts: dict[str, dict[str, Tensor]] = {"net": {}, "ema": {}, "adam": {}, "generator": {}}
    for name, tensor in tensors.items():
        head, _, rest = name.partition(".")
        parts[head][rest] = tensor
    net.load_state_dict(parts["net"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["adam"].items():
        index, _, what = name.partition(".")
        state.setdefault(int(index), {})[what] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    for weight, moments in optimiser.state.items():  # fused steps take them side by side as they lie in memory
        moments |= {
            name: torch.empty_like(weight, dtype=moment.dtype).copy_(moment)
            for name, moment in moments.items()
            if moment.shape == weight.shape
        }
    generator.set_state(parts["generator"][""])
    return about, parts["ema"]
