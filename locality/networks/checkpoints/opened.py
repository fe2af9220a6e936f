"""A checkpoint made elsewhere, opened: checked by names and shapes before its weights are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from locality.errors import BadInput, CheckpointMismatch, TooLarge, first_line
from locality.networks.checkpoints.files import difference, load_weights, shapes_of
from locality.networks.checkpoints.spec import ExternalSpec
from locality.networks.parts.spec import NetworkDenoiser
from locality.store.atomic import sha256_of
from locality.types import ImageShape

UNKNOWN = "unknown origin"  # the dataset of a network that does not say what it was trained on
OWN = "Weights of any other network open with the Python file that makes it: --model my_net.py:build (see the README)."
LARGEST = 3 * 10**9  # bytes of one file of weights: the largest published networks of pixels have about 2.7e9
BUILD_ERRORS = (  # what a network's class raises for options it cannot take
    TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError, NotImplementedError, AssertionError,
    ArithmeticError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class External:
    """A checkpoint made elsewhere whose tensors have the right names and shapes; `manifest` describes it."""

    path: Path
    spec: ExternalSpec
    shape: ImageShape
    manifest: dict[str, Any]
    read: Callable[[], Mapping[str, Tensor]]

    def load(self) -> NetworkDenoiser:
        """The network, ready to denoise. Raises NonFinite (weights), BadInput (it does not run)."""
        net = self.spec.build(self.shape)
        load_weights(net.get_submodule("inner"), self.read(), str(self.path))
        denoiser = NetworkDenoiser(net.eval().requires_grad_(False), self.spec, self.shape)
        timeline = self.spec.timeline
        middle = torch.tensor([(timeline.lowest * timeline.highest) ** 0.5])
        try:
            with torch.no_grad():
                _ = denoiser.at(torch.zeros(1, self.shape.d), middle)
        except BUILD_ERRORS as error:
            reason = first_line(error)
            raise BadInput(f"{self.path}: the network does not run on {self.shape} images ({reason}).") from None
        return denoiser


def describe_file(
    made_by: str, files: Sequence[Path], spec: ExternalSpec, shape: ImageShape, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """What a manifest of ours says, and the noise it was trained on.

    Raises:
        CheckpointMismatch: missing, unexpected or other-shaped tensors; names the first three. BadInput: no network.
    """
    _check_shapes(spec, shape, shapes, files[0])
    digests = [sha256_of(file) for file in files]
    digest = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    about = json.dumps([digest, spec.key(), list(shape)], sort_keys=True)
    timeline = spec.timeline
    return {
        "format": made_by,
        "network": spec.key(),
        "shape": list(shape),
        "parameters": sum(torch.Size(size).numel() for size in shapes.values()),
        "sha256": hashlib.sha256(about.encode()).hexdigest(),  # the schedule changes results as the weights do
        "dataset": UNKNOWN,
        "sigma_range": [timeline.lowest, timeline.highest],
        "timesteps": len(timeline.ln_sigmas),
        "file": files[0].name,
        "file_size": sum(file.stat().st_size for file in files),
    }


def _check_shapes(spec: ExternalSpec, shape: ImageShape, got: Mapping[str, tuple[int, ...]], file: Path) -> None:
    try:
        with torch.device("meta"):
            frame: nn.Module = spec.build(shape).get_submodule("inner")
    except BUILD_ERRORS as error:
        raise BadInput(f"{file}: no {spec.kind} can be made as it is described ({first_line(error)}).") from None
    if wrong := difference(shapes_of(frame.state_dict()), got):
        raise CheckpointMismatch(f"{file} does not fit its {spec.kind}: {wrong}")


def check_size(file: Path) -> None:
    """Raises TooLarge before anything is read."""
    size = file.stat().st_size if file.is_file() else 0
    if size > LARGEST:
        raise TooLarge(f"Reading {file}", size, LARGEST, "No network of images this small is so large: check the file.")
