"""Trees on bit masks: 512 pixels at a time, every node of a tree compared, the path found by selection.

A pixel's feature is a byte: how many of the forest's thresholds it reaches. A node compares 64 bytes with one
instruction into a 64-bit mask; selecting masks level by level gives the path, six bits, which looks up the leaf. Each
pixel gets one addition per tree, in the order of the trees, as xgboost adds: so sums are equal to the last bit.

After Lucchese et al. 2015, QuickScorer (SIGIR), turned round: masks over pixels instead of masks over leaves.
"""

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

GROUPS = 8
"""Masks of 64 pixels that are handled together."""
BLOCK = 64 * GROUPS
SLOTS = 64
"""Inner nodes of a tree of depth 6, heap order; slot 0 is not used."""
LEAVES = 64
_DEPTH = 6
_JIT: Any = {"nogil": True, "cache": True, "error_model": "numpy"}
_I8, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
HAS_PERMUTE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))


def _splat(builder, value, count):
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, count), ir.Undefined), value, _I32(0))
    undefined = ir.Constant(one.type, ir.Undefined)
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, count), [0] * count))


@intrinsic
def compare(typing, bins, threshold, masks):
    """Store into 8 masks whether each of 512 bytes at address `bins` is above the threshold."""

    def generate(_context, builder, _signature, arguments):
        vector = ir.VectorType(_I8, 64)
        source = builder.inttoptr(arguments[0], vector.as_pointer())
        target = builder.inttoptr(arguments[2], _I64.as_pointer())
        level = _splat(builder, arguments[1], 64)
        for group in range(GROUPS):
            values = builder.load(builder.gep(source, [_I32(group)]), align=1)
            mask = builder.bitcast(builder.icmp_unsigned(">", values, level), _I64)
            builder.store(mask, builder.gep(target, [_I32(group)]))
        return _context.get_dummy_value()

    return types.void(types.uintp, types.uint8, types.uintp), generate


@intrinsic
def follow(typing, masks, bits):
    """From 64 slots of 8 masks at address `masks`, store the 6 x 8 masks of the paths' bits at address `bits`."""

    def generate(_context, builder, _signature, arguments):
        vector = ir.VectorType(_I64, GROUPS)
        source = builder.inttoptr(arguments[0], vector.as_pointer())
        target = builder.inttoptr(arguments[1], vector.as_pointer())
        path = []
        for depth in range(_DEPTH):
            level = [builder.load(builder.gep(source, [_I32(s)]), align=8) for s in range(1 << depth, 2 << depth)]
            for bit in path:
                half = len(level) // 2
                level = [_choose(builder, level[i], level[i + half], bit) for i in range(half)]
            path.append(level[0])
            builder.store(level[0], builder.gep(target, [_I32(depth)]), align=8)
        return _context.get_dummy_value()

    return types.void(types.uintp, types.uintp), generate


def _choose(builder, left, right, bit):
    return builder.xor(left, builder.and_(builder.xor(left, right), bit))


@intrinsic
def leaf_numbers(typing, bits, numbers):
    """From the 6 masks of 64 pixels at address `bits` (8 masks apart), store 64 leaf numbers at address `numbers`."""

    def generate(_context, builder, _signature, arguments):
        source = builder.inttoptr(arguments[0], _I64.as_pointer())
        vector = ir.VectorType(_I8, 64)
        builder.store(_leaf_numbers(builder, source), builder.inttoptr(arguments[1], vector.as_pointer()), align=1)
        return _context.get_dummy_value()

    return types.void(types.uintp, types.uintp), generate


def _leaf_numbers(builder, source):
    vector = ir.VectorType(_I8, 64)
    total = ir.Constant(vector, [0] * 64)
    for depth in range(_DEPTH):
        mask = builder.load(builder.gep(source, [_I32(depth * GROUPS)]))
        chosen = builder.bitcast(mask, ir.VectorType(ir.IntType(1), 64))
        weight = ir.Constant(vector, [1 << (_DEPTH - 1 - depth)] * 64)
        total = builder.or_(total, builder.select(chosen, weight, ir.Constant(vector, [0] * 64)))
    return total


@intrinsic
def add_leaves_permuted(typing, bits, leaves, sums):
    """Add to 64 sums at address `sums` the leaves that the masks at address `bits` lead to; needs AVX-512."""

    def generate(_context, builder, _signature, arguments):
        floats, places = ir.VectorType(_F32, 16), ir.VectorType(_I32, 16)
        numbers = _leaf_numbers(builder, builder.inttoptr(arguments[0], _I64.as_pointer()))
        table = builder.inttoptr(arguments[1], floats.as_pointer())
        quarters = [builder.load(builder.gep(table, [_I32(q)]), align=4) for q in range(4)]
        target = builder.inttoptr(arguments[2], floats.as_pointer())
        permute = builder.module.declare_intrinsic(
            "llvm.x86.avx512.vpermi2var.ps.512", (), ir.FunctionType(floats, [floats, places, floats])
        )
        undefined = ir.Constant(numbers.type, ir.Undefined)
        for part in range(4):
            lanes = ir.Constant(places, list(range(16 * part, 16 * part + 16)))
            number = builder.zext(builder.shuffle_vector(numbers, undefined, lanes), places)
            low = builder.call(permute, [quarters[0], number, quarters[1]])
            high = builder.call(permute, [quarters[2], number, quarters[3]])
            upper = builder.icmp_unsigned(">", number, ir.Constant(places, [31] * 16))
            pointer = builder.gep(target, [_I32(part)])
            added = builder.fadd(builder.load(pointer, align=4), builder.select(upper, high, low))
            builder.store(added, pointer, align=4)
        return _context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.uintp), generate


@njit(**_JIT)
def _add_leaves_looked_up(bits, leaves, numbers, sums):
    leaf_numbers(bits, numbers.ctypes.data)
    for i in range(64):
        sums[i] += leaves[numbers[i]]


@njit(**_JIT)
def bin_values(values, thresholds, bins):
    """bins (2 * feature, n): thresholds reached; missing is 255 in the first half, 0 in the second.

    values (feature, n) float32; thresholds (feature, 256) float32, sorted, padded with NaN. A threshold is reached
    when threshold <= value, as xgboost goes right.
    """
    features, n = values.shape
    for f in range(features):
        row, table, high, low = values[f], thresholds[f], bins[f], bins[features + f]
        for i in range(n):
            v = row[i]
            reached = np.uint32(0)
            reached += np.uint32(128) if table[reached + np.uint32(127)] <= v else np.uint32(0)
            reached += np.uint32(64) if table[reached + np.uint32(63)] <= v else np.uint32(0)
            reached += np.uint32(32) if table[reached + np.uint32(31)] <= v else np.uint32(0)
            reached += np.uint32(16) if table[reached + np.uint32(15)] <= v else np.uint32(0)
            reached += np.uint32(8) if table[reached + np.uint32(7)] <= v else np.uint32(0)
            reached += np.uint32(4) if table[reached + np.uint32(3)] <= v else np.uint32(0)
            reached += np.uint32(2) if table[reached + np.uint32(1)] <= v else np.uint32(0)
            reached += np.uint32(1) if table[reached + np.uint32(0)] <= v else np.uint32(0)
            low[i] = np.uint8(reached)
            high[i] = np.uint8(reached) if v == v else np.uint8(255)  # noqa: PLR0124 - false for NaN


@njit(**_JIT)
def sum_trees(bins, node_slot, node_bin, node_threshold, tree_first, tree_class, leaves, base, permuted, out):
    """out (class, n) float32: base plus the leaves of all trees. bins (row, at least n rounded up to 512) uint8.

    Node k sets mask node_slot[k] where bins[node_bin[k]] > node_threshold[k]; tree t has the nodes
    tree_first[t]:tree_first[t + 1] and leaves (tree, 64) float32.
    """
    classes, n = out.shape
    masks, bits = np.zeros(SLOTS * GROUPS, np.uint64), np.empty(_DEPTH * GROUPS, np.uint64)
    sums, numbers = np.empty((classes, BLOCK), np.float32), np.empty(64, np.uint8)
    masks_at, bits_at, bins_at = masks.ctypes.data, bits.ctypes.data, bins.ctypes.data
    stride = bins.shape[1]
    for start in range(0, n, BLOCK):
        for c in range(classes):
            sums[c, :] = base[c]
        for t in range(tree_class.shape[0]):
            masks[:] = 0
            for k in range(tree_first[t], tree_first[t + 1]):
                compare(
                    np.uintp(bins_at + node_bin[k] * stride + start),
                    node_threshold[k],
                    np.uintp(masks_at + node_slot[k] * GROUPS * 8),
                )
            follow(np.uintp(masks_at), np.uintp(bits_at))
            row = sums[tree_class[t]]
            for group in range(GROUPS):
                if permuted:
                    add_leaves_permuted(
                        np.uintp(bits_at + 8 * group),
                        np.uintp(leaves[t].ctypes.data),
                        np.uintp(row.ctypes.data + 256 * group),
                    )
                else:
                    _add_leaves_looked_up(
                        np.uintp(bits_at + 8 * group), leaves[t], numbers, row[64 * group : 64 * group + 64]
                    )
        stop = min(BLOCK, n - start)
        for c in range(classes):
            for i in range(stop):
                out[c, start + i] = sums[c, i]


@njit(**_JIT)
def rank(margins, best, confidence, margin):
    """Turn margins (class, n) into probabilities in place; the best class, its confidence and lead in percent.

    Softmax as xgboost computes it: expf of the difference to the largest, summed in double.
    """
    classes, n = margins.shape
    for i in range(n):
        top = 0
        for c in range(1, classes):
            if margins[c, i] > margins[top, i]:
                top = c
        largest, total = margins[top, i], 0.0
        for c in range(classes):
            margins[c, i] = np.exp(margins[c, i] - largest)
            total += np.float64(margins[c, i])
        second = np.float32(0)
        for c in range(classes):
            margins[c, i] = margins[c, i] / np.float32(total)
            if c != top and margins[c, i] > second:
                second = margins[c, i]
        best[i] = top
        confidence[i] = np.uint8(np.rint(margins[top, i] * np.float32(100)))
        margin[i] = np.uint8(np.rint((margins[top, i] - second) * np.float32(100)))
