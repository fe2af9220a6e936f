"""A training as a recording: at some moments of it what the network's fields, errors and samples were.

for recording in shipped_recordings("fashion_mnist"):
    recording.images            # images seen at each moment: (0, 1024, ..., 80000)
    recording.learned[m, s, p]  # [h w] field at moment m, of pixel recording.pixels[p] at recording.sigmas[s]
    recording.predicted[s, p]   # [h w] what the Wiener filter predicts there
    recording.errors[m, e]      # held-out squared error / Wiener's at recording.error_sigmas[e]
    recording.samples[m, k]     # image k generated then, always from the same noise, 8 bits
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from locality.fields.codec import decode_rows, encode_rows
from locality.fields.jacobian import compare
from locality.store import Artifact, Store
from locality.studies.shipped import shipped
from locality.types import ImageShape, Pixel

KIND, VERSION = "recordings", 1


@dataclass(frozen=True, eq=False)
class Recording:
    """Moments `m` of one training, from the untrained network (0 images seen) to the last one that was kept.

    Fields are summed over channels, of the output and of the input; learned ones are means over `draws` noisy
    held-out images, predicted ones exact. Kept in 8 bits: off by at most 0.8 % of a field's largest value.
    `errors` are ratios of means over `held_out` held-out images, with their standard errors beside them.
    """

    name: str
    dataset: str
    network: str
    shape: ImageShape
    images: tuple[int, ...]
    minutes: tuple[float, ...]
    sigmas: tuple[float, ...]
    pixels: tuple[Pixel, ...]
    draws: int
    predicted: Float[Tensor, "s p h w"]
    learned: Float[Tensor, "m s p h w"]
    error_sigmas: tuple[float, ...]
    held_out: int
    errors: Float32[Tensor, "m e"]
    error_stderr: Float32[Tensor, "m e"]
    samples: UInt8[Tensor, "m n d"]

    def similarity(self, moment: int, level: int, pixel: int) -> float:
        """Pearson correlation of the learned field with the predicted one, leaving the pixel itself out.

        (It outweighs all others at low noise: with it an untrained network, whose field is that point, has a high r.)
        nan where one of them is constant there.
        """
        fields = self.predicted[level, pixel], self.learned[moment, level, pixel]
        return compare(*fields, self.pixels[pixel]).pearson_off_centre


def pack(made: Recording) -> Artifact:
    """A recording as an artefact."""
    arrays = {"errors": made.errors, "error_stderr": made.error_stderr, "samples": made.samples}
    for name, fields in (("predicted", made.predicted), ("learned", made.learned)):
        arrays[f"{name}.codes"], arrays[f"{name}.scale"] = encode_rows(fields.flatten(-2))
    facts = ("name", "dataset", "network", "images", "minutes", "sigmas", "draws", "error_sigmas", "held_out")
    meta: dict[str, Any] = {fact: getattr(made, fact) for fact in facts}
    return Artifact(arrays, meta | {"shape": list(made.shape), "pixels": [list(pixel) for pixel in made.pixels]})


def unpack(kept: Artifact) -> Recording:
    """The recording of an artefact made by `pack`."""
    arrays, meta = kept.arrays, kept.meta
    shape = ImageShape(*meta["shape"])
    predicted, learned = (
        decode_rows(arrays[f"{name}.codes"], arrays[f"{name}.scale"]).unflatten(-1, (shape.h, shape.w))
        for name in ("predicted", "learned")
    )
    return Recording(
        name=str(meta["name"]),
        dataset=str(meta["dataset"]),
        network=str(meta["network"]),
        shape=shape,
        images=tuple(meta["images"]),
        minutes=tuple(meta["minutes"]),
        sigmas=tuple(meta["sigmas"]),
        pixels=tuple(Pixel(*pixel) for pixel in meta["pixels"]),
        draws=int(meta["draws"]),
        predicted=predicted,
        learned=learned,
        error_sigmas=tuple(meta["error_sigmas"]),
        held_out=int(meta["held_out"]),
        errors=arrays["errors"],
        error_stderr=arrays["error_stderr"],
        samples=arrays["samples"],
    )


def shipped_recordings(dataset: str | None = None, *, store: Store | None = None) -> list[Recording]:
    """The recordings that come with the repository, of one dataset or of all; damaged ones are logged and left out."""

    def wanted(manifest: Mapping[str, Any]) -> bool:
        return dataset is None or manifest["about"].get("dataset") == dataset

    return [unpack(kept) for _, kept in shipped(KIND, where=wanted, store=store)]
