"""The standard Inception features, from the TorchScript file that published FIDs are made with.

A TorchScript archive holds code, part of it pickled: opening one runs what it says. So only the one file whose SHA-256
is known is ever opened, and its very bytes are checked before torch sees them.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from locality.datasets import Download, RemoteFile, find_file
from locality.errors import BadInput, DataUnavailable, DigestMismatch
from locality.features.spec import as_8bit
from locality.types import ImageShape

NAME = "inception"
INCEPTION_FILE = RemoteFile(
    "inception-2015-12-05.pt",
    95_607_719,
    sha256="f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
)
INCEPTION = Download(
    "Inception-v3 of 2015-12-05 as TorchScript",
    "Apache 2.0 (Szegedy et al., TensorFlow Models); this translation is NVIDIA's, of stylegan2-ada-pytorch",
    NAME,
    (INCEPTION_FILE,),
    ("https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/",),
)
_BATCH = 16  # images at once: each becomes 299 x 299 inside


@dataclass(frozen=True, eq=False)
class InceptionFeatures:
    """2,048 features and the class probabilities of FID and IS. Grey images are given as three equal channels."""

    net: nn.Module
    shape: ImageShape
    device: str = "cpu"
    name: str = NAME

    def key(self) -> dict[str, Any]:
        return {"features": self.name, "sha256": INCEPTION_FILE.sha256}

    def of(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        return self._each(x, return_features=True)

    def probabilities(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        # The published score leaves out the bias of the last layer: no_output_bias.
        return self._each(x, no_output_bias=True)

    @torch.no_grad()
    def _each(self, x: Float[Tensor, "n d"], **options: bool) -> Float[Tensor, "n f"]:
        images = self._rgb(x)
        parts = [self.net(part.to(self.device), **options).float().cpu() for part in images.split(_BATCH)]
        return torch.cat(parts)

    def _rgb(self, x: Float[Tensor, "n d"]) -> UInt8[Tensor, "n 3 h w"]:
        images = as_8bit(x, self.shape)
        return images.expand(-1, 3, -1, -1) if self.shape.c == 1 else images


def inception_features(shape: ImageShape, path: Path | None = None, device: str = "cpu") -> InceptionFeatures:
    """The Inception extractor from a file, or from where `download inception` puts it.

    Raises:
        DataUnavailable: the file is not on this machine; says how to get it.
        DigestMismatch: any other file than the published one; it was not opened.
        BadInput: images of neither one nor three channels, or a place that is no file.
    """
    if shape.c not in (1, 3):
        raise BadInput(f"Inception takes grey or RGB images, not {shape} ones. Use the features classifier or pixels.")
    payload = _checked_bytes(path or _found())
    with warnings.catch_warnings():  # torch calls TorchScript deprecated; the published file is in no other format
        warnings.simplefilter("ignore", DeprecationWarning)
        net: nn.Module = torch.jit.load(io.BytesIO(payload), map_location=device)
    return InceptionFeatures(net.eval(), shape, device)


def _found() -> Path:
    found = find_file([f"{INCEPTION.folder}/{INCEPTION_FILE.name}", INCEPTION_FILE.name])
    if found is None:
        raise DataUnavailable(
            f"{INCEPTION_FILE.name} is not on this machine. Run `python -m locality download {NAME}`, or give the file "
            "with --inception FILE. Without it there are the features classifier and pixels."
        )
    return found


def _checked_bytes(path: Path) -> bytes:
    """The bytes of the published file, read once: what is checked is what is opened."""
    if not path.is_file():
        raise BadInput(
            f"--inception {path} is not a file. Give {INCEPTION_FILE.name}, as `download {NAME}` fetches it."
        )
    with path.open("rb") as file:
        payload = file.read(INCEPTION_FILE.size + 1)
    digest = hashlib.sha256(payload).hexdigest()
    if digest != INCEPTION_FILE.sha256:
        raise DigestMismatch(
            f"{path} is not the published {INCEPTION_FILE.name} (SHA-256 {digest[:12]}..., "
            f"{INCEPTION_FILE.sha256[:12]}... expected), so it was not opened: TorchScript files can run code. "
            f"Get it with `python -m locality download {NAME}`."
        )
    return payload
