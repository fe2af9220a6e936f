"""A Wiener filter as an artefact, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jaxtyping import Shaped
from torch import Tensor

from locality.linear.wiener import RowError, WienerFilter
from locality.store import Artifact
from locality.types import ImageShape

_LEVELS = 32_767  # of the int16 code of an eigenvector; one scale per column


def pack(wiener: WienerFilter, *, compact: bool) -> Artifact:
    """A filter as an artefact; `compact` codes eigenvectors as int16 with one scale per column."""
    arrays: dict[str, Shaped[Tensor, "..."]] = {"mean": wiener.mean, "eigvals": wiener.eigvals}
    if compact:
        scale = wiener.eigvecs.abs().amax(dim=0) / _LEVELS
        arrays |= {"scale": scale, "eigvecs": (wiener.eigvecs / scale).round().short()}
    else:
        arrays["eigvecs"] = wiener.eigvecs
    meta: dict[str, Any] = {"shape": list(wiener.shape), "count": wiener.count}
    if wiener.error is not None:
        meta |= {"rest": wiener.rest, "error": asdict(wiener.error)}
    return Artifact(arrays, meta)


def is_approximate(artifact: Artifact) -> bool:
    """Whether the rows of a packed filter differ from those of the exact decomposition."""
    return meta_error(artifact) is not None


def meta_error(artifact: Artifact) -> RowError | None:
    """The stated error of a packed filter."""
    stated: Any = artifact.meta.get("error")
    return None if stated is None else RowError(**stated)


def unpack(artifact: Artifact) -> WienerFilter:
    """The filter of an artefact made by `pack`."""
    arrays, meta = artifact.arrays, artifact.meta
    eigvecs = arrays["eigvecs"].float()
    if "scale" in arrays:
        eigvecs *= arrays["scale"]
    shape: Any = meta["shape"]
    rest = float(meta.get("rest", 0.0))
    shared = ImageShape(*shape), int(meta["count"]), arrays["mean"], arrays["eigvals"]
    return WienerFilter(*shared, eigvecs, rest, meta_error(artifact))
