# Generated from specs/apollo_ma.yaml by thetac 0.1.0; do not edit.
"""ApolloMa on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_avg_grad", "approx_hessian", "direction")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    exp_avg_grad_ptr,
    direction_ptr,
    offsets,
    mask,
    weight_decay,
    sum_direction_squared_squared,
    max_abs_delta_grad,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    exp_avg_grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if (
        rebound_is_belief
        and (
            rebound_is_constant and not weight_decay_type_is_decoupled and not weight_decay_type_is_stable
            or weight_decay_type_is_L2
        )
        and weight_decay_nonzero
    ):
        param = ops.load(param_ptr + offsets, mask, math)
    if rebound_is_belief:
        exp_avg_grad = ops.load(exp_avg_grad_ptr + offsets, mask, math)
    direction = ops.load(direction_ptr + offsets, mask, math)
    if (rebound_is_belief) or grad_scale is not None:
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        if (
            weight_decay_type_is_L2
            or rebound_is_constant and not weight_decay_type_is_decoupled and not weight_decay_type_is_stable
        ):
            # weight decay
            grad = grad + weight_decay * param
    delta_grad = grad - exp_avg_grad
    direction_squared_squared = direction * direction * (direction * direction)
    sum_direction_squared_squared = folds.sum_lanes(sum_direction_squared_squared, direction_squared_squared, mask)
    if rebound_is_belief:
        # abs_delta_grad = abs(delta_grad)
        abs_delta_grad = tl.abs(delta_grad)
    if rebound_is_belief:
        max_abs_delta_grad = folds.max_lanes(max_abs_delta_grad, abs_delta_grad, mask)

    return sum_direction_squared_squared, max_abs_delta_grad


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
    exp_avg_grad_dtype: tl.constexpr,
    approx_hessian_dtype: tl.constexpr,
    direction_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
    grad_scale=None,
    clip_factor=None,
    found_inf=None,
    chunk_size: tl.constexpr = CHUNK,
    threads: tl.constexpr = 128,
):
    """One step of one chunk of one tensor; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = rows.dtype.element_ty
    block: tl.constexpr = threads * 128 // param_dtype.primitive_bitwidth  # 128 bits of the parameter per thread
    tl.static_assert(chunk_size % block == 0)
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 8 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_grad_address = tl.load(tensor + header + 2)
    direction_address = tl.load(tensor + header + 4)
    sum_direction_squared_squared = folds.sum_start((block,), math)
    max_abs_delta_grad = folds.max_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_grad_ptr = ops.aligned_pointer(exp_avg_grad_address, exp_avg_grad_dtype, start)
        direction_ptr = ops.aligned_pointer(direction_address, direction_dtype, start)
        for first in range(0, chunk_size, block):
            sum_direction_squared_squared, max_abs_delta_grad = update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_grad_ptr,
                direction_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                sum_direction_squared_squared,
                max_abs_delta_grad,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                weight_decay_type_is_L2,
                rebound_is_constant,
                weight_decay_type_is_decoupled,
                weight_decay_type_is_stable,
                rebound_is_belief,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_grad_ptr = ops.pointer(exp_avg_grad_address, exp_avg_grad_dtype, start)
        direction_ptr = ops.pointer(direction_address, direction_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_direction_squared_squared, max_abs_delta_grad = update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_grad_ptr,
                direction_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                sum_direction_squared_squared,
                max_abs_delta_grad,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                weight_decay_type_is_L2,
                rebound_is_constant,
                weight_decay_type_is_decoupled,
                weight_decay_type_is_stable,
                rebound_is_belief,
            )

    tl.store(partials + 2 * tl.program_id(0) + 0, folds.sum_all(sum_direction_squared_squared))
    if rebound_is_belief:
        tl.store(partials + 2 * tl.program_id(0) + 1, folds.max_all(max_abs_delta_grad))


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
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    row = rows + 8 * tl.load(tensor + 1)
    eps = tl.load(row + 2).to(math)
    eps_over_0_01 = tl.load(row + 3).to(math)

    sum_direction_squared_squared = folds.sum_range(
        partials + 2 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 2
    )
    tl.store(own_numbers + 0, sum_direction_squared_squared)
    if rebound_is_belief:
        max_abs_delta_grad = folds.max_range(
            partials + 2 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 2
        )
        tl.store(own_numbers + 1, max_abs_delta_grad)
    # fourth_norm = sqrt(sqrt(sum_direction_squared_squared))
    fourth_norm = ops.sqrt(ops.sqrt(sum_direction_squared_squared))
    if rebound_is_belief:
        # last_denom = fourth_norm + eps
        last_denom = fourth_norm + eps
    if not rebound_is_belief:
        # last_denom = fourth_norm + eps / 0.01
        last_denom = fourth_norm + eps_over_0_01
    # new_last_denom = last_denom
    new_last_denom = last_denom
    tl.store(own_numbers + 5, new_last_denom)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    exp_avg_grad_ptr,
    approx_hessian_ptr,
    direction_ptr,
    offsets,
    mask,
    weight_decay,
    alpha,
    new_last_denom,
    delta_part,
    delta_part_2,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    if (
        (
            rebound_is_constant and not weight_decay_type_is_decoupled and not weight_decay_type_is_stable
            or weight_decay_type_is_L2
        )
        and weight_decay_nonzero
    ):
        param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg_grad = ops.load(exp_avg_grad_ptr + offsets, mask, math)
    approx_hessian = ops.load(approx_hessian_ptr + offsets, mask, math)
    direction = ops.load(direction_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        if (
            weight_decay_type_is_L2
            or rebound_is_constant and not weight_decay_type_is_decoupled and not weight_decay_type_is_stable
        ):
            # weight decay
            grad = grad + weight_decay * param
    delta_grad = grad - exp_avg_grad
    exp_avg_grad = exp_avg_grad + alpha * delta_grad
    # unit = direction / new_last_denom
    unit = ops.divide(direction, new_last_denom)
    unit_squared = unit * unit
    # delta_part_part = delta_grad / new_last_denom * unit
    delta_part_part = ops.divide(delta_grad, new_last_denom) * unit
    delta_part = folds.sum_lanes(delta_part, delta_part_part, mask)
    approx_hessian_times_unit_squared = approx_hessian * unit_squared
    delta_part_2 = folds.sum_lanes(delta_part_2, approx_hessian_times_unit_squared, mask)

    ops.store(exp_avg_grad_ptr + offsets, exp_avg_grad, mask)
    return delta_part, delta_part_2


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
    exp_avg_grad_dtype: tl.constexpr,
    approx_hessian_dtype: tl.constexpr,
    direction_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
    grad_scale=None,
    clip_factor=None,
    found_inf=None,
    chunk_size: tl.constexpr = CHUNK,
    threads: tl.constexpr = 128,
):
    """One step of one chunk of one tensor; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = rows.dtype.element_ty
    block: tl.constexpr = threads * 128 // param_dtype.primitive_bitwidth  # 128 bits of the parameter per thread
    tl.static_assert(chunk_size % block == 0)
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 8 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    alpha = tl.load(row + 1)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    new_last_denom = tl.load(own_numbers + 5).to(math)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_grad_address = tl.load(tensor + header + 2)
    approx_hessian_address = tl.load(tensor + header + 3)
    direction_address = tl.load(tensor + header + 4)
    delta_part = folds.sum_start((block,), math)
    delta_part_2 = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_grad_ptr = ops.aligned_pointer(exp_avg_grad_address, exp_avg_grad_dtype, start)
        approx_hessian_ptr = ops.aligned_pointer(approx_hessian_address, approx_hessian_dtype, start)
        direction_ptr = ops.aligned_pointer(direction_address, direction_dtype, start)
        for first in range(0, chunk_size, block):
            delta_part, delta_part_2 = update_elements_1(
                param_ptr,
                grad_ptr,
                exp_avg_grad_ptr,
                approx_hessian_ptr,
                direction_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                alpha,
                new_last_denom,
                delta_part,
                delta_part_2,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                weight_decay_type_is_L2,
                rebound_is_constant,
                weight_decay_type_is_decoupled,
                weight_decay_type_is_stable,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_grad_ptr = ops.pointer(exp_avg_grad_address, exp_avg_grad_dtype, start)
        approx_hessian_ptr = ops.pointer(approx_hessian_address, approx_hessian_dtype, start)
        direction_ptr = ops.pointer(direction_address, direction_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            delta_part, delta_part_2 = update_elements_1(
                param_ptr,
                grad_ptr,
                exp_avg_grad_ptr,
                approx_hessian_ptr,
                direction_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                alpha,
                new_last_denom,
                delta_part,
                delta_part_2,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                weight_decay_type_is_L2,
                rebound_is_constant,
                weight_decay_type_is_decoupled,
                weight_decay_type_is_stable,
            )

    tl.store(partials + 2 * tl.program_id(0) + 0, folds.sum_all(delta_part))
    tl.store(partials + 2 * tl.program_id(0) + 1, folds.sum_all(delta_part_2))


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
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 2; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    row = rows + 8 * tl.load(tensor + 1)
    minus_alpha = tl.load(row + 4).to(math)

    delta_part = folds.sum_range(partials + 2 * tl.load(place + 7) + 0, 0, tl.load(place + 8).to(tl.int32), 2)
    tl.store(own_numbers + 2, delta_part)
    delta_part_2 = folds.sum_range(partials + 2 * tl.load(place + 7) + 1, 0, tl.load(place + 8).to(tl.int32), 2)
    tl.store(own_numbers + 3, delta_part_2)
    # delta = -alpha * delta_part - delta_part_2
    delta = minus_alpha * delta_part - delta_part_2
    tl.store(own_numbers + 6, delta)


@triton.jit
def update_elements_2(
    approx_hessian_ptr,
    direction_ptr,
    offsets,
    mask,
    eps_over_alpha,
    new_last_denom,
    delta,
    max_abs_delta_grad,
    sum_denom,
    math: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    approx_hessian = ops.load(approx_hessian_ptr + offsets, mask, math)
    direction = ops.load(direction_ptr + offsets, mask, math)

    # unit = direction / new_last_denom
    unit = ops.divide(direction, new_last_denom)
    unit_squared = unit * unit
    approx_hessian = approx_hessian + delta * unit_squared
    if rebound_is_belief:
        # denom = maximum(abs(approx_hessian), max_abs_delta_grad) + eps / alpha
        denom = ops.maximum(tl.abs(approx_hessian), max_abs_delta_grad) + eps_over_alpha
    else:
        # denom = maximum(abs(approx_hessian), 0.01)
        denom = ops.maximum(tl.abs(approx_hessian), tl.full((), 0.01, math))
    if weight_decay_nonzero and weight_decay_type_is_stable:
        new_denom = denom
    if weight_decay_nonzero and weight_decay_type_is_stable:
        sum_denom = folds.sum_lanes(sum_denom, new_denom, mask)

    ops.store(approx_hessian_ptr + offsets, approx_hessian, mask)
    return sum_denom


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
    exp_avg_grad_dtype: tl.constexpr,
    approx_hessian_dtype: tl.constexpr,
    direction_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
    grad_scale=None,
    clip_factor=None,
    found_inf=None,
    chunk_size: tl.constexpr = CHUNK,
    threads: tl.constexpr = 128,
):
    """One step of one chunk of one tensor; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = rows.dtype.element_ty
    block: tl.constexpr = threads * 128 // param_dtype.primitive_bitwidth  # 128 bits of the parameter per thread
    tl.static_assert(chunk_size % block == 0)
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 8 * tl.load(tensor + 1)
    eps_over_alpha = tl.load(row + 5)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    new_last_denom = tl.load(own_numbers + 5).to(math)
    delta = tl.load(own_numbers + 6).to(math)
    max_abs_delta_grad = tl.load(own_numbers + 1).to(math)
    approx_hessian_address = tl.load(tensor + header + 3)
    direction_address = tl.load(tensor + header + 4)
    sum_denom = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        approx_hessian_ptr = ops.aligned_pointer(approx_hessian_address, approx_hessian_dtype, start)
        direction_ptr = ops.aligned_pointer(direction_address, direction_dtype, start)
        for first in range(0, chunk_size, block):
            sum_denom = update_elements_2(
                approx_hessian_ptr,
                direction_ptr,
                first + tl.arange(0, block),
                None,
                eps_over_alpha,
                new_last_denom,
                delta,
                max_abs_delta_grad,
                sum_denom,
                math,
                weight_decay_nonzero,
                weight_decay_type_is_stable,
                rebound_is_belief,
            )
    else:
        approx_hessian_ptr = ops.pointer(approx_hessian_address, approx_hessian_dtype, start)
        direction_ptr = ops.pointer(direction_address, direction_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_denom = update_elements_2(
                approx_hessian_ptr,
                direction_ptr,
                offsets,
                offsets < elements,
                eps_over_alpha,
                new_last_denom,
                delta,
                max_abs_delta_grad,
                sum_denom,
                math,
                weight_decay_nonzero,
                weight_decay_type_is_stable,
                rebound_is_belief,
            )

    if weight_decay_nonzero and weight_decay_type_is_stable:
        tl.store(partials + 1 * tl.program_id(0) + 0, folds.sum_all(sum_denom))


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
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 3; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 16 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    row = rows + 8 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0).to(math)
    param_size = tl.load(row + 6).to(math)

    if weight_decay_nonzero and weight_decay_type_is_stable:
        sum_denom = folds.sum_range(partials + 1 * tl.load(place + 10) + 0, 0, tl.load(place + 11).to(tl.int32), 1)
        tl.store(own_numbers + 4, sum_denom)
        # mean_denom = sum_denom / param_size
        mean_denom = ops.divide(sum_denom, param_size)
        # weight_decay_over_mean_denom = weight_decay / mean_denom
        weight_decay_over_mean_denom = ops.divide(weight_decay, mean_denom)
        tl.store(own_numbers + 7, weight_decay_over_mean_denom)


@triton.jit
def update_elements_3(
    param_ptr,
    exp_avg_grad_ptr,
    approx_hessian_ptr,
    direction_ptr,
    offsets,
    mask,
    weight_decay,
    eps_over_alpha,
    rate,
    max_abs_delta_grad,
    weight_decay_over_mean_denom,
    math: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    exp_avg_grad = ops.load(exp_avg_grad_ptr + offsets, mask, math)
    approx_hessian = ops.load(approx_hessian_ptr + offsets, mask, math)

    if rebound_is_belief:
        # denom = maximum(abs(approx_hessian), max_abs_delta_grad) + eps / alpha
        denom = ops.maximum(tl.abs(approx_hessian), max_abs_delta_grad) + eps_over_alpha
    else:
        # denom = maximum(abs(approx_hessian), 0.01)
        denom = ops.maximum(tl.abs(approx_hessian), tl.full((), 0.01, math))
    # direction = exp_avg_grad / denom
    direction = ops.divide(exp_avg_grad, denom)
    if weight_decay_nonzero and weight_decay_type_is_stable:
        direction = direction + weight_decay_over_mean_denom * param
    elif weight_decay_nonzero and (weight_decay_type_is_decoupled or not weight_decay_type_is_L2 and rebound_is_belief):
        direction = direction + weight_decay * param
    param = param - rate * direction

    ops.store(param_ptr + offsets, param, mask)
    ops.store(direction_ptr + offsets, direction, mask)


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
    exp_avg_grad_dtype: tl.constexpr,
    approx_hessian_dtype: tl.constexpr,
    direction_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decay_type_is_L2: tl.constexpr,
    rebound_is_constant: tl.constexpr,
    weight_decay_type_is_decoupled: tl.constexpr,
    weight_decay_type_is_stable: tl.constexpr,
    rebound_is_belief: tl.constexpr,
    grad_scale=None,
    clip_factor=None,
    found_inf=None,
    chunk_size: tl.constexpr = CHUNK,
    threads: tl.constexpr = 128,
):
    """One step of one chunk of one tensor; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = rows.dtype.element_ty
    block: tl.constexpr = threads * 128 // param_dtype.primitive_bitwidth  # 128 bits of the parameter per thread
    tl.static_assert(chunk_size % block == 0)
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 8 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    eps_over_alpha = tl.load(row + 5)
    rate = tl.load(row + 7)
    own_numbers = numbers + 8 * tl.load(chunk).to(tl.int64)
    max_abs_delta_grad = tl.load(own_numbers + 1).to(math)
    weight_decay_over_mean_denom = tl.load(own_numbers + 7).to(math)
    param_address = tl.load(tensor + header + 0)
    exp_avg_grad_address = tl.load(tensor + header + 2)
    approx_hessian_address = tl.load(tensor + header + 3)
    direction_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        exp_avg_grad_ptr = ops.aligned_pointer(exp_avg_grad_address, exp_avg_grad_dtype, start)
        approx_hessian_ptr = ops.aligned_pointer(approx_hessian_address, approx_hessian_dtype, start)
        direction_ptr = ops.aligned_pointer(direction_address, direction_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements_3(
                param_ptr,
                exp_avg_grad_ptr,
                approx_hessian_ptr,
                direction_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                eps_over_alpha,
                rate,
                max_abs_delta_grad,
                weight_decay_over_mean_denom,
                math,
                weight_decay_nonzero,
                weight_decay_type_is_L2,
                weight_decay_type_is_decoupled,
                weight_decay_type_is_stable,
                rebound_is_belief,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        exp_avg_grad_ptr = ops.pointer(exp_avg_grad_address, exp_avg_grad_dtype, start)
        approx_hessian_ptr = ops.pointer(approx_hessian_address, approx_hessian_dtype, start)
        direction_ptr = ops.pointer(direction_address, direction_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements_3(
                param_ptr,
                exp_avg_grad_ptr,
                approx_hessian_ptr,
                direction_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                eps_over_alpha,
                rate,
                max_abs_delta_grad,
                weight_decay_over_mean_denom,
                math,
                weight_decay_nonzero,
                weight_decay_type_is_L2,
                weight_decay_type_is_decoupled,
                weight_decay_type_is_stable,
                rebound_is_belief,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=False,
        folds=passes.Counts(2, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=True,
        sweep=kernel_1,
        tiled=False,
        folds=passes.Counts(2, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_2,
        divides=True,
        sweep=kernel_2,
        tiled=False,
        folds=passes.Counts(1, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_3,
        divides=True,
        sweep=kernel_3,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(8, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix


def has_vectors(
    *,
    maximize: bool,
    weight_decay_nonzero: bool,
    weight_decay_type_is_L2: bool,
    rebound_is_constant: bool,
    weight_decay_type_is_decoupled: bool,
    weight_decay_type_is_stable: bool,
    rebound_is_belief: bool,
) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
