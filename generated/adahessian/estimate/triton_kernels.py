# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""AdaHessian on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_hessian_diag_sq")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    grad_ptr,
    offsets,
    mask,
    row_sum_abs_grad,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_equal_to_four: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if (param_rank_equal_to_four) or grad_scale is not None:
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if param_rank_equal_to_four:
        # abs_grad = abs(grad)
        abs_grad = tl.abs(grad)
    if param_rank_equal_to_four:
        row_sum_abs_grad = folds.sum_lanes(row_sum_abs_grad, abs_grad, mask)

    return row_sum_abs_grad


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
    exp_hessian_diag_sq_dtype: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_equal_to_four: tl.constexpr,
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
    row_sum_abs_grad_ptr = folds.vector_partials(
        vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
    )
    row_sum_abs_grad_ptr += (first_column // tile_columns).to(tl.int64) * matrices * height

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
            row_sum_abs_grad = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_abs_grad = update_elements(
                grad_ptr,
                offsets,
                None,
                row_sum_abs_grad,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_equal_to_four,
            )
            if param_rank_equal_to_four:
                tl.store(
                    row_sum_abs_grad_ptr + at_matrix * height + at_row, folds.sum_along(row_sum_abs_grad, 2), mask=along
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
            row_sum_abs_grad = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_abs_grad = update_elements(
                grad_ptr,
                offsets,
                across & along,
                row_sum_abs_grad,
                grad_scale,
                clip_factor,
                math,
                maximize,
                param_rank_equal_to_four,
            )
            if param_rank_equal_to_four:
                tl.store(
                    row_sum_abs_grad_ptr + at_matrix * height + at_row, folds.sum_along(row_sum_abs_grad, 2), mask=along
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
    maximize: tl.constexpr,
    param_rank_equal_to_four: tl.constexpr,
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
    row = rows + 4 * tl.load(tensor + 1)
    param_columns = tl.load(row + 0).to(math)
    param_rows = tl.load(row + 1).to(math)
    one_minus_beta2 = tl.load(row + 2).to(math)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    if param_rank_equal_to_four:
        row_sum_abs_grad_ptr = folds.vector(vectors, place, 0, 0, 0)
        row_mean_abs_grad_ptr = folds.vector(vectors, place, 1, 0, 1)
        row_sum_abs_grad_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if param_rank_equal_to_four:
                row_sum_abs_grad = folds.sum_tiles(row_sum_abs_grad_partials_ptr, at, inside, across, matrices * height)
                tl.store(row_sum_abs_grad_ptr + at, row_sum_abs_grad, mask=inside)
                # row_mean_abs_grad = row_sum_abs_grad / param_columns
                row_mean_abs_grad = ops.divide(row_sum_abs_grad, param_columns)
                tl.store(row_mean_abs_grad_ptr + at, row_mean_abs_grad, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if param_rank_equal_to_four:
        row_mean_abs_grad_ptr = folds.vector(vectors, place, 1, 0, 1)
        exp_hessian_diag_sq_part_ptr = folds.vector(vectors, place, 1, 0, 0)
        for first in range(first_matrix, last_matrix, tile_matrices):
            at = first + tl.arange(0, tile_matrices)
            inside = at < last_matrix
            if param_rank_equal_to_four:
                # column_sum_row_mean_abs_grad = sum(row_mean_abs_grad, axis=-2)
                column_sum_row_mean_abs_grad = folds.sum_each(row_mean_abs_grad_ptr, at, inside, height)
                # of_kernel = column_sum_row_mean_abs_grad / param_rows
                of_kernel = ops.divide(column_sum_row_mean_abs_grad, param_rows)
                # exp_hessian_diag_sq_part = (1 - beta2) * of_kernel * of_kernel
                exp_hessian_diag_sq_part = one_minus_beta2 * of_kernel * of_kernel
                tl.store(exp_hessian_diag_sq_part_ptr + at, exp_hessian_diag_sq_part, mask=inside)


@triton.jit
def update_elements_1(
    grad_ptr,
    exp_hessian_diag_sq_ptr,
    offsets,
    mask,
    one_minus_beta2,
    beta2,
    exp_hessian_diag_sq_part,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_equal_to_four: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if not param_rank_equal_to_four:
        grad = ops.load(grad_ptr + offsets, mask, math)
    exp_hessian_diag_sq = ops.load(exp_hessian_diag_sq_ptr + offsets, mask, math)
    if not param_rank_equal_to_four:
        grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if param_rank_equal_to_four:
        exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + exp_hessian_diag_sq_part
    else:
        # exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * grad * grad
        exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + one_minus_beta2 * grad * grad

    ops.store(exp_hessian_diag_sq_ptr + offsets, exp_hessian_diag_sq, mask)


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
    exp_hessian_diag_sq_dtype: tl.constexpr,
    maximize: tl.constexpr,
    param_rank_equal_to_four: tl.constexpr,
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
    row = rows + 4 * tl.load(tensor + 1)
    one_minus_beta2 = tl.load(row + 2)
    beta2 = tl.load(row + 3)
    grad_address = tl.load(tensor + header + 1)
    exp_hessian_diag_sq_address = tl.load(tensor + header + 2)

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
    if param_rank_equal_to_four:
        exp_hessian_diag_sq_part = tl.load(
            folds.vector(vectors, place, 1, 0, 0) + at_matrix, mask=at_matrix < matrices
        ).to(math)
    else:
        exp_hessian_diag_sq_part = 0.0

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_hessian_diag_sq_ptr = ops.aligned_pointer(exp_hessian_diag_sq_address, exp_hessian_diag_sq_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            update_elements_1(
                grad_ptr,
                exp_hessian_diag_sq_ptr,
                offsets,
                None,
                one_minus_beta2,
                beta2,
                exp_hessian_diag_sq_part,
                clip_factor,
                math,
                maximize,
                param_rank_equal_to_four,
            )
    else:
        apart = width
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_hessian_diag_sq_ptr = ops.pointer(exp_hessian_diag_sq_address, exp_hessian_diag_sq_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            update_elements_1(
                grad_ptr,
                exp_hessian_diag_sq_ptr,
                offsets,
                across & along,
                one_minus_beta2,
                beta2,
                exp_hessian_diag_sq_part,
                clip_factor,
                math,
                maximize,
                param_rank_equal_to_four,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=True,
        folds=passes.Counts(0, 1, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=True,
        sweep=kernel_1,
        tiled=True,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(0, 2, 0, 1)
AXES = True  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, param_rank_equal_to_four: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return param_rank_equal_to_four
