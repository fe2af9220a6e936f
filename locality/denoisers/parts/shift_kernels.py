"""Averages over moved images, the windows of all places at once, compiled: sixteen images side by side.

A window is the end of one run of `size` lines and the start of the next: three additions a place whatever the size,
and no running sum from which anything is taken away again. LLVM makes its vector instructions from those written here,
as in walk_kernels; it gives up on the same loops in Python, whose arrays might overlap.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, misc, untyped-decorator"
from __future__ import annotations

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from locality.vectors import Vectors, address, kept

LANES = 16
_BYTES = 4 * LANES  # of one place of all images
_ABOVE = 40.0  # how far a logit (base 2) may lie above the one that weights are relative to
_LEAST = -1e30
_FAR = 1e9  # grey level of lanes without an image
_F32 = ir.FloatType()


@intrinsic
@no_type_check
def _apart(typing, x, items, found, step, count, channels, x_apart, items_apart):
    """|x - x_i|^2 at `count` places of a row, summed over channels, each `step` bytes after the other."""

    def codegen(context, builder, signature, args):
        x, items, found, step, count, channels, x_apart, items_apart = args
        code, b = Vectors(builder, LANES), builder

        def place(j, _):
            def channel(k, total):
                at = code.along(code.along(x, b.mul(k, x_apart)), b.mul(j, code.whole(4)))
                item = code.along(code.along(items, b.mul(k, items_apart)), b.mul(j, code.whole(_BYTES)))
                difference = b.fsub(code.splat(code.load(at, _F32, 4)), code.load(item, code.floats, 4))
                return [code.fma(difference, difference, total[0])]

            (total,) = code.loop(channels, [code.constant(code.floats, 0.0)], channel)
            code.store(total, code.along(found, b.mul(j, step)), 4)
            return []

        code.loop(count, [], place)
        return context.get_dummy_value()

    return types.void(x, items, found, step, count, channels, x_apart, items_apart), codegen


@intrinsic
@no_type_check
def _windows(typing, lines, apart, at, size, count, length, ends, found, step, across):
    """Sums over `size` lines, from each of `count` lines on, at every one of `length` places of a line.

    Line j is the one numbered at[j], `apart` bytes after the one before; sums go `step` bytes apart for each window and
    `across` for each place; `ends` is room for `size` vectors.
    """

    def codegen(context, builder, signature, args):
        lines, apart, at, size, count, length, ends, found, step, across = args
        code, b = Vectors(builder, LANES), builder
        nothing = code.constant(code.floats, 0.0)

        def place(i, _):
            here = code.along(lines, b.mul(i, code.whole(_BYTES)))

            def line(j):
                number = code.load(code.along(at, b.mul(j, code.whole(8))), code.whole(0).type, 8)
                return code.load(code.along(here, b.mul(number, apart)), code.floats, 4)

            def block(k, _):
                first = b.mul(k, size)
                left = b.sub(count, first)
                inside = b.select(b.icmp_signed("<", left, size), left, size)

                def backward(back, total):
                    j = b.sub(b.sub(size, code.whole(1)), back)
                    new = b.fadd(total[0], line(b.add(first, j)))
                    code.store(new, code.along(ends, b.mul(j, code.whole(_BYTES))), 4)
                    return [new]

                def put(j, value):
                    to = b.add(b.mul(b.add(first, j), step), b.mul(i, across))
                    code.store(value, code.along(found, to), 4)

                def forward(j, total):
                    new = b.fadd(total[0], line(b.add(b.add(first, size), j)))
                    after = b.add(j, code.whole(1))
                    end = code.load(code.along(ends, b.mul(after, code.whole(_BYTES))), code.floats, 4)
                    put(after, b.fadd(end, new))
                    return [new]

                (whole,) = code.loop(size, [nothing], backward)
                put(code.whole(0), whole)
                code.loop(b.sub(inside, code.whole(1)), [nothing], forward)
                return []

            blocks = b.sdiv(b.add(count, b.sub(size, code.whole(1))), size)
            code.loop(blocks, [], block)
            return []

        code.loop(length, [], place)
        return context.get_dummy_value()

    return types.void(lines, apart, at, size, count, length, ends, found, step, across), codegen


@intrinsic
@no_type_check
def _weigh(typing, distances, scale, count, peaks, totals, apart, values, values_apart, channels):
    """Adds e^(scale distance), relative to the peaks, and times the values of each channel, to the totals."""

    def codegen(context, builder, signature, args):
        distances, scale, count, peaks, totals, apart, values, values_apart, channels = args
        code, b = Vectors(builder, LANES), builder
        above = code.constant(code.floats, _ABOVE)

        def place(i, _):
            offset = b.mul(i, code.whole(_BYTES))
            logit = b.fmul(code.load(code.along(distances, offset), code.floats, 4), code.splat(scale))
            top, total = code.along(peaks, offset), code.along(totals, offset)
            old = code.load(top, code.floats, 4)
            far = b.fcmp_ordered(">", b.fsub(logit, old), above)
            before = b.block
            with b.if_then(b.icmp_unsigned("!=", b.bitcast(far, ir.IntType(LANES)), ir.Constant(ir.IntType(LANES), 0))):
                new = b.select(far, logit, old)
                code.store(new, top, 4)
                less = code.exp2(b.fsub(old, new))

                def shrink(k, _):
                    where = code.along(total, b.mul(k, apart))
                    code.store(b.fmul(code.load(where, code.floats, 4), less), where, 4)
                    return []

                code.loop(b.add(channels, code.whole(1)), [], shrink)
                inside = b.block
            peak = b.phi(code.floats)
            peak.add_incoming(old, before)
            peak.add_incoming(new, inside)
            weight = code.exp2(b.fsub(logit, peak))
            code.store(b.fadd(code.load(total, code.floats, 4), weight), total, 4)

            def channel(k, _):
                where = code.along(total, b.mul(b.add(k, code.whole(1)), apart))
                value = code.load(code.along(code.along(values, b.mul(k, values_apart)), offset), code.floats, 4)
                code.store(code.fma(weight, value, code.load(where, code.floats, 4)), where, 4)
                return []

            code.loop(channels, [], channel)
            return []

        code.loop(count, [], place)
        return context.get_dummy_value()

    return types.void(distances, scale, count, peaks, totals, apart, values, values_apart, channels), codegen


@kept()
@no_type_check
def _turned(images, first, c, h, w, wide):
    """Sixteen images [c h wide lanes], their columns repeated up to `wide`."""
    found = np.full((c, h, wide, LANES), np.float32(_FAR), np.float32)
    for k in range(min(LANES, len(images) - first)):
        for channel in range(c):
            for row in range(h):
                for j in range(wide):
                    found[channel, row, j, k] = np.float32(images[first + k, (channel * h + row) * w + j % w])
    return found


@kept()
@no_type_check
def _lines(first, count, seen, counted, n, wraps):
    """Which of the lines seen each place from `first` on is, around a circle if it wraps; n, an empty one, if none."""
    found = np.empty(count, np.int64)
    for j in range(count):
        at = first + j
        found[j] = at % n if wraps else at - seen if seen <= at < seen + counted else n
    return found


@kept()
@no_type_check
def _merged(peak, totals, peaks, sums):
    """Averages over sixteen images into those over all before, in float64."""
    for p in range(len(peak)):
        for k in range(LANES):
            new = max(peaks[p, k], np.float64(peak[p, k]))
            old_part, new_part = np.exp2(peaks[p, k] - new), np.exp2(np.float64(peak[p, k]) - new)
            peaks[p, k] = new
            for value in range(len(totals)):
                sums[value, p, k] = sums[value, p, k] * old_part + totals[value, p, k] * new_part


@kept()
@no_type_check
def shifted(images, x, size, scale, wraps, downs, rights):
    """Peaks (base 2) [b p lanes] and sums [b 1+c p lanes] of weights and values over all shifts of images, float64.

    x [b c h w] are noisy images in grey levels, scale the factor of a squared distance. A shift along an axis: first
    place and number of places seen, how far away the candidates' are, first place and number answered.
    """
    b, c, h, w = x.shape
    margin, wide = size // 2, 2 * w - 1 if wraps else w
    near, across = np.zeros((w + 1, h, LANES), np.float32), np.zeros((h + 1, w, LANES), np.float32)  # last lines: empty
    ends, distances = np.empty((size, LANES), np.float32), np.empty((h, w, LANES), np.float32)
    peak, totals = np.empty((h * w, LANES), np.float32), np.empty((1 + c, h * w, LANES), np.float32)
    peaks, sums = np.full((b, h * w, LANES), _LEAST), np.zeros((b, 1 + c, h * w, LANES))
    place, column, row_of, plane = _BYTES, h * _BYTES, w * _BYTES, h * w * _BYTES
    line, item, canvas = wide * _BYTES, h * wide * _BYTES, 4 * h * w
    for first in range(0, len(images), LANES):
        theirs = _turned(images, first, c, h, w, wide)
        for q in range(b):
            peak[:], totals[:] = np.float32(_LEAST), np.float32(0.0)
            for a in range(len(downs)):
                top, high, below, up, tall = downs[a]
                rows = _lines(up - margin, tall + size - 1, top, high, h, wraps)
                for e in range(len(rights)):
                    left, broad, beside, side, long = rights[e]
                    columns = _lines(side - margin, long + size - 1, left, broad, w, wraps)
                    for row in range(high):
                        mine = address(x) + q * c * canvas + 4 * ((top + row) * w + left)
                        there = address(theirs) + (top + row + below) % h * line + (left + beside) * place
                        _apart(mine, there, address(near) + row * place, column, broad, c, canvas, item)
                    _windows(
                        address(near), column, address(columns), size, long, high,
                        address(ends), address(across), place, row_of,
                    )  # fmt: skip
                    _windows(
                        address(across), row_of, address(rows), size, tall, long,
                        address(ends), address(distances), row_of, place,
                    )  # fmt: skip
                    for j in range(tall):
                        at = ((up + j) * w + side) * place
                        there = address(theirs) + (up + j + below) % h * line + (side + beside) * place
                        _weigh(
                            address(distances) + j * row_of, scale, long, address(peak) + at, address(totals) + at,
                            plane, there, item, c,
                        )  # fmt: skip
            _merged(peak, totals, peaks[q], sums[q])
    return peaks, sums
