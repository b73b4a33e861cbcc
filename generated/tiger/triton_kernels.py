# Generated from specs/tiger.yaml by thetac 0.1.0; do not edit.
"""Tiger on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "m")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    broken_part,
    row_sum_param_squared,
    sum_param_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    kind_is_embedding: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    kind_is_matrix: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    if (
        (not kind_is_embedding or not param_rank_above_one) and (kind_is_embedding or kind_is_matrix)
        or kind_is_embedding and param_rank_above_one
    ):
        param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    sum_param_squared_part = folds.sum_start(offsets.shape, math)
    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # broken_part_part = where(grad == grad, 0, 1)
    broken_part_part = tl.where(grad == grad, tl.full((), 0.0, math), tl.full((), 1.0, math))
    broken_part = folds.max_lanes(broken_part, broken_part_part, mask)
    if kind_is_embedding and param_rank_above_one:
        param_squared = param * param
    elif kind_is_matrix or kind_is_embedding:
        sum_param_squared_part = param * param
    if kind_is_embedding and param_rank_above_one:
        row_sum_param_squared = folds.sum_lanes(row_sum_param_squared, param_squared, mask)
    if (not kind_is_embedding or not param_rank_above_one) and (kind_is_embedding or kind_is_matrix):
        sum_param_squared = folds.sum_lanes(sum_param_squared, sum_param_squared_part, mask)

    return broken_part, row_sum_param_squared, sum_param_squared


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
    m_dtype: tl.constexpr,
    maximize: tl.constexpr,
    kind_is_embedding: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    kind_is_matrix: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
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
    row_sum_param_squared_ptr = folds.vector_partials(
        vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
    )
    row_sum_param_squared_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height
    broken_part = folds.max_start((tile_matrices, tile_rows, tile_columns), math)
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
            row_sum_param_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            broken_part, row_sum_param_squared, sum_param_squared = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                None,
                broken_part,
                row_sum_param_squared,
                sum_param_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                kind_is_embedding,
                param_rank_above_one,
                kind_is_matrix,
            )
            if kind_is_embedding and param_rank_above_one:
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
            row_sum_param_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            broken_part, row_sum_param_squared, sum_param_squared = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                across & along,
                broken_part,
                row_sum_param_squared,
                sum_param_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                kind_is_embedding,
                param_rank_above_one,
                kind_is_matrix,
            )
            if kind_is_embedding and param_rank_above_one:
                tl.store(
                    row_sum_param_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_param_squared, 2),
                    mask=along,
                )

    tl.store(partials + 2 * (tl.load(place + 4) + tile) + 0, folds.max_all(broken_part))
    if (not kind_is_embedding or not param_rank_above_one) and (kind_is_embedding or kind_is_matrix):
        tl.store(partials + 2 * (tl.load(place + 4) + tile) + 1, folds.sum_all(sum_param_squared))


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
    kind_is_embedding: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    kind_is_matrix: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 4 * tl.load(chunk).to(tl.int64)
    row = rows + 9 * tl.load(tensor + 1)
    param_columns = tl.load(row + 2).to(math)
    rate = tl.load(row + 3).to(math)
    param_size = tl.load(row + 5).to(math)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    sum_param_squared = tl.load(own_numbers + 1)
    tl.debug_barrier()
    broken_part = folds.max_range(partials + 2 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 2)
    tl.store(own_numbers + 0, broken_part)
    if (not kind_is_embedding or not param_rank_above_one) and (kind_is_embedding or kind_is_matrix):
        sum_param_squared = folds.sum_range(
            partials + 2 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 2
        )
        tl.store(own_numbers + 1, sum_param_squared)
    # a NaN is not itself: broken = broken_part > 0
    broken = broken_part > 0
    tl.store(own_numbers + 2, broken.to(math))
    if not (kind_is_embedding and param_rank_above_one) and (kind_is_matrix or kind_is_embedding):
        # mean_param_squared = sum_param_squared / param_size
        mean_param_squared = ops.divide(sum_param_squared, param_size)
        # rate_times_sqrt_mean_param_squared = rate * sqrt(mean_param_squared)
        rate_times_sqrt_mean_param_squared = rate * ops.sqrt(mean_param_squared)
        tl.store(own_numbers + 3, rate_times_sqrt_mean_param_squared)
    if kind_is_embedding and param_rank_above_one:
        row_sum_param_squared_ptr = folds.vector(vectors, place, 0, 0, 0)
        change_part_ptr = folds.vector(vectors, place, 1, 0, 0)
        row_sum_param_squared_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if kind_is_embedding and param_rank_above_one:
                row_sum_param_squared = folds.sum_tiles(
                    row_sum_param_squared_partials_ptr, at, inside, across, matrices * height
                )
                tl.store(row_sum_param_squared_ptr + at, row_sum_param_squared, mask=inside)
                # row_mean_param_squared = row_sum_param_squared / param_columns
                row_mean_param_squared = ops.divide(row_sum_param_squared, param_columns)
                # change_part = rate * sqrt(row_mean_param_squared)
                change_part = rate * ops.sqrt(row_mean_param_squared)
                tl.store(change_part_ptr + at, change_part, mask=inside)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    m_ptr,
    offsets,
    mask,
    kept,
    one_minus_beta_over_grad_accum_steps,
    weight_decay,
    rate_times_half,
    center,
    shrink_ratio,
    broken,
    change_part,
    rate_times_sqrt_mean_param_squared,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    kind_is_embedding: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    kind_is_matrix: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    m = ops.load(m_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # mean_grad = kept * m + (1 - beta) / grad_accum_steps * grad
    mean_grad = kept * m + one_minus_beta_over_grad_accum_steps * grad
    # m = where(broken, m, mean_grad)
    m = tl.where(broken, m, mean_grad)
    # change = sign(m)
    change = ops.sign(m)
    if kind_is_embedding and param_rank_above_one:
        change = (change + weight_decay * param) * change_part
    elif kind_is_matrix or kind_is_embedding:
        change = (change + weight_decay * param) * rate_times_sqrt_mean_param_squared
    else:
        # change = change * (rate * 0.5)
        change = change * rate_times_half
    # param = where(broken, (param - center) * shrink_ratio + center, param - change)
    param = tl.where(broken, (param - center) * shrink_ratio + center, param - change)

    ops.store(param_ptr + offsets, param, mask)
    ops.store(m_ptr + offsets, m, mask)


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
    m_dtype: tl.constexpr,
    maximize: tl.constexpr,
    kind_is_embedding: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    kind_is_matrix: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    aligned = tl.load(tensor + 2) != 0
    row = rows + 9 * tl.load(tensor + 1)
    kept = tl.load(row + 0)
    one_minus_beta_over_grad_accum_steps = tl.load(row + 1)
    weight_decay = tl.load(row + 4)
    rate_times_half = tl.load(row + 6)
    center = tl.load(row + 7)
    shrink_ratio = tl.load(row + 8)
    own_numbers = numbers + 4 * tl.load(chunk).to(tl.int64)
    broken = tl.load(own_numbers + 2) != 0
    rate_times_sqrt_mean_param_squared = tl.load(own_numbers + 3).to(math)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    m_address = tl.load(tensor + header + 2)

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
    change_part_ptr = folds.vector(vectors, place, 1, 0, 0)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        m_ptr = ops.aligned_pointer(m_address, m_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if kind_is_embedding and param_rank_above_one:
                change_part = tl.load(change_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                change_part = 0.0
            update_elements_1(
                param_ptr,
                grad_ptr,
                m_ptr,
                offsets,
                None,
                kept,
                one_minus_beta_over_grad_accum_steps,
                weight_decay,
                rate_times_half,
                center,
                shrink_ratio,
                broken,
                change_part,
                rate_times_sqrt_mean_param_squared,
                clip_factor,
                math,
                maximize,
                kind_is_embedding,
                param_rank_above_one,
                kind_is_matrix,
            )
    else:
        apart = width
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        m_ptr = ops.pointer(m_address, m_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if kind_is_embedding and param_rank_above_one:
                change_part = tl.load(change_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                change_part = 0.0
            update_elements_1(
                param_ptr,
                grad_ptr,
                m_ptr,
                offsets,
                across & along,
                kept,
                one_minus_beta_over_grad_accum_steps,
                weight_decay,
                rate_times_half,
                center,
                shrink_ratio,
                broken,
                change_part,
                rate_times_sqrt_mean_param_squared,
                clip_factor,
                math,
                maximize,
                kind_is_embedding,
                param_rank_above_one,
                kind_is_matrix,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=True,
        folds=passes.Counts(2, 1, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=False,
        sweep=kernel_1,
        tiled=True,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(4, 2, 0, 0)
AXES = True  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, kind_is_embedding: bool, param_rank_above_one: bool, kind_is_matrix: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return kind_is_embedding and param_rank_above_one
