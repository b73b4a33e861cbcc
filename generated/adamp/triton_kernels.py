# Generated from specs/adamp.yaml by thetac 0.1.0; do not edit.
"""AdamP on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    sum_grad_times_param,
    sum_grad_squared,
    sum_param_squared,
    row_sum_grad_times_param,
    row_sum_grad_squared,
    row_sum_param_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if param_rank_above_one:
        param = ops.load(param_ptr + offsets, mask, math)
    if (param_rank_above_one) or grad_scale is not None:
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if param_rank_above_one:
        grad_times_param = grad * param
        grad_squared = grad * grad
        param_squared = param * param
    if param_rank_above_one:
        sum_grad_times_param = folds.sum_lanes(sum_grad_times_param, grad_times_param, mask)
        sum_grad_squared = folds.sum_lanes(sum_grad_squared, grad_squared, mask)
        sum_param_squared = folds.sum_lanes(sum_param_squared, param_squared, mask)
        row_sum_grad_times_param = folds.sum_lanes(row_sum_grad_times_param, grad_times_param, mask)
        row_sum_grad_squared = folds.sum_lanes(row_sum_grad_squared, grad_squared, mask)
        row_sum_param_squared = folds.sum_lanes(row_sum_param_squared, param_squared, mask)

    return (
        sum_grad_times_param,
        sum_grad_squared,
        sum_param_squared,
        row_sum_grad_times_param,
        row_sum_grad_squared,
        row_sum_param_squared,
    )


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
    nesterov: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    weight_decay_positive: tl.constexpr,
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
    tensor = tensors + (header + 4) * tl.load(chunk).to(tl.int64)
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
    row_sum_grad_times_param_ptr = folds.vector_partials(
        vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
    )
    row_sum_grad_times_param_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    row_sum_grad_squared_ptr = folds.vector_partials(
        vector_partials, place, 6, 1, 0, 0, tile_rows * tile_steps, tile_columns
    )
    row_sum_grad_squared_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    row_sum_param_squared_ptr = folds.vector_partials(
        vector_partials, place, 6, 2, 0, 0, tile_rows * tile_steps, tile_columns
    )
    row_sum_param_squared_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    sum_grad_times_param = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
    sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
    sum_param_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)

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
            row_sum_grad_times_param = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_param_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            (
                sum_grad_times_param,
                sum_grad_squared,
                sum_param_squared,
                row_sum_grad_times_param,
                row_sum_grad_squared,
                row_sum_param_squared,
            ) = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                None,
                sum_grad_times_param,
                sum_grad_squared,
                sum_param_squared,
                row_sum_grad_times_param,
                row_sum_grad_squared,
                row_sum_param_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_grad_times_param_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_grad_times_param, 2),
                    mask=along,
                )
                tl.store(
                    row_sum_grad_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_grad_squared, 2),
                    mask=along,
                )
                tl.store(
                    row_sum_param_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_param_squared, 2),
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
            row_sum_grad_times_param = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_param_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            (
                sum_grad_times_param,
                sum_grad_squared,
                sum_param_squared,
                row_sum_grad_times_param,
                row_sum_grad_squared,
                row_sum_param_squared,
            ) = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                across & along,
                sum_grad_times_param,
                sum_grad_squared,
                sum_param_squared,
                row_sum_grad_times_param,
                row_sum_grad_squared,
                row_sum_param_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_grad_times_param_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_grad_times_param, 2),
                    mask=along,
                )
                tl.store(
                    row_sum_grad_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_grad_squared, 2),
                    mask=along,
                )
                tl.store(
                    row_sum_param_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_param_squared, 2),
                    mask=along,
                )

    if param_rank_above_one:
        tl.store(partials + 3 * (tl.load(place + 4) + tile) + 0, folds.sum_all(sum_grad_times_param))
        tl.store(partials + 3 * (tl.load(place + 4) + tile) + 1, folds.sum_all(sum_grad_squared))
        tl.store(partials + 3 * (tl.load(place + 4) + tile) + 2, folds.sum_all(sum_param_squared))


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
    maximize: tl.constexpr,
    nesterov: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    weight_decay_positive: tl.constexpr,
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
    tensor = tensors + (header + 4) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    row = rows + 12 * tl.load(tensor + 1)
    eps = tl.load(row + 5).to(math)
    delta_over_sqrt_param_size = tl.load(row + 6).to(math)
    wd_ratio = tl.load(row + 7).to(math)
    delta_over_sqrt_param_matrix_columns = tl.load(row + 8).to(math)
    lr_times_weight_decay = tl.load(row + 9).to(math)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    if param_rank_above_one:
        sum_grad_times_param = folds.sum_range(
            partials + 3 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 3
        )
        tl.store(own_numbers + 0, sum_grad_times_param)
        sum_grad_squared = folds.sum_range(partials + 3 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 3)
        tl.store(own_numbers + 1, sum_grad_squared)
        sum_param_squared = folds.sum_range(
            partials + 3 * tl.load(place + 4) + 2, 0, tl.load(place + 5).to(tl.int32), 3
        )
        tl.store(own_numbers + 2, sum_param_squared)
        # norm_grad = sqrt(sum_grad_squared)
        norm_grad = ops.sqrt(sum_grad_squared)
        # norm_param = sqrt(sum_param_squared)
        norm_param = ops.sqrt(sum_param_squared)
        # cosine = abs(sum_grad_times_param) / (maximum(norm_grad, eps) * maximum(norm_param, eps))
        cosine = ops.divide(tl.abs(sum_grad_times_param), ops.maximum(norm_grad, eps) * ops.maximum(norm_param, eps))
        # norm_param_plus_eps = norm_param + eps
        norm_param_plus_eps = norm_param + eps
        tl.store(own_numbers + 4, norm_param_plus_eps)
        # is_flat = cosine < delta / sqrt(param_size)
        is_flat = cosine < delta_over_sqrt_param_size
        tl.store(own_numbers + 5, is_flat.to(math))
        # ratio = where(is_flat, wd_ratio, 1)
        ratio = tl.where(is_flat, wd_ratio, 1.0)
    if param_rank_above_one:
        row_sum_grad_times_param_ptr = folds.vector(vectors, place, 0, 0, 0)
        row_sum_grad_squared_ptr = folds.vector(vectors, place, 1, 0, 0)
        row_sum_param_squared_ptr = folds.vector(vectors, place, 2, 0, 0)
        row_cosine_ptr = folds.vector(vectors, place, 5, 0, 0)
        row_norm_param_plus_eps_ptr = folds.vector(vectors, place, 4, 0, 0)
        row_sum_grad_times_param_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        row_sum_grad_squared_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 1, 0, 0, tile_rows * tile_steps, tile_columns
        )
        row_sum_param_squared_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 2, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if param_rank_above_one:
                row_sum_grad_times_param = folds.sum_tiles(
                    row_sum_grad_times_param_partials_ptr, at, inside, across, matrices * height
                )
                tl.store(row_sum_grad_times_param_ptr + at, row_sum_grad_times_param, mask=inside)
                row_sum_grad_squared = folds.sum_tiles(
                    row_sum_grad_squared_partials_ptr, at, inside, across, matrices * height
                )
                tl.store(row_sum_grad_squared_ptr + at, row_sum_grad_squared, mask=inside)
                row_sum_param_squared = folds.sum_tiles(
                    row_sum_param_squared_partials_ptr, at, inside, across, matrices * height
                )
                tl.store(row_sum_param_squared_ptr + at, row_sum_param_squared, mask=inside)
                # row_norm_grad = sqrt(row_sum_grad_squared)
                row_norm_grad = ops.sqrt(row_sum_grad_squared)
                # row_norm_param = sqrt(row_sum_param_squared)
                row_norm_param = ops.sqrt(row_sum_param_squared)
                # row_cosine = abs(row_sum_grad_times_param) / (maximum(row_norm_grad, eps) * maximum(row_norm_param,
                #   eps))
                row_cosine = ops.divide(
                    tl.abs(row_sum_grad_times_param), ops.maximum(row_norm_grad, eps) * ops.maximum(row_norm_param, eps)
                )
                tl.store(row_cosine_ptr + at, row_cosine, mask=inside)
                # row_norm_param_plus_eps = row_norm_param + eps
                row_norm_param_plus_eps = row_norm_param + eps
                tl.store(row_norm_param_plus_eps_ptr + at, row_norm_param_plus_eps, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    row_cosine_ptr = folds.vector(vectors, place, 5, 0, 0)
    if param_rank_above_one:
        # max_row_cosine = max(row_cosine)
        max_row_cosine = folds.max_range(row_cosine_ptr, first_matrix * height, last_matrix * height, 1)
        # is_row_flat = max_row_cosine < delta / sqrt(param_matrix_columns)
        is_row_flat = max_row_cosine < delta_over_sqrt_param_matrix_columns
        tl.store(own_numbers + 6, is_row_flat.to(math))
        # ratio = where(is_row_flat, wd_ratio, ratio)
        ratio = tl.where(is_row_flat, wd_ratio, ratio)
    if param_rank_above_one and weight_decay_positive:
        # param_part = 1 - lr * weight_decay * ratio
        param_part = 1 - lr_times_weight_decay * ratio
        tl.store(own_numbers + 7, param_part)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    beta1,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    sqrt_one_minus_beta2_pow_step,
    eps,
    norm_param_plus_eps,
    row_norm_param_plus_eps,
    sum_unit_times_perturb,
    row_sum_row_unit_times_perturb,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    nesterov: tl.constexpr,
    param_rank_above_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    if param_rank_above_one:
        param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    # denom = sqrt(exp_avg_sq) / sqrt(1 - beta2 ** step) + eps
    denom = ops.divide(ops.sqrt(exp_avg_sq), sqrt_one_minus_beta2_pow_step) + eps
    if nesterov:
        # perturb = (beta1 * exp_avg + (1 - beta1) * grad) / denom
        perturb = ops.divide(beta1 * exp_avg + one_minus_beta1 * grad, denom)
    else:
        # perturb = exp_avg / denom
        perturb = ops.divide(exp_avg, denom)
    if param_rank_above_one:
        # unit = param / norm_param_plus_eps
        unit = ops.divide(param, norm_param_plus_eps)
        unit_times_perturb = unit * perturb
        # row_unit = param / row_norm_param_plus_eps
        row_unit = ops.divide(param, row_norm_param_plus_eps)
        row_unit_times_perturb = row_unit * perturb
    if param_rank_above_one:
        sum_unit_times_perturb = folds.sum_lanes(sum_unit_times_perturb, unit_times_perturb, mask)
        row_sum_row_unit_times_perturb = folds.sum_lanes(row_sum_row_unit_times_perturb, row_unit_times_perturb, mask)

    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    return sum_unit_times_perturb, row_sum_row_unit_times_perturb


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
    nesterov: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    weight_decay_positive: tl.constexpr,
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
    tensor = tensors + (header + 4) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 12 * tl.load(tensor + 1)
    beta1 = tl.load(row + 0)
    one_minus_beta1 = tl.load(row + 1)
    beta2 = tl.load(row + 2)
    one_minus_beta2 = tl.load(row + 3)
    sqrt_one_minus_beta2_pow_step = tl.load(row + 4)
    eps = tl.load(row + 5)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    norm_param_plus_eps = tl.load(own_numbers + 4).to(math)
    param_address = tl.load(tensor + header + 0)
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
    row_norm_param_plus_eps_ptr = folds.vector(vectors, place, 4, 0, 0)
    row_sum_row_unit_times_perturb_ptr = folds.vector_partials(
        vector_partials, place, 9, 0, 0, 0, tile_rows * tile_steps, tile_columns
    )
    row_sum_row_unit_times_perturb_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    sum_unit_times_perturb = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
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
                row_norm_param_plus_eps = tl.load(
                    row_norm_param_plus_eps_ptr + at_matrix * height + at_row, mask=along
                ).to(math)
            else:
                row_norm_param_plus_eps = 0.0
            row_sum_row_unit_times_perturb = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            sum_unit_times_perturb, row_sum_row_unit_times_perturb = update_elements_1(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                None,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                sqrt_one_minus_beta2_pow_step,
                eps,
                norm_param_plus_eps,
                row_norm_param_plus_eps,
                sum_unit_times_perturb,
                row_sum_row_unit_times_perturb,
                clip_factor,
                math,
                maximize,
                nesterov,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_row_unit_times_perturb_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_row_unit_times_perturb, 2),
                    mask=along,
                )
    else:
        apart = width
        param_ptr = ops.pointer(param_address, param_dtype, start)
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
                row_norm_param_plus_eps = tl.load(
                    row_norm_param_plus_eps_ptr + at_matrix * height + at_row, mask=along
                ).to(math)
            else:
                row_norm_param_plus_eps = 0.0
            row_sum_row_unit_times_perturb = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            sum_unit_times_perturb, row_sum_row_unit_times_perturb = update_elements_1(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                across & along,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                sqrt_one_minus_beta2_pow_step,
                eps,
                norm_param_plus_eps,
                row_norm_param_plus_eps,
                sum_unit_times_perturb,
                row_sum_row_unit_times_perturb,
                clip_factor,
                math,
                maximize,
                nesterov,
                param_rank_above_one,
            )
            if param_rank_above_one:
                tl.store(
                    row_sum_row_unit_times_perturb_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_row_unit_times_perturb, 2),
                    mask=along,
                )

    if param_rank_above_one:
        tl.store(partials + 1 * (tl.load(place + 7) + tile) + 0, folds.sum_all(sum_unit_times_perturb))


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
    maximize: tl.constexpr,
    nesterov: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    weight_decay_positive: tl.constexpr,
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
    chunk = chunks + 2 * tl.program_id(0)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    if param_rank_above_one:
        sum_unit_times_perturb = folds.sum_range(
            partials + 1 * tl.load(place + 7) + 0, 0, tl.load(place + 8).to(tl.int32), 1
        )
        tl.store(own_numbers + 3, sum_unit_times_perturb)
    if param_rank_above_one:
        row_sum_row_unit_times_perturb_ptr = folds.vector(vectors, place, 3, 0, 0)
        row_sum_row_unit_times_perturb_partials_ptr = folds.vector_partials(
            vector_partials, place, 9, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if param_rank_above_one:
                row_sum_row_unit_times_perturb = folds.sum_tiles(
                    row_sum_row_unit_times_perturb_partials_ptr, at, inside, across, matrices * height
                )
                tl.store(row_sum_row_unit_times_perturb_ptr + at, row_sum_row_unit_times_perturb, mask=inside)


@triton.jit
def update_elements_2(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    beta1,
    one_minus_beta1,
    sqrt_one_minus_beta2_pow_step,
    eps,
    one_minus_lr_times_weight_decay,
    rate,
    norm_param_plus_eps,
    sum_unit_times_perturb,
    is_flat,
    row_norm_param_plus_eps,
    row_sum_row_unit_times_perturb,
    is_row_flat,
    param_part,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    nesterov: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    weight_decay_positive: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    param = ops.load(param_ptr + offsets, mask, math)
    if nesterov:
        grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    if nesterov:
        grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # denom = sqrt(exp_avg_sq) / sqrt(1 - beta2 ** step) + eps
    denom = ops.divide(ops.sqrt(exp_avg_sq), sqrt_one_minus_beta2_pow_step) + eps
    if nesterov:
        # perturb = (beta1 * exp_avg + (1 - beta1) * grad) / denom
        perturb = ops.divide(beta1 * exp_avg + one_minus_beta1 * grad, denom)
    else:
        # perturb = exp_avg / denom
        perturb = ops.divide(exp_avg, denom)
    if param_rank_above_one:
        # unit = param / norm_param_plus_eps
        unit = ops.divide(param, norm_param_plus_eps)
        tangent = perturb - unit * sum_unit_times_perturb
        # projected = where(is_flat, tangent, perturb)
        projected = tl.where(is_flat, tangent, perturb)
        # row_unit = param / row_norm_param_plus_eps
        row_unit = ops.divide(param, row_norm_param_plus_eps)
        row_tangent = perturb - row_unit * row_sum_row_unit_times_perturb
        # projected = where(is_row_flat, row_tangent, projected)
        projected = tl.where(is_row_flat, row_tangent, projected)
        perturb = projected
        if weight_decay_positive:
            param = param * param_part
    elif weight_decay_positive:
        # param = param * (1 - lr * weight_decay)
        param = param * one_minus_lr_times_weight_decay
    param = param - rate * perturb

    ops.store(param_ptr + offsets, param, mask)


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
    nesterov: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    weight_decay_positive: tl.constexpr,
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
    tensor = tensors + (header + 4) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 12 * tl.load(tensor + 1)
    beta1 = tl.load(row + 0)
    one_minus_beta1 = tl.load(row + 1)
    sqrt_one_minus_beta2_pow_step = tl.load(row + 4)
    eps = tl.load(row + 5)
    one_minus_lr_times_weight_decay = tl.load(row + 10)
    rate = tl.load(row + 11)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    norm_param_plus_eps = tl.load(own_numbers + 4).to(math)
    sum_unit_times_perturb = tl.load(own_numbers + 3).to(math)
    is_flat = tl.load(own_numbers + 5) != 0
    is_row_flat = tl.load(own_numbers + 6) != 0
    param_part = tl.load(own_numbers + 7).to(math)
    param_address = tl.load(tensor + header + 0)
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
    row_norm_param_plus_eps_ptr = folds.vector(vectors, place, 4, 0, 0)
    row_sum_row_unit_times_perturb_ptr = folds.vector(vectors, place, 3, 0, 0)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
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
                row_norm_param_plus_eps = tl.load(
                    row_norm_param_plus_eps_ptr + at_matrix * height + at_row, mask=along
                ).to(math)
            else:
                row_norm_param_plus_eps = 0.0
            if param_rank_above_one:
                row_sum_row_unit_times_perturb = tl.load(
                    row_sum_row_unit_times_perturb_ptr + at_matrix * height + at_row, mask=along
                ).to(math)
            else:
                row_sum_row_unit_times_perturb = 0.0
            update_elements_2(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                None,
                beta1,
                one_minus_beta1,
                sqrt_one_minus_beta2_pow_step,
                eps,
                one_minus_lr_times_weight_decay,
                rate,
                norm_param_plus_eps,
                sum_unit_times_perturb,
                is_flat,
                row_norm_param_plus_eps,
                row_sum_row_unit_times_perturb,
                is_row_flat,
                param_part,
                clip_factor,
                math,
                maximize,
                nesterov,
                param_rank_above_one,
                weight_decay_positive,
            )
    else:
        apart = width
        param_ptr = ops.pointer(param_address, param_dtype, start)
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
                row_norm_param_plus_eps = tl.load(
                    row_norm_param_plus_eps_ptr + at_matrix * height + at_row, mask=along
                ).to(math)
            else:
                row_norm_param_plus_eps = 0.0
            if param_rank_above_one:
                row_sum_row_unit_times_perturb = tl.load(
                    row_sum_row_unit_times_perturb_ptr + at_matrix * height + at_row, mask=along
                ).to(math)
            else:
                row_sum_row_unit_times_perturb = 0.0
            update_elements_2(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                across & along,
                beta1,
                one_minus_beta1,
                sqrt_one_minus_beta2_pow_step,
                eps,
                one_minus_lr_times_weight_decay,
                rate,
                norm_param_plus_eps,
                sum_unit_times_perturb,
                is_flat,
                row_norm_param_plus_eps,
                row_sum_row_unit_times_perturb,
                is_row_flat,
                param_part,
                clip_factor,
                math,
                maximize,
                nesterov,
                param_rank_above_one,
                weight_decay_positive,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=True,
        folds=passes.Counts(3, 3, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=False,
        sweep=kernel_1,
        tiled=True,
        folds=passes.Counts(1, 1, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_2,
        divides=True,
        sweep=kernel_2,
        tiled=True,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(8, 6, 0, 0)
AXES = True  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, nesterov: bool, param_rank_above_one: bool, weight_decay_positive: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return param_rank_above_one
