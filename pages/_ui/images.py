"""Arrays as pictures: crisp at any size, in grids that reflow, each with a text for those who cannot see it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageColor
from torch import Tensor

from locality.types import ImageShape
from pages._ui.charts import diverging

Picture = NDArray[np.uint8]  # [h w 3]

_STYLE = """<style>
.tiles { container-type: inline-size; }
.tiles > div { display: grid; gap: var(--gap); grid-template-columns: repeat(var(--wide), minmax(0, 1fr)); }
.tiles figure { margin: 0; }
.tiles img { width: 100%; display: block; image-rendering: pixelated; border-radius: 2px;
  outline: 1px solid rgba(128, 138, 145, 0.25); outline-offset: -1px; }
.tiles figcaption { font-size: 0.75rem; line-height: 1.25; padding: 0.2rem 0 0.1rem; opacity: 0.8;
  font-variant-numeric: tabular-nums; }
.tiles figure.faded { opacity: 0.28; }
@container (max-width: 24rem) {
  .tiles > div { grid-template-columns: repeat(var(--narrow), minmax(0, 1fr)); }
}
</style>"""


@dataclass(frozen=True)
class Tile:
    """One picture of a grid. `alt` says what it shows, `note` appears on hover."""

    picture: Picture
    alt: str
    caption: str = ""
    note: str = ""
    faded: bool = False


def grid(tiles: Sequence[Tile], *, wide: int, narrow: int, gap: str = "3px") -> None:
    """Pictures in `wide` columns, in `narrow` where there is little room."""
    body = "".join(_figure(tile) for tile in tiles)
    columns = f"--wide:{wide};--narrow:{narrow};--gap:{gap}"
    st.html(f'{_STYLE}<div class="tiles"><div style="{columns}">{body}</div></div>')


def photo(x: Tensor, shape: ImageShape) -> Picture:
    """A flat image in [-1, 1] as it looks; values outside are clipped."""
    channels = ((x.double().reshape(shape) + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return np.ascontiguousarray(np.broadcast_to(channels.transpose(1, 2, 0), (shape.h, shape.w, 3)))


def signed(values: Tensor, limit: float) -> Picture:
    """[h w] values as blue (-limit), white (0) and red (limit); on a dark page zero is as dark as the page."""
    at = np.clip(values.double().numpy() / (limit or 1.0), -1, 1)
    stops = np.array([ImageColor.getrgb(colour) for colour in diverging()], dtype=float)
    places = np.linspace(-1, 1, len(stops))
    return np.stack([np.interp(at, places, stops[:, i]) for i in range(3)], axis=-1).round().astype(np.uint8)


def contact_sheet(pictures: Sequence[Picture], *, columns: int, scale: int, gap: int = 4) -> bytes:
    """One PNG of all pictures on white, every pixel `scale` pixels wide."""
    h, w = (side * scale for side in pictures[0].shape[:2])
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (w + gap) + gap, rows * (h + gap) + gap), "white")
    for i, picture in enumerate(pictures):
        large = Image.fromarray(picture).resize((w, h), Image.Resampling.NEAREST)
        sheet.paste(large, (gap + i % columns * (w + gap), gap + i // columns * (h + gap)))
    return _png(sheet)


def _figure(tile: Tile) -> str:
    source = "data:image/png;base64," + base64.b64encode(_png(Image.fromarray(tile.picture))).decode()
    alt, note, caption = (html.escape(text) for text in (tile.alt, tile.note or tile.alt, tile.caption))
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    faded = ' class="faded"' if tile.faded else ""
    return f'<figure{faded}><img src="{source}" alt="{alt}" title="{note}">{below}</figure>'


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()
