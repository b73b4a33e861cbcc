# Generated from specs/prodigy.yaml by thetac 0.1.0; do not edit.
"""Prodigy on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq", "s", "p0")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    s_ptr,
    p0_ptr,
    offsets,
    mask,
    weight_decay,
    beta3_or_default,
    gain,
    sum_direction_times_p0_minus_param,
    sum_abs_s,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    s = ops.load(s_ptr + offsets, mask, math)
    p0 = ops.load(p0_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    direction = grad
    if weight_decay_nonzero and not decouple:
        direction = grad + weight_decay * param
    direction_times_p0_minus_param = direction * (p0 - param)
    sum_direction_times_p0_minus_param = folds.sum_lanes(
        sum_direction_times_p0_minus_param, direction_times_p0_minus_param, mask
    )
    s = beta3_or_default * s + gain * direction
    # abs_s = abs(s)
    abs_s = tl.abs(s)
    sum_abs_s = folds.sum_lanes(sum_abs_s, abs_s, mask)

    ops.store(s_ptr + offsets, s, mask)
    return sum_direction_times_p0_minus_param, sum_abs_s


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
    s_dtype: tl.constexpr,
    p0_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple: tl.constexpr,
    beta1_positive: tl.constexpr,
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
    row = rows + 12 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    beta3_or_default = tl.load(row + 6)
    gain = tl.load(row + 7)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    s_address = tl.load(tensor + header + 4)
    p0_address = tl.load(tensor + header + 5)
    sum_direction_times_p0_minus_param = folds.sum_start((block,), math)
    sum_abs_s = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        s_ptr = ops.aligned_pointer(s_address, s_dtype, start)
        p0_ptr = ops.aligned_pointer(p0_address, p0_dtype, start)
        for first in range(0, chunk_size, block):
            sum_direction_times_p0_minus_param, sum_abs_s = update_elements(
                param_ptr,
                grad_ptr,
                s_ptr,
                p0_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                beta3_or_default,
                gain,
                sum_direction_times_p0_minus_param,
                sum_abs_s,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decouple,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        s_ptr = ops.pointer(s_address, s_dtype, start)
        p0_ptr = ops.pointer(p0_address, p0_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_direction_times_p0_minus_param, sum_abs_s = update_elements(
                param_ptr,
                grad_ptr,
                s_ptr,
                p0_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                beta3_or_default,
                gain,
                sum_direction_times_p0_minus_param,
                sum_abs_s,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decouple,
            )

    tl.store(partials + 2 * tl.program_id(0) + 0, folds.sum_all(sum_direction_times_p0_minus_param))
    tl.store(partials + 2 * tl.program_id(0) + 1, folds.sum_all(sum_abs_s))


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
    decouple: tl.constexpr,
    beta1_positive: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 6) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 3 * tl.load(chunk).to(tl.int64)
    row = rows + 12 * tl.load(tensor + 1)
    d_over_d0_times_rate = tl.load(row + 1).to(math)

    sum_direction_times_p0_minus_param = folds.sum_range(
        partials + 2 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 2
    )
    tl.store(own_numbers + 0, sum_direction_times_p0_minus_param)
    sum_abs_s = folds.sum_range(partials + 2 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 2)
    tl.store(own_numbers + 1, sum_abs_s)
    # numerator_term = d / d0 * rate * sum_direction_times_p0_minus_param
    numerator_term = d_over_d0_times_rate * sum_direction_times_p0_minus_param
    tl.store(own_numbers + 2, numerator_term)


@triton.jit
def update_elements_2(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    weight_decay,
    beta1,
    d_times_one_minus_beta1,
    beta2,
    d_squared_times_one_minus_beta2,
    rate,
    param_factor,
    d_times_eps,
    rate_times_d,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple: tl.constexpr,
    beta1_positive: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    if beta1_positive:
        exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    direction = grad
    if weight_decay_nonzero and not decouple:
        direction = grad + weight_decay * param
    if beta1_positive:
        # exp_avg = beta1 * exp_avg + d * (1 - beta1) * direction
        exp_avg = beta1 * exp_avg + d_times_one_minus_beta1 * direction
    # exp_avg_sq = beta2 * exp_avg_sq + d * d * (1 - beta2) * direction * direction
    exp_avg_sq = beta2 * exp_avg_sq + d_squared_times_one_minus_beta2 * direction * direction
    if weight_decay_nonzero and decouple:
        # param = param - where(still, 0, weight_decay * rate) * param
        param = param - param_factor * param
    # root = sqrt(exp_avg_sq) + d * eps
    root = ops.sqrt(exp_avg_sq) + d_times_eps
    if beta1_positive:
        # param = param - rate * exp_avg / root
        param = param - ops.divide(rate * exp_avg, root)
    else:
        # param = param - rate * d * direction / root
        param = param - ops.divide(rate_times_d * direction, root)

    ops.store(param_ptr + offsets, param, mask)
    if beta1_positive:
        ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)


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
    s_dtype: tl.constexpr,
    p0_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple: tl.constexpr,
    beta1_positive: tl.constexpr,
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
    row = rows + 12 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    beta1 = tl.load(row + 2)
    d_times_one_minus_beta1 = tl.load(row + 3)
    beta2 = tl.load(row + 4)
    d_squared_times_one_minus_beta2 = tl.load(row + 5)
    rate = tl.load(row + 8)
    param_factor = tl.load(row + 9)
    d_times_eps = tl.load(row + 10)
    rate_times_d = tl.load(row + 11)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements_2(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                beta1,
                d_times_one_minus_beta1,
                beta2,
                d_squared_times_one_minus_beta2,
                rate,
                param_factor,
                d_times_eps,
                rate_times_d,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decouple,
                beta1_positive,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements_2(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                beta1,
                d_times_one_minus_beta1,
                beta2,
                d_squared_times_one_minus_beta2,
                rate,
                param_factor,
                d_times_eps,
                rate_times_d,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decouple,
                beta1_positive,
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
        sweep=None,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel_2,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(3, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix
TERMS = (2, 1)  # of totals: their places among a tensor's numbers


def has_vectors(*, maximize: bool, weight_decay_nonzero: bool, decouple: bool, beta1_positive: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
