# Generated from specs/laprop.yaml by thetac 0.1.0; do not edit.
"""LaProp on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq", "exp_mean_avg_beta2", "max_exp_avg_sq")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    exp_mean_avg_beta2_ptr,
    max_exp_avg_sq_ptr,
    offsets,
    mask,
    beta2,
    one_minus_beta2,
    step_above_ten,
    not_centered_or_step_above_ten,
    exp_avg_lr_2,
    eps,
    beta1,
    one_minus_beta1_times_lr,
    one_over_bias_correction1,
    weight_decay_nonzero_and_lr_nonzero,
    weight_decay,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    centered: tl.constexpr,
    amsgrad: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    if centered:
        exp_mean_avg_beta2 = ops.load(exp_mean_avg_beta2_ptr + offsets, mask, math)
    if amsgrad:
        max_exp_avg_sq = ops.load(max_exp_avg_sq_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    second = exp_avg_sq
    if centered:
        # exp_mean_avg_beta2 = beta2 * exp_mean_avg_beta2 + (1 - beta2) * grad
        exp_mean_avg_beta2 = beta2 * exp_mean_avg_beta2 + one_minus_beta2 * grad
        if step_above_ten != 0:
            second = exp_avg_sq - exp_mean_avg_beta2 * exp_mean_avg_beta2
    if amsgrad:
        if not_centered_or_step_above_ten != 0:
            # max_exp_avg_sq = maximum(max_exp_avg_sq, second)
            max_exp_avg_sq = ops.maximum(max_exp_avg_sq, second)
            second = max_exp_avg_sq
    # denom = sqrt(second / exp_avg_lr_2) + eps
    denom = ops.sqrt(ops.divide(second, exp_avg_lr_2)) + eps
    # the mean of the steps: exp_avg = beta1 * exp_avg + (1 - beta1) * lr * (grad / denom)
    exp_avg = beta1 * exp_avg + one_minus_beta1_times_lr * ops.divide(grad, denom)
    # param = param - 1 / bias_correction1 * exp_avg
    param = param - one_over_bias_correction1 * exp_avg
    if weight_decay_nonzero_and_lr_nonzero != 0:
        param = param - weight_decay * param

    ops.store(param_ptr + offsets, param, mask)
    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    if centered:
        ops.store(exp_mean_avg_beta2_ptr + offsets, exp_mean_avg_beta2, mask)
    if amsgrad:
        ops.store(max_exp_avg_sq_ptr + offsets, max_exp_avg_sq, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    exp_mean_avg_beta2_dtype: tl.constexpr,
    max_exp_avg_sq_dtype: tl.constexpr,
    maximize: tl.constexpr,
    centered: tl.constexpr,
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
    row = rows + 11 * tl.load(tensor + 1)
    beta2 = tl.load(row + 0)
    one_minus_beta2 = tl.load(row + 1)
    step_above_ten = tl.load(row + 2)
    not_centered_or_step_above_ten = tl.load(row + 3)
    exp_avg_lr_2 = tl.load(row + 4)
    eps = tl.load(row + 5)
    beta1 = tl.load(row + 6)
    one_minus_beta1_times_lr = tl.load(row + 7)
    one_over_bias_correction1 = tl.load(row + 8)
    weight_decay_nonzero_and_lr_nonzero = tl.load(row + 9)
    weight_decay = tl.load(row + 10)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)
    exp_mean_avg_beta2_address = tl.load(tensor + header + 4)
    max_exp_avg_sq_address = tl.load(tensor + header + 5)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        exp_mean_avg_beta2_ptr = ops.aligned_pointer(exp_mean_avg_beta2_address, exp_mean_avg_beta2_dtype, start)
        max_exp_avg_sq_ptr = ops.aligned_pointer(max_exp_avg_sq_address, max_exp_avg_sq_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                exp_mean_avg_beta2_ptr,
                max_exp_avg_sq_ptr,
                first + tl.arange(0, block),
                None,
                beta2,
                one_minus_beta2,
                step_above_ten,
                not_centered_or_step_above_ten,
                exp_avg_lr_2,
                eps,
                beta1,
                one_minus_beta1_times_lr,
                one_over_bias_correction1,
                weight_decay_nonzero_and_lr_nonzero,
                weight_decay,
                grad_scale,
                clip_factor,
                math,
                maximize,
                centered,
                amsgrad,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        exp_mean_avg_beta2_ptr = ops.pointer(exp_mean_avg_beta2_address, exp_mean_avg_beta2_dtype, start)
        max_exp_avg_sq_ptr = ops.pointer(max_exp_avg_sq_address, max_exp_avg_sq_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                exp_mean_avg_beta2_ptr,
                max_exp_avg_sq_ptr,
                offsets,
                offsets < elements,
                beta2,
                one_minus_beta2,
                step_above_ten,
                not_centered_or_step_above_ten,
                exp_avg_lr_2,
                eps,
                beta1,
                one_minus_beta1_times_lr,
                one_over_bias_correction1,
                weight_decay_nonzero_and_lr_nonzero,
                weight_decay,
                grad_scale,
                clip_factor,
                math,
                maximize,
                centered,
                amsgrad,
            )
