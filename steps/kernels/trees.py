"""Trees of any shape on bit masks: 512 pixels at a time, every inner node compared, the leaf found by a thermometer.

Number a tree's leaves from left to right. An inner node parts the leaves that it can lead to, start:end, at a boundary
k, and each boundary belongs to one node. Mask G[k] says for each pixel whether its leaf is k or further right. With the
mask of what the node itself compares, G[k] = G[end] | (compared & G[start]), from the root down; G[0] is everything,
G[leaves] nothing. So a node costs the same at any depth, and a tree by its leaves alone. The bits of a leaf's number
follow: bit b is the exclusive or of all G[k] where k is a multiple of 2 ** b.

After Lucchese et al. 2015, QuickScorer (SIGIR), turned round: masks over pixels instead of masks over leaves.
"""

# ruff: noqa: ARG001 - the arguments of an intrinsic give its signature

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from steps.kernels.bins import JIT, aligned, bin_row, splat
from steps.kernels.forest import BLOCK, GROUPS, compare

BLOCKS = 4
"""Blocks of pixels that pass each tree while it is in the cache."""
_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_MASK_BYTES = BLOCK // 8
_MASK = ir.VectorType(_I64, GROUPS)
_PARTS = BLOCK // 32
"""Vectors of 32 leaf numbers in a block."""


@intrinsic
def part(typing, masks, start, middle, end):
    """Of masks at address `masks`: G[middle], which holds what a node compares, becomes its boundary's mask."""

    def generate(context, builder, _signature, arguments):
        source = builder.inttoptr(arguments[0], _MASK.as_pointer())
        low, here, high = (builder.gep(source, [number]) for number in arguments[1:])
        compared = builder.and_(builder.load(here, align=64), builder.load(low, align=64))
        builder.store(builder.or_(compared, builder.load(high, align=64)), here, align=64)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.uintp, types.uintp), generate


@intrinsic
def number_bit(typing, masks, bit, leaves, above, numbers):
    """Add bit `bit` to 512 leaf numbers (uint16) at address `numbers`, from the masks of a tree of `leaves` leaves.

    To be called from the highest bit down: the mask at address `above` holds the bit before, and holds this one after.
    """

    def generate(context, builder, _signature, arguments):
        masks, bit, leaves, above, numbers = arguments
        source, running = (builder.inttoptr(address, _MASK.as_pointer()) for address in (masks, above))
        found = cgutils.alloca_once_value(builder, builder.load(running, align=64))
        first = builder.shl(bit.type(1), bit)
        with cgutils.for_range_slice(builder, first, leaves, builder.shl(first, bit.type(1)), bit.type) as (k, _):
            mask = builder.load(builder.gep(source, [k]), align=64)
            builder.store(builder.xor(builder.load(found), mask), found)
        builder.store(builder.load(found), running, align=64)
        vector = ir.VectorType(_I16, 32)
        weights = splat(builder, builder.trunc(first, _I16), 32)
        zero = ir.Constant(vector, [0] * 32)
        halves = builder.inttoptr(above, _I32.as_pointer())
        target = builder.inttoptr(numbers, vector.as_pointer())
        for number in range(_PARTS):
            chosen = builder.bitcast(
                builder.load(builder.gep(halves, [_I32(number)])), ir.VectorType(ir.IntType(1), 32)
            )
            place = builder.gep(target, [_I32(number)])
            added = builder.or_(builder.load(place, align=64), builder.select(chosen, weights, zero))
            builder.store(added, place, align=64)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.uintp, types.uintp, types.uintp), generate


def _adder(lanes):
    @intrinsic
    def add(typing, numbers, leaves, sums, width):
        vector = ir.VectorType(_I32, lanes)

        def generate(context, builder, _signature, arguments):
            numbers, leaves, sums, width = arguments
            source = builder.inttoptr(numbers, _I16.as_pointer())
            with cgutils.for_range(builder, ir.Constant(_I64, BLOCK)) as loop:
                number = builder.zext(builder.load(builder.gep(source, [loop.index])), _I64)
                leaf = builder.inttoptr(builder.add(leaves, builder.mul(number, width)), vector.as_pointer())
                place = builder.inttoptr(builder.add(sums, builder.mul(loop.index, width)), vector.as_pointer())
                added = builder.add(builder.load(place, align=4 * lanes), builder.load(leaf, align=4))
                builder.store(added, place, align=4 * lanes)
            return context.get_dummy_value()

        return types.void(types.uintp, types.uintp, types.uintp, types.uintp), generate

    return add


_add_eight, _add_sixteen = _adder(8), _adder(16)


def lanes(classes: int) -> int:
    """Integers per leaf and pixel that hold the sums of so many classes."""
    return 8 if classes <= 8 else -(-classes // 16) * 16


@njit(**JIT)
def _add_leaves(numbers, leaves, sums, width):
    """Add to 512 rows at address `sums` the rows at address `leaves` that numbers name: uint32, `width` bytes each."""
    numbers_at = np.uintp(numbers.ctypes.data)
    if width == 32:
        _add_eight(numbers_at, leaves, sums, width)
    else:
        for shift in range(0, width, 64):
            _add_sixteen(numbers_at, np.uintp(leaves + np.uintp(shift)), np.uintp(sums + np.uintp(shift)), width)


@njit(**JIT)
def bin_rows(values, thresholds, row_feature, row_missing, bins):
    """bins uint8 (block, row, 512) of values float32 (feature, n), at most as many as there are places."""
    n = values.shape[1]
    for b in range((n + BLOCK - 1) // BLOCK):
        start, stop = b * BLOCK, min(n, (b + 1) * BLOCK)
        for r in range(row_feature.shape[0]):
            bin_row(values[row_feature[r], start:stop], thresholds[r], row_missing[r], bins[b, r])


@njit(**JIT)
def find_leaves(bins, node_row, node_threshold, bounds, masks, above, numbers):
    """numbers uint16 (512): the leaf of each pixel in one tree of nodes from the root down.

    Node k is passed to the right where bins[node_row[k]] > node_threshold[k]; bounds uint16 (node, 3) are the first
    leaf that it can lead to, the first on its right, and the one after its last. masks (leaves + 1 at least) and above
    are scratch.
    """
    nodes = node_row.shape[0]
    at = np.uintp(masks.ctypes.data)
    bins_at = np.uintp(bins.ctypes.data)
    for k in range(nodes):
        compare(
            np.uintp(bins_at + np.uintp(node_row[k]) * BLOCK),
            node_threshold[k],
            np.uintp(at + np.uintp(bounds[k, 1]) * _MASK_BYTES),
        )
    masks[:GROUPS] = np.uint64(0xFFFFFFFFFFFFFFFF)
    masks[(nodes + 1) * GROUPS : (nodes + 2) * GROUPS] = np.uint64(0)
    for k in range(nodes):
        part(at, np.uintp(bounds[k, 0]), np.uintp(bounds[k, 1]), np.uintp(bounds[k, 2]))
    numbers[:] = np.uint16(0)
    above[:] = np.uint64(0)
    bit = 0
    while (2 << bit) <= nodes:
        bit += 1
    while bit >= 0:
        number_bit(at, np.uintp(bit), np.uintp(nodes + 1), np.uintp(above.ctypes.data), np.uintp(numbers.ctypes.data))
        bit -= 1


@njit(**JIT)
def sum_margins(
    values, thresholds, row_feature, row_missing, node_row, node_threshold, bounds, tree_first, leaves,
    tree_class, base, out,
):  # fmt: skip
    """out (class, n) float32: base plus the leaves of all trees in their order, for values (feature, n) float32.

    Row r bins feature row_feature[r] by thresholds[r], with code row_missing[r] for missing (NaN). Tree t has the nodes
    tree_first[t]:tree_first[t + 1], see find_leaves, and the leaves float32 from tree_first[t] + t on.
    """
    classes, n = out.shape
    trees, rows = tree_class.shape[0], row_feature.shape[0]
    most = 0
    for t in range(trees):
        most = max(most, tree_first[t + 1] - tree_first[t])
    masks, above = aligned((most + 2) * _MASK_BYTES).view(np.uint64), aligned(_MASK_BYTES).view(np.uint64)
    numbers = aligned(BLOCK * 2).view(np.uint16)
    bins = aligned(BLOCKS * rows * BLOCK).reshape(BLOCKS, rows, BLOCK)
    sums = aligned(classes * BLOCKS * BLOCK * 4).view(np.float32).reshape(classes, BLOCKS * BLOCK)
    for start in range(0, n, BLOCKS * BLOCK):
        stop = min(n, start + BLOCKS * BLOCK)
        blocks = (stop - start + BLOCK - 1) // BLOCK
        bin_rows(values[:, start:stop], thresholds, row_feature, row_missing, bins)
        for c in range(classes):
            sums[c] = base[c]
        for t in range(trees):
            first, last = tree_first[t], tree_first[t + 1]
            leaf = leaves[first + t : last + t + 1]
            for b in range(blocks):
                find_leaves(
                    bins[b], node_row[first:last], node_threshold[first:last], bounds[first:last], masks, above, numbers
                )
                total = sums[tree_class[t], b * BLOCK : (b + 1) * BLOCK]
                for i in range(BLOCK):
                    total[i] += leaf[numbers[i]]
        for c in range(classes):
            for i in range(stop - start):
                out[c, start + i] = sums[c, i]


@njit(**JIT)
def average_leaves(
    values, thresholds, row_feature, row_missing, node_row, node_threshold, bounds, tree_first, leaves, whole, out
):
    """out (class, n) float32: the mean of the leaves of all trees, for values (feature, n) float32, NaN where missing.

    As sum_margins, but leaves are uint32 (leaf, lane): probabilities in fixed point, lanes beyond the classes 0. The
    classes of one pixel sum to `whole`, below 2 ** 32. Sums of integers are exact, so their order does not matter.
    """
    classes, n = out.shape
    trees, rows, wide = tree_first.shape[0] - 1, row_feature.shape[0], leaves.shape[1]
    most = 0
    for t in range(trees):
        most = max(most, tree_first[t + 1] - tree_first[t])
    masks, above = aligned((most + 2) * _MASK_BYTES).view(np.uint64), aligned(_MASK_BYTES).view(np.uint64)
    numbers = aligned(BLOCK * 2).view(np.uint16)
    bins = aligned(BLOCKS * rows * BLOCK).reshape(BLOCKS, rows, BLOCK)
    sums = aligned(BLOCKS * BLOCK * wide * 4).view(np.uint32)
    leaves_at, width = np.uintp(leaves.ctypes.data), np.uintp(4 * wide)
    for start in range(0, n, BLOCKS * BLOCK):
        stop = min(n, start + BLOCKS * BLOCK)
        blocks = (stop - start + BLOCK - 1) // BLOCK
        bin_rows(values[:, start:stop], thresholds, row_feature, row_missing, bins)
        sums[:] = np.uint32(0)
        for t in range(trees):
            first, last = tree_first[t], tree_first[t + 1]
            here = leaves_at + np.uintp(first + t) * width
            for b in range(blocks):
                find_leaves(
                    bins[b], node_row[first:last], node_threshold[first:last], bounds[first:last], masks, above, numbers
                )
                sums_at = np.uintp(sums.ctypes.data)
                _add_leaves(numbers, here, np.uintp(sums_at + np.uintp(b * BLOCK) * width), width)
        for i in range(stop - start):
            for c in range(classes):
                out[c, start + i] = np.float32(sums[i * wide + c] / whole)
