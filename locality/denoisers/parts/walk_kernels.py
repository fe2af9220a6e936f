"""The inner loop of the mask walk, compiled for this processor by Numba; no compiler need be installed.

Images lie across the lanes of a vector: 2 w of them (w: lanes of 32 bits), pixels as 16-bit whole numbers u - 128.
A `form` says by the lengths of its tuples how many noisy images share a pass, how many coordinates a row answers,
w, how sums are made (INTEGER, PORTABLE or DIRECT) and of how many codes of a noisy image; each form is compiled once.
LLVM makes one `vpdpwssd` (AVX-512 VNNI) or `vpmaddwd` and `vpaddd` (AVX2, SSE2) of each pair of columns and vector of
sums, all in registers.

In one file, but for `vectors`, because Numba keeps compiled code by the date of the file that a function is in.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, misc, no-any-return, untyped-decorator"
from __future__ import annotations

from functools import partial
from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba import typeof, types
from numba.extending import intrinsic

from locality.vectors import INTEGER, Vectors, how_kept, kept

DIRECT = 3  # beside vectors.INTEGER and PORTABLE
_HEADROOM = 12.0  # a new peak is set 2^12 above the largest logit, so that sums are seldom rescaled
_I8, _I16, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_MADD = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd", 4: "llvm.x86.sse2.pmadd.wd"}


def lane_order(w):
    """The images in the w low lanes, then those in the w high ones: as 16-bit pairs are unpacked."""
    low = [8 * (i // 4) + i % 4 for i in range(w)]
    return low, [i + 4 for i in low]


class _Code(Vectors):
    """Those of a form: vectors are w images, or pairs of 16-bit numbers of them."""

    def __init__(self, builder, form):
        self.queries, self.values, w, self.kind, self.parts = (part.count for part in form.types)
        super().__init__(builder, w)
        self.codes = self.queries * self.parts
        self.together = self.w == 16  # 32 registers hold all sums of eight noisy images; 16 those of four
        self.shorts = ir.VectorType(_I16, 2 * self.w)

    def pair(self, address):
        """Two 16-bit numbers, in every lane."""
        return self.b.bitcast(self.splat(self.load(address, _I32, 4)), self.shorts)

    def halves(self, shorts):
        """Low and high lanes as floats."""
        parts = [self.b.sext(self.pick(shorts, shorts, part), self.ints) for part in lane_order(self.w)]
        return [self.b.sitofp(part, self.floats) for part in parts]

    def side_by_side(self, first, second):
        """Pairs of 16-bit numbers, in the low lanes and in the high ones."""
        n = 2 * self.w
        return [self.pick(first, second, [j for i in part for j in (i, n + i)]) for part in lane_order(self.w)]

    def in_turn(self, count, start, turns, body):
        """The loop for all sums, from those at `start`: some places of them after the others."""
        found = list(start)
        for places in turns:
            ends = self.loop(count, [start[i] for i in places], partial(body, places=places))
            for place, end in zip(places, ends, strict=True):
                found[place] = end
        return found

    def add_products(self, total, pairs, factors):
        """total_i + pairs_2i factors_2i + pairs_2i+1 factors_2i+1, in 32 bits."""
        if self.kind == INTEGER:
            return self.b.add(total, self.call(_MADD[self.w], self.ints, pairs, factors))
        for odd in range(2):
            lanes = range(odd, 2 * self.w, 2)
            left, right = (self.b.sext(self.pick(v, v, lanes), self.ints) for v in (pairs, factors))
            total = self.b.add(total, self.b.mul(left, right))
        return total


@intrinsic
@no_type_check
def _collect(typing, form, source, target, images, columns, factors, count):
    """Sums of one row: those at `source` (0: none) and `count` more pairs of columns, to `target`.

    Of each code of x sum code_p p_i, then of all sum p_i^2, low and high lanes; DIRECT: sum (x_p - p_i)^2.
    Where registers are few, some sums after the others: a pair of columns is read again for them.
    """

    def integer(code, args):
        _, source, _, images, _, rows, count = args
        b, own, wide = code.b, code.codes, 4 * (3 + code.codes)

        def read(number):
            """Of the pair of columns, its row and its pixels, in the low lanes and in the high ones."""
            row = code.along(rows, b.mul(number, code.whole(wide)))
            places = [b.zext(code.load(code.along(row, 4 * k), _I32, 4), _I64) for k in range(2)]
            return row, code.side_by_side(*(code.load(code.along(images, at), code.shorts) for at in places))

        def body(number, totals, places):
            row, pairs = read(number)
            new = []
            for total, place in zip(totals, places, strict=True):
                k, half = place // 2, pairs[place % 2]
                factor = code.pair(code.along(row, 8 if k == own else 12 + 4 * k))
                new.append(code.add_products(total, half, b.mul(half, factor) if k == own else factor))
            return new

        entry = b.block
        with b.if_then(b.icmp_signed("!=", source, code.whole(0))):
            found = [code.load(code.along(source, code.bytes * i), code.ints) for i in range(2 * own + 2)]
            inside = b.block
        start = [b.phi(code.ints) for _ in found]
        for phi, value in zip(start, found, strict=True):
            phi.add_incoming(code.constant(code.ints, 0), entry)
            phi.add_incoming(value, inside)
        each, most = [own, *range(own)], 1 + own if code.together else 5
        turns = [[2 * k + h for k in each[i : i + most] for h in range(2)] for i in range(0, 1 + own, most)]
        return code.in_turn(count, start, turns, body)

    def direct(code, args):
        _, _, _, images, columns, queries, count = args
        b = code.b

        def body(number, totals, places):
            column = b.zext(code.load(code.along(columns, b.mul(number, code.whole(4))), _I32, 4), _I64)
            halves = code.halves(code.load(code.along(images, b.mul(column, code.whole(code.bytes))), code.shorts))
            row, new = code.along(queries, b.mul(column, code.whole(4 * code.queries))), []
            for total, place in zip(totals, places, strict=True):
                x = code.splat(code.load(code.along(row, 4 * (place // 2)), _F32, 4))
                apart = b.fsub(halves[place % 2], x)
                new.append(code.fma(apart, apart, total))
            return new

        every, most = range(2 * code.queries), 1 if code.together else 2  # one half of the lanes, then the other
        turns = [every[i::most] for i in range(most)]
        return code.in_turn(count, [code.constant(code.floats, 0.0)] * len(every), turns, body)

    def codegen(context, builder, signature, args):
        code = _Code(builder, form)
        for number, total in enumerate((direct if code.kind == DIRECT else integer)(code, args)):
            code.store(total, code.along(args[2], code.bytes * number))
        return context.get_dummy_value()

    return types.void(form, source, target, images, columns, factors, count), codegen


@intrinsic
@no_type_check
def _weigh(typing, form, sums, values, own, scales, mute, running, peaks):
    """Add one row's images to its running softmax: [1 + values] vectors and a peak of each noisy image.

    Logits (base 2) are sums * scale (of each code) + own * last sums + mute, which is -inf in lanes without an image.
    """

    def codegen(context, builder, signature, args):
        _, sums, values, own, scales, mute, running, peaks = args
        code, b = _Code(builder, form), builder
        base = [code.load(code.along(mute, code.bytes * h), code.floats) for h in range(2)]

        def total(number):
            if code.kind == DIRECT:
                return code.load(code.along(sums, code.bytes * number), code.floats)
            return b.sitofp(code.load(code.along(sums, code.bytes * number), code.ints), code.floats)

        if code.kind != DIRECT:
            base = [code.fma(total(2 * code.codes + h), code.splat(own), base[h]) for h in range(2)]
        pixels = []
        for v in range(code.values):
            where = code.load(code.along(values, 8 * v), _I64, 8)
            pixels.append(code.halves(code.load(where, code.shorts)))
        for q in range(code.queries):
            logits = base
            for part in range(code.parts * q, code.parts * (q + 1)):
                scale = code.splat(code.load(code.along(scales, 4 * part), _F32, 4))
                logits = [code.fma(total(2 * part + h), scale, logits[h]) for h in range(2)]
            at, old = code.along(peaks, 4 * q), code.load(code.along(peaks, 4 * q), _F32, 4)
            mine = [code.along(running, code.bytes * ((1 + code.values) * q + v)) for v in range(1 + code.values)]
            largest = code.larger(*logits)
            above = b.bitcast(b.fcmp_ordered(">", largest, code.splat(old)), ir.IntType(code.w))
            before = b.block
            with b.if_then(b.icmp_unsigned("!=", above, ir.Constant(above.type, 0)), likely=False):
                top = code.call(f"llvm.vector.reduce.fmax.v{code.w}f32", _F32, largest)
                new = b.fadd(top, ir.Constant(_F32, _HEADROOM))
                code.store(new, at, 4)
                shrink = code.exp2(code.splat(b.fsub(old, new)))
                for where in mine:
                    code.store(b.fmul(code.load(where, code.floats), shrink), where)
                inside = b.block
            peak = b.phi(_F32)
            peak.add_incoming(old, before)
            peak.add_incoming(new, inside)
            weights = [code.exp2(b.fsub(logit, code.splat(peak))) for logit in logits]
            code.store(b.fadd(code.load(mine[0], code.floats), b.fadd(*weights)), mine[0])
            for where, halves in zip(mine[1:], pixels, strict=True):
                low = code.fma(weights[0], halves[0], code.load(where, code.floats))
                code.store(code.fma(weights[1], halves[1], low), where)
        return context.get_dummy_value()

    return types.void(form, sums, values, own, scales, mute, running, peaks), codegen


@intrinsic
@no_type_check
def _turn(typing, form, source, stride, count, target):
    """Sixteen pixels of 2 w images (the last of `count` again beyond them) across lanes: [16, 2 w] at `target`."""

    def codegen(context, builder, signature, args):
        _, source, stride, count, target = args
        code, b = _Code(builder, form), builder
        bytes16, n = ir.VectorType(_I8, 16), 2 * code.w
        last = b.sub(count, code.whole(1))
        rows = []
        for j in range(n):
            row = b.select(b.icmp_signed(">", last, code.whole(j)), code.whole(j), last)
            rows.append(code.load(b.add(source, b.mul(row, stride)), bytes16, 1))
        for _ in range(n.bit_length() - 1):  # each round moves one bit of the image's number behind the pixel's
            zipped = [(rows[i], rows[i + n // 2]) for i in range(n // 2)]
            rows = [
                code.pick(*two, [j + k for j in range(s, s + 8) for k in (0, 16)]) for two in zipped for s in (0, 8)
            ]
        middle = ir.Constant(bytes16, [-128] * 16)
        for number, row in enumerate(rows):
            code.store(b.sext(b.xor(row, middle), ir.VectorType(_I16, 16)), code.along(target, 32 * number), 16)
        return context.get_dummy_value()

    return types.void(form, source, stride, count, target), codegen


@kept()
@no_type_check
def _aligned(size):
    raw = np.empty(size + 64, np.uint8)
    start = (64 - raw.ctypes.data % 64) % 64
    return raw[start : start + size]


@kept()
@no_type_check
def walk(form, images, order, columns, factors, starts, source, target, slots, outputs, own, scales, block, chain):
    """Softmax averages of all rows over images [n d]: peaks [g m q] (base 2), weights and sums [g 1+v q m] of g groups.

    Blocks of images lie in a core's cache; within one, chains of rows run over each 2 w images in turn.
    """
    queries, values, w = len(form[0]), len(form[1]), len(form[2])
    codes = queries * len(form[4])
    rows_apart = 0 if len(form[3]) == 3 else 1
    n, d = images.shape
    rows, groups, lanes, size = len(outputs), factors.shape[0], 2 * w, 4 * w
    wide = max(d, 16)
    turned = _aligned(block * wide * lanes * 2).view(np.int16).reshape(block, wide, lanes)
    room = size * (2 * codes + 2)
    sums = _aligned(slots * block * room)
    running = _aligned(groups * rows * queries * (1 + values) * size).view(np.float32)
    running[:] = 0.0
    running = running.reshape(groups, rows, queries, 1 + values, w)
    peaks = np.full((groups, rows, queries), -np.inf, np.float32)
    mute = _aligned(2 * size).view(np.float32)
    where = np.empty(values, np.int64)
    narrow = np.zeros((lanes, 16), np.uint8)
    for first in range(0, n, block * lanes):
        here = min(block, (n - first + lanes - 1) // lanes)
        for s in range(here):
            begin = first + s * lanes
            count = min(lanes, n - begin)
            if d < 16:
                narrow[:count, :d] = images[begin : begin + count]
                _turn(
                    form, np.int64(narrow.ctypes.data), np.int64(16), np.int64(count), np.int64(turned[s].ctypes.data)
                )
            else:
                for p in range(0, d, 16):
                    p = min(p, d - 16)
                    at = np.int64(images.ctypes.data) + begin * d + p
                    _turn(form, at, np.int64(d), np.int64(count), np.int64(turned[s, p].ctypes.data))
        for g in range(groups):
            for start in range(0, rows, chain):
                for s in range(here):
                    for i in range(lanes):
                        mute[i] = 0.0 if order[i] < n - first - s * lanes else -np.inf
                    base = np.int64(turned[s].ctypes.data)
                    for m in range(start, min(rows, start + chain)):
                        into = np.int64(sums.ctypes.data) + (target[m] * block + s) * room
                        out = np.int64(0)
                        if source[m] >= 0:
                            out = np.int64(sums.ctypes.data) + (source[m] * block + s) * room
                        o = starts[m]
                        some = np.int64(columns.ctypes.data) + 4 * o
                        row = g * factors.shape[1] + rows_apart * o
                        code = np.int64(factors.ctypes.data) + 4 * factors.shape[2] * row
                        _collect(form, out, into, base, some, code, starts[m + 1] - o)
                        for v in range(values):
                            where[v] = base + np.int64(outputs[m, v]) * lanes * 2
                        scale = np.int64(scales.ctypes.data) + 4 * codes * g
                        to = np.int64(running.ctypes.data) + size * (1 + values) * queries * (g * rows + m)
                        top = np.int64(peaks.ctypes.data) + 4 * queries * (g * rows + m)
                        at = np.int64(where.ctypes.data)
                        _weigh(form, into, at, own, scale, np.int64(mute.ctypes.data), to, top)
    total = np.zeros((groups, 1 + values, queries, rows), np.float64)
    for g in range(groups):
        for m in range(rows):
            for q in range(queries):
                for v in range(1 + values):
                    for i in range(w):
                        total[g, v, q, m] += running[g, m, q, v, i]
    return peaks, total


KEPT = how_kept(walk)


def compiled(form) -> bool:
    """Whether the loop of a form is at hand in this process."""
    return any(str(signature[0]) == str(typeof(form)) for signature in walk.signatures)
