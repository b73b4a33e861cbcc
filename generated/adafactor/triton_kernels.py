# Generated from specs/adafactor.yaml by thetac 0.1.0; do not edit.
"""Adafactor on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "variance")
CHUNK = 8192  # elements per program
SMALL = ("row_var", "col_var", )
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    sum_param_squared,
    row_sum_grad_squared,
    column_sum_grad_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    param = ops.load(param_ptr + offsets, mask, math)
    if (param_rank_above_one) or grad_scale is not None:
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    param_squared = param * param
    sum_param_squared = folds.sum_lanes(sum_param_squared, param_squared, mask)
    if param_rank_above_one:
        grad_squared = grad * grad
    if param_rank_above_one:
        row_sum_grad_squared = folds.sum_lanes(row_sum_grad_squared, grad_squared, mask)
        column_sum_grad_squared = folds.sum_lanes(column_sum_grad_squared, grad_squared, mask)

    return sum_param_squared, row_sum_grad_squared, column_sum_grad_squared


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
    variance_dtype: tl.constexpr,
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
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    param_address = tl.load(tensor + header + 0)
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
    row_sum_grad_squared_ptr = folds.vector_partials(
        vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
    )
    row_sum_grad_squared_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    column_sum_grad_squared_ptr = folds.vector_partials(
        vector_partials, place, 6, 1, 0, 0, tile_rows * tile_steps, tile_columns
    )
    column_sum_grad_squared_ptr += (first_row // (tile_rows * tile_steps)).to(tl.int64) * matrices * width
    sum_param_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
    column_sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            row_sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            sum_param_squared, row_sum_grad_squared, column_sum_grad_squared = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                None,
                sum_param_squared,
                row_sum_grad_squared,
                column_sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_grad_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_grad_squared, 2),
                    mask=along,
                )
    else:
        apart = width
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            row_sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            sum_param_squared, row_sum_grad_squared, column_sum_grad_squared = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                across & along,
                sum_param_squared,
                row_sum_grad_squared,
                column_sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_grad_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_grad_squared, 2),
                    mask=along,
                )

    tl.store(partials + 1 * (tl.load(place + 4) + tile) + 0, folds.sum_all(sum_param_squared))
    if param_rank_above_one:
        tl.store(
            column_sum_grad_squared_ptr + at_matrix * width + at_column,
            folds.sum_along(column_sum_grad_squared, 1),
            mask=across,
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
    row_var_dtype: tl.constexpr,
    col_var_dtype: tl.constexpr,
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
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 4 * tl.load(chunk).to(tl.int64)
    row = rows + 10 * tl.load(tensor + 1)
    param_size_pow_half = tl.load(row + 0).to(math)
    eps2 = tl.load(row + 1).to(math)
    rho = tl.load(row + 2).to(math)
    param_columns = tl.load(row + 4).to(math)
    weight = tl.load(row + 5).to(math)
    param_rows = tl.load(row + 6).to(math)
    eps1_or_default = tl.load(row + 7).to(math)
    row_var_ptr = ops.pointer(tl.load(tensor + header + 3), row_var_dtype, 0)
    col_var_ptr = ops.pointer(tl.load(tensor + header + 4), col_var_dtype, 0)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    down = tl.cdiv(height, tile_rows * tile_steps)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    sum_param_squared = folds.sum_range(partials + 1 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 1)
    tl.store(own_numbers + 0, sum_param_squared)
    # norm_param = sqrt(sum_param_squared)
    norm_param = ops.sqrt(sum_param_squared)
    # scale = norm_param / param_size ** 0.5
    scale = ops.divide(norm_param, param_size_pow_half)
    # alpha = where(scale > eps2, scale, eps2) * rho
    alpha = tl.where(scale > eps2, scale, eps2) * rho
    tl.store(own_numbers + 2, alpha)
    if param_rank_above_one:
        row_sum_grad_squared_ptr = folds.vector(vectors, place, 0, 0, 0)
        new_row_var_ptr = folds.vector(vectors, place, 2, 2, 1)
        estimate_part_ptr = folds.vector(vectors, place, 1, 1, 0)
        row_sum_grad_squared_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if param_rank_above_one:
                row_var = ops.load(row_var_ptr + at, inside, math)
            if param_rank_above_one:
                row_sum_grad_squared = folds.sum_tiles(
                    row_sum_grad_squared_partials_ptr, at, inside, across, matrices * height
                )
                tl.store(row_sum_grad_squared_ptr + at, row_sum_grad_squared, mask=inside)
                # row_norm_grad = sqrt(row_sum_grad_squared)
                row_norm_grad = ops.sqrt(row_sum_grad_squared)
                # row_var = lerp(row_var, row_norm_grad * row_norm_grad / param_columns, weight)
                row_var = ops.lerp(row_var, ops.divide(row_norm_grad * row_norm_grad, param_columns), weight)
                ops.store(row_var_ptr + at, row_var, inside)
                # new_row_var = row_var
                new_row_var = row_var
                tl.store(new_row_var_ptr + at, new_row_var, mask=inside)
                # estimate_part = row_var
                estimate_part = row_var
                tl.store(estimate_part_ptr + at, estimate_part, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        column_sum_grad_squared_ptr = folds.vector(vectors, place, 1, 0, 0)
        new_col_var_ptr = folds.vector(vectors, place, 2, 1, 0)
        column_sum_grad_squared_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 1, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * width, last_matrix * width, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * width
            if param_rank_above_one:
                col_var = ops.load(col_var_ptr + at, inside, math)
            if param_rank_above_one:
                column_sum_grad_squared = folds.sum_tiles(
                    column_sum_grad_squared_partials_ptr, at, inside, down, matrices * width
                )
                tl.store(column_sum_grad_squared_ptr + at, column_sum_grad_squared, mask=inside)
                # column_norm_grad = sqrt(column_sum_grad_squared)
                column_norm_grad = ops.sqrt(column_sum_grad_squared)
                # col_var = lerp(col_var, column_norm_grad * column_norm_grad / param_rows, weight)
                col_var = ops.lerp(col_var, ops.divide(column_norm_grad * column_norm_grad, param_rows), weight)
                ops.store(col_var_ptr + at, col_var, inside)
                # new_col_var = col_var
                new_col_var = col_var
                tl.store(new_col_var_ptr + at, new_col_var, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_above_one:
        new_row_var_ptr = folds.vector(vectors, place, 2, 2, 1)
        estimate_part_2_ptr = folds.vector(vectors, place, 2, 2, 0)
        for first in range(first_matrix, last_matrix, tile_matrices):
            at = first + tl.arange(0, tile_matrices)
            inside = at < last_matrix
            if param_rank_above_one:
                # column_sum_row_var = sum(new_row_var, axis=-2)
                column_sum_row_var = folds.sum_each(new_row_var_ptr, at, inside, height)
                # column_mean_row_var = column_sum_row_var / param_rows
                column_mean_row_var = ops.divide(column_sum_row_var, param_rows)
                # estimate_part_2 = maximum(column_mean_row_var, eps1_or_default)
                estimate_part_2 = ops.maximum(column_mean_row_var, eps1_or_default)
                tl.store(estimate_part_2_ptr + at, estimate_part_2, mask=inside)


@triton.jit
def update_elements_1(
    grad_ptr,
    variance_ptr,
    offsets,
    mask,
    weight,
    eps1_or_default_squared,
    estimate_part,
    new_col_var,
    estimate_part_2,
    sum_change_squared,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = ops.load(grad_ptr + offsets, mask, math)
    if not param_rank_above_one:
        variance = ops.load(variance_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if param_rank_above_one:
        # estimate = estimate_part * new_col_var / estimate_part_2
        estimate = ops.divide(estimate_part * new_col_var, estimate_part_2)
    else:
        # variance = lerp(variance, grad * grad, weight)
        variance = ops.lerp(variance, grad * grad, weight)
        estimate = variance
    # change = rsqrt(maximum(estimate, eps1_or_default * eps1_or_default)) * grad
    change = ops.rsqrt(ops.maximum(estimate, eps1_or_default_squared)) * grad
    change_squared = change * change
    sum_change_squared = folds.sum_lanes(sum_change_squared, change_squared, mask)

    return sum_change_squared


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
    variance_dtype: tl.constexpr,
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
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 10 * tl.load(tensor + 1)
    weight = tl.load(row + 5)
    eps1_or_default_squared = tl.load(row + 8)
    grad_address = tl.load(tensor + header + 1)
    variance_address = tl.load(tensor + header + 2)

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
    estimate_part_ptr = folds.vector(vectors, place, 1, 1, 0)
    if param_rank_above_one:
        new_col_var = tl.load(folds.vector(vectors, place, 2, 1, 0) + at_matrix * width + at_column, mask=across).to(
            math
        )
    else:
        new_col_var = 0.0
    if param_rank_above_one:
        estimate_part_2 = tl.load(folds.vector(vectors, place, 2, 2, 0) + at_matrix, mask=at_matrix < matrices).to(math)
    else:
        estimate_part_2 = 0.0
    sum_change_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        variance_ptr = ops.aligned_pointer(variance_address, variance_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                estimate_part = tl.load(estimate_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                estimate_part = 0.0
            sum_change_squared = update_elements_1(
                grad_ptr,
                variance_ptr,
                offsets,
                None,
                weight,
                eps1_or_default_squared,
                estimate_part,
                new_col_var,
                estimate_part_2,
                sum_change_squared,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
    else:
        apart = width
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        variance_ptr = ops.pointer(variance_address, variance_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                estimate_part = tl.load(estimate_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                estimate_part = 0.0
            sum_change_squared = update_elements_1(
                grad_ptr,
                variance_ptr,
                offsets,
                across & along,
                weight,
                eps1_or_default_squared,
                estimate_part,
                new_col_var,
                estimate_part_2,
                sum_change_squared,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )

    tl.store(partials + 1 * (tl.load(place + 7) + tile) + 0, folds.sum_all(sum_change_squared))


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
    row_var_dtype: tl.constexpr,
    col_var_dtype: tl.constexpr,
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
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 4 * tl.load(chunk).to(tl.int64)
    row = rows + 10 * tl.load(tensor + 1)
    param_size_pow_half_times_d = tl.load(row + 9).to(math)

    alpha = tl.load(own_numbers + 2)
    sum_change_squared = folds.sum_range(partials + 1 * tl.load(place + 7) + 0, 0, tl.load(place + 8).to(tl.int32), 1)
    tl.store(own_numbers + 1, sum_change_squared)
    # norm_change = sqrt(sum_change_squared)
    norm_change = ops.sqrt(sum_change_squared)
    # ratio = norm_change / (param_size ** 0.5 * d)
    ratio = ops.divide(norm_change, param_size_pow_half_times_d)
    # denom = where(ratio > 1, ratio, 1)
    denom = tl.where(ratio > 1, ratio, 1.0)
    # alpha_over_denom = alpha / denom
    alpha_over_denom = ops.divide(alpha, denom)
    tl.store(own_numbers + 3, alpha_over_denom)


@triton.jit
def update_elements_2(
    param_ptr,
    grad_ptr,
    variance_ptr,
    offsets,
    mask,
    one_minus_lr_times_weight_decay,
    weight,
    eps1_or_default_squared,
    estimate_part,
    new_col_var,
    estimate_part_2,
    alpha_over_denom,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    if not param_rank_above_one:
        variance = ops.load(variance_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        # param = param * (1 - lr * weight_decay)
        param = param * one_minus_lr_times_weight_decay
    if param_rank_above_one:
        # estimate = estimate_part * new_col_var / estimate_part_2
        estimate = ops.divide(estimate_part * new_col_var, estimate_part_2)
    else:
        # variance = lerp(variance, grad * grad, weight)
        variance = ops.lerp(variance, grad * grad, weight)
        estimate = variance
    # change = rsqrt(maximum(estimate, eps1_or_default * eps1_or_default)) * grad
    change = ops.rsqrt(ops.maximum(estimate, eps1_or_default_squared)) * grad
    param = param - alpha_over_denom * change

    ops.store(param_ptr + offsets, param, mask)
    if not param_rank_above_one:
        ops.store(variance_ptr + offsets, variance, mask)


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
    variance_dtype: tl.constexpr,
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
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 10 * tl.load(tensor + 1)
    one_minus_lr_times_weight_decay = tl.load(row + 3)
    weight = tl.load(row + 5)
    eps1_or_default_squared = tl.load(row + 8)
    own_numbers = numbers + 4 * tl.load(chunk).to(tl.int64)
    alpha_over_denom = tl.load(own_numbers + 3).to(math)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    variance_address = tl.load(tensor + header + 2)

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
    estimate_part_ptr = folds.vector(vectors, place, 1, 1, 0)
    if param_rank_above_one:
        new_col_var = tl.load(folds.vector(vectors, place, 2, 1, 0) + at_matrix * width + at_column, mask=across).to(
            math
        )
    else:
        new_col_var = 0.0
    if param_rank_above_one:
        estimate_part_2 = tl.load(folds.vector(vectors, place, 2, 2, 0) + at_matrix, mask=at_matrix < matrices).to(math)
    else:
        estimate_part_2 = 0.0

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        variance_ptr = ops.aligned_pointer(variance_address, variance_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                estimate_part = tl.load(estimate_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                estimate_part = 0.0
            update_elements_2(
                param_ptr,
                grad_ptr,
                variance_ptr,
                offsets,
                None,
                one_minus_lr_times_weight_decay,
                weight,
                eps1_or_default_squared,
                estimate_part,
                new_col_var,
                estimate_part_2,
                alpha_over_denom,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                param_rank_above_one,
            )
    else:
        apart = width
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        variance_ptr = ops.pointer(variance_address, variance_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if param_rank_above_one:
                estimate_part = tl.load(estimate_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                estimate_part = 0.0
            update_elements_2(
                param_ptr,
                grad_ptr,
                variance_ptr,
                offsets,
                across & along,
                one_minus_lr_times_weight_decay,
                weight,
                eps1_or_default_squared,
                estimate_part,
                new_col_var,
                estimate_part_2,
                alpha_over_denom,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                param_rank_above_one,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=True,
        folds=passes.Counts(1, 1, 1, 0),
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
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(4, 3, 2, 1)
AXES = True  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, weight_decay_nonzero: bool, param_rank_above_one: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return param_rank_above_one
