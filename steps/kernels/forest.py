"""Trees on bit masks: 512 pixels at a time, every node of a tree compared, the path found by selection.

A pixel's feature is a byte: how many of the forest's thresholds it reaches. A node compares 64 bytes with one
instruction into a 64-bit mask; selecting masks level by level gives the path, six bits, which looks up the leaf. Each
pixel gets one addition per tree, in the order of the trees, as xgboost adds: so sums are equal to the last bit.

After Lucchese et al. 2015, QuickScorer (SIGIR), turned round: masks over pixels instead of masks over leaves.
"""

# ruff: noqa: ARG001 - the arguments of an intrinsic give its signature

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from steps.kernels.bins import JIT, PERMUTES, aligned, bin_row, splat

GROUPS = 8
"""Masks of 64 pixels that are handled together."""
BLOCK = 64 * GROUPS
DEPTH = 6
SLOTS = LEAVES = 1 << DEPTH
"""Inner nodes of a full tree in heap order, slot 0 unused; and its leaves."""
_I8, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()


@intrinsic
def compare(typing, bins, threshold, masks):
    """Store into 8 masks whether each of 512 bytes at address `bins` is above the threshold."""

    def generate(context, builder, _signature, arguments):
        vector = ir.VectorType(_I8, 64)
        source = builder.inttoptr(arguments[0], vector.as_pointer())
        target = builder.inttoptr(arguments[2], _I64.as_pointer())
        level = splat(builder, arguments[1], 64)
        for group in range(GROUPS):
            values = builder.load(builder.gep(source, [_I32(group)]), align=1)
            mask = builder.bitcast(builder.icmp_unsigned(">", values, level), _I64)
            builder.store(mask, builder.gep(target, [_I32(group)]))
        return context.get_dummy_value()

    return types.void(types.uintp, types.uint8, types.uintp), generate


@intrinsic
def follow(typing, masks, bits):
    """From 64 slots of 8 masks at address `masks`, store the 6 x 8 masks of the paths' bits at address `bits`."""

    def generate(context, builder, _signature, arguments):
        vector = ir.VectorType(_I64, GROUPS)
        source = builder.inttoptr(arguments[0], vector.as_pointer())
        target = builder.inttoptr(arguments[1], vector.as_pointer())
        path = []
        for depth in range(DEPTH):
            level = [builder.load(builder.gep(source, [_I32(s)]), align=8) for s in range(1 << depth, 2 << depth)]
            for bit in path:
                half = len(level) // 2
                level = [_choose(builder, level[i], level[i + half], bit) for i in range(half)]
            path.append(level[0])
            builder.store(level[0], builder.gep(target, [_I32(depth)]), align=8)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), generate


def _choose(builder, left, right, bit):
    return builder.xor(left, builder.and_(builder.xor(left, right), bit))


def _leaf_numbers(builder, source, group):
    """<64 x i8>: the leaves that the 6 masks of one group at pointer `source` lead to."""
    vector = ir.VectorType(_I8, 64)
    total = ir.Constant(vector, [0] * 64)
    for depth in range(DEPTH):
        mask = builder.load(builder.gep(source, [_I32(depth * GROUPS + group)]))
        chosen = builder.bitcast(mask, ir.VectorType(ir.IntType(1), 64))
        weight = ir.Constant(vector, [1 << (DEPTH - 1 - depth)] * 64)
        total = builder.or_(total, builder.select(chosen, weight, ir.Constant(vector, [0] * 64)))
    return total


@intrinsic
def leaf_numbers(typing, bits, numbers):
    """From the masks of 512 pixels at address `bits`, store 512 leaf numbers (bytes) at address `numbers`."""

    def generate(context, builder, _signature, arguments):
        source = builder.inttoptr(arguments[0], _I64.as_pointer())
        target = builder.inttoptr(arguments[1], ir.VectorType(_I8, 64).as_pointer())
        for group in range(GROUPS):
            found = _leaf_numbers(builder, source, group)
            builder.store(found, builder.gep(target, [_I32(group)]), align=1)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), generate


@intrinsic
def permute_leaves(typing, bits, leaves, sums):
    """Add to 512 sums at address `sums` the leaves that the masks at address `bits` lead to; needs AVX-512."""

    def generate(context, builder, _signature, arguments):
        floats, places = ir.VectorType(_F32, 16), ir.VectorType(_I32, 16)
        source = builder.inttoptr(arguments[0], _I64.as_pointer())
        table = builder.inttoptr(arguments[1], floats.as_pointer())
        target = builder.inttoptr(arguments[2], floats.as_pointer())
        quarters = [builder.load(builder.gep(table, [_I32(q)]), align=4) for q in range(4)]
        permute = builder.module.declare_intrinsic(
            "llvm.x86.avx512.vpermi2var.ps.512", (), ir.FunctionType(floats, [floats, places, floats])
        )
        for group in range(GROUPS):
            numbers = _leaf_numbers(builder, source, group)
            for part in range(4):
                lanes = ir.Constant(places, list(range(16 * part, 16 * part + 16)))
                chosen = builder.shuffle_vector(numbers, ir.Constant(numbers.type, ir.Undefined), lanes)
                number = builder.zext(chosen, places)
                low = builder.call(permute, [quarters[0], number, quarters[1]])
                high = builder.call(permute, [quarters[2], number, quarters[3]])
                upper = builder.icmp_unsigned(">", number, ir.Constant(places, [31] * 16))
                pointer = builder.gep(target, [_I32(4 * group + part)])
                added = builder.fadd(builder.load(pointer, align=4), builder.select(upper, high, low))
                builder.store(added, pointer, align=4)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.uintp), generate


@njit(**JIT)
def _look_up_leaves(bits, numbers, leaves, sums):
    leaf_numbers(np.uintp(bits.ctypes.data), np.uintp(numbers.ctypes.data))
    for i in range(BLOCK):
        sums[i] += leaves[numbers[i]]


@njit(**JIT)
def _permute_leaves(bits, numbers, leaves, sums):
    permute_leaves(np.uintp(bits.ctypes.data), np.uintp(leaves.ctypes.data), np.uintp(sums.ctypes.data))


# Chosen while importing: code for an instruction that the CPU lacks cannot even be compiled.
_add_leaves = _permute_leaves if PERMUTES else _look_up_leaves


@njit(**JIT)
def sum_trees(
    values, thresholds, row_feature, row_missing, node_slot, node_row, node_threshold, tree_first, tree_class, leaves,
    base, out,
):  # fmt: skip
    """out (class, n) float32: base plus the leaves of all trees, for values (feature, n) float32, NaN where missing.

    Row r bins feature row_feature[r] by thresholds[r], see bin_row, with code row_missing[r] for missing. Node k sets
    mask node_slot[k] where bins[node_row[k]] > node_threshold[k]; tree t has the nodes tree_first[t]:tree_first[t + 1]
    and leaves (tree, 64) float32. A leaf above the last level fills all places below it, so masks of slots that a tree
    lacks do not matter.
    """
    classes, n = out.shape
    masks, bits = aligned(SLOTS * BLOCK // 8).view(np.uint64), aligned(DEPTH * BLOCK // 8).view(np.uint64)
    sums = aligned(classes * BLOCK * 4).view(np.float32)
    bins, numbers = aligned(row_feature.shape[0] * BLOCK), aligned(BLOCK)
    for start in range(0, n, BLOCK):
        stop = min(n, start + BLOCK)
        for r in range(row_feature.shape[0]):
            f = row_feature[r]
            bin_row(values[f, start:stop], thresholds[r], row_missing[r], bins[r * BLOCK : (r + 1) * BLOCK])
        for c in range(classes):
            sums[c * BLOCK : (c + 1) * BLOCK] = base[c]
        for t in range(tree_class.shape[0]):
            for k in range(tree_first[t], tree_first[t + 1]):
                # An array is freed after its last use, which an address of it is not: addresses are taken in place.
                compare(
                    np.uintp(np.uintp(bins.ctypes.data) + np.uintp(node_row[k]) * BLOCK),
                    node_threshold[k],
                    np.uintp(np.uintp(masks.ctypes.data) + np.uintp(node_slot[k]) * (BLOCK // 8)),
                )
            follow(np.uintp(masks.ctypes.data), np.uintp(bits.ctypes.data))
            c = tree_class[t]
            _add_leaves(bits, numbers, leaves[t], sums[c * BLOCK : (c + 1) * BLOCK])
        for c in range(classes):
            for i in range(stop - start):
                out[c, start + i] = sums[c * BLOCK + i]


@njit(**JIT)
def softmax(margins, probabilities):
    """probabilities (class, n) of margins (class, n), both float32.

    As xgboost: expf of the difference to the largest, summed in double. expf is the C library's, as in xgboost.
    """
    classes, n = margins.shape
    for i in range(n):
        largest, total = margins[0, i], 0.0
        for c in range(1, classes):
            largest = max(largest, margins[c, i])
        for c in range(classes):
            raised = np.exp(margins[c, i] - largest)
            probabilities[c, i] = raised
            total += np.float64(raised)
        for c in range(classes):
            probabilities[c, i] = probabilities[c, i] / np.float32(total)


@njit(**JIT)
def sigmoid(margins, probabilities):
    """probabilities (2, n) of margins (1, n), both float32; as xgboost, and its XGBClassifier for the first class."""
    for i in range(margins.shape[1]):
        raised = np.exp(min(-margins[0, i], np.float32(88.7)))
        probabilities[1, i] = np.float32(1) / (raised + np.float32(1))
        probabilities[0, i] = np.float32(1) - probabilities[1, i]


@njit(**JIT)
def logit(probability):
    """The margin of a probability, float32; as xgboost, with the C library's logf."""
    return -np.log(np.float32(1) / probability - np.float32(1))


@njit(**JIT)
def rank(probabilities, best, confidence, margin):
    """The likeliest class of probabilities (class, n), the first of equals; its percent, its lead in percent."""
    classes, n = probabilities.shape
    for i in range(n):
        top, first, second = 0, probabilities[0, i], np.float32(0)
        for c in range(1, classes):
            p = probabilities[c, i]
            if p > first:
                top, first, second = c, p, first
            elif p > second:
                second = p
        best[i] = top
        confidence[i] = np.uint8(np.rint(first * np.float32(100)))
        margin[i] = np.uint8(np.rint((first - second) * np.float32(100)))
