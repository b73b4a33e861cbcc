# Generated from specs/fromage.yaml by thetac 0.1.0; do not edit.
"""Fromage on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad")
CHUNK = 8192  # elements per program
SMALL = ("max_norm", )
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    first_max_norm,
    sum_param_squared,
    ratio_part_part,
    sum_grad_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    choice_of_p_bound_is_none_infinity_p_bound_below_infinity: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    param_squared = folds.sum_start(offsets.shape, math)
    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        if first_max_norm != 0:
            param_squared = param * param
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        sum_param_squared = folds.sum_lanes(sum_param_squared, param_squared, mask)
    ratio_part_part_part = param * param
    ratio_part_part = folds.sum_lanes(ratio_part_part, ratio_part_part_part, mask)
    grad_squared = grad * grad
    sum_grad_squared = folds.sum_lanes(sum_grad_squared, grad_squared, mask)

    return sum_param_squared, ratio_part_part, sum_grad_squared


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
    maximize: tl.constexpr,
    choice_of_p_bound_is_none_infinity_p_bound_below_infinity: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 4 * tl.load(tensor + 1)
    first_max_norm = tl.load(row + 0)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    sum_param_squared = folds.sum_start((block,), math)
    ratio_part_part = folds.sum_start((block,), math)
    sum_grad_squared = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for first in range(0, chunk_size, block):
            sum_param_squared, ratio_part_part, sum_grad_squared = update_elements(
                param_ptr,
                grad_ptr,
                first + tl.arange(0, block),
                None,
                first_max_norm,
                sum_param_squared,
                ratio_part_part,
                sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                choice_of_p_bound_is_none_infinity_p_bound_below_infinity,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_param_squared, ratio_part_part, sum_grad_squared = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                offsets < elements,
                first_max_norm,
                sum_param_squared,
                ratio_part_part,
                sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                choice_of_p_bound_is_none_infinity_p_bound_below_infinity,
            )

    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        tl.store(partials + 3 * tl.program_id(0) + 0, folds.sum_all(sum_param_squared))
    tl.store(partials + 3 * tl.program_id(0) + 1, folds.sum_all(ratio_part_part))
    tl.store(partials + 3 * tl.program_id(0) + 2, folds.sum_all(sum_grad_squared))


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
    max_norm_dtype: tl.constexpr,
    maximize: tl.constexpr,
    choice_of_p_bound_is_none_infinity_p_bound_below_infinity: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 7 * tl.load(chunk).to(tl.int64)
    row = rows + 4 * tl.load(tensor + 1)
    first_max_norm = tl.load(row + 0).to(math)
    p_bound_or_default = tl.load(row + 1).to(math)
    max_norm_ptr = ops.pointer(tl.load(tensor + header + 2), max_norm_dtype, 0)

    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        max_norm = ops.load(max_norm_ptr, None, math)
    tl.debug_barrier()
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        sum_param_squared = folds.sum_range(
            partials + 3 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 3
        )
        tl.store(own_numbers + 0, sum_param_squared)
    ratio_part_part = folds.sum_range(partials + 3 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 3)
    tl.store(own_numbers + 1, ratio_part_part)
    sum_grad_squared = folds.sum_range(partials + 3 * tl.load(place + 4) + 2, 0, tl.load(place + 5).to(tl.int32), 3)
    tl.store(own_numbers + 2, sum_grad_squared)
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        # norm_param = sqrt(sum_param_squared)
        norm_param = tl.where(first_max_norm != 0, ops.sqrt(sum_param_squared), 0)
        # max_norm = p_bound_or_default * norm_param
        max_norm = tl.where(first_max_norm != 0, p_bound_or_default * norm_param, max_norm)
        ops.store(max_norm_ptr, max_norm, None)
    # ratio_part = sqrt(ratio_part_part)
    ratio_part = ops.sqrt(ratio_part_part)
    # norm_grad = sqrt(sum_grad_squared)
    norm_grad = ops.sqrt(sum_grad_squared)
    # ratio = where(ratio_part > 0 and norm_grad > 0, ratio_part / norm_grad, 1)
    ratio = tl.where((ratio_part > 0) & (norm_grad > 0), ops.divide(ratio_part, norm_grad), 1.0)
    tl.store(own_numbers + 4, ratio)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    lr,
    sqrt_one_plus_lr_squared,
    ratio,
    param_part_part,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    choice_of_p_bound_is_none_infinity_p_bound_below_infinity: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        param = ops.load(param_ptr + offsets, mask, math)
        grad = ops.load(grad_ptr + offsets, mask, math)
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # param = (param - lr * (grad * ratio)) / sqrt(1 + lr ** 2)
    param = ops.divide(param - lr * (grad * ratio), sqrt_one_plus_lr_squared)
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        param_part_part_part = param * param
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        param_part_part = folds.sum_lanes(param_part_part, param_part_part_part, mask)

    return param_part_part


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
    maximize: tl.constexpr,
    choice_of_p_bound_is_none_infinity_p_bound_below_infinity: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 4 * tl.load(tensor + 1)
    lr = tl.load(row + 2)
    sqrt_one_plus_lr_squared = tl.load(row + 3)
    own_numbers = numbers + 7 * tl.load(chunk).to(tl.int64)
    ratio = tl.load(own_numbers + 4).to(math)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    param_part_part = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for first in range(0, chunk_size, block):
            param_part_part = update_elements_1(
                param_ptr,
                grad_ptr,
                first + tl.arange(0, block),
                None,
                lr,
                sqrt_one_plus_lr_squared,
                ratio,
                param_part_part,
                clip_factor,
                math,
                maximize,
                choice_of_p_bound_is_none_infinity_p_bound_below_infinity,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            param_part_part = update_elements_1(
                param_ptr,
                grad_ptr,
                offsets,
                offsets < elements,
                lr,
                sqrt_one_plus_lr_squared,
                ratio,
                param_part_part,
                clip_factor,
                math,
                maximize,
                choice_of_p_bound_is_none_infinity_p_bound_below_infinity,
            )

    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        tl.store(partials + 1 * tl.program_id(0) + 0, folds.sum_all(param_part_part))


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
    max_norm_dtype: tl.constexpr,
    maximize: tl.constexpr,
    choice_of_p_bound_is_none_infinity_p_bound_below_infinity: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 2; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 7 * tl.load(chunk).to(tl.int64)
    max_norm_ptr = ops.pointer(tl.load(tensor + header + 2), max_norm_dtype, 0)

    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        max_norm = ops.load(max_norm_ptr, None, math)
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        param_part_part = folds.sum_range(partials + 1 * tl.load(place + 7) + 0, 0, tl.load(place + 8).to(tl.int32), 1)
        tl.store(own_numbers + 3, param_part_part)
        # param_part = sqrt(param_part_part)
        param_part = ops.sqrt(param_part_part)
        # param_part_above_max_norm = param_part > max_norm
        param_part_above_max_norm = param_part > max_norm
        tl.store(own_numbers + 5, param_part_above_max_norm.to(math))
        # max_norm_over_param_part = max_norm / param_part
        max_norm_over_param_part = ops.divide(max_norm, param_part)
        tl.store(own_numbers + 6, max_norm_over_param_part)


@triton.jit
def update_elements_2(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    lr,
    sqrt_one_plus_lr_squared,
    ratio,
    param_part_above_max_norm,
    max_norm_over_param_part,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    choice_of_p_bound_is_none_infinity_p_bound_below_infinity: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # param = (param - lr * (grad * ratio)) / sqrt(1 + lr ** 2)
    param = ops.divide(param - lr * (grad * ratio), sqrt_one_plus_lr_squared)
    if choice_of_p_bound_is_none_infinity_p_bound_below_infinity:
        # param = where(param_part_above_max_norm, param * max_norm_over_param_part, param)
        param = tl.where(param_part_above_max_norm, param * max_norm_over_param_part, param)

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
    maximize: tl.constexpr,
    choice_of_p_bound_is_none_infinity_p_bound_below_infinity: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 4 * tl.load(tensor + 1)
    lr = tl.load(row + 2)
    sqrt_one_plus_lr_squared = tl.load(row + 3)
    own_numbers = numbers + 7 * tl.load(chunk).to(tl.int64)
    ratio = tl.load(own_numbers + 4).to(math)
    param_part_above_max_norm = tl.load(own_numbers + 5) != 0
    max_norm_over_param_part = tl.load(own_numbers + 6).to(math)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements_2(
                param_ptr,
                grad_ptr,
                first + tl.arange(0, block),
                None,
                lr,
                sqrt_one_plus_lr_squared,
                ratio,
                param_part_above_max_norm,
                max_norm_over_param_part,
                clip_factor,
                math,
                maximize,
                choice_of_p_bound_is_none_infinity_p_bound_below_infinity,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements_2(
                param_ptr,
                grad_ptr,
                offsets,
                offsets < elements,
                lr,
                sqrt_one_plus_lr_squared,
                ratio,
                param_part_above_max_norm,
                max_norm_over_param_part,
                clip_factor,
                math,
                maximize,
                choice_of_p_bound_is_none_infinity_p_bound_below_infinity,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=False,
        folds=passes.Counts(3, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=False,
        sweep=kernel_1,
        tiled=False,
        folds=passes.Counts(1, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_2,
        divides=True,
        sweep=kernel_2,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(7, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, choice_of_p_bound_is_none_infinity_p_bound_below_infinity: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
