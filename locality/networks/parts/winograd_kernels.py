"""Winograd's convolution F(4x4, 3x3), compiled: Lavin and Gray, CVPR 2016 (arXiv 1509.09308), appendix of its preprint.

Each tile of 4x4 outputs is computed from the 6x6 inputs that they see, at 36 points of the polynomials whose product
the convolution is: 36 multiplications where its sums have 144. At every point the tiles' channels are a matrix product.
A block of tiles goes through all three steps while it lies in the core's cache. Channels lie side by side, as the
lanes of vectors; what is outside an image is read from zeros and written to a place that nobody reads.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, misc, untyped-decorator"
from __future__ import annotations

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from locality.vectors import Vectors, address, how_kept, kept, processor

LANES = processor()[0]
POINTS, SIDE, SEEN = 36, 4, 6
ROWS = 6  # of a product at a time: with two vectors of columns, their sums are all in registers
BLOCK = 24  # tiles; their inputs and outputs at all points are some hundred kB
_APART = 16  # more values between the planes of the points, which would else fall to the same few lines of the cache
_I64, _F32 = ir.IntType(64), ir.FloatType()


class _Code(Vectors):
    def __init__(self, builder):
        super().__init__(builder, LANES)

    def plus(self, factor, a, b):
        """factor * a + b."""
        return self.fma(self.constant(self.floats, float(factor)), a, b)

    def square(self, rule, values):
        """A rule for a row of vectors, along both axes of a square of them."""
        once = [rule(self, column) for column in zip(*values, strict=True)]
        return [rule(self, row) for row in zip(*once, strict=True)]

    def there(self, addresses, number):
        """The address at a place of a list of them."""
        return self.load(self.along(addresses, 8 * number), _I64, 8)


def _inputs(code, d):
    """B^T d."""
    a, b = code.plus(-4, d[2], d[4]), code.plus(-4, d[1], d[3])
    c, e = code.b.fsub(d[4], d[2]), code.b.fsub(d[3], d[1])
    first, last = code.plus(4, d[0], code.plus(-5, d[2], d[4])), code.plus(4, d[1], code.plus(-5, d[3], d[5]))
    return [first, code.b.fadd(a, b), code.b.fsub(a, b), code.plus(2, e, c), code.plus(-2, e, c), last]


def _outputs(code, m):
    """A^T m."""
    s, t = code.b.fadd(m[1], m[2]), code.b.fsub(m[1], m[2])
    u, v = code.b.fadd(m[3], m[4]), code.b.fsub(m[3], m[4])
    first, last = code.b.fadd(code.b.fadd(m[0], s), u), code.b.fadd(code.plus(8, v, t), m[5])
    return [first, code.plus(2, v, t), code.plus(4, u, s), last]


def _slopes(code, y):
    """A y: how a derivative by the outputs goes back to the points."""
    s, t = code.b.fadd(y[0], y[2]), code.b.fadd(y[1], y[3])
    u, v = code.plus(4, y[2], y[0]), code.plus(4, y[3], y[1])
    return [y[0], code.b.fadd(s, t), code.b.fsub(s, t), code.plus(2, v, u), code.plus(-2, v, u), y[3]]


def _to_points(rule, side):
    @intrinsic
    @no_type_check
    def to_points(typing, places, found, apart, count):
        """`count` vectors of each of a square of places, to 36 points `apart` bytes from each other."""

        def codegen(context, builder, signature, args):
            places, found, apart, count = args
            code, b = _Code(builder), builder

            def vector(number, _):
                at = b.mul(number, code.whole(code.bytes))
                there = [[code.along(code.there(places, side * i + j), at) for j in range(side)] for i in range(side)]
                values = code.square(rule, [[code.load(place, code.floats, 4) for place in row] for row in there])
                for point, value in enumerate(value for row in values for value in row):
                    code.store(value, code.along(code.along(found, at), b.mul(code.whole(point), apart)), 4)
                return []

            code.loop(count, [], vector)
            return context.get_dummy_value()

        return types.void(places, found, apart, count), codegen

    return to_points


_inputs_to_points, _slopes_to_points = _to_points(_inputs, SEEN), _to_points(_slopes, SIDE)


@intrinsic
@no_type_check
def _from_points(typing, points, apart, bias, places, count):
    """`count` vectors at 36 points, plus the bias, to a square of 4x4 places."""

    def codegen(context, builder, signature, args):
        points, apart, bias, places, count = args
        code, b = _Code(builder), builder

        def vector(number, _):
            at = b.mul(number, code.whole(code.bytes))
            here = [code.along(code.along(points, at), b.mul(code.whole(n), apart)) for n in range(POINTS)]
            values = [[code.load(here[SEEN * i + j], code.floats, 4) for j in range(SEEN)] for i in range(SEEN)]
            more = code.load(code.along(bias, at), code.floats, 4)
            for place, value in enumerate(value for row in code.square(_outputs, values) for value in row):
                code.store(b.fadd(value, more), code.along(code.there(places, place), at), 4)
            return []

        code.loop(count, [], vector)
        return context.get_dummy_value()

    return types.void(points, apart, bias, places, count), codegen


@intrinsic
@no_type_check
def _product(typing, left, down, along, right, step, count, found, apart, more):
    """Six rows, two vectors wide, of sums over `count` of left * right; added to what is there if `more`.

    Left values lie `down` bytes apart between rows and `along` between terms, right vectors `step` between terms.
    """

    def codegen(context, builder, signature, args):
        left, down, along, right, step, count, found, apart, more = args
        code, b = _Code(builder), builder
        lines = [code.along(found, b.mul(code.whole(i), apart)) for i in range(ROWS)]
        places = [code.along(line, j * code.bytes) for line in lines for j in range(2)]
        adds, nothing = b.icmp_signed("!=", more, code.whole(0)), code.constant(code.floats, 0.0)
        rows = [b.mul(code.whole(i), down) for i in range(ROWS)]

        def term(_, values):
            left, right, *sums = values
            factors = [code.load(code.along(right, j * code.bytes), code.floats, 4) for j in range(2)]
            values = [code.splat(code.load(code.along(left, row), _F32, 4)) for row in rows]
            pairs = [(value, factor) for value in values for factor in factors]
            new = [code.fma(*pair, total) for pair, total in zip(pairs, sums, strict=True)]
            return [code.along(left, along), code.along(right, step), *new]

        start = [b.select(adds, code.load(place, code.floats, 4), nothing) for place in places]
        _, _, *sums = code.loop(count, [left, right, *start], term)
        for place, total in zip(places, sums, strict=True):
            code.store(total, place, 4)
        return context.get_dummy_value()

    return types.void(left, down, along, right, step, count, found, apart, more), codegen


@kept()
@no_type_check
def _multiply(left, down, along, right, step, panel, count, rows, columns, found, apart, more):
    """found [rows columns] = sums over `count` of left * right, or more of them; addresses and bytes as above.

    Two vectors of columns of the right are `panel` bytes after those before.
    """
    for j in range(columns // (2 * LANES)):
        for i in range(0, rows, ROWS):
            to = found + i * apart + 8 * LANES * j
            _product(left + i * down, down, along, right + j * panel, step, count, to, apart, more)


@kept()
@no_type_check
def _places(found, images, tile, side, nowhere):
    """Addresses of the square of `side` places around a tile's outputs; `nowhere` for those outside of its image."""
    _, h, w, channels = images.shape
    across = (w + SIDE - 1) // SIDE
    each = (h + SIDE - 1) // SIDE * across
    image, number = tile // each, tile % each
    top, left = SIDE * (number // across), SIDE * (number % across)
    margin = (side - SIDE) // 2
    for i in range(side):
        for j in range(side):
            y, x = top + i - margin, left + j - margin
            inside = 0 <= y < h and 0 <= x < w
            found[side * i + j] = (
                address(images) + 4 * channels * ((image * h + y) * w + x) if inside else address(nowhere)
            )


@kept()
@no_type_check
def convolve(images, weights, bias, found, first, last):
    """Tiles from `first` to `last` of found [b h w o], from images [b h w c].

    Weights at the points [36 panels c two-vectors], as wide as the panels together, and the bias, as wide.
    """
    c, o, panels = images.shape[3], found.shape[3], weights.shape[1]
    wide = panels * 2 * LANES
    plane, back = BLOCK * c + _APART, BLOCK * wide + _APART
    seen, answers = np.empty(POINTS * plane, np.float32), np.empty(POINTS * back, np.float32)
    zeros, lost = np.zeros(c, np.float32), np.empty(o, np.float32)
    places = np.empty(SEEN * SEEN, np.int64)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        for t in range(count):
            _places(places, images, start + t, SEEN, zeros)
            _inputs_to_points(address(places), address(seen) + 4 * t * c, 4 * plane, c // LANES)
        for point in range(POINTS):
            left, right = address(seen) + 4 * point * plane, address(weights) + 4 * point * wide * c
            to, step = address(answers) + 4 * point * back, 8 * LANES
            _multiply(left, 4 * c, 4, right, step, step * c, c, count, wide, to, 4 * wide, 0)
        for t in range(count):
            _places(places, found, start + t, SIDE, lost)
            here = address(answers) + 4 * t * wide
            _from_points(here, 4 * back, address(bias), address(places), o // LANES)


@kept()
@no_type_check
def correlate(images, slopes, found, first, last):
    """Adds to the derivative by the weights at the points, found [36 c+ o+]: c in whole sixes, o in whole panels.

    Of tiles from `first` to `last`; images [b h w c], derivative by the outputs [b h w o].
    """
    c, o, rows, wide = images.shape[3], slopes.shape[3], found.shape[1], found.shape[2]
    plane, back = BLOCK * rows + _APART, BLOCK * wide + _APART
    seen, slope = np.zeros(POINTS * plane, np.float32), np.zeros(POINTS * back, np.float32)
    zeros = np.zeros(max(c, o), np.float32)
    places = np.empty(SEEN * SEEN, np.int64)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        for t in range(count):
            _places(places, images, start + t, SEEN, zeros)
            _inputs_to_points(address(places), address(seen) + 4 * t * rows, 4 * plane, c // LANES)
            _places(places, slopes, start + t, SIDE, zeros)
            _slopes_to_points(address(places), address(slope) + 4 * t * wide, 4 * back, o // LANES)
        for point in range(POINTS):
            left, right = address(seen) + 4 * point * plane, address(slope) + 4 * point * back
            to = address(found) + 4 * point * rows * wide
            _multiply(left, 4, 4 * rows, right, 4 * wide, 8 * LANES, count, rows, wide, to, 4 * wide, 1)


KEPT = how_kept(convolve)
