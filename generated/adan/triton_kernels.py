# Generated from specs/adan.yaml by thetac 0.1.0; do not edit.
"""Adan on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "exp_avg", "exp_avg_diff", "exp_avg_sq", "pre_grad")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_diff_ptr,
    exp_avg_sq_ptr,
    pre_grad_ptr,
    offsets,
    mask,
    one_minus_lr_times_weight_decay,
    first_pre_grad,
    beta1,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    beta3,
    one_minus_beta3,
    sqrt_one_minus_beta3_pow_step,
    eps,
    lr_over_one_minus_beta1_pow_step,
    exp_avg_diff_factor,
    one_plus_lr_times_weight_decay,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    no_prox: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_diff = ops.load(exp_avg_diff_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    pre_grad = ops.load(pre_grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        if no_prox:
            # weight decay: param = param * (1 - lr * weight_decay)
            param = param * one_minus_lr_times_weight_decay
    if first_pre_grad != 0:
        # first value
        pre_grad = grad
    change = grad - pre_grad
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    # exp_avg_diff = beta2 * exp_avg_diff + (1 - beta2) * change
    exp_avg_diff = beta2 * exp_avg_diff + one_minus_beta2 * change
    # the gradient at the look-ahead point
    ahead = grad + beta2 * change
    # exp_avg_sq = beta3 * exp_avg_sq + (1 - beta3) * ahead * ahead
    exp_avg_sq = beta3 * exp_avg_sq + one_minus_beta3 * ahead * ahead
    # denom = sqrt(exp_avg_sq) / sqrt(1 - beta3 ** step) + eps
    denom = ops.divide(ops.sqrt(exp_avg_sq), sqrt_one_minus_beta3_pow_step) + eps
    # param = param - lr / (1 - beta1 ** step) * exp_avg / denom
    param = param - ops.divide(lr_over_one_minus_beta1_pow_step * exp_avg, denom)
    # param = param - lr * beta2 / (1 - beta2 ** step) * exp_avg_diff / denom
    param = param - ops.divide(exp_avg_diff_factor * exp_avg_diff, denom)
    if weight_decay_nonzero and not no_prox:
        # proximal decay: param = param / (1 + lr * weight_decay)
        param = ops.divide(param, one_plus_lr_times_weight_decay)
    pre_grad = grad

    ops.store(param_ptr + offsets, param, mask)
    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_diff_ptr + offsets, exp_avg_diff, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    ops.store(pre_grad_ptr + offsets, pre_grad, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    exp_avg_dtype: tl.constexpr,
    exp_avg_diff_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    pre_grad_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    no_prox: tl.constexpr,
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
    one_minus_lr_times_weight_decay = tl.load(row + 0)
    first_pre_grad = tl.load(row + 1)
    beta1 = tl.load(row + 2)
    one_minus_beta1 = tl.load(row + 3)
    beta2 = tl.load(row + 4)
    one_minus_beta2 = tl.load(row + 5)
    beta3 = tl.load(row + 6)
    one_minus_beta3 = tl.load(row + 7)
    sqrt_one_minus_beta3_pow_step = tl.load(row + 8)
    eps = tl.load(row + 9)
    lr_over_one_minus_beta1_pow_step = tl.load(row + 10)
    exp_avg_diff_factor = tl.load(row + 11)
    one_plus_lr_times_weight_decay = tl.load(row + 12)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_diff_address = tl.load(tensor + header + 3)
    exp_avg_sq_address = tl.load(tensor + header + 4)
    pre_grad_address = tl.load(tensor + header + 5)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_diff_ptr = ops.aligned_pointer(exp_avg_diff_address, exp_avg_diff_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        pre_grad_ptr = ops.aligned_pointer(pre_grad_address, pre_grad_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_diff_ptr,
                exp_avg_sq_ptr,
                pre_grad_ptr,
                first + tl.arange(0, block),
                None,
                one_minus_lr_times_weight_decay,
                first_pre_grad,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                beta3,
                one_minus_beta3,
                sqrt_one_minus_beta3_pow_step,
                eps,
                lr_over_one_minus_beta1_pow_step,
                exp_avg_diff_factor,
                one_plus_lr_times_weight_decay,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                no_prox,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_diff_ptr = ops.pointer(exp_avg_diff_address, exp_avg_diff_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        pre_grad_ptr = ops.pointer(pre_grad_address, pre_grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_diff_ptr,
                exp_avg_sq_ptr,
                pre_grad_ptr,
                offsets,
                offsets < elements,
                one_minus_lr_times_weight_decay,
                first_pre_grad,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                beta3,
                one_minus_beta3,
                sqrt_one_minus_beta3_pow_step,
                eps,
                lr_over_one_minus_beta1_pow_step,
                exp_avg_diff_factor,
                one_plus_lr_times_weight_decay,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                no_prox,
            )
