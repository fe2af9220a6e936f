"""Loops compiled for this processor by Numba, some with vector instructions written by hand; no compiler is needed.

LLVM gives up on many loops in Python, whose arrays might overlap; of these instructions it makes the processor's own.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, misc, no-any-return, untyped-decorator"
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core.cgutils import get_or_insert_function
from numba.core.registry import cpu_target

INTEGER, PORTABLE = 1, 2
_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_NODES = np.cos((np.arange(64) + 0.5) * np.pi / 64) / 2
_OURS = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
_EXP2 = np.polyfit(_NODES, np.exp2(_NODES), 5).astype(np.float32).tolist()  # 2^f, |f| <= 1/2, right to 1e-7


def processor() -> tuple[int, int]:
    """Lanes of 32 bits of the widest vectors here, and INTEGER where it adds 16-bit products in pairs."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    if not triple.startswith("x86_64"):
        return 4, PORTABLE
    have = features.split(",")
    return (16 if "+avx512bw" in have else 8 if "+avx2" in have else 4), INTEGER


class Vectors:
    """Writes LLVM's instructions for vectors of w lanes; addresses are whole numbers, vectors lie aligned."""

    def __init__(self, builder, w):
        self.b, self.w = builder, w
        self.bytes = 4 * w
        self.ints, self.floats = ir.VectorType(_I32, w), ir.VectorType(_F32, w)

    def whole(self, number):
        return ir.Constant(_I64, number)

    def constant(self, kind, number):
        return ir.Constant(kind, [number] * kind.count)

    def along(self, address, offset):
        return self.b.add(address, offset if isinstance(offset, ir.Value) else self.whole(offset))

    def load(self, address, kind, align=0):
        return self.b.load(self.b.inttoptr(address, kind.as_pointer()), align=align or self.bytes)

    def store(self, value, address, align=0):
        self.b.store(value, self.b.inttoptr(address, value.type.as_pointer()), align=align or self.bytes)

    def pick(self, first, second, lanes):
        return self.b.shuffle_vector(first, second, ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes)))

    def splat(self, scalar):
        nothing = ir.Constant(ir.VectorType(scalar.type, self.w), ir.Undefined)
        return self.pick(self.b.insert_element(nothing, scalar, ir.Constant(_I32, 0)), nothing, [0] * self.w)

    def call(self, name, result, *args):
        kind = ir.FunctionType(result, [arg.type for arg in args])
        return self.b.call(get_or_insert_function(self.b.module, kind, name), args)

    def fma(self, a, b, c):
        return self.call(f"llvm.fma.v{self.w}f32", self.floats, a, b, c)

    def larger(self, a, b):
        return self.b.select(self.b.fcmp_ordered(">", a, b), a, b)

    def exp2(self, y):
        """2^y for y <= 0; below -115 as -115, so that nothing is denormal."""
        y = self.larger(y, self.constant(self.floats, -115.0))
        magic = self.constant(self.floats, 12582912.0)  # 1.5 * 2^23: the sum holds the nearest whole number below
        shifted = self.b.fadd(y, magic)
        rest = self.b.fsub(y, self.b.fsub(shifted, magic))
        found = self.constant(self.floats, _EXP2[0])
        for c in _EXP2[1:]:
            found = self.fma(found, rest, self.constant(self.floats, c))
        exponent = self.b.shl(self.b.bitcast(shifted, self.ints), self.constant(self.ints, 23))
        return self.b.bitcast(self.b.add(self.b.bitcast(found, self.ints), exponent), self.floats)

    def loop(self, count, start, body):
        """`body(number, values)` gives the next values; those after `count` rounds, which may be none."""
        head, inside, after = self.b.block, self.b.append_basic_block("inside"), self.b.append_basic_block("after")
        self.b.cbranch(self.b.icmp_signed(">", count, self.whole(0)), inside, after)
        self.b.position_at_end(inside)
        values = [self.b.phi(v.type) for v in (self.whole(0), *start)]
        found = [self.b.add(values[0], self.whole(1)), *body(values[0], values[1:])]
        for phi, before, new in zip(values, (self.whole(0), *start), found, strict=True):
            phi.add_incoming(before, head)
            phi.add_incoming(new, self.b.block)
        last = self.b.block
        self.b.cbranch(self.b.icmp_signed("<", found[0], count), inside, after)
        self.b.position_at_end(after)
        ends = [self.b.phi(v.type) for v in start]
        for phi, before, new in zip(ends, start, found[1:], strict=True):
            phi.add_incoming(before, head)
            phi.add_incoming(new, last)
        return ends


def kept(**options):
    """njit that lets other threads run, with its code kept on disk where there is a folder for that.

    Numba compiles anew when the file that a function is in has changed; here also when this one has, whose
    instructions the function may be made of.
    """

    def compiled(function):
        try:
            made = njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # no folder: neither beside this file, nor the user's, nor NUMBA_CACHE_DIR
            return njit(nogil=True, **options)(function)
        index = made._cache._cache_file
        index._source_stamp = (index._source_stamp, _OURS)
        return made

    return compiled


def how_kept(function) -> str:
    """In words, how often what `kept` made is compiled on this machine."""
    keeps = bool(function.stats.cache_path)
    return "once, then kept" if keeps else "in every process: set NUMBA_CACHE_DIR to a folder that can be written"


@kept()
@no_type_check
def address(array):
    """Where an array's values begin."""
    return np.int64(array.ctypes.data)
