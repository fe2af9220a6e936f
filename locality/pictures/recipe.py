"""How one picture becomes pixels of the size, the colours and the range that are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from locality.errors import BadInput
from locality.pictures.archive import first_three
from locality.pictures.values import USUAL, Values

Crop = Literal["centre", "none"]
Mode = Literal["rgb", "grey"]
_GREY = np.array([0.299, 0.587, 0.114])


class Picture(NamedTuple):
    """An image as it was found: of Pillow's with 8 bits, or an array [h w c], c of 1 to 4 with transparency last.

    `black` and `white` are what the type says, None where it says nothing; `frames` how many images the file holds.
    """

    image: Image.Image | NDArray[Any]
    black: float | None
    white: float | None
    frames: int = 1


@dataclass
class Facts:
    """What was met while reading that a reader should know; parts add up."""

    wide: int = 0  # pictures of 16 bits
    wide_peak: int = 0
    peak: int = 0  # of the 8-bit results
    cut: int = 0  # pictures with values outside black and white
    animated: list[str] = field(default_factory=list)

    def merge(self, other: Facts) -> None:
        self.wide += other.wide
        self.cut += other.cut
        self.wide_peak, self.peak = max(self.wide_peak, other.wide_peak), max(self.peak, other.peak)
        self.animated += other.animated

    def sentences(self, values: Values) -> list[str]:
        """What only reading the pixels shows, where `values` were asked for."""
        found = []
        if self.animated:
            names = sorted(self.animated)
            what = f"{len(names):,} file{'s' * (len(names) > 1)} of several images (frames or pages)"
            found.append(f"{what}: the first of each is read ({first_three(names)}).")
        if self.cut:
            found.append(f"{self.cut:,} images have values outside black and white; these are cut there.")
        if not values and self.wide:
            bits = next((bits for bits in (8, 10, 12, 14) if self.wide_peak < 2**bits), 16)
            what = f"The 16-bit values reach {self.wide_peak:,} of 65,535: they look like {bits} bits"
            way = f"values=0..{2**bits - 1} makes {2**bits - 1:,} white"
            found += [f"{what} and are dark as they are read. {way}."] if bits < 16 else []
        elif not values and self.peak < 16:
            what = f"The largest value of all images is {self.peak} of 255: nearly black"
            found.append(f"{what}. values=0..{max(self.peak, 1)} makes it white.")
        return found


@dataclass(frozen=True)
class Recipe:
    """Transparent parts over white, cut to the centred square (or squeezed, crop "none"), scaled by Lanczos.

    Grey is 0.299 R + 0.587 G + 0.114 B. A picture that has the right size and mode keeps its exact pixels.
    """

    resolution: int
    crop: Crop
    mode: Mode
    values: Values = USUAL

    @property
    def channels(self) -> int:
        return 3 if self.mode == "rgb" else 1

    @property
    def size(self) -> int:
        """Numbers of one picture."""
        return self.channels * self.resolution**2

    def __call__(self, picture: Picture, name: str, facts: Facts | None = None) -> Any:
        """Pixels [c resolution resolution], uint8 or float32.

        Raises:
            BadInput: a range that nobody knows.
        """
        facts = Facts() if facts is None else facts
        if picture.frames > 1:
            facts.animated.append(name)
        image = picture.image
        if isinstance(image, Image.Image) and not self.values:
            return self._noted(self._fit(_flatten(image)), facts)
        low, high = self._range(picture, name)
        array = np.asarray(_plain(image)) if isinstance(image, Image.Image) else image
        array = array[..., None] if array.ndim == 2 else array
        if picture.white == 65535.0:
            facts.wide += 1
            facts.wide_peak = max(facts.wide_peak, int(array.max()))
        colours, alpha = (array[..., :-1], array[..., -1:]) if array.shape[-1] in (2, 4) else (array, None)
        if self.values.low is not None and not self.values.keep:
            facts.cut += bool(colours.min() < low or colours.max() > high)
        scaled = self.values.scaled(colours, low, high)
        opacity = None if alpha is None else alpha / _opaque(picture, array.dtype, high)
        return self._kept(scaled, opacity) if self.values.keep else self._rounded(scaled, opacity, facts)

    def _range(self, picture: Picture, name: str) -> tuple[float, float]:
        low, high = (picture.black, picture.white) if self.values.low is None else (self.values.low, self.values.high)
        if low is None or high is None:
            raise BadInput(
                f"{name} has 32-bit pixels of unknown range. Say which values are black and white: "
                "values=float:0..1 keeps them as they are, values=0..1 rounds them to 8 bits."
            )
        return low, high

    def _rounded(self, array: NDArray[Any], opacity: NDArray[Any] | None, facts: Facts) -> NDArray[np.uint8]:
        if opacity is not None:
            alpha = np.rint(opacity * 255).astype(np.uint8)
            colours = np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array
            flat = _flatten(Image.fromarray(np.concatenate([colours, alpha], axis=2), "RGBA"))
        else:
            flat = Image.fromarray(array[..., 0] if array.shape[2] == 1 else np.ascontiguousarray(array))
        return self._noted(self._fit(flat), facts)

    def _noted(self, pixels: NDArray[np.uint8], facts: Facts) -> NDArray[np.uint8]:
        facts.peak = max(facts.peak, int(pixels.max()))
        return pixels

    def _fit(self, image: Image.Image) -> NDArray[np.uint8]:
        """Crop, convert and scale an 8-bit image."""
        image = image.crop(self._box(*image.size)).convert("RGB" if self.mode == "rgb" else "L")
        if image.size != (self.resolution, self.resolution):
            image = image.resize((self.resolution, self.resolution), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
        return pixels.transpose(2, 0, 1) if self.mode == "rgb" else pixels[None]

    def _kept(self, array: NDArray[Any], opacity: NDArray[Any] | None) -> NDArray[np.float32]:
        """The same for values that keep their fractions."""
        if opacity is not None:
            array = array * opacity + (1.0 - opacity)  # white is 1
        if self.mode == "grey" and array.shape[2] == 3:
            array = (array.astype(np.float64) @ _GREY)[..., None]
        left, top, right, bottom = self._box(array.shape[1], array.shape[0])
        array = array[top:bottom, left:right].astype(np.float32)
        planes = [self._resized(array[..., k]) for k in range(array.shape[2])]
        return np.stack(planes if len(planes) == self.channels else planes * self.channels)

    def _resized(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        if plane.shape == (self.resolution, self.resolution):
            return plane
        image = Image.fromarray(np.ascontiguousarray(plane))
        return np.asarray(image.resize((self.resolution, self.resolution), Image.Resampling.LANCZOS))

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        if self.crop == "none":
            return 0, 0, width, height
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side


def _flatten(image: Image.Image) -> Image.Image:
    """Any 8-bit mode -> RGB or L without transparency."""
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _plain(image: Image.Image) -> Image.Image:
    """Any 8-bit mode -> one whose arrays hold colours, and transparency if there is any."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _opaque(picture: Picture, kind: np.dtype[Any], high: float) -> float:
    """The value of alpha that hides everything: by the type, as the range that was asked for is that of colours."""
    if picture.white:
        return picture.white
    if kind.kind == "u" and kind.itemsize <= 2:
        return float(np.iinfo(kind).max)
    return high if kind.kind in "iu" else 1.0
