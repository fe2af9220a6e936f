"""The field a masked model follows: that of the Wiener filter, exact at every noise level, or a network's average."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from locality.dataset import Images
from locality.denoisers.parts.bank import AveragingSpec
from locality.denoisers.parts.windows import weights_digest
from locality.denoisers.wiener import Wiener
from locality.device import Compute
from locality.fields.codec import LEARNED_SIGMAS, decode_rows, encode_rows
from locality.fields.jacobian import Average, draw_inputs
from locality.fields.rows import Linear, output_rows
from locality.schedule import nearest_level
from locality.specs import param
from locality.store import Store
from locality.store.artifact import Artifact
from locality.types import Denoiser, ImageShape
from locality.work import Progress

VERSION = 1
_DRAWS = 4  # (training image, noise) pairs a network's field is averaged over
_ROWS = 32  # outputs per forward pass


@runtime_checkable
class FieldMatrix(Linear, Protocol):
    """How much each output coordinate listens to each input coordinate: rows of a Jacobian, or all of them."""

    def matrix(self, sigma: float) -> Float[Tensor, "d d"]: ...


@dataclass(frozen=True)
class FieldSpec(AveragingSpec):
    """What the models that look through a field share: whose field."""

    field: str = param(
        "wiener",
        help="Whose sensitivity field chooses the pixels: the Wiener filter's (from the data) or a network's.",
        choices=("wiener", "network"),
    )
    network: str = param("unet", help="Trained network used by field=network.")

    @property
    def tolerance(self) -> Mapping[str, float]:
        # Logits that integer products leave right to 0.002 leave answers in [-1, 1] right to 0.002.
        return {**super().tolerance, "types_agree_on_8bit_images": 2e-3}

    def network_needed(self) -> str:
        return self.network if self.field == "network" else ""

    def field_of(
        self, images: Images, average: Average, compute: Compute, store: Store, reference: Denoiser | None
    ) -> Generator[Progress, None, FieldMatrix]:
        """The Wiener filter of all training images, or a network's averaged field, kept in the store."""
        if self.field == "wiener":
            return (yield from Wiener().fit(images, compute, store))
        assert reference is not None
        key: dict[str, str | int] = {"fingerprint": images.fingerprint, "version": VERSION}
        key |= {"network": weights_digest(reference), "average": average}
        work = _learn(images, reference, average, compute)
        found = yield from store.kept("network_field", key, work, once=False)
        return LearnedField(images.shape, found.arrays["codes"], found.arrays["scale"])


@dataclass(frozen=True, eq=False)
class LearnedField:
    """A network's field at six noise levels, 8 bits a value; others take the nearest level in ln sigma.

    Memory: 6 d^2 bytes.
    """

    shape: ImageShape
    codes: Tensor
    scale: Tensor

    def on(self, device: torch.device) -> LearnedField:
        """The same on a device."""
        return LearnedField(self.shape, self.codes.to(device), self.scale.to(device))

    def matrix(self, sigma: float) -> Float[Tensor, "d d"]:
        """All rows."""
        return self.rows(torch.arange(self.scale.shape[1]), sigma)

    def rows(self, coords: Int[Tensor, " p"], sigma: float) -> Float[Tensor, "p d"]:
        """Rows of some coordinates."""
        level = nearest_level(LEARNED_SIGMAS, sigma)
        found: Float[Tensor, "p d"] = decode_rows(self.codes[level, coords], self.scale[level, coords])
        return found


def _learn(
    images: Images, network: Denoiser, average: Average, compute: Compute
) -> Generator[Progress, None, Artifact]:
    """All rows of a network's Jacobian, averaged over a few noisy training images: d backward passes a draw."""
    d = images.shape.d
    x0 = images.train.x0(slice(0, _DRAWS)).to(compute.device)
    noisy = partial(draw_inputs, x0, seed=0)
    codes = torch.empty(len(LEARNED_SIGMAS), d, d, dtype=torch.uint8)
    scale = torch.empty(len(LEARNED_SIGMAS), d)
    for level, sigma in enumerate(LEARNED_SIGMAS):
        for start in range(0, d, _ROWS):
            yield Progress(level * d + start, len(LEARNED_SIGMAS) * d, f"Field of the network at sigma {sigma:.2g}")
            outputs = torch.eye(d)[start : start + _ROWS]
            rows = output_rows(network, outputs, sigma, noisy).average(average).values
            codes[level, start : start + _ROWS], scale[level, start : start + _ROWS] = encode_rows(rows.flatten(1))
    return Artifact({"codes": codes, "scale": scale}, {"draws": _DRAWS})
