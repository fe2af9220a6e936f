"""What a network can do while it learns: images from fixed noise, and the field of the centre pixel beside Wiener's."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from safetensors.torch import save
from torch import Tensor

from locality.datasets import Source
from locality.errors import BadInput
from locality.features import as_8bit
from locality.fields.jacobian import reduce_inputs
from locality.fields.rows import rows
from locality.linear.wiener import WienerFilter
from locality.networks import HELD_OUT_SIGMA, Training, read_tensors, write_atomic
from locality.sampler import ddim, initial, start_noise
from locality.studies.fields.draws import Draws
from locality.studies.sampling.config import Sampling
from locality.types import Denoiser, ImageShape, Pixel

PREVIEW = "preview.safetensors"
PLAN = Sampling(count=18, steps=10)
DRAWS = Draws(8)
_GROWTH = 1.3  # a frame is kept for good when this many times more images were seen than at the one before
_SHARE = 25  # a frame may take 1/25 of the time


@dataclass(frozen=True, eq=False)
class Frame:
    """A moment of a training: images drawn (8 bits, clipped) and the learned field, channels summed."""

    images: int
    seconds: float
    samples: UInt8[Tensor, "n d"]
    learned: Float[Tensor, "h w"]


@dataclass(frozen=True, eq=False)
class Preview:
    """Frames in order, the last being the newest, and the field predicted from the data's statistics."""

    shape: ImageShape
    sigma: float
    pixel: Pixel
    predicted: Float[Tensor, "h w"]
    frames: list[Frame]


class Previewer:
    """Adds a frame to the preview of a training now and then: about 45 frames however long it takes."""

    def __init__(self, training: Training, source: Source, wiener: WienerFilter, *, every: float = 10.0) -> None:
        self.training, self.every, self._due = training, every, -math.inf
        shape, sigma = source.shape, HELD_OUT_SIGMA
        pixel = Pixel(shape.h // 2, shape.w // 2)
        self._noisy = DRAWS.of(source, training.device)
        old = read_preview(training.folder) if training.images else None
        frames = [] if old is None else [frame for frame in old.frames if frame.images <= training.images]
        self.preview = Preview(shape, sigma, pixel, self._field(wiener, pixel), frames)
        levels = PLAN.sigmas()
        self._levels, self._x_T = levels, initial(start_noise(shape, PLAN.count, PLAN.seed), levels[0], PLAN.start)

    def update(self, *, force: bool = False) -> None:
        """Add a frame if it is time, and write the preview."""
        began = time.monotonic()
        if began < self._due and not force:
            return
        frames = self.preview.frames
        if len(frames) > 1 and frames[-1].images < _GROWTH * frames[-2].images:
            frames.pop()
        frames.append(self._frame())
        write_preview(self.training.folder, self.preview)
        self._due = time.monotonic() + max(self.every, _SHARE * (time.monotonic() - began))

    def _frame(self) -> Frame:
        denoiser, device = self.training.denoiser(), self.training.device
        x0_hat = self._x_T.to(device)
        for step in ddim(denoiser, self._x_T.to(device), self._levels):
            x0_hat = step.x0_hat
        samples = as_8bit(x0_hat, denoiser.shape).flatten(1).cpu()
        learned = self._field(denoiser, self.preview.pixel)
        return Frame(self.training.images, self.training.seconds, samples, learned)

    def _field(self, denoiser: Denoiser, pixel: Pixel) -> Float[Tensor, "h w"]:
        found = rows(denoiser, [pixel], HELD_OUT_SIGMA, self._noisy)
        return reduce_inputs(found.average().values[0]).cpu()


def write_preview(folder: Path, preview: Preview) -> None:
    """Replace the preview of a folder in one step."""
    frames = preview.frames
    arrays = {
        "samples": torch.stack([frame.samples for frame in frames]),
        "learned": torch.stack([frame.learned for frame in frames]),
        "predicted": preview.predicted.contiguous(),
    }
    about = {
        "images": [frame.images for frame in frames],
        "seconds": [frame.seconds for frame in frames],
        "sigma": preview.sigma,
        "pixel": list(preview.pixel),
        "shape": list(preview.shape),
    }
    write_atomic(folder / PREVIEW, save(arrays, {"about": json.dumps(about)}))


def read_preview(folder: Path) -> Preview | None:
    """The preview of a training, None before its first frame. Raises BadInput where the file is damaged."""
    if not (folder / PREVIEW).is_file():
        return None
    arrays, meta = read_tensors(folder / PREVIEW)
    try:
        about = json.loads(meta["about"])
        moments = zip(about["images"], about["seconds"], arrays["samples"], arrays["learned"], strict=True)
        frames = [Frame(*moment) for moment in moments]
        shape, pixel = ImageShape(*about["shape"]), Pixel(*about["pixel"])
        return Preview(shape, float(about["sigma"]), pixel, arrays["predicted"], frames)
    except (KeyError, ValueError, TypeError) as error:
        raise BadInput(f"{folder / PREVIEW} is no preview of a training ({error}). Delete it.") from None
