"""Opening a checkpoint by its path: a folder written here, one of diffusers, or a `.pt` of the Locality code.

Nothing a file asks for is run: weights come as safetensors, and a `.pt` through torch's reader of plain tensors. What
can be checked without reading the weights (kind, size, names and shapes of tensors) is checked when it is opened.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from locality.errors import BadInput, DigestMismatch
from locality.networks.adapter.denoiser import PythonSpec
from locality.networks.adapter.file import open_code
from locality.networks.adapter.weights import PICKLES, TENSORS
from locality.networks.checkpoints.diffusers_folder import CONFIG, INDEX, open_diffusers
from locality.networks.checkpoints.files import MANIFEST, WEIGHTS, load_manifest, load_network
from locality.networks.checkpoints.opened import OWN, External, check_size
from locality.networks.checkpoints.spec import ExternalSpec
from locality.networks.checkpoints.state_dict import open_state
from locality.networks.parts.spec import NetworkDenoiser
from locality.sharing import exists
from locality.specs import Code
from locality.store.atomic import settle
from locality.types import ImageShape

_ACCELERATE = ("unet", "unet_ema")  # of a checkpoint that accelerate writes in training
_EDM = (
    "{path} is a Python pickle, as EDM's networks are: opening it runs whatever code it holds, so it was not opened. "
    "To convert one, load it with EDM's own code on a machine apart and write its tensors with "
    "safetensors.torch.save_file; EDM's UNet is none of diffusers' or of those here, so it also needs a network file "
    "of the same tensor names in locality/networks (prediction=edm) and a manifest.json."
)


def read_checkpoint(path: Path, shape: ImageShape | None = None) -> tuple[Path, dict[str, Any]]:
    """The folder or file of a checkpoint and its manifest; one made elsewhere gets a manifest of the same form.

    Args:
        path: a folder, or the file of weights itself.
        shape: images wanted, for checkpoints that fit several sizes (a `.pt` does not say its own).
    Raises:
        BadInput: no checkpoint, or one of a kind that is not supported or not safe; says what to do.
        TooLarge: a file over 3 GB, reported before it is read.
        CheckpointMismatch: missing, unexpected or other-shaped tensors; names the first three.
    """
    with contextlib.suppress(RuntimeError):  # a user that does not exist: then it is a folder's name
        path = path.expanduser()
    ours = path.parent if path.name == WEIGHTS and path.is_file() else path
    settle(ours / WEIGHTS, ours / MANIFEST)
    if (ours / MANIFEST).is_file():
        check_size(ours / WEIGHTS)
        return ours, load_manifest(ours)
    file, image_class = classed(path)
    return path, _open(file, shape, image_class).manifest


def load_checkpoint(path: Path, manifest: Mapping[str, Any]) -> NetworkDenoiser:
    """The network of a checkpoint `read_checkpoint` found.

    Raises:
        DigestMismatch: the file changed since. NonFinite: NaN or infinity in a weight. Others as `read_checkpoint`.
    """
    if manifest["network"]["name"] == PythonSpec.name:
        return open_code(Code(path, manifest["network"]["function"], manifest["network"]["options"])).denoiser
    if manifest["network"]["name"] != ExternalSpec.name:
        return load_network(path)
    file, image_class = classed(path)
    opened = _open(file, ImageShape(*manifest["shape"]), image_class)
    if opened.manifest["sha256"] != manifest["sha256"]:
        raise DigestMismatch(f"{path} changed since it was opened. Open it again.")
    return opened.load()


def classed(path: Path) -> tuple[Path, str]:
    """`FOLDER:class=K` -> the folder and K; a path that exists is that path, whatever its name holds."""
    found = None if exists(path) else re.fullmatch(r"(.+):class=(\w+)", str(path))
    return (path, "") if found is None else (Path(found[1]), found[2])


def _open(path: Path, shape: ImageShape | None, image_class: str) -> External:
    folder = path.parent if path.suffix == TENSORS and (path.parent / CONFIG).is_file() else path
    patterns = ("*.json", "*/*.json", "../*/scheduler_config.json", f"*{TENSORS}", f"*/*{TENSORS}")
    files = [folder, *(file for pattern in patterns for file in folder.glob(pattern))]
    stamps = tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())
    return _opened(folder, shape, image_class, stamps)


@functools.lru_cache(maxsize=32)
def _opened(
    path: Path, shape: ImageShape | None, image_class: str, stamps: tuple[tuple[str, int, int], ...]
) -> External:
    """Checked once for each version of its files: pages ask often, and a digest takes a second a gigabyte."""
    if path.is_dir():
        inner = [path / name for name in _ACCELERATE if (path / name / CONFIG).is_file()]
        if inner and not (path / CONFIG).is_file() and not (path / INDEX).is_file():
            if len(inner) > 1:
                raise BadInput(
                    f"{path} holds a network and its running average, which usually does better. Say which: "
                    f"{' or '.join(map(str, inner))}."
                )
            path = inner[0]
        if not (path / CONFIG).is_file() and not (path / INDEX).is_file():
            raise BadInput(
                f"{path} is not a trained network: no {MANIFEST} (made here), {CONFIG} or {INDEX} (diffusers)."
            )
        return open_diffusers(path, image_class)
    if not path.exists():
        raise BadInput(f"{path} does not exist. Give a trained network's name, or a checkpoint's folder or file.")
    check_size(path)
    if image_class:
        raise BadInput(f"{path}: class={image_class} is for a diffusers folder of a network that is told a class.")
    if path.suffix == ".pkl":
        raise BadInput(_EDM.format(path=path))
    if path.suffix in PICKLES:
        return open_state(path, shape)
    if path.suffix == TENSORS:
        beside = f"no {MANIFEST} or {CONFIG} beside it tells what it holds"
        raise BadInput(f"{path} is not a trained network: {beside}. {OWN}")
    raise BadInput(
        f"{path} is not a checkpoint that can be opened. Give a folder with {MANIFEST} (made here) or {CONFIG} "
        "(diffusers), or a ckpt_epoch_*.pt of the Locality code. "
        f"{OWN}"
    )
