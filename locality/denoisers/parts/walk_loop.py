"""The compiled loop of the walk and what it is fed: coded noisy images in, softmax sums of a part of the images out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Num, Shaped, UInt8

from locality.denoisers.parts.compiled import kernels
from locality.denoisers.parts.walk_plan import Steps

TOP, LARGEST = 32767, 2**31 - 1  # a code of x, and a sum of products
_BLOCK, _CHAIN = 4, 32  # vectors of images in a core's cache; rows that run over one of them at a time
_LOG2_E = 1.4426950408889634


class Form(NamedTuple):
    """What one compiled loop serves: noisy images at a time, coordinates a row answers, lanes, sums, codes of x."""

    queries: int
    values: int
    lanes: int
    kind: int
    parts: int = 1

    @property
    def codes(self) -> int:
        """Of all noisy images that share a pass."""
        return self.queries * self.parts

    def typed(self) -> tuple[tuple[int, ...], ...]:
        """As types that differ: tuples of these lengths."""
        return tuple((0,) * number for number in self)

    def groups(self, noisy: int) -> int:
        """Passes over the images for so many noisy ones."""
        return -(-noisy // self.queries)

    def memory(self, steps: Steps, noisy: int, d: int) -> tuple[int, int]:
        """Bytes of a thread's arrays, and of those that all share."""
        columns = self.groups(noisy) * self.queries
        sums = columns * len(steps.rows) * (1 + self.values) * (4 * self.lanes + 24)
        block = 4 * self.lanes * _BLOCK * (max(d, 16) + steps.slots * (2 * self.codes + 2))
        codes = columns * self.parts * (6 * len(steps.signs) + 20 * d)
        return sums + block, codes + self.groups(noisy) * 6 * len(steps.signs)


class Sums(NamedTuple):
    """Softmax sums over some images: `peak` [g m q] (base 2); weights, and pixels weighed, `total` [g 1+v q m]."""

    peak: Shaped[np.ndarray, "g m q"]
    total: Float64[np.ndarray, "g u q m"]

    def merge(self, other: Sums) -> Sums:
        """The sums over both."""
        peak = np.maximum(self.peak, other.peak)
        ours, theirs = (np.exp2(part.peak - peak).transpose(0, 2, 1)[:, None] for part in (self, other))
        return Sums(peak, self.total * ours + other.total * theirs)

    def log_weight(self) -> Float64[np.ndarray, "b m"]:
        """ln of the sum of weights, with what the code of the noisy images leaves out."""
        peak = self.peak.astype(np.float64).transpose(0, 2, 1)
        found: Float64[np.ndarray, "b m"] = (peak / _LOG2_E + np.log(self.total[:, 0])).reshape(-1, peak.shape[2])
        return found

    def mean(self) -> Float64[np.ndarray, "b v m"]:
        """Averages, in [-1, 1]."""
        averages = (self.total[:, 1:] / self.total[:, :1]).transpose(0, 2, 1, 3)
        g, q, v, m = averages.shape
        found: Float64[np.ndarray, "b v m"] = (averages.reshape(g * q, v, m) + 0.5) / 127.5
        return found


@dataclass(frozen=True, eq=False)
class Work:
    """Noisy images made ready for all parts of the training images."""

    form: Form
    steps: Steps
    outputs: Int64[np.ndarray, "m v"]
    scales: Shaped[np.ndarray, "g c"]
    factors: Num[np.ndarray, "g p r"]
    own: float

    @staticmethod
    def direct(
        form: Form, steps: Steps, outputs: Int64[np.ndarray, "m v"], x: Float64[np.ndarray, "b d"], noise: float
    ) -> Work:
        """x in units of a grey level, for sums of squared differences."""
        pixels = np.ascontiguousarray(_grouped(form.codes, x * 127.5 - 0.5).transpose(0, 2, 1), np.float32)
        scales = np.full(pixels.shape[::2], -0.5 * _LOG2_E / (127.5 * noise) ** 2, np.float32)
        return Work(form, steps, outputs, scales, pixels, 0.0)

    @staticmethod
    def coded(
        form: Form,
        steps: Steps,
        outputs: Int64[np.ndarray, "m v"],
        x: Float64[np.ndarray, "b d"],
        noise: float,
        widest: int,
    ) -> Work:
        """x as 16-bit whole numbers, no larger than sums of `widest` products with 8-bit pixels allow.

        With two codes, in front of each stands one of what it leaves out. Half a grey level lower, an image is a whole
        number of levels p: (x - p / 127.5)^2 = const - 2 x p / 127.5 + p^2 / 127.5^2.
        """
        x = x - 0.5 / 127.5
        size = abs(x)
        most = -np.sort(-size, axis=1)[:, :widest].sum(axis=1)
        step = np.maximum(size.max(axis=1) / TOP, 128 * most / (LARGEST - 129 * widest)).clip(1e-30)
        codes, steps_of = [np.rint(x / step[:, None])], [step]
        if form.parts == 2:
            finer = 2 * min(TOP, LARGEST // (129 * widest))
            codes.insert(0, np.rint((x / step[:, None] - codes[0]) * finer))
            steps_of.insert(0, step / finer)
        coded = np.stack(codes, axis=1).reshape(-1, x.shape[1])
        pairs = _grouped(form.codes, coded).astype(np.int16).transpose(0, 2, 1)[:, steps.columns] * steps.signs[:, None]
        g, p, q = pairs.shape
        factors = np.empty((g, p // 2, 3 + q), np.int32)
        factors[..., :2] = steps.columns.reshape(-1, 2) * (4 * form.lanes)
        factors[..., 2] = steps.signs.view(np.int32)
        factors.view(np.int16).reshape(g, p // 2, 3 + q, 2)[:, :, 3:] = pairs.reshape(g, p // 2, 2, q).swapaxes(2, 3)
        scales = _grouped(form.codes, (_LOG2_E / noise**2 / 127.5 * np.stack(steps_of, axis=1)).reshape(-1, 1))[..., 0]
        return Work(form, steps, outputs, scales.astype(np.float32), factors, -0.5 * _LOG2_E / (127.5 * noise) ** 2)

    def run(self, images: UInt8[np.ndarray, "k d"]) -> Sums:
        """Softmax sums over these images; other threads run meanwhile."""
        loops, steps = kernels(), self.steps
        assert loops is not None
        order = np.array(loops.lane_order(self.form.lanes)).ravel()
        return Sums(
            *loops.walk(
                self.form.typed(), images, order, steps.columns, self.factors, steps.starts, steps.source, steps.target,
                steps.slots, self.outputs, np.float32(self.own), self.scales, _BLOCK, _CHAIN,
            )
        )  # fmt: skip


def _grouped(size: int, rows: Float64[np.ndarray, "b k"]) -> Float64[np.ndarray, "g q k"]:
    """In groups of so many, the last filled up by zeros."""
    groups = -(-len(rows) // size)
    full = np.zeros((groups * size, rows.shape[1]))
    full[: len(rows)] = rows
    return full.reshape(groups, size, -1)
