"""Functions that generated Triton kernels of rules with reductions call: where tiles and scratch are, and the folds.

In: blocks of elements of one tensor, and pointers into the scratch that the launcher made. Out: sums and maxima whose
order follows from the shapes alone. A sweep adds up in the dtype of its arithmetic, lane by lane, over the elements of
one program; across lanes and programs everything is float64. Must not know any algorithm.

A tensor is a batch of matrices: `matrices` of `height` rows and `width` columns. One with fewer than two axes is a row.
docs/triton.md describes scratch and geometry; runtime/implementations/triton_scratch.py makes them.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# (values of a kernel have types of Triton's own, which its compiler infers)

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

BLOCK = tl.constexpr(512)  # entries that a tensor program reads at once; twice as many take 128 registers


@triton.jit
def extents(place):
    """Return matrices, height and width of a tensor, given its row of the geometry."""
    return tl.load(place).to(tl.int32), tl.load(place + 1).to(tl.int32), tl.load(place + 2).to(tl.int32)


@triton.jit
def tile_start(tile, height, width, tile_matrices: tl.constexpr, span: tl.constexpr, tile_columns: tl.constexpr):
    """Return the first matrix, row and column of a program's tile, `span` rows high."""
    across = tl.cdiv(width, tile_columns)
    down = tl.cdiv(height, span)
    return tile // (across * down) * tile_matrices, tile // across % down * span, tile % across * tile_columns


@triton.jit
def tiles_of_matrix(height, width, span: tl.constexpr, tile_columns: tl.constexpr):
    """Return how many tiles a matrix is cut into."""
    return tl.cdiv(width, tile_columns) * tl.cdiv(height, span)


@triton.jit
def vector(vectors, place, row_vectors: tl.constexpr, column_vectors: tl.constexpr, matrix_numbers: tl.constexpr):
    """Return a pointer to the scratch of a vector of a tensor, given how many of each sort precede it."""
    matrices, height, width = extents(place)
    before = matrices.to(tl.int64) * (row_vectors * height + column_vectors * width + matrix_numbers)
    return vectors + tl.load(place + 3) + before


@triton.jit
def vector_partials(
    partials,
    place,
    column: tl.constexpr,
    row_folds: tl.constexpr,
    column_folds: tl.constexpr,
    matrix_folds: tl.constexpr,
    span: tl.constexpr,
    tile_columns: tl.constexpr,
):
    """Return a pointer to the partial results of a fold along an axis, given how many of each sort precede it.

    The geometry has in `column` where those of this tensor begin. A fold has one for each tile that an entry crosses,
    tile after tile.
    """
    matrices, height, width = extents(place)
    across = tl.cdiv(width, tile_columns)
    down = tl.cdiv(height, span)
    before = row_folds * across * height + column_folds * down * width.to(tl.int64) + matrix_folds * across * down
    return partials + tl.load(place + column) + matrices * before


@triton.jit
def sum_start(shape: tl.constexpr, dtype: tl.constexpr):
    """Return what a sum of nothing is, for every lane."""
    return tl.zeros(shape, dtype)


@triton.jit
def max_start(shape: tl.constexpr, dtype: tl.constexpr):
    """Return what the maximum of nothing is, for every lane."""
    return tl.full(shape, float("-inf"), dtype)


@triton.jit
def sum_lanes(so_far, values, mask):
    """Return the sums of lanes with values added. Without a mask, all of them exist."""
    if mask is not None:
        values = tl.where(mask, values, 0)
    return so_far + values


@triton.jit
def max_lanes(so_far, values, mask):
    """Return the maxima of lanes and values; NaN stays. Without a mask, all of them exist."""
    if mask is not None:
        values = tl.where(mask, values, float("-inf"))
    return ops.maximum(so_far, values)


@triton.jit
def sum_along(lanes, axis: tl.constexpr):
    """Return the sums over lanes along one axis, which stays with the size 1: float64."""
    return tl.sum(lanes.to(tl.float64), axis=axis, keep_dims=True)


@triton.jit
def max_along(lanes, axis: tl.constexpr):
    """Return the maxima over lanes along one axis, which stays with the size 1: float64."""
    # A maximum is exact in the dtype of the lanes, where it takes half the registers and shuffles.
    return tl.reduce(lanes, axis, ops.maximum, keep_dims=True).to(tl.float64)


@triton.jit
def sum_all(lanes):
    """Return the sum over all lanes: a float64 number."""
    return tl.sum(lanes.to(tl.float64))


@triton.jit
def max_all(lanes):
    """Return the maximum over all lanes: a float64 number."""
    unordered = tl.max((lanes != lanes).to(tl.int32))
    largest = tl.max(tl.where(lanes != lanes, float("-inf"), lanes))
    return tl.where(unordered != 0, float("nan"), largest.to(tl.float64))


@triton.jit
def sum_range(pointer, first, last, stride: tl.constexpr):
    """Return the sum of the entries from `first` to `last`, which are `stride` numbers apart."""
    lanes = sum_start((BLOCK,), tl.float64)
    for begin in range(first, last, BLOCK):
        at = begin + tl.arange(0, BLOCK)
        lanes += tl.load(pointer + stride * at, mask=at < last, other=0).to(tl.float64)
    return sum_all(lanes)


@triton.jit
def max_range(pointer, first, last, stride: tl.constexpr):
    """Return the maximum of the entries from `first` to `last`, which are `stride` numbers apart."""
    lanes = max_start((BLOCK,), tl.float64)
    for begin in range(first, last, BLOCK):
        at = begin + tl.arange(0, BLOCK)
        inside = at < last
        lanes = max_lanes(lanes, tl.load(pointer + stride * at, mask=inside, other=0).to(tl.float64), inside)
    return max_all(lanes)


@triton.jit
def sum_tiles(pointer, at, inside, tiles, length):
    """Return for each entry `at` the sum of its partial results: `tiles` of them, each `length` after the last."""
    sums = sum_start(at.shape, tl.float64)
    apart = length.to(tl.int64)
    for tile in tl.range(0, tiles, loop_unroll_factor=4):
        sums += tl.load(pointer + tile * apart + at, mask=inside, other=0).to(tl.float64)
    return sums


@triton.jit
def max_tiles(pointer, at, inside, tiles, length):
    """Return for each entry `at` the maximum of its partial results; see `sum_tiles`."""
    largest = max_start(at.shape, tl.float64)
    apart = length.to(tl.int64)
    for tile in tl.range(0, tiles, loop_unroll_factor=4):
        largest = ops.maximum(largest, tl.load(pointer + tile * apart + at, mask=inside, other=0).to(tl.float64))
    return largest


@triton.jit
def sum_each(pointer, at, inside, length):
    """Return for each matrix `at` the sum of its `length` entries, which lie side by side."""
    entries: tl.constexpr = BLOCK // at.shape[0] if at.shape[0] < BLOCK else 1
    lanes = sum_start((at.shape[0], entries), tl.float64)
    for begin in range(0, length, entries):
        along = begin + tl.arange(0, entries)
        mask = inside[:, None] & (along < length)[None, :]
        lanes += tl.load(pointer + at[:, None] * length + along[None, :], mask=mask, other=0).to(tl.float64)
    return tl.sum(lanes, axis=1)


@triton.jit
def mean_of_blocks(pointer, at, inside, height, number):
    """Return for each row `at` the mean of its block: of the `number` blocks of each matrix the last may be shorter."""
    wanted = number.to(tl.int32)
    length = tl.cdiv(height, wanted)
    first = at % height // length * length
    size = tl.minimum(length, height - first)
    block = pointer + at // height * height + first
    sums = sum_start(at.shape, tl.float64)
    for entry in range(length):
        sums += tl.load(block + entry, mask=inside & (entry < size), other=0).to(tl.float64)
    return sums / size.to(tl.float64)


@triton.jit
def max_each(pointer, at, inside, length):
    """Return for each matrix `at` the maximum of its `length` entries, which lie side by side."""
    entries: tl.constexpr = BLOCK // at.shape[0] if at.shape[0] < BLOCK else 1
    lanes = max_start((at.shape[0], entries), tl.float64)
    for begin in range(0, length, entries):
        along = begin + tl.arange(0, entries)
        mask = inside[:, None] & (along < length)[None, :]
        values = tl.load(pointer + at[:, None] * length + along[None, :], mask=mask, other=0).to(tl.float64)
        lanes = max_lanes(lanes, values, mask)
    return tl.reshape(max_along(lanes, 1), at.shape)
