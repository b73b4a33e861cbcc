# Generated from specs/adam_atan2.yaml by thetac 0.1.0; do not edit.
"""AdamAtan2 on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq", "param_init")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    param_init_ptr,
    offsets,
    mask,
    rate_times_regen_reg_rate,
    one_minus_beta1,
    one_minus_beta2,
    exp_avg_sq_factor,
    one_over_one_minus_beta1_pow_step,
    one_minus_rate_times_weight_decay,
    lr_times_a,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    regen_reg_rate_positive: tl.constexpr,
    weight_decay_positive: tl.constexpr,
    cautious_wd: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    if regen_reg_rate_positive:
        param_init = ops.load(param_init_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if regen_reg_rate_positive:
        # param = lerp(param, param_init, rate * regen_reg_rate)
        param = ops.lerp(param, param_init, rate_times_regen_reg_rate)
    # exp_avg = lerp(exp_avg, grad, 1 - beta1)
    exp_avg = ops.lerp(exp_avg, grad, one_minus_beta1)
    # exp_avg_sq = lerp(exp_avg_sq, grad * grad, 1 - beta2)
    exp_avg_sq = ops.lerp(exp_avg_sq, grad * grad, one_minus_beta2)
    # denom = sqrt(exp_avg_sq * (b * b / (1 - beta2 ** step)))
    denom = ops.sqrt(exp_avg_sq * exp_avg_sq_factor)
    # direction = atan2(exp_avg * (1 / (1 - beta1 ** step)), denom)
    direction = ops.atan2(exp_avg * one_over_one_minus_beta1_pow_step, denom)
    if weight_decay_positive and not cautious_wd:
        # param = param * (1 - rate * weight_decay)
        param = param * one_minus_rate_times_weight_decay
    if weight_decay_positive and cautious_wd:
        # param = where(direction * param > 0, param * (1 - rate * weight_decay), param)
        param = tl.where(direction * param > 0, param * one_minus_rate_times_weight_decay, param)
    # param = param - lr * a * direction
    param = param - lr_times_a * direction

    ops.store(param_ptr + offsets, param, mask)
    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)


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
    param_init_dtype: tl.constexpr,
    maximize: tl.constexpr,
    regen_reg_rate_positive: tl.constexpr,
    weight_decay_positive: tl.constexpr,
    cautious_wd: tl.constexpr,
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
    row = rows + 7 * tl.load(tensor + 1)
    rate_times_regen_reg_rate = tl.load(row + 0)
    one_minus_beta1 = tl.load(row + 1)
    one_minus_beta2 = tl.load(row + 2)
    exp_avg_sq_factor = tl.load(row + 3)
    one_over_one_minus_beta1_pow_step = tl.load(row + 4)
    one_minus_rate_times_weight_decay = tl.load(row + 5)
    lr_times_a = tl.load(row + 6)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)
    param_init_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        param_init_ptr = ops.aligned_pointer(param_init_address, param_init_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                param_init_ptr,
                first + tl.arange(0, block),
                None,
                rate_times_regen_reg_rate,
                one_minus_beta1,
                one_minus_beta2,
                exp_avg_sq_factor,
                one_over_one_minus_beta1_pow_step,
                one_minus_rate_times_weight_decay,
                lr_times_a,
                grad_scale,
                clip_factor,
                math,
                maximize,
                regen_reg_rate_positive,
                weight_decay_positive,
                cautious_wd,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        param_init_ptr = ops.pointer(param_init_address, param_init_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                param_init_ptr,
                offsets,
                offsets < elements,
                rate_times_regen_reg_rate,
                one_minus_beta1,
                one_minus_beta2,
                exp_avg_sq_factor,
                one_over_one_minus_beta1_pow_step,
                one_minus_rate_times_weight_decay,
                lr_times_a,
                grad_scale,
                clip_factor,
                math,
                maximize,
                regen_reg_rate_positive,
                weight_decay_positive,
                cautious_wd,
            )
