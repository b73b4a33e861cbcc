# Generated from specs/sm3.yaml by thetac 0.1.0; do not edit.
"""SM3 on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "accumulator", "momentum_buffer")
CHUNK = 8192  # elements per program
SMALL = ("row", "column", )
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def tensor_program(
    tensors,
    chunks,
    rows,
    geometry,
    numbers,
    vectors,
    partials,
    vector_partials,
    header: tl.constexpr,
    row_dtype: tl.constexpr,
    column_dtype: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    momentum_positive: tl.constexpr,
    tile_matrices: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_steps: tl.constexpr,
    group_matrices: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 0; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 6) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    row_ptr = ops.pointer(tl.load(tensor + header + 4), row_dtype, 0)
    column_ptr = ops.pointer(tl.load(tensor + header + 5), column_dtype, 0)
    matrices, height, width = folds.extents(place)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    if param_rank_above_one:
        new_row_ptr = folds.vector(vectors, place, 1, 1, 0)
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if param_rank_above_one:
                row_ = ops.load(row_ptr + at, inside, math)
            if param_rank_above_one:
                # new_row = row
                new_row = row_
                tl.store(new_row_ptr + at, new_row, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        new_column_ptr = folds.vector(vectors, place, 2, 1, 0)
        for first in range(first_matrix * width, last_matrix * width, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * width
            if param_rank_above_one:
                column = ops.load(column_ptr + at, inside, math)
            if param_rank_above_one:
                # new_column = column
                new_column = column
                tl.store(new_column_ptr + at, new_column, mask=inside)


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    accumulator_ptr,
    momentum_buffer_ptr,
    offsets,
    mask,
    one_minus_momentum,
    momentum_minus_one,
    lr,
    new_row,
    new_column,
    max_for_row,
    max_for_column,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    momentum_positive: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    if not param_rank_above_one:
        accumulator = ops.load(accumulator_ptr + offsets, mask, math)
    if momentum_positive:
        momentum_buffer = ops.load(momentum_buffer_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if param_rank_above_one:
        # bound = minimum(new_row, new_column) + grad * grad
        bound = ops.minimum(new_row, new_column) + grad * grad
        new_bound = bound
    else:
        accumulator = accumulator + grad * grad
        bound = accumulator
    if param_rank_above_one:
        max_for_row = folds.max_lanes(max_for_row, new_bound, mask)
        max_for_column = folds.max_lanes(max_for_column, new_bound, mask)
    # scaled = (1 - momentum) * (grad * rsqrt(bound + 1e-30))
    scaled = one_minus_momentum * (grad * ops.rsqrt(bound + 1e-30))
    direction = scaled
    if momentum_positive:
        # momentum_buffer = momentum_buffer + (momentum_buffer * (momentum - 1) + scaled)
        momentum_buffer = momentum_buffer + (momentum_buffer * momentum_minus_one + scaled)
        direction = momentum_buffer
    param = param - lr * direction

    ops.store(param_ptr + offsets, param, mask)
    if not param_rank_above_one:
        ops.store(accumulator_ptr + offsets, accumulator, mask)
    if momentum_positive:
        ops.store(momentum_buffer_ptr + offsets, momentum_buffer, mask)
    return max_for_row, max_for_column


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    geometry,
    numbers,
    vectors,
    partials,
    vector_partials,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    accumulator_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    momentum_positive: tl.constexpr,
    tile_matrices: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_steps: tl.constexpr,
    row_alignment: tl.constexpr,
    grad_scale=None,
    clip_factor=None,
    found_inf=None,
):
    """One step of one tile of one tensor, `tile_steps` times as high as a block; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = rows.dtype.element_ty
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 6) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 3 * tl.load(tensor + 1)
    one_minus_momentum = tl.load(row + 0)
    momentum_minus_one = tl.load(row + 1)
    lr = tl.load(row + 2)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    accumulator_address = tl.load(tensor + header + 2)
    momentum_buffer_address = tl.load(tensor + header + 3)

    matrices, height, width = folds.extents(place)
    tile = tl.load(chunk + 1)
    first_matrix, first_row, first_column = folds.tile_start(
        tile, height, width, tile_matrices, tile_rows * tile_steps, tile_columns
    )
    start = (first_matrix.to(tl.int64) * height + first_row) * width + first_column
    at_matrix = first_matrix + tl.arange(0, tile_matrices)[:, None, None]
    at_column = first_column + tl.arange(0, tile_columns)[None, None, :]
    from_matrix = tl.arange(0, tile_matrices)[:, None, None] * height
    across = (at_matrix < matrices) & (at_column < width)
    new_row_ptr = folds.vector(vectors, place, 1, 1, 0)
    if param_rank_above_one:
        new_column = tl.load(folds.vector(vectors, place, 2, 1, 0) + at_matrix * width + at_column, mask=across).to(
            math
        )
    else:
        new_column = 0.0
    max_for_row_ptr = folds.vector_partials(vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns)
    max_for_row_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    max_for_column_ptr = folds.vector_partials(vector_partials, place, 6, 1, 0, 0, tile_rows * tile_steps, tile_columns)
    max_for_column_ptr += (first_row // (tile_rows * tile_steps)).to(tl.int64) * matrices * width
    max_for_column = folds.max_start((tile_matrices, tile_rows, tile_columns), math)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        accumulator_ptr = ops.aligned_pointer(accumulator_address, accumulator_dtype, start)
        momentum_buffer_ptr = ops.aligned_pointer(momentum_buffer_address, momentum_buffer_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                new_row = tl.load(new_row_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                new_row = 0.0
            max_for_row = folds.max_start((tile_matrices, tile_rows, tile_columns), math)
            max_for_row, max_for_column = update_elements(
                param_ptr,
                grad_ptr,
                accumulator_ptr,
                momentum_buffer_ptr,
                offsets,
                None,
                one_minus_momentum,
                momentum_minus_one,
                lr,
                new_row,
                new_column,
                max_for_row,
                max_for_column,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
                momentum_positive,
            )
            if param_rank_above_one:
                tl.store(max_for_row_ptr + at_matrix * height + at_row, folds.max_along(max_for_row, 2), mask=along)
    else:
        apart = width
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        accumulator_ptr = ops.pointer(accumulator_address, accumulator_dtype, start)
        momentum_buffer_ptr = ops.pointer(momentum_buffer_address, momentum_buffer_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                new_row = tl.load(new_row_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                new_row = 0.0
            max_for_row = folds.max_start((tile_matrices, tile_rows, tile_columns), math)
            max_for_row, max_for_column = update_elements(
                param_ptr,
                grad_ptr,
                accumulator_ptr,
                momentum_buffer_ptr,
                offsets,
                across & along,
                one_minus_momentum,
                momentum_minus_one,
                lr,
                new_row,
                new_column,
                max_for_row,
                max_for_column,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
                momentum_positive,
            )
            if param_rank_above_one:
                tl.store(max_for_row_ptr + at_matrix * height + at_row, folds.max_along(max_for_row, 2), mask=along)

    if param_rank_above_one:
        tl.store(max_for_column_ptr + at_matrix * width + at_column, folds.max_along(max_for_column, 1), mask=across)


@triton.jit
def tensor_program_1(
    tensors,
    chunks,
    rows,
    geometry,
    numbers,
    vectors,
    partials,
    vector_partials,
    header: tl.constexpr,
    row_dtype: tl.constexpr,
    column_dtype: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    momentum_positive: tl.constexpr,
    tile_matrices: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_steps: tl.constexpr,
    group_matrices: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 6) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    row_ptr = ops.pointer(tl.load(tensor + header + 4), row_dtype, 0)
    column_ptr = ops.pointer(tl.load(tensor + header + 5), column_dtype, 0)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    down = tl.cdiv(height, tile_rows * tile_steps)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    if param_rank_above_one:
        max_for_row_ptr = folds.vector(vectors, place, 0, 0, 0)
        max_for_row_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if param_rank_above_one:
                max_for_row = folds.max_tiles(max_for_row_partials_ptr, at, inside, across, matrices * height)
                tl.store(max_for_row_ptr + at, max_for_row, mask=inside)
                # row = max(new_bound, axis=-1)
                row_ = max_for_row
                ops.store(row_ptr + at, row_, inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        max_for_column_ptr = folds.vector(vectors, place, 1, 0, 0)
        max_for_column_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 1, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * width, last_matrix * width, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * width
            if param_rank_above_one:
                max_for_column = folds.max_tiles(max_for_column_partials_ptr, at, inside, down, matrices * width)
                tl.store(max_for_column_ptr + at, max_for_column, mask=inside)
                # column = max(new_bound, axis=-2)
                column = max_for_column
                ops.store(column_ptr + at, column, inside)


PASSES = (
    passes.PassKernels(
        program=tensor_program,
        divides=True,
        sweep=kernel,
        tiled=True,
        folds=passes.Counts(0, 1, 1, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=True,
        sweep=None,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(0, 2, 2, 0)
AXES = True  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, param_rank_above_one: bool, momentum_positive: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return param_rank_above_one
