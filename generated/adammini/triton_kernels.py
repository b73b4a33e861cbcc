# Generated from specs/adam_mini.yaml by thetac 0.1.0; do not edit.
"""AdamMini on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "m", "v")
CHUNK = 8192  # elements per program
SMALL = ("v_row", "vmean", )
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    grad_ptr,
    offsets,
    mask,
    row_sum_grad_squared,
    sum_grad_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    blocks_is_row: tl.constexpr,
    blocks_is_head: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    blocks_is_tensor: tl.constexpr,
    param_rank_at_most_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if (
        (
            (blocks_is_head or blocks_is_row) and param_rank_above_one
            or blocks_is_row and param_rank_at_most_one
            or blocks_is_tensor
        )
        or grad_scale is not None
    ):
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if (blocks_is_row or blocks_is_head) and param_rank_above_one:
        grad_squared = grad * grad
    if (blocks_is_head or blocks_is_row) and param_rank_above_one:
        row_sum_grad_squared = folds.sum_lanes(row_sum_grad_squared, grad_squared, mask)
    if blocks_is_tensor or blocks_is_row and param_rank_at_most_one:
        sum_grad_squared_part = grad * grad
    if blocks_is_row and param_rank_at_most_one or blocks_is_tensor:
        sum_grad_squared = folds.sum_lanes(sum_grad_squared, sum_grad_squared_part, mask)

    return row_sum_grad_squared, sum_grad_squared


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
    v_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    blocks_is_element: tl.constexpr,
    blocks_is_row: tl.constexpr,
    blocks_is_head: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    blocks_is_tensor: tl.constexpr,
    param_rank_at_most_one: tl.constexpr,
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
    sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)

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
            row_sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_grad_squared, sum_grad_squared = update_elements(
                grad_ptr,
                offsets,
                None,
                row_sum_grad_squared,
                sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                blocks_is_row,
                blocks_is_head,
                param_rank_above_one,
                blocks_is_tensor,
                param_rank_at_most_one,
            )
            if (blocks_is_head or blocks_is_row) and param_rank_above_one:
                tl.store(
                    row_sum_grad_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_grad_squared, 2),
                    mask=along,
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
            row_sum_grad_squared = folds.sum_start((tile_matrices, tile_rows, tile_columns), math)
            row_sum_grad_squared, sum_grad_squared = update_elements(
                grad_ptr,
                offsets,
                across & along,
                row_sum_grad_squared,
                sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                blocks_is_row,
                blocks_is_head,
                param_rank_above_one,
                blocks_is_tensor,
                param_rank_at_most_one,
            )
            if (blocks_is_head or blocks_is_row) and param_rank_above_one:
                tl.store(
                    row_sum_grad_squared_ptr + at_matrix * height + at_row,
                    folds.sum_along(row_sum_grad_squared, 2),
                    mask=along,
                )

    if blocks_is_row and param_rank_at_most_one or blocks_is_tensor:
        tl.store(partials + 1 * (tl.load(place + 4) + tile) + 0, folds.sum_all(sum_grad_squared))


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
    v_row_dtype: tl.constexpr,
    vmean_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    blocks_is_element: tl.constexpr,
    blocks_is_row: tl.constexpr,
    blocks_is_head: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    blocks_is_tensor: tl.constexpr,
    param_rank_at_most_one: tl.constexpr,
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
    tensor = tensors + (header + 6) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 2 * tl.load(chunk).to(tl.int64)
    row = rows + 10 * tl.load(tensor + 1)
    beta2 = tl.load(row + 2).to(math)
    one_minus_beta2 = tl.load(row + 3).to(math)
    rate = tl.load(row + 4).to(math)
    correction = tl.load(row + 5).to(math)
    eps = tl.load(row + 6).to(math)
    param_matrix_columns = tl.load(row + 7).to(math)
    n_heads = tl.load(row + 8).to(math)
    param_size = tl.load(row + 9).to(math)
    v_row_ptr = ops.pointer(tl.load(tensor + header + 4), v_row_dtype, 0)
    vmean_ptr = ops.pointer(tl.load(tensor + header + 5), vmean_dtype, 0)
    matrices, height, width = folds.extents(place)
    across = tl.cdiv(width, tile_columns)
    first_matrix = group_matrices * tl.load(chunk + 1)
    last_matrix = tl.minimum(matrices, first_matrix + group_matrices)

    sum_grad_squared = tl.load(own_numbers + 0)
    if blocks_is_row and param_rank_at_most_one or blocks_is_tensor:
        vmean = ops.load(vmean_ptr, None, math)
    tl.debug_barrier()
    if blocks_is_row and param_rank_at_most_one or blocks_is_tensor:
        sum_grad_squared = folds.sum_range(partials + 1 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 1)
        tl.store(own_numbers + 0, sum_grad_squared)
    if blocks_is_tensor or blocks_is_row and param_rank_at_most_one:
        # mean_grad_squared = sum_grad_squared / param_size
        mean_grad_squared = ops.divide(sum_grad_squared, param_size)
        # vmean = beta2 * vmean + (1 - beta2) * mean_grad_squared
        vmean = beta2 * vmean + one_minus_beta2 * mean_grad_squared
        ops.store(vmean_ptr, vmean, None)
        # param_part_2 = rate / (sqrt(vmean) / correction + eps)
        param_part_2 = ops.divide(rate, ops.divide(ops.sqrt(vmean), correction) + eps)
        tl.store(own_numbers + 1, param_part_2)
    if (
        (blocks_is_head or blocks_is_row) and param_rank_above_one
        or (blocks_is_row or blocks_is_head) and param_rank_above_one
        or (blocks_is_row or blocks_is_head) and param_rank_above_one and blocks_is_head
    ):
        row_sum_grad_squared_ptr = folds.vector(vectors, place, 0, 0, 0)
        square_ptr = folds.vector(vectors, place, 3, 0, 0)
        new_square_ptr = folds.vector(vectors, place, 2, 0, 0)
        row_sum_grad_squared_partials_ptr = folds.vector_partials(
            vector_partials, place, 6, 0, 0, 0, tile_rows * tile_steps, tile_columns
        )
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            row_sum_grad_squared = ops.load(row_sum_grad_squared_ptr + at, inside, math)
            if (blocks_is_head or blocks_is_row) and param_rank_above_one:
                row_sum_grad_squared = folds.sum_tiles(
                    row_sum_grad_squared_partials_ptr, at, inside, across, matrices * height
                )
                tl.store(row_sum_grad_squared_ptr + at, row_sum_grad_squared, mask=inside)
            if (blocks_is_row or blocks_is_head) and param_rank_above_one:
                # square = row_sum_grad_squared / param_matrix_columns
                square = ops.divide(row_sum_grad_squared, param_matrix_columns)
                tl.store(square_ptr + at, square, mask=inside)
            if (blocks_is_row or blocks_is_head) and param_rank_above_one and blocks_is_head:
                # new_square = square
                new_square = square
                tl.store(new_square_ptr + at, new_square, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if (blocks_is_row or blocks_is_head) and param_rank_above_one and blocks_is_head:
        new_square_ptr = folds.vector(vectors, place, 2, 0, 0)
        square_ptr = folds.vector(vectors, place, 3, 0, 0)
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            if (blocks_is_row or blocks_is_head) and param_rank_above_one and blocks_is_head:
                # square = mean_of_blocks(new_square, n_heads)
                square = folds.mean_of_blocks(new_square_ptr, at, inside, height, n_heads)
                tl.store(square_ptr + at, square, mask=inside)
        tl.debug_barrier()  # what follows reads what other threads stored
    if (blocks_is_row or blocks_is_head) and param_rank_above_one:
        square_ptr = folds.vector(vectors, place, 3, 0, 0)
        param_part_ptr = folds.vector(vectors, place, 1, 0, 0)
        for first in range(first_matrix * height, last_matrix * height, folds.BLOCK):
            at = first + tl.arange(0, folds.BLOCK)
            inside = at < last_matrix * height
            square = ops.load(square_ptr + at, inside, math)
            if (blocks_is_head or blocks_is_row) and param_rank_above_one:
                v_row = ops.load(v_row_ptr + at, inside, math)
            if (blocks_is_row or blocks_is_head) and param_rank_above_one:
                # v_row = beta2 * v_row + (1 - beta2) * square
                v_row = beta2 * v_row + one_minus_beta2 * square
                ops.store(v_row_ptr + at, v_row, inside)
                # param_part = rate / (sqrt(v_row) / correction + eps)
                param_part = ops.divide(rate, ops.divide(ops.sqrt(v_row), correction) + eps)
                tl.store(param_part_ptr + at, param_part, mask=inside)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    m_ptr,
    v_ptr,
    offsets,
    mask,
    one_minus_lr_times_weight_decay,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    rate,
    correction,
    eps,
    param_part,
    param_part_2,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    blocks_is_element: tl.constexpr,
    blocks_is_row: tl.constexpr,
    blocks_is_head: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    blocks_is_tensor: tl.constexpr,
    param_rank_at_most_one: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    if (
        blocks_is_element
        or (not blocks_is_head and not blocks_is_row or not param_rank_above_one)
        and ((blocks_is_head or blocks_is_row) and param_rank_above_one or blocks_is_row and param_rank_at_most_one)
        and (not blocks_is_row or not param_rank_at_most_one)
        or (blocks_is_head or blocks_is_row) and param_rank_above_one
        or blocks_is_row and param_rank_at_most_one
        or blocks_is_tensor
        or weight_decay_nonzero
    ):
        param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    m = ops.load(m_ptr + offsets, mask, math)
    if blocks_is_element:
        v = ops.load(v_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        # weight decay: param = param * (1 - lr * weight_decay)
        param = param * one_minus_lr_times_weight_decay
    # m = lerp(m, grad, 1 - beta1)
    m = ops.lerp(m, grad, one_minus_beta1)
    if blocks_is_element:
        # v = beta2 * v + (1 - beta2) * grad * grad
        v = beta2 * v + one_minus_beta2 * grad * grad
        # param = param - rate * m / (sqrt(v) / correction + eps)
        param = param - ops.divide(rate * m, ops.divide(ops.sqrt(v), correction) + eps)
    if (blocks_is_row or blocks_is_head) and param_rank_above_one:
        param = param - m * param_part
    if blocks_is_tensor or blocks_is_row and param_rank_at_most_one:
        param = param - m * param_part_2

    if (
        blocks_is_element
        or (blocks_is_head or blocks_is_row) and param_rank_above_one
        or blocks_is_row and param_rank_at_most_one
        or blocks_is_tensor
        or weight_decay_nonzero
    ):
        ops.store(param_ptr + offsets, param, mask)
    ops.store(m_ptr + offsets, m, mask)
    if blocks_is_element:
        ops.store(v_ptr + offsets, v, mask)


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
    v_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    blocks_is_element: tl.constexpr,
    blocks_is_row: tl.constexpr,
    blocks_is_head: tl.constexpr,
    param_rank_above_one: tl.constexpr,
    blocks_is_tensor: tl.constexpr,
    param_rank_at_most_one: tl.constexpr,
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
    row = rows + 10 * tl.load(tensor + 1)
    one_minus_lr_times_weight_decay = tl.load(row + 0)
    one_minus_beta1 = tl.load(row + 1)
    beta2 = tl.load(row + 2)
    one_minus_beta2 = tl.load(row + 3)
    rate = tl.load(row + 4)
    correction = tl.load(row + 5)
    eps = tl.load(row + 6)
    own_numbers = numbers + 2 * tl.load(chunk).to(tl.int64)
    param_part_2 = tl.load(own_numbers + 1).to(math)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    m_address = tl.load(tensor + header + 2)
    v_address = tl.load(tensor + header + 3)

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
    param_part_ptr = folds.vector(vectors, place, 1, 0, 0)

    whole = (
        (first_column + tile_columns <= width)
        & (tl.minimum(height - first_row, tile_rows * tile_steps) % tile_rows == 0)
    )
    if aligned & whole & (width % row_alignment == 0) & (tile_matrices == 1):
        apart = row_alignment * (width // row_alignment)  # so that the compiler knows what divides it
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        m_ptr = ops.aligned_pointer(m_address, m_dtype, start)
        v_ptr = ops.aligned_pointer(v_address, v_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if (blocks_is_row or blocks_is_head) and param_rank_above_one:
                param_part = tl.load(param_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                param_part = 0.0
            update_elements_1(
                param_ptr,
                grad_ptr,
                m_ptr,
                v_ptr,
                offsets,
                None,
                one_minus_lr_times_weight_decay,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                rate,
                correction,
                eps,
                param_part,
                param_part_2,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                blocks_is_element,
                blocks_is_row,
                blocks_is_head,
                param_rank_above_one,
                blocks_is_tensor,
                param_rank_at_most_one,
            )
    else:
        apart = width
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        m_ptr = ops.pointer(m_address, m_dtype, start)
        v_ptr = ops.pointer(v_address, v_dtype, start)
        for below in range(0, tl.minimum(height - first_row, tile_rows * tile_steps), tile_rows):
            at_row = first_row + below + tl.arange(0, tile_rows)[None, :, None]
            along = (at_matrix < matrices) & (at_row < height)
            offsets = (
                (from_matrix + below + tl.arange(0, tile_rows)[None, :, None]).to(tl.int64) * apart
                + tl.arange(0, tile_columns)[None, None, :]
            )
            if (blocks_is_row or blocks_is_head) and param_rank_above_one:
                param_part = tl.load(param_part_ptr + at_matrix * height + at_row, mask=along).to(math)
            else:
                param_part = 0.0
            update_elements_1(
                param_ptr,
                grad_ptr,
                m_ptr,
                v_ptr,
                offsets,
                across & along,
                one_minus_lr_times_weight_decay,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                rate,
                correction,
                eps,
                param_part,
                param_part_2,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                blocks_is_element,
                blocks_is_row,
                blocks_is_head,
                param_rank_above_one,
                blocks_is_tensor,
                param_rank_at_most_one,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=True,
        folds=passes.Counts(1, 1, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=False,
        sweep=kernel_1,
        tiled=True,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(2, 4, 0, 0)
AXES = True  # whether anything is per row, column or matrix


def has_vectors(
    *,
    maximize: bool,
    weight_decay_nonzero: bool,
    blocks_is_element: bool,
    blocks_is_row: bool,
    blocks_is_head: bool,
    param_rank_above_one: bool,
    blocks_is_tensor: bool,
    param_rank_at_most_one: bool,
) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return (
        (blocks_is_head or blocks_is_row) and param_rank_above_one
        or (blocks_is_row or blocks_is_head) and param_rank_above_one
    )
