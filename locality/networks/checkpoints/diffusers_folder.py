"""Folders written by diffusers' `save_pretrained`: which files, and what their JSON says."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from locality.errors import BadInput
from locality.networks.adapter.weights import shards_of
from locality.networks.checkpoints.files import read_tensors
from locality.networks.checkpoints.opened import External, check_size, describe_file
from locality.networks.checkpoints.spec import KINDS, ExternalSpec
from locality.networks.checkpoints.steps import spacing_of
from locality.networks.checkpoints.timesteps import schedule_of
from locality.networks.parts.library import diffusers_class
from locality.types import ImageShape

CONFIG, INDEX, SCHEDULER = "config.json", "model_index.json", "scheduler_config.json"
_WEIGHTS = "diffusion_pytorch_model"
_LATENT = ("vae", "vqvae", "vqgan")
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # of diffusers before 0.17
_LARGEST_JSON = 10**6  # bytes; the largest of diffusers' own has thousands


def open_diffusers(folder: Path, image_class: str = "") -> External:
    """Open a folder. Raises BadInput, CheckpointMismatch, TooLarge."""
    model, scheduler = _parts_of(folder)
    spec, shape = _describe(model, scheduler)
    spec = replace(spec, image_class=image_class)
    _ = spec.asked()
    files = _weights_of(model)
    for file in files:
        check_size(file)
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                shapes |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise BadInput(f"{file} is not a readable safetensors file ({error}).") from None
    manifest = describe_file("diffusers", files, spec, shape, {_renamed(name): size for name, size in shapes.items()})
    manifest["spacing"] = spacing_of(_read_json(scheduler), str(scheduler))
    return External(folder, spec, shape, manifest, lambda: _rename(_tensors(files)))


def _parts_of(folder: Path) -> tuple[Path, Path]:
    """The model's folder and the scheduler's file of a pipeline's or a model's folder.

    Raises:
        BadInput: a part is missing, or the pipeline denoises latents of an autoencoder.
    """
    above = [folder.parent / "scheduler", folder.parent.parent / "scheduler"]  # the second: of accelerate's checkpoints
    model, places = folder, [folder, folder / "scheduler", *above]
    for index in (folder / INDEX, folder.parent / INDEX):
        if index.is_file() and any(_read_json(index).get(name) for name in _LATENT):
            raise BadInput(f"{folder} denoises latents of an autoencoder, not images. Choose a network of pixels.")
    if (folder / INDEX).is_file():
        inner = [folder / name for name in ("unet", "transformer") if (folder / name / CONFIG).is_file()]
        model, places = (inner or [folder])[0], places[:2]
    if not (model / CONFIG).is_file():
        raise BadInput(f"{folder} has {INDEX} but no {CONFIG} of a network in unet/ or transformer/. Copy it whole.")
    found = [place / SCHEDULER for place in places if (place / SCHEDULER).is_file()]
    if not found:
        raise BadInput(
            f"{folder} has no {SCHEDULER}, so the noise of a timestep is not known. Put the one it was trained with "
            "into the folder: in Python, DDPMScheduler(...).save_pretrained(FOLDER)."
        )
    return model, found[0]


def _weights_of(model: Path) -> list[Path]:
    """The file of weights in a model's folder, or its shards.

    Raises:
        BadInput: none, several without an index, or only pickles.
    """
    plain, indices = model / f"{_WEIGHTS}.safetensors", sorted(model.glob(f"{_WEIGHTS}*.safetensors.index.json"))
    if not plain.is_file() and len(indices) == 1:
        return shards_of(indices[0])
    found = [plain] if plain.is_file() else sorted(model.glob(f"{_WEIGHTS}*.safetensors"))
    if len(found) == 1:
        return found
    if found:
        raise BadInput(f"{model} has its weights in {len(found)} files and no index of shards. Copy it whole.")
    pickles = sorted(path.name for ending in ("bin", "ckpt", "pt", "pth", "pkl") for path in model.glob(f"*.{ending}"))
    if pickles:
        raise BadInput(
            f"{model} holds its weights as {pickles[0]} only, a pickle, which may run code when opened; it was not. "
            "Convert it where you trust it: MODEL.from_pretrained(FOLDER, use_safetensors=False).save_pretrained(NEW)."
        )
    raise BadInput(f"{model} holds no {plain.name}. Copy the folder again, or save it with save_pretrained.")


def _describe(model: Path, scheduler: Path) -> tuple[ExternalSpec, ImageShape]:
    """The network and its images, as the two JSON files tell.

    Raises:
        BadInput: a class, an option or an input that is not supported; says which.
    """
    config, where = _read_json(model / CONFIG), str(model / CONFIG)
    kind = config.get("_class_name")
    if kind not in KINDS[:2]:
        raise BadInput(f"{where}: network {kind!r} cannot be opened. Supported: {' and '.join(KINDS[:2])}.")
    prediction, schedule = schedule_of(_read_json(scheduler), str(scheduler))
    options = _options(kind, config, where)
    shape = _image_shape(options, where)
    text = json.dumps(options, sort_keys=True)
    return ExternalSpec(prediction=prediction, kind=kind, options=text, schedule=schedule), shape


def _options(kind: str, config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The constructor's options, all of them; what is not written has the class's own default."""
    signature = inspect.signature(diffusers_class(kind).__init__).parameters
    defaults = {name: about.default for name, about in signature.items() if name != "self"}
    given = {name: value for name, value in config.items() if not name.startswith("_")}
    extra = sorted(name for name, value in given.items() if name not in defaults and value not in (None, False))
    if extra:
        raise BadInput(f"{where}: {kind} has no option {', '.join(extra[:3])}. Another version of diffusers wrote it.")
    options = {**defaults, **{name: value for name, value in given.items() if name in defaults}}
    if kind == KINDS[0]:
        _check_unet(options, where)
    return options


def _check_unet(given: Mapping[str, Any], where: str) -> None:
    if given.get("class_embed_type") is not None:
        raise BadInput(f"{where}: class_embed_type is set: it is told more than a class by number. Use another one.")
    if given.get("center_input_sample"):
        raise BadInput(f"{where}: center_input_sample is set: it takes images in [0, 1], those here are in [-1, 1].")
    if given.get("time_embedding_type") == "fourier":
        raise BadInput(f"{where}: time_embedding_type=fourier is a network of sigmas, not timesteps. Use another one.")


def _image_shape(config: Mapping[str, Any], where: str) -> ImageShape:
    size, channels, out = config["sample_size"], config["in_channels"], config["out_channels"]
    sides = size if isinstance(size, list) else [size, size]
    numbers = [channels, *sides]
    if len(numbers) != 3 or not all(type(value) is int and 0 < value <= 4096 for value in numbers):
        raise BadInput(f"{where}: sample_size={size!r}, in_channels={channels!r} do not say how large the images are.")
    if out not in (None, channels, 2 * channels):
        raise BadInput(f"{where}: {channels} channels in, {out} out: {channels} or {2 * channels} (variance) expected.")
    return ImageShape(*numbers)


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises BadInput (missing, too large, or not one)."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError("larger than 1 MB")
        value = json.loads(path.read_text())
        if not isinstance(value, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not readable JSON ({type(error).__name__}: {error}).") from None
    return value


def _renamed(name: str) -> str:
    """Names of attention before diffusers 0.17, which published networks still carry."""
    head, dot, last = name.rpartition(".")
    parent, _, part = head.rpartition(".")
    return f"{parent}.{_OLD_NAMES[part]}.{last}" if dot and "attentions." in parent and part in _OLD_NAMES else name


def _tensors(files: Sequence[Path]) -> dict[str, Tensor]:
    return {name: tensor for file in files for name, tensor in read_tensors(file)[0].items()}


def _rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_renamed(name): tensor for name, tensor in tensors.items()}
