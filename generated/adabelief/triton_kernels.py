# Generated from specs/adabelief.yaml by thetac 0.1.0; do not edit.
"""AdaBelief on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "exp_avg", "exp_avg_var", "max_exp_avg_var")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_var_ptr,
    max_exp_avg_var_ptr,
    offsets,
    mask,
    lr_nonzero,
    one_minus_weight_decay,
    one_minus_lr_times_weight_decay,
    weight_decay,
    beta1,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    eps,
    rho_at_least_five,
    lr_times_rect_over_bias_correction1,
    lr_over_bias_correction1,
    sqrt_bias_correction2,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decouple: tl.constexpr,
    fixed_decay: tl.constexpr,
    amsgrad: tl.constexpr,
    rectify: tl.constexpr,
    degenerated_to_sgd: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_var = ops.load(exp_avg_var_ptr + offsets, mask, math)
    if amsgrad:
        max_exp_avg_var = ops.load(max_exp_avg_var_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        if weight_decouple and fixed_decay:
            if lr_nonzero != 0:
                # weight decay: param = param * (1 - weight_decay)
                param = param * one_minus_weight_decay
        elif weight_decouple:
            # weight decay: param = param * (1 - lr * weight_decay)
            param = param * one_minus_lr_times_weight_decay
        else:
            # weight decay
            grad = grad + weight_decay * param
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    # what the mean did not predict
    surprise = grad - exp_avg
    # exp_avg_var = beta2 * exp_avg_var + (1 - beta2) * surprise * surprise
    exp_avg_var = beta2 * exp_avg_var + one_minus_beta2 * surprise * surprise
    exp_avg_var = exp_avg_var + eps
    variance = exp_avg_var
    if amsgrad:
        # max_exp_avg_var = maximum(max_exp_avg_var, exp_avg_var)
        max_exp_avg_var = ops.maximum(max_exp_avg_var, exp_avg_var)
        variance = max_exp_avg_var
    if rectify:
        if rho_at_least_five != 0:
            # param = param - lr * rect / bias_correction1 * exp_avg / (sqrt(exp_avg_var) + eps)
            param = param - ops.divide(lr_times_rect_over_bias_correction1 * exp_avg, ops.sqrt(exp_avg_var) + eps)
        elif degenerated_to_sgd:
            # param = param - lr / bias_correction1 * exp_avg
            param = param - lr_over_bias_correction1 * exp_avg
    else:
        # param = param - lr / bias_correction1 * exp_avg / (sqrt(variance) / sqrt(bias_correction2) + eps)
        param = (
            param
            - ops.divide(
                lr_over_bias_correction1 * exp_avg, ops.divide(ops.sqrt(variance), sqrt_bias_correction2) + eps
            )
        )

    ops.store(param_ptr + offsets, param, mask)
    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_var_ptr + offsets, exp_avg_var, mask)
    if amsgrad:
        ops.store(max_exp_avg_var_ptr + offsets, max_exp_avg_var, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    exp_avg_dtype: tl.constexpr,
    exp_avg_var_dtype: tl.constexpr,
    max_exp_avg_var_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    weight_decouple: tl.constexpr,
    fixed_decay: tl.constexpr,
    amsgrad: tl.constexpr,
    rectify: tl.constexpr,
    degenerated_to_sgd: tl.constexpr,
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
    row = rows + 13 * tl.load(tensor + 1)
    lr_nonzero = tl.load(row + 0)
    one_minus_weight_decay = tl.load(row + 1)
    one_minus_lr_times_weight_decay = tl.load(row + 2)
    weight_decay = tl.load(row + 3)
    beta1 = tl.load(row + 4)
    one_minus_beta1 = tl.load(row + 5)
    beta2 = tl.load(row + 6)
    one_minus_beta2 = tl.load(row + 7)
    eps = tl.load(row + 8)
    rho_at_least_five = tl.load(row + 9)
    lr_times_rect_over_bias_correction1 = tl.load(row + 10)
    lr_over_bias_correction1 = tl.load(row + 11)
    sqrt_bias_correction2 = tl.load(row + 12)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_var_address = tl.load(tensor + header + 3)
    max_exp_avg_var_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_var_ptr = ops.aligned_pointer(exp_avg_var_address, exp_avg_var_dtype, start)
        max_exp_avg_var_ptr = ops.aligned_pointer(max_exp_avg_var_address, max_exp_avg_var_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_var_ptr,
                max_exp_avg_var_ptr,
                first + tl.arange(0, block),
                None,
                lr_nonzero,
                one_minus_weight_decay,
                one_minus_lr_times_weight_decay,
                weight_decay,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                eps,
                rho_at_least_five,
                lr_times_rect_over_bias_correction1,
                lr_over_bias_correction1,
                sqrt_bias_correction2,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                weight_decouple,
                fixed_decay,
                amsgrad,
                rectify,
                degenerated_to_sgd,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_var_ptr = ops.pointer(exp_avg_var_address, exp_avg_var_dtype, start)
        max_exp_avg_var_ptr = ops.pointer(max_exp_avg_var_address, max_exp_avg_var_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_var_ptr,
                max_exp_avg_var_ptr,
                offsets,
                offsets < elements,
                lr_nonzero,
                one_minus_weight_decay,
                one_minus_lr_times_weight_decay,
                weight_decay,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                eps,
                rho_at_least_five,
                lr_times_rect_over_bias_correction1,
                lr_over_bias_correction1,
                sqrt_bias_correction2,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                weight_decouple,
                fixed_decay,
                amsgrad,
                rectify,
                degenerated_to_sgd,
            )
