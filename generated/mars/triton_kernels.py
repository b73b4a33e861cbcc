# Generated from specs/mars.yaml by thetac 0.1.0; do not edit.
"""MARS on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "last_grad")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    grad_ptr,
    last_grad_ptr,
    offsets,
    mask,
    corrected_factor,
    sum_corrected_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    optimize_1d: tl.constexpr,
    param_rank_equal_to_two: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if optimize_1d or param_rank_equal_to_two:
        last_grad = ops.load(last_grad_ptr + offsets, mask, math)
    if (optimize_1d or param_rank_equal_to_two) or grad_scale is not None:
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if optimize_1d or param_rank_equal_to_two:
        # corrected = grad + gamma * beta1 / (1 - beta1) * (grad - last_grad)
        corrected = grad + corrected_factor * (grad - last_grad)
        corrected_squared = corrected * corrected
    if optimize_1d or param_rank_equal_to_two:
        sum_corrected_squared = folds.sum_lanes(sum_corrected_squared, corrected_squared, mask)

    return sum_corrected_squared


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
    max_exp_avg_sq_dtype: tl.constexpr,
    last_grad_dtype: tl.constexpr,
    maximize: tl.constexpr,
    optimize_1d: tl.constexpr,
    param_rank_equal_to_two: tl.constexpr,
    mars_type_is_adamw: tl.constexpr,
    mars_type_is_lion: tl.constexpr,
    amsgrad: tl.constexpr,
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
    tensor = tensors + (header + 6) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 13 * tl.load(tensor + 1)
    corrected_factor = tl.load(row + 0)
    grad_address = tl.load(tensor + header + 1)
    last_grad_address = tl.load(tensor + header + 5)
    sum_corrected_squared = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        last_grad_ptr = ops.aligned_pointer(last_grad_address, last_grad_dtype, start)
        for first in range(0, chunk_size, block):
            sum_corrected_squared = update_elements(
                grad_ptr,
                last_grad_ptr,
                first + tl.arange(0, block),
                None,
                corrected_factor,
                sum_corrected_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                optimize_1d,
                param_rank_equal_to_two,
            )
    else:
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        last_grad_ptr = ops.pointer(last_grad_address, last_grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_corrected_squared = update_elements(
                grad_ptr,
                last_grad_ptr,
                offsets,
                offsets < elements,
                corrected_factor,
                sum_corrected_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                optimize_1d,
                param_rank_equal_to_two,
            )

    if optimize_1d or param_rank_equal_to_two:
        tl.store(partials + 1 * tl.program_id(0) + 0, folds.sum_all(sum_corrected_squared))


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
    optimize_1d: tl.constexpr,
    param_rank_equal_to_two: tl.constexpr,
    mars_type_is_adamw: tl.constexpr,
    mars_type_is_lion: tl.constexpr,
    amsgrad: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    chunk = chunks + 2 * tl.program_id(0)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 2 * tl.load(chunk).to(tl.int64)

    if optimize_1d or param_rank_equal_to_two:
        sum_corrected_squared = folds.sum_range(
            partials + 1 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 1
        )
        tl.store(own_numbers + 0, sum_corrected_squared)
        # norm_corrected = sqrt(sum_corrected_squared)
        norm_corrected = ops.sqrt(sum_corrected_squared)
        # max_of_norm_corrected_one = maximum(norm_corrected, 1)
        max_of_norm_corrected_one = ops.maximum(norm_corrected, 1.0)
        tl.store(own_numbers + 1, max_of_norm_corrected_one)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    max_exp_avg_sq_ptr,
    last_grad_ptr,
    offsets,
    mask,
    corrected_factor,
    beta1,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    beta1_1d,
    one_minus_beta1_1d,
    beta2_1d,
    one_minus_beta2_1d,
    correction1_over_correction2,
    correction1_times_eps,
    rate,
    decay,
    max_of_norm_corrected_one,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    optimize_1d: tl.constexpr,
    param_rank_equal_to_two: tl.constexpr,
    mars_type_is_adamw: tl.constexpr,
    mars_type_is_lion: tl.constexpr,
    amsgrad: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    if (
        (not mars_type_is_adamw or not optimize_1d and not param_rank_equal_to_two)
        and (
            mars_type_is_adamw and (optimize_1d or param_rank_equal_to_two)
            or not optimize_1d and not param_rank_equal_to_two
        )
        and (optimize_1d or param_rank_equal_to_two)
        or mars_type_is_adamw and (optimize_1d or param_rank_equal_to_two)
        or not mars_type_is_lion
        or not optimize_1d and not param_rank_equal_to_two
    ):
        exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    if amsgrad and (not mars_type_is_lion or not optimize_1d and not param_rank_equal_to_two):
        max_exp_avg_sq = ops.load(max_exp_avg_sq_ptr + offsets, mask, math)
    if optimize_1d or param_rank_equal_to_two:
        last_grad = ops.load(last_grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if optimize_1d or param_rank_equal_to_two:
        # corrected = grad + gamma * beta1 / (1 - beta1) * (grad - last_grad)
        corrected = grad + corrected_factor * (grad - last_grad)
        # corrected = corrected / max_of_norm_corrected_one
        corrected = ops.divide(corrected, max_of_norm_corrected_one)
        # exp_avg = beta1 * exp_avg + (1 - beta1) * corrected
        exp_avg = beta1 * exp_avg + one_minus_beta1 * corrected
        if mars_type_is_adamw:
            # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * corrected * corrected
            exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * corrected * corrected
        last_grad = grad
    if not (optimize_1d or param_rank_equal_to_two):
        # exp_avg = beta1_1d * exp_avg + (1 - beta1_1d) * grad
        exp_avg = beta1_1d * exp_avg + one_minus_beta1_1d * grad
        # exp_avg_sq = beta2_1d * exp_avg_sq + (1 - beta2_1d) * grad * grad
        exp_avg_sq = beta2_1d * exp_avg_sq + one_minus_beta2_1d * grad * grad
    if mars_type_is_lion and (optimize_1d or param_rank_equal_to_two):
        # direction = sign(exp_avg)
        direction = ops.sign(exp_avg)
    else:
        second_moment = exp_avg_sq
        if amsgrad:
            # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            max_exp_avg_sq = ops.maximum(max_exp_avg_sq, exp_avg_sq)
            second_moment = max_exp_avg_sq
        # direction = exp_avg / (sqrt(second_moment) * (correction1 / correction2) + correction1 * eps)
        direction = ops.divide(exp_avg, ops.sqrt(second_moment) * correction1_over_correction2 + correction1_times_eps)
    param = param - rate * (decay * param + direction)

    ops.store(param_ptr + offsets, param, mask)
    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    if (
        mars_type_is_adamw and (optimize_1d or param_rank_equal_to_two)
        or not optimize_1d and not param_rank_equal_to_two
    ):
        ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    if amsgrad and (not mars_type_is_lion or not optimize_1d and not param_rank_equal_to_two):
        ops.store(max_exp_avg_sq_ptr + offsets, max_exp_avg_sq, mask)
    if optimize_1d or param_rank_equal_to_two:
        ops.store(last_grad_ptr + offsets, last_grad, mask)


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
    max_exp_avg_sq_dtype: tl.constexpr,
    last_grad_dtype: tl.constexpr,
    maximize: tl.constexpr,
    optimize_1d: tl.constexpr,
    param_rank_equal_to_two: tl.constexpr,
    mars_type_is_adamw: tl.constexpr,
    mars_type_is_lion: tl.constexpr,
    amsgrad: tl.constexpr,
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
    tensor = tensors + (header + 6) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 13 * tl.load(tensor + 1)
    corrected_factor = tl.load(row + 0)
    beta1 = tl.load(row + 1)
    one_minus_beta1 = tl.load(row + 2)
    beta2 = tl.load(row + 3)
    one_minus_beta2 = tl.load(row + 4)
    beta1_1d = tl.load(row + 5)
    one_minus_beta1_1d = tl.load(row + 6)
    beta2_1d = tl.load(row + 7)
    one_minus_beta2_1d = tl.load(row + 8)
    correction1_over_correction2 = tl.load(row + 9)
    correction1_times_eps = tl.load(row + 10)
    rate = tl.load(row + 11)
    decay = tl.load(row + 12)
    own_numbers = numbers + 2 * tl.load(chunk).to(tl.int64)
    max_of_norm_corrected_one = tl.load(own_numbers + 1).to(math)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)
    max_exp_avg_sq_address = tl.load(tensor + header + 4)
    last_grad_address = tl.load(tensor + header + 5)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        max_exp_avg_sq_ptr = ops.aligned_pointer(max_exp_avg_sq_address, max_exp_avg_sq_dtype, start)
        last_grad_ptr = ops.aligned_pointer(last_grad_address, last_grad_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements_1(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                max_exp_avg_sq_ptr,
                last_grad_ptr,
                first + tl.arange(0, block),
                None,
                corrected_factor,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                beta1_1d,
                one_minus_beta1_1d,
                beta2_1d,
                one_minus_beta2_1d,
                correction1_over_correction2,
                correction1_times_eps,
                rate,
                decay,
                max_of_norm_corrected_one,
                clip_factor,
                math,
                maximize,
                optimize_1d,
                param_rank_equal_to_two,
                mars_type_is_adamw,
                mars_type_is_lion,
                amsgrad,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        max_exp_avg_sq_ptr = ops.pointer(max_exp_avg_sq_address, max_exp_avg_sq_dtype, start)
        last_grad_ptr = ops.pointer(last_grad_address, last_grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements_1(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                max_exp_avg_sq_ptr,
                last_grad_ptr,
                offsets,
                offsets < elements,
                corrected_factor,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                beta1_1d,
                one_minus_beta1_1d,
                beta2_1d,
                one_minus_beta2_1d,
                correction1_over_correction2,
                correction1_times_eps,
                rate,
                decay,
                max_of_norm_corrected_one,
                clip_factor,
                math,
                maximize,
                optimize_1d,
                param_rank_equal_to_two,
                mars_type_is_adamw,
                mars_type_is_lion,
                amsgrad,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=False,
        folds=passes.Counts(1, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=True,
        sweep=kernel_1,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(2, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix


def has_vectors(
    *,
    maximize: bool,
    optimize_1d: bool,
    param_rank_equal_to_two: bool,
    mars_type_is_adamw: bool,
    mars_type_is_lion: bool,
    amsgrad: bool,
) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
