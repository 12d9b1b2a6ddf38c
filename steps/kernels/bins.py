"""Values to bytes: how many of up to 254 thresholds each reaches."""

# ruff: noqa: ARG001 - the arguments of an intrinsic give its signature

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

LEVELS = 8
PERMUTES = "+avx512f," in cpu_target.target_context.codegen()._tm_features + ","
"""Whether numba compiles for a CPU that looks 32 floats up with one instruction. Its cache is per CPU."""
JIT: Any = {"nogil": True, "cache": True, "error_model": "numpy"}
"""Options of every kernel."""
_LANES = 16
_FLOATS, _PLACES = ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(ir.IntType(32), _LANES)
_BYTES = ir.VectorType(ir.IntType(8), _LANES)


def search_order(thresholds: np.ndarray) -> np.ndarray:
    """Sorted thresholds (at most 255) as bin_row wants them, float32 (256): a heap, padded with NaN; place 0 unused."""
    padded = np.full(256, np.nan, np.float32)
    padded[: len(thresholds)] = thresholds
    steps = 256 >> np.arange(LEVELS)
    places = [np.arange(step // 2 - 1, 255, step) for step in steps]
    return padded[np.concatenate([[255], *places])]


def splat(builder, value, count):
    """A vector of `count` times the value."""
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, count), ir.Undefined), value, ir.IntType(32)(0))
    undefined = ir.Constant(one.type, ir.Undefined)
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count))


def _look_up(builder, table, place):
    """<16 x float>: the ones at `place` (<16 x i32>) of a table of 1, 2, 4 or 8 vectors of 16 floats."""
    module = builder.module
    if len(table) == 1:
        one = module.declare_intrinsic(
            "llvm.x86.avx512.permvar.sf.512", (), ir.FunctionType(_FLOATS, [_FLOATS, _PLACES])
        )
        return builder.call(one, [table[0], place])
    if len(table) == 2:
        two = module.declare_intrinsic(
            "llvm.x86.avx512.vpermi2var.ps.512", (), ir.FunctionType(_FLOATS, [_FLOATS, _PLACES, _FLOATS])
        )
        return builder.call(two, [table[0], place, table[1]])
    half = len(table) // 2
    low, high = (_look_up(builder, part, place) for part in (table[:half], table[half:]))
    upper = builder.and_(place, ir.Constant(_PLACES, [half * _LANES] * _LANES))
    return builder.select(builder.icmp_unsigned("!=", upper, ir.Constant(_PLACES, [0] * _LANES)), high, low)


@intrinsic
def bin_vectors(typing, values, thresholds, missing, bins, vectors):
    """As bin_row for 16 * `vectors` values, all at addresses; needs AVX-512. The thresholds stay in registers."""

    def generate(context, builder, _signature, arguments):
        values, thresholds, missing, bins, vectors = arguments
        source, target = builder.inttoptr(values, _FLOATS.as_pointer()), builder.inttoptr(bins, _BYTES.as_pointer())
        heap = builder.inttoptr(thresholds, ir.FloatType().as_pointer())
        levels = []
        for level in range(LEVELS):
            starts = range(1 << level, 2 << level, _LANES)
            pointers = [builder.gep(heap, [ir.IntType(32)(start)]) for start in starts]
            pointers = [builder.bitcast(pointer, _FLOATS.as_pointer()) for pointer in pointers]
            levels.append([builder.load(pointer, align=4) for pointer in pointers])
        code = builder.zext(splat(builder, missing, _LANES), _PLACES)
        one, none = ir.Constant(_PLACES, [1] * _LANES), ir.Constant(_PLACES, [0] * _LANES)
        with cgutils.for_range(builder, vectors) as loop:
            value = builder.load(builder.gep(source, [loop.index]), align=4)
            place = none
            for table in levels:
                reached = builder.fcmp_ordered("<=", _look_up(builder, table, place), value)
                place = builder.or_(builder.add(place, place), builder.select(reached, one, none))
            place = builder.select(builder.fcmp_unordered("uno", value, value), code, place)
            builder.store(builder.trunc(place, _BYTES), builder.gep(target, [loop.index]), align=1)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.uint8, types.uintp, types.uintp), generate


@njit(**JIT)
def aligned(count):
    """`count` zero bytes that start a cache line: loads of 64 bytes that straddle two cost double."""
    buffer = np.zeros(count + 64, np.uint8)
    first = (64 - buffer.ctypes.data % 64) % 64
    return buffer[first : first + count]


@njit(**JIT)
def bin_each(values, thresholds, missing, bins):
    """bins uint8 (n): thresholds reached by values float32 (n); `missing` where NaN.

    thresholds are in search_order. One is reached when threshold <= value.
    """
    for i in range(values.shape[0]):
        v = values[i]
        place = np.uint32(1)
        for _ in range(LEVELS):
            place = np.uint32(2) * place + (np.uint32(1) if thresholds[place] <= v else np.uint32(0))
        bins[i] = np.uint8(place) if v == v else missing  # noqa: PLR0124 - false for NaN


@njit(**JIT)
def _bin_wide(values, thresholds, missing, bins):
    wide = values.shape[0] // _LANES
    bin_vectors(
        np.uintp(values.ctypes.data), np.uintp(thresholds.ctypes.data), missing, np.uintp(bins.ctypes.data),
        np.uintp(wide),
    )  # fmt: skip
    bin_each(values[_LANES * wide :], thresholds, missing, bins[_LANES * wide :])


# Chosen while importing: code for an instruction that the CPU lacks cannot even be compiled.
bin_row = _bin_wide if PERMUTES else bin_each
