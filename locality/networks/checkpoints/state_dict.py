"""A `.pt` of the Locality code: its weights, read without running anything, and the images it is for."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from locality.errors import BadInput, TooLarge
from locality.networks.adapter.weights import read_pickle
from locality.networks.checkpoints.ddpm_unet import Sizes, sizes_of
from locality.networks.checkpoints.opened import LARGEST, OWN, External, describe_file
from locality.networks.checkpoints.spec import KINDS, ExternalSpec
from locality.networks.checkpoints.timesteps import DDPM, schedule_of
from locality.types import ImageShape

STATE_KEY = "model_state_dict"
_SIDES = {(64, 128, 128): (28,), (128, 256, 384, 512): (32, 64)}  # channels -> sides of the published networks


def open_state(path: Path, shape: ImageShape | None) -> External:
    """Open a `.pt`. Raises BadInput, CheckpointMismatch, TooLarge."""
    state = _read_state(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    sizes = sizes_of(shapes, str(path))
    _, schedule = schedule_of({"_class_name": "DDPMScheduler", **DDPM, "num_train_timesteps": sizes.steps}, str(path))
    spec = ExternalSpec(prediction="eps", kind=KINDS[2], options=json.dumps(asdict(sizes)), schedule=schedule)
    images = _state_shape(sizes, shape)
    manifest = describe_file("locality", [path], spec, images, shapes)
    return External(path, spec, images, manifest, lambda: _read_state(path))


def _state_shape(sizes: Sizes, wanted: ImageShape | None) -> ImageShape:
    """The images of a `.pt`: the wanted ones where the network takes them, else the smallest it is known for.

    The published networks have 28 pixels with 64, 128, 128 channels and 32 or 64 with 128, 256, 384, 512; others take
    any sides their halvings divide.
    """
    known, factor = _SIDES.get(tuple(sizes.channels), ()), 2 ** (len(sizes.channels) - 1)
    if wanted is not None and wanted.c == sizes.image:
        fits = wanted.h == wanted.w and wanted.h in known if known else not (wanted.h % factor or wanted.w % factor)
        if fits:
            return wanted
    side = known[0] if known else max(factor, 32 // factor * factor)
    return ImageShape(sizes.image, side, side)


def _read_state(path: Path) -> dict[str, Tensor]:
    """The weights of a `.pt` by torch's reader that runs no code."""
    value = read_pickle(path)
    state = value.get(STATE_KEY, value) if isinstance(value, dict) else value
    if not isinstance(state, dict) or not state or not all(isinstance(name, str) for name in state):
        raise BadInput(f"{path} holds no {STATE_KEY!r}: weights by name are expected. {OWN}")
    odd = [name for name, tensor in state.items() if not isinstance(tensor, Tensor) or not _plain(tensor)]
    if odd:
        raise BadInput(f"{path}: {odd[0]!r} is no plain tensor of numbers. Save the network's state_dict(). {OWN}")
    need = sum(4 * tensor.numel() for tensor in state.values())  # a tensor may claim more values than the file holds
    if need > LARGEST:
        raise TooLarge(f"{path}", need, LARGEST, "Use a smaller network.")
    wrapped = all(name.startswith("module.") for name in state)  # as torch's DataParallel saves it
    return {name.removeprefix("module.") if wrapped else name: tensor for name, tensor in state.items()}


def _plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.is_floating_point()
