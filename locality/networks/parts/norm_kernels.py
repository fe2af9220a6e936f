"""Group normalisation of images whose channels lie side by side, forward and back, compiled.

PyTorch's own way back takes four times as long in that order of values as in the other.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, misc, untyped-decorator"
from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import types
from numba.extending import intrinsic

from locality.vectors import Vectors, address, kept, processor

LANES = processor()[0]
BLOCK = 16  # places whose channels lie in the core's nearest cache


@intrinsic
@no_type_check
def _sums(typing, left, right, less, step, count, found, apart):
    """Of one vector of channels, adds those at `count` places: l = left - less0, and l (right - less1).

    The two sums, and the two vectors of `less`, lie `apart` bytes from each other.
    """

    def codegen(context, builder, signature, args):
        left, right, less, step, count, found, apart = args
        code, b = Vectors(builder, LANES), builder
        ends = (0, apart)
        less0, less1 = (code.load(code.along(less, end), code.floats, 4) for end in ends)

        def place(number, sums):
            at = b.mul(number, step)
            one = b.fsub(code.load(code.along(left, at), code.floats, 4), less0)
            other = b.fsub(code.load(code.along(right, at), code.floats, 4), less1)
            return [b.fadd(sums[0], one), code.fma(one, other, sums[1])]

        for total, end in zip(code.loop(count, [code.constant(code.floats, 0.0)] * 2, place), ends, strict=True):
            there = code.along(found, end)
            code.store(b.fadd(code.load(there, code.floats, 4), total), there, 4)
        return context.get_dummy_value()

    return types.void(left, right, less, step, count, found, apart), codegen


@intrinsic
@no_type_check
def _combined(typing, left, right, step, count, factors, apart, found):
    """Of one vector of channels, at `count` places: f0 left + f1 right + f2, the factors `apart` bytes apart."""

    def codegen(context, builder, signature, args):
        left, right, step, count, factors, apart, found = args
        code, b = Vectors(builder, LANES), builder
        f0, f1, f2 = (code.load(code.along(factors, b.mul(code.whole(n), apart)), code.floats, 4) for n in range(3))

        def place(number, _):
            at = b.mul(number, step)
            one, other = (code.load(code.along(values, at), code.floats, 4) for values in (left, right))
            code.store(code.fma(f0, one, code.fma(f1, other, f2)), code.along(found, at), 4)
            return []

        code.loop(count, [], place)
        return context.get_dummy_value()

    return types.void(left, right, step, count, factors, apart, found), codegen


@kept()
@no_type_check
def _summed(left, right, less, count, c, sums):
    """Sums [2 channels] of l = left - less0 and of l (right - less1) over the places of an image."""
    sums[:] = np.float32(0.0)
    for start in range(0, count, BLOCK):
        at, some = 4 * start * c, min(BLOCK, count - start)
        for v in range(0, 4 * c, 4 * LANES):
            _sums(left + at + v, right + at + v, address(less) + v, 4 * c, some, address(sums) + v, 4 * c)


@kept()
@no_type_check
def _combine(left, right, count, c, factors, found):
    """factors0 left + factors1 right + factors2 at every place of an image, factors being [3 channels]."""
    for start in range(0, count, BLOCK):
        at, some = 4 * start * c, min(BLOCK, count - start)
        for v in range(0, 4 * c, 4 * LANES):
            _combined(left + at + v, right + at + v, 4 * c, some, address(factors) + v, 4 * c, found + at + v)


@kept()
@no_type_check
def normalise(x, weight, bias, eps, found, moments, first, last):
    """Images from `first` to `last` of [b places channels]; moments [b groups 2]: mean, and 1 / standard deviation.

    Sums are of differences from each channel's first place: the variance keeps its digits where the mean is large.
    """
    _, count, c = x.shape
    groups = moments.shape[1]
    each = c // groups
    sums, less, factors = np.empty((2, c), np.float32), np.empty((2, c), np.float32), np.zeros((3, c), np.float32)
    for image in range(first, last):
        here, there = address(x) + 4 * image * count * c, address(found) + 4 * image * count * c
        less[0], less[1] = x[image, 0], x[image, 0]
        _summed(here, here, less, count, c, sums)
        for g in range(groups):
            total, squares = 0.0, 0.0
            for k in range(g * each, (g + 1) * each):
                total += np.float64(sums[0, k]) + count * np.float64(less[0, k])
            mean = total / (each * count)
            for k in range(g * each, (g + 1) * each):
                off = less[0, k] - mean
                squares += sums[1, k] + 2 * off * sums[0, k] + count * off * off
            scale = 1.0 / np.sqrt(max(squares / (each * count), 0.0) + eps)
            moments[image, g, 0], moments[image, g, 1] = mean, scale
            for k in range(g * each, (g + 1) * each):
                factors[0, k], factors[2, k] = weight[k] * scale, bias[k] - mean * scale * weight[k]
        _combine(here, here, count, c, factors, there)


@kept()
@no_type_check
def back(slopes, x, weight, moments, found, by_weight, first, last):
    """From the derivative by the outputs that by the images, and by weight and bias, of each image [b 2 channels]."""
    _, count, c = x.shape
    groups = moments.shape[1]
    each = c // groups
    sums, less, factors = np.empty((2, c), np.float32), np.zeros((2, c), np.float32), np.empty((3, c), np.float32)
    for image in range(first, last):
        start = 4 * image * count * c
        here, slope, there = address(x) + start, address(slopes) + start, address(found) + start
        for k in range(c):
            less[1, k] = moments[image, k // each, 0]
        _summed(slope, here, less, count, c, sums)
        for g in range(groups):
            mean, scale = moments[image, g, 0], moments[image, g, 1]
            one, two = 0.0, 0.0
            for k in range(g * each, (g + 1) * each):
                along = (sums[1, k] + (less[1, k] - mean) * sums[0, k]) * scale
                by_weight[image, 0, k], by_weight[image, 1, k] = along, sums[0, k]
                one, two = one + weight[k] * sums[0, k], two + weight[k] * along
            one, two = one * scale / (each * count), two * scale * scale / (each * count)
            for k in range(g * each, (g + 1) * each):
                factors[0, k], factors[1, k], factors[2, k] = weight[k] * scale, -two, two * mean - one
        _combine(slope, here, count, c, factors, there)
