# Generated from specs/came.yaml by thetac 0.1.0; do not edit.
"""CAME on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq")
CHUNK = 8192  # elements per program
SMALL = ("exp_avg_sq_row", "exp_avg_sq_col", "exp_avg_res_row", "exp_avg_res_col", )
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    grad_ptr,
    offsets,
    mask,
    eps1,
    row_sum_square,
    column_sum_square,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if (param_rank_above_one) or grad_scale is not None:
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    square = grad * grad + eps1
    if param_rank_above_one:
        row_sum_square = folds.sum_lanes(row_sum_square, square, mask)
        column_sum_square = folds.sum_lanes(column_sum_square, square, mask)

    return row_sum_square, column_sum_square


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
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
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
    tensor = tensors + (header + 8) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 14 * tl.load(tensor + 1)
    eps1 = tl.load(row + 1)
    grad_address = tl.load(tensor + header + 1)

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
    row_sum_square_ptr = folds.vector_partials(vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns)
    row_sum_square_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    column_sum_square_ptr = folds.vector_partials(
        vector_partials, place, 6, 1, 0, 0, tile_rows * tile_steps, tile_columns
    )
    column_sum_square_ptr += (first_row // (tile_rows * tile_steps)).to(tl.int64) * matrices * width
    column_sum_square = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            row_sum_square = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_square, column_sum_square = update_elements(
                grad_ptr,
                offsets,
                None,
                eps1,
                row_sum_square,
                column_sum_square,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_square_ptr + at_matrix * height + at_row, folds.sum_along(row_sum_square, 2), mask=along
                )
    else:
        apart = width
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            row_sum_square = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_square, column_sum_square = update_elements(
                grad_ptr,
                offsets,
                across & along,
                eps1,
                row_sum_square,
                column_sum_square,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_square_ptr + at_matrix * height + at_row, folds.sum_along(row_sum_square, 2), mask=along
                )

    if param_rank_above_one:
        tl.store(
            column_sum_square_ptr + at_matrix * width + at_column, folds.sum_along(column_sum_square, 1), mask=across
        )


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
    exp_avg_sq_row_dtype: tl.constexpr,
    exp_avg_sq_col_dtype: tl.constexpr,
    exp_avg_res_row_dtype: tl.constexpr,
    exp_avg_res_col_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
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
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 8) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    row = rows + 14 * tl.load(tensor + 1)
    param_columns = tl.load(row + 2).to(math)
    beta2 = tl.load(row + 3).to(math)
    one_minus_beta2 = tl.load(row + 4).to(math)
    param_rows = tl.load(row + 5).to(math)
    exp_avg_sq_row_ptr = ops.pointer(tl.load(tensor + header + 4), exp_avg_sq_row_dtype, 0)
    exp_avg_sq_col_ptr = ops.pointer(tl.load(tensor + header + 5), exp_avg_sq_col_dtype, 0)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    down = tl.cdiv(height, tile_rows * tile_steps)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    if param_rank_above_one:
        row_sum_square_ptr = folds.vector(vectors, place, 0, 0, 0)
        new_exp_avg_sq_row_ptr = folds.vector(vectors, place, 4, 4, 0)
        row_sum_square_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if param_rank_above_one:
                exp_avg_sq_row = ops.load(exp_avg_sq_row_ptr + at, inside, math)
            if param_rank_above_one:
                row_sum_square = folds.sum_tiles(row_sum_square_partials_ptr, at, inside, across, matrices * height)
                tl.store(row_sum_square_ptr + at, row_sum_square, mask=inside)
                # row_mean_square = row_sum_square / param_columns
                row_mean_square = ops.divide(row_sum_square, param_columns)
                # exp_avg_sq_row = beta2 * exp_avg_sq_row + (1 - beta2) * row_mean_square
                exp_avg_sq_row = beta2 * exp_avg_sq_row + one_minus_beta2 * row_mean_square
                ops.store(exp_avg_sq_row_ptr + at, exp_avg_sq_row, inside)
                # new_exp_avg_sq_row = exp_avg_sq_row
                new_exp_avg_sq_row = exp_avg_sq_row
                tl.store(new_exp_avg_sq_row_ptr + at, new_exp_avg_sq_row, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        column_sum_square_ptr = folds.vector(vectors, place, 1, 0, 0)
        rsqrt_exp_avg_sq_col_ptr = folds.vector(vectors, place, 3, 2, 0)
        column_sum_square_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 1, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * width, last_matrix * width, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * width
            if param_rank_above_one:
                exp_avg_sq_col = ops.load(exp_avg_sq_col_ptr + at, inside, math)
            if param_rank_above_one:
                column_sum_square = folds.sum_tiles(column_sum_square_partials_ptr, at, inside, down, matrices * width)
                tl.store(column_sum_square_ptr + at, column_sum_square, mask=inside)
                # column_mean_square = column_sum_square / param_rows
                column_mean_square = ops.divide(column_sum_square, param_rows)
                # exp_avg_sq_col = beta2 * exp_avg_sq_col + (1 - beta2) * column_mean_square
                exp_avg_sq_col = beta2 * exp_avg_sq_col + one_minus_beta2 * column_mean_square
                ops.store(exp_avg_sq_col_ptr + at, exp_avg_sq_col, inside)
                # rsqrt_exp_avg_sq_col = rsqrt(exp_avg_sq_col)
                rsqrt_exp_avg_sq_col = ops.rsqrt(exp_avg_sq_col)
                tl.store(rsqrt_exp_avg_sq_col_ptr + at, rsqrt_exp_avg_sq_col, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        new_exp_avg_sq_row_ptr = folds.vector(vectors, place, 4, 4, 0)
        column_mean_exp_avg_sq_row_ptr = folds.vector(vectors, place, 5, 4, 0)
        for first in range(first_matrix, last_matrix, tile_matrices):
            at = first + tl.arange(0, tile_matrices)
            inside = at < last_matrix
            if param_rank_above_one:
                # column_sum_exp_avg_sq_row = sum(new_exp_avg_sq_row, axis=-2)
                column_sum_exp_avg_sq_row = folds.sum_each(new_exp_avg_sq_row_ptr, at, inside, height)
                # column_mean_exp_avg_sq_row = column_sum_exp_avg_sq_row / param_rows
                column_mean_exp_avg_sq_row = ops.divide(column_sum_exp_avg_sq_row, param_rows)
                tl.store(column_mean_exp_avg_sq_row_ptr + at, column_mean_exp_avg_sq_row, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        column_mean_exp_avg_sq_row_ptr = folds.vector(vectors, place, 5, 4, 0)
        scaled_part_ptr = folds.vector(vectors, place, 2, 2, 0)
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            column_mean_exp_avg_sq_row = ops.load(column_mean_exp_avg_sq_row_ptr + at // height, inside, math)
            if param_rank_above_one:
                exp_avg_sq_row = ops.load(exp_avg_sq_row_ptr + at, inside, math)
            if param_rank_above_one:
                # scaled_part = rsqrt(exp_avg_sq_row / column_mean_exp_avg_sq_row)
                scaled_part = ops.rsqrt(ops.divide(exp_avg_sq_row, column_mean_exp_avg_sq_row))
                tl.store(scaled_part_ptr + at, scaled_part, mask=inside)


@triton.jit
def update_elements_1(
    grad_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    eps1,
    beta2,
    one_minus_beta2,
    scaled_part,
    rsqrt_exp_avg_sq_col,
    sum_scaled_squared,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = ops.load(grad_ptr + offsets, mask, math)
    if not param_rank_above_one:
        exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    square = grad * grad + eps1
    if param_rank_above_one:
        scaled = grad * (scaled_part * rsqrt_exp_avg_sq_col)
    else:
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * square
        exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * square
        # scaled = grad * rsqrt(exp_avg_sq)
        scaled = grad * ops.rsqrt(exp_avg_sq)
    scaled_squared = scaled * scaled
    sum_scaled_squared = folds.sum_lanes(sum_scaled_squared, scaled_squared, mask)

    return sum_scaled_squared


@triton.jit
def kernel_1(
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
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
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
    tensor = tensors + (header + 8) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 14 * tl.load(tensor + 1)
    eps1 = tl.load(row + 1)
    beta2 = tl.load(row + 3)
    one_minus_beta2 = tl.load(row + 4)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_sq_address = tl.load(tensor + header + 3)

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
    scaled_part_ptr = folds.vector(vectors, place, 2, 2, 0)
    if param_rank_above_one:
        rsqrt_exp_avg_sq_col = tl.load(
            folds.vector(vectors, place, 3, 2, 0) + at_matrix * width + at_column, mask=across
        ).to(math)
    else:
        rsqrt_exp_avg_sq_col = 0.0
    sum_scaled_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                scaled_part = tl.load(scaled_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                scaled_part = 0.0
            sum_scaled_squared = update_elements_1(
                grad_ptr,
                exp_avg_sq_ptr,
                offsets,
                None,
                eps1,
                beta2,
                one_minus_beta2,
                scaled_part,
                rsqrt_exp_avg_sq_col,
                sum_scaled_squared,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
    else:
        apart = width
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                scaled_part = tl.load(scaled_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                scaled_part = 0.0
            sum_scaled_squared = update_elements_1(
                grad_ptr,
                exp_avg_sq_ptr,
                offsets,
                across & along,
                eps1,
                beta2,
                one_minus_beta2,
                scaled_part,
                rsqrt_exp_avg_sq_col,
                sum_scaled_squared,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )

    tl.store(partials + 1 * (tl.load(place + 7) + tile) + 0, folds.sum_all(sum_scaled_squared))


@triton.jit
def tensor_program_2(
    tensors,
    chunks,
    rows,
    geometry,
    numbers,
    vectors,
    partials,
    vector_partials,
    header: tl.constexpr,
    exp_avg_sq_row_dtype: tl.constexpr,
    exp_avg_sq_col_dtype: tl.constexpr,
    exp_avg_res_row_dtype: tl.constexpr,
    exp_avg_res_col_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    tile_matrices: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_steps: tl.constexpr,
    group_matrices: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 2; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 8) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 2 * tl.load(chunk).to(tl.int64)
    row = rows + 14 * tl.load(tensor + 1)
    param_size = tl.load(row + 6).to(math)
    clip_threshold = tl.load(row + 7).to(math)

    sum_scaled_squared = folds.sum_range(partials + 1 * tl.load(place + 7) + 0, 0, tl.load(place + 8).to(tl.int32), 1)
    tl.store(own_numbers + 0, sum_scaled_squared)
    # mean_scaled_squared = sum_scaled_squared / param_size
    mean_scaled_squared = ops.divide(sum_scaled_squared, param_size)
    # scaled_part_2 = maximum(sqrt(mean_scaled_squared) / clip_threshold, 1)
    scaled_part_2 = ops.maximum(ops.divide(ops.sqrt(mean_scaled_squared), clip_threshold), 1.0)
    tl.store(own_numbers + 1, scaled_part_2)


@triton.jit
def update_elements_2(
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    eps1,
    beta2,
    one_minus_beta2,
    beta1,
    one_minus_beta1,
    eps2,
    scaled_part,
    rsqrt_exp_avg_sq_col,
    scaled_part_2,
    row_sum_instability,
    column_sum_instability,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    if not param_rank_above_one:
        exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    square = grad * grad + eps1
    if param_rank_above_one:
        scaled = grad * (scaled_part * rsqrt_exp_avg_sq_col)
    else:
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * square
        exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * square
        # scaled = grad * rsqrt(exp_avg_sq)
        scaled = grad * ops.rsqrt(exp_avg_sq)
    # scaled = scaled / scaled_part_2
    scaled = ops.divide(scaled, scaled_part_2)
    # exp_avg = beta1 * exp_avg + (1 - beta1) * scaled
    exp_avg = beta1 * exp_avg + one_minus_beta1 * scaled
    if param_rank_above_one:
        instability = (scaled - exp_avg) * (scaled - exp_avg) + eps2
    if param_rank_above_one:
        row_sum_instability = folds.sum_lanes(row_sum_instability, instability, mask)
        column_sum_instability = folds.sum_lanes(column_sum_instability, instability, mask)

    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    if not param_rank_above_one:
        ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    return row_sum_instability, column_sum_instability


@triton.jit
def kernel_2(
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
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
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
    tensor = tensors + (header + 8) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 14 * tl.load(tensor + 1)
    eps1 = tl.load(row + 1)
    beta2 = tl.load(row + 3)
    one_minus_beta2 = tl.load(row + 4)
    beta1 = tl.load(row + 8)
    one_minus_beta1 = tl.load(row + 9)
    eps2 = tl.load(row + 10)
    own_numbers = numbers + 2 * tl.load(chunk).to(tl.int64)
    scaled_part_2 = tl.load(own_numbers + 1).to(math)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)

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
    scaled_part_ptr = folds.vector(vectors, place, 2, 2, 0)
    if param_rank_above_one:
        rsqrt_exp_avg_sq_col = tl.load(
            folds.vector(vectors, place, 3, 2, 0) + at_matrix * width + at_column, mask=across
        ).to(math)
    else:
        rsqrt_exp_avg_sq_col = 0.0
    row_sum_instability_ptr = folds.vector_partials(
        vector_partials, place, 12, 0, 0, 0, tile_rows * tile_steps, tile_columns
    )
    row_sum_instability_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    column_sum_instability_ptr = folds.vector_partials(
        vector_partials, place, 12, 1, 0, 0, tile_rows * tile_steps, tile_columns
    )
    column_sum_instability_ptr += (first_row // (tile_rows * tile_steps)).to(tl.int64) * matrices * width
    column_sum_instability = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                scaled_part = tl.load(scaled_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                scaled_part = 0.0
            row_sum_instability = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_instability, column_sum_instability = update_elements_2(
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                None,
                eps1,
                beta2,
                one_minus_beta2,
                beta1,
                one_minus_beta1,
                eps2,
                scaled_part,
                rsqrt_exp_avg_sq_col,
                scaled_part_2,
                row_sum_instability,
                column_sum_instability,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_instability_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_instability, 2),
                    mask=along,
                )
    else:
        apart = width
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                scaled_part = tl.load(scaled_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                scaled_part = 0.0
            row_sum_instability = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_instability, column_sum_instability = update_elements_2(
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                across & along,
                eps1,
                beta2,
                one_minus_beta2,
                beta1,
                one_minus_beta1,
                eps2,
                scaled_part,
                rsqrt_exp_avg_sq_col,
                scaled_part_2,
                row_sum_instability,
                column_sum_instability,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_instability_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_instability, 2),
                    mask=along,
                )

    if param_rank_above_one:
        tl.store(
            column_sum_instability_ptr + at_matrix * width + at_column,
            folds.sum_along(column_sum_instability, 1),
            mask=across,
        )


@triton.jit
def tensor_program_3(
    tensors,
    chunks,
    rows,
    geometry,
    numbers,
    vectors,
    partials,
    vector_partials,
    header: tl.constexpr,
    exp_avg_sq_row_dtype: tl.constexpr,
    exp_avg_sq_col_dtype: tl.constexpr,
    exp_avg_res_row_dtype: tl.constexpr,
    exp_avg_res_col_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    tile_matrices: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_steps: tl.constexpr,
    group_matrices: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 3; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 8) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    row = rows + 14 * tl.load(tensor + 1)
    param_columns = tl.load(row + 2).to(math)
    param_rows = tl.load(row + 5).to(math)
    beta3 = tl.load(row + 11).to(math)
    one_minus_beta3 = tl.load(row + 12).to(math)
    exp_avg_res_row_ptr = ops.pointer(tl.load(tensor + header + 6), exp_avg_res_row_dtype, 0)
    exp_avg_res_col_ptr = ops.pointer(tl.load(tensor + header + 7), exp_avg_res_col_dtype, 0)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    down = tl.cdiv(height, tile_rows * tile_steps)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    if param_rank_above_one:
        row_sum_instability_ptr = folds.vector(vectors, place, 1, 1, 0)
        new_exp_avg_res_row_ptr = folds.vector(vectors, place, 5, 4, 1)
        row_sum_instability_partials_ptr = folds.vector_partials(
            vector_partials, place, 12, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if param_rank_above_one:
                exp_avg_res_row = ops.load(exp_avg_res_row_ptr + at, inside, math)
            if param_rank_above_one:
                row_sum_instability = folds.sum_tiles(
                    row_sum_instability_partials_ptr, at, inside, across, matrices * height
                )
                tl.store(row_sum_instability_ptr + at, row_sum_instability, mask=inside)
                # row_mean_instability = row_sum_instability / param_columns
                row_mean_instability = ops.divide(row_sum_instability, param_columns)
                # exp_avg_res_row = beta3 * exp_avg_res_row + (1 - beta3) * row_mean_instability
                exp_avg_res_row = beta3 * exp_avg_res_row + one_minus_beta3 * row_mean_instability
                ops.store(exp_avg_res_row_ptr + at, exp_avg_res_row, inside)
                # new_exp_avg_res_row = exp_avg_res_row
                new_exp_avg_res_row = exp_avg_res_row
                tl.store(new_exp_avg_res_row_ptr + at, new_exp_avg_res_row, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        column_sum_instability_ptr = folds.vector(vectors, place, 2, 1, 0)
        rsqrt_exp_avg_res_col_ptr = folds.vector(vectors, place, 4, 3, 0)
        column_sum_instability_partials_ptr = folds.vector_partials(
            vector_partials, place, 12, 1, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * width, last_matrix * width, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * width
            if param_rank_above_one:
                exp_avg_res_col = ops.load(exp_avg_res_col_ptr + at, inside, math)
            if param_rank_above_one:
                column_sum_instability = folds.sum_tiles(
                    column_sum_instability_partials_ptr, at, inside, down, matrices * width
                )
                tl.store(column_sum_instability_ptr + at, column_sum_instability, mask=inside)
                # column_mean_instability = column_sum_instability / param_rows
                column_mean_instability = ops.divide(column_sum_instability, param_rows)
                # exp_avg_res_col = beta3 * exp_avg_res_col + (1 - beta3) * column_mean_instability
                exp_avg_res_col = beta3 * exp_avg_res_col + one_minus_beta3 * column_mean_instability
                ops.store(exp_avg_res_col_ptr + at, exp_avg_res_col, inside)
                # rsqrt_exp_avg_res_col = rsqrt(exp_avg_res_col)
                rsqrt_exp_avg_res_col = ops.rsqrt(exp_avg_res_col)
                tl.store(rsqrt_exp_avg_res_col_ptr + at, rsqrt_exp_avg_res_col, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        new_exp_avg_res_row_ptr = folds.vector(vectors, place, 5, 4, 1)
        column_mean_exp_avg_res_row_ptr = folds.vector(vectors, place, 6, 4, 1)
        for first in range(first_matrix, last_matrix, tile_matrices):
            at = first + tl.arange(0, tile_matrices)
            inside = at < last_matrix
            if param_rank_above_one:
                # column_sum_exp_avg_res_row = sum(new_exp_avg_res_row, axis=-2)
                column_sum_exp_avg_res_row = folds.sum_each(new_exp_avg_res_row_ptr, at, inside, height)
                # column_mean_exp_avg_res_row = column_sum_exp_avg_res_row / param_rows
                column_mean_exp_avg_res_row = ops.divide(column_sum_exp_avg_res_row, param_rows)
                tl.store(column_mean_exp_avg_res_row_ptr + at, column_mean_exp_avg_res_row, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        column_mean_exp_avg_res_row_ptr = folds.vector(vectors, place, 6, 4, 1)
        direction_part_ptr = folds.vector(vectors, place, 3, 3, 0)
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            column_mean_exp_avg_res_row = ops.load(column_mean_exp_avg_res_row_ptr + at // height, inside, math)
            if param_rank_above_one:
                exp_avg_res_row = ops.load(exp_avg_res_row_ptr + at, inside, math)
            if param_rank_above_one:
                # direction_part = rsqrt(exp_avg_res_row / column_mean_exp_avg_res_row)
                direction_part = ops.rsqrt(ops.divide(exp_avg_res_row, column_mean_exp_avg_res_row))
                tl.store(direction_part_ptr + at, direction_part, mask=inside)


@triton.jit
def update_elements_3(
    param_ptr,
    exp_avg_ptr,
    offsets,
    mask,
    one_minus_lr_times_weight_decay,
    lr,
    direction_part,
    rsqrt_exp_avg_res_col,
    math: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)

    if weight_decay_nonzero:
        # weight decay: param = param * (1 - lr * weight_decay)
        param = param * one_minus_lr_times_weight_decay
    direction = exp_avg
    if param_rank_above_one:
        direction = exp_avg * (direction_part * rsqrt_exp_avg_res_col)
    param = param - lr * direction

    ops.store(param_ptr + offsets, param, mask)


@triton.jit
def kernel_3(
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
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
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
    tensor = tensors + (header + 8) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 14 * tl.load(tensor + 1)
    one_minus_lr_times_weight_decay = tl.load(row + 0)
    lr = tl.load(row + 13)
    param_address = tl.load(tensor + header + 0)
    exp_avg_address = tl.load(tensor + header + 2)

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
    direction_part_ptr = folds.vector(vectors, place, 3, 3, 0)
    if param_rank_above_one:
        rsqrt_exp_avg_res_col = tl.load(
            folds.vector(vectors, place, 4, 3, 0) + at_matrix * width + at_column, mask=across
        ).to(math)
    else:
        rsqrt_exp_avg_res_col = 0.0

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                direction_part = tl.load(direction_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                direction_part = 0.0
            update_elements_3(
                param_ptr,
                exp_avg_ptr,
                offsets,
                None,
                one_minus_lr_times_weight_decay,
                lr,
                direction_part,
                rsqrt_exp_avg_res_col,
                math,
                weight_decay_nonzero,
                param_rank_above_one,
            )
    else:
        apart = width
        param_ptr = ops.pointer(param_address, param_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                direction_part = tl.load(direction_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                direction_part = 0.0
            update_elements_3(
                param_ptr,
                exp_avg_ptr,
                offsets,
                across & along,
                one_minus_lr_times_weight_decay,
                lr,
                direction_part,
                rsqrt_exp_avg_res_col,
                math,
                weight_decay_nonzero,
                param_rank_above_one,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=True,
        folds=passes.Counts(0, 1, 1, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=True,
        sweep=kernel_1,
        tiled=True,
        folds=passes.Counts(1, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_2,
        divides=True,
        sweep=kernel_2,
        tiled=True,
        folds=passes.Counts(0, 1, 1, 0),
    ),
    passes.PassKernels(
        program=tensor_program_3,
        divides=True,
        sweep=kernel_3,
        tiled=True,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(2, 6, 4, 2)
AXES = True  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, weight_decay_nonzero: bool, param_rank_above_one: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return param_rank_above_one
