"""Edits that act on the pixels of a mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float64
from torch import Tensor

from locality.edits.parts.masks import draw_mask, is_picture, mask_text, read_mask
from locality.edits.parts.spec import EditSpec
from locality.sharing import readable
from locality.specs import param
from locality.types import ImageShape

P = TypeVar("P", bound="MaskedSpec")


@dataclass(frozen=True)
class MaskedSpec(EditSpec):
    """Base of the edits that act on the pixels of a mask."""

    mask: str = param("W", help="W, X, ring, eyes, stripe, text.WORD, a picture's path, or painted pixels (bits...).")

    main: ClassVar[str] = "mask"
    dial: ClassVar[str] = "strength"
    named: ClassVar[tuple[str, ...]] = ("mask", "strength")

    @classmethod
    def parse(cls: type[P], options: Mapping[str, str]) -> P:
        """As every edit; a picture is read at once, so that the edit is its pixels and not the name of a file.

        Raises:
            BadInput: a picture that cannot be read or is too large.
        """
        spec = super().parse(options)
        if is_picture(spec.mask):
            spec = super().parse({**options, "mask": mask_text(read_mask(readable(spec.mask)))})
        return spec

    def check(self, shape: ImageShape) -> None:
        draw_mask(self.mask, shape.h, shape.w)

    def pattern(self, shape: ImageShape) -> Float64[Tensor, "h w"]:
        """-1, 0 or 1 for every pixel. Raises BadInput."""
        return torch.from_numpy(draw_mask(self.mask, shape.h, shape.w)).double()

    def identity(self, shape: ImageShape) -> dict[str, Any]:
        return {**self.key(), "mask": mask_text(draw_mask(self.mask, shape.h, shape.w))}
