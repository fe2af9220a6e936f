"""The eigenbasis of a dataset as a file for the browser, which makes any predicted field of it in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from locality.edits import COLOURS
from locality.linear.wiener import WienerFilter
from locality.store.artifact import digest
from pages._ui.explorer import files
from pages._ui.lab.mount import pack

LARGEST = 32 * 10**6  # bytes of a basis that a browser is sent; a larger one stays on the server
_LEADING = 16 * 2**20  # bytes of one that is cut to its leading components
_VERSION, _LEVELS = 1, 32_767


def fits(wiener: WienerFilter, colour: str) -> bool:
    """Whether the browser can have a basis: exact, also where it is one of few images, and small enough.

    2 h w bytes a component, twice that in colour.
    """
    (_, h, w), rank = wiener.shape, len(wiener.eigvals)
    whole = rank == wiener.shape.d or wiener.rest == 0.0
    return whole and 2 * h * w * rank * (2 if _tinted(wiener, colour) else 1) <= LARGEST


def browser_basis(fingerprint: str, wiener: WienerFilter) -> str:
    """Address of the file with which a browser makes predicted fields: the whole basis, or of large images a part."""
    return basis_file(fingerprint, wiener) if fits(wiener, "white") else leading_file(fingerprint, wiener)


def leading_file(fingerprint: str, wiener: WienerFilter) -> str:
    """Address of as many components as 16 MB hold, the others as one `rest`: for previews of large images."""
    key = {"fingerprint": fingerprint, "bytes": _LEADING, "version": _VERSION}
    name, _, h, w = digest("leading_basis", key)[:24] + ".bin", *wiener.shape
    return files.address(name, lambda: _packed(leading(wiener, _LEADING // (2 * h * w)), "white", name))


def leading(wiener: WienerFilter, rank: int) -> WienerFilter:
    """Its `rank` largest components, or all there are; the others as one `rest`."""
    rank = min(rank, len(wiener.eigvals))
    outside = wiener.shape.d - rank
    rest = max(wiener.trace - float(wiener.eigvals[:rank].sum()), 0.0) / outside if outside else 0.0
    return replace(wiener, eigvals=wiener.eigvals[:rank], eigvecs=wiener.eigvecs[:, :rank], rest=rest)


def basis_file(fingerprint: str, wiener: WienerFilter, colour: str = "white") -> str:
    """Address of the file, written where it is missing.

    Eigenvectors summed over channels, 16 bits a value with one scale a component; those weighed by the colour of
    a pattern beside them where they differ. A field from it is within 1e-4 of its largest value.
    """
    tint = colour if _tinted(wiener, colour) else "white"
    key = {"fingerprint": fingerprint, "colour": tint, "version": _VERSION}
    name = digest("basis_file", key)[:24] + ".bin"
    return files.address(name, lambda: _packed(wiener, tint, name))


def contents(wiener: WienerFilter, colour: str = "white") -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `Basis` of basis.js is made of: facts and arrays."""
    codes, scale = _coded(_summed(wiener, "white"))
    arrays = {"codes": codes.numpy(), "scale": scale.numpy(), "eigvals": wiener.eigvals.double().numpy()}
    if colour != "white":
        tinted, tint = _coded(_summed(wiener, colour))
        arrays |= {"coloured": tinted.numpy(), "tint": tint.numpy()}
    return {"rest": wiener.rest, "channels": wiener.shape.c}, arrays


def _packed(wiener: WienerFilter, colour: str, name: str) -> bytes:
    head, arrays = contents(wiener, colour)
    return pack({"basis": True, "id": name, **head}, arrays)


def _summed(wiener: WienerFilter, colour: str) -> Float[Tensor, "hw d"]:
    """Eigenvectors summed over channels with a colour's weights."""
    c, h, w = wiener.shape
    weights = torch.tensor(COLOURS[colour] if c == 3 else (1.0,) * c)
    found: Float[Tensor, "hw d"] = torch.einsum("c,cpk->pk", weights, wiener.eigvecs.reshape(c, h * w, -1))
    return found


def _coded(basis: Float[Tensor, "hw d"]) -> tuple[Tensor, Tensor]:
    scale = basis.abs().amax(dim=0).clamp(min=1e-30) / _LEVELS
    return (basis / scale).round().short(), scale


def _tinted(wiener: WienerFilter, colour: str) -> bool:
    return wiener.shape.c == 3 and colour != "white"
