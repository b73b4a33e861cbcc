# Generated from specs/amos.yaml by thetac 0.1.0; do not edit.
"""Amos on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "v", "b", "ema")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    v_ptr,
    b_ptr,
    ema_ptr,
    offsets,
    mask,
    minus_clip_value_or_default,
    clip_value_or_default,
    beta,
    one_minus_beta,
    one_minus_beta_pow_step,
    epsilon,
    c_coef_times_sqrt_lr,
    lr_squared,
    d_coef_times_sqrt_init_lr,
    extra_l2,
    init_lr,
    momentum_or_default,
    one_minus_momentum_or_default,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    choice_of_clip_value_is_none_zero_clip_value_positive: tl.constexpr,
    choice_of_momentum_is_none_zero_momentum_positive: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    v = ops.load(v_ptr + offsets, mask, math)
    b = ops.load(b_ptr + offsets, mask, math)
    if choice_of_momentum_is_none_zero_momentum_positive:
        ema = ops.load(ema_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    clipped = grad
    if choice_of_clip_value_is_none_zero_clip_value_positive:
        # clipped = clamp(grad, -clip_value_or_default, clip_value_or_default)
        clipped = ops.clamp(grad, minus_clip_value_or_default, clip_value_or_default)
    g2 = clipped * clipped
    # v = v * beta + g2 * (1 - beta)
    v = v * beta + g2 * one_minus_beta
    # rcpl_v_hat = (1 - beta ** step) / maximum(v, epsilon)
    rcpl_v_hat = ops.divide(one_minus_beta_pow_step, ops.maximum(v, epsilon))
    # decay_factor_c = 1 / sqrt(1 + c_coef * sqrt(lr) * b)
    decay_factor_c = ops.divide(tl.full((), 1.0, math), ops.sqrt(1 + c_coef_times_sqrt_lr * b))
    # gamma = decay_factor_c * lr ** 2 * rcpl_v_hat * g2
    gamma = decay_factor_c * lr_squared * rcpl_v_hat * g2
    # decay_factor_d = 1 / (1 + d_coef * sqrt(init_lr) * b)
    decay_factor_d = ops.divide(tl.full((), 1.0, math), 1 + d_coef_times_sqrt_init_lr * b)
    # change = decay_factor_d * ((-0.5 * gamma - extra_l2) * param - init_lr * sqrt(rcpl_v_hat) * clipped)
    change = decay_factor_d * ((-0.5 * gamma - extra_l2) * param - init_lr * ops.sqrt(rcpl_v_hat) * clipped)
    b = b + gamma * (1 + b)
    if choice_of_momentum_is_none_zero_momentum_positive:
        # ema = momentum_or_default * ema + (1 - momentum_or_default) * change
        ema = momentum_or_default * ema + one_minus_momentum_or_default * change
        change = ema
    param = param + change

    ops.store(param_ptr + offsets, param, mask)
    ops.store(v_ptr + offsets, v, mask)
    ops.store(b_ptr + offsets, b, mask)
    if choice_of_momentum_is_none_zero_momentum_positive:
        ops.store(ema_ptr + offsets, ema, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    v_dtype: tl.constexpr,
    b_dtype: tl.constexpr,
    ema_dtype: tl.constexpr,
    maximize: tl.constexpr,
    choice_of_clip_value_is_none_zero_clip_value_positive: tl.constexpr,
    choice_of_momentum_is_none_zero_momentum_positive: tl.constexpr,
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
    minus_clip_value_or_default = tl.load(row + 0)
    clip_value_or_default = tl.load(row + 1)
    beta = tl.load(row + 2)
    one_minus_beta = tl.load(row + 3)
    one_minus_beta_pow_step = tl.load(row + 4)
    epsilon = tl.load(row + 5)
    c_coef_times_sqrt_lr = tl.load(row + 6)
    lr_squared = tl.load(row + 7)
    d_coef_times_sqrt_init_lr = tl.load(row + 8)
    extra_l2 = tl.load(row + 9)
    init_lr = tl.load(row + 10)
    momentum_or_default = tl.load(row + 11)
    one_minus_momentum_or_default = tl.load(row + 12)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    v_address = tl.load(tensor + header + 2)
    b_address = tl.load(tensor + header + 3)
    ema_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        v_ptr = ops.aligned_pointer(v_address, v_dtype, start)
        b_ptr = ops.aligned_pointer(b_address, b_dtype, start)
        ema_ptr = ops.aligned_pointer(ema_address, ema_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                v_ptr,
                b_ptr,
                ema_ptr,
                first + tl.arange(0, block),
                None,
                minus_clip_value_or_default,
                clip_value_or_default,
                beta,
                one_minus_beta,
                one_minus_beta_pow_step,
                epsilon,
                c_coef_times_sqrt_lr,
                lr_squared,
                d_coef_times_sqrt_init_lr,
                extra_l2,
                init_lr,
                momentum_or_default,
                one_minus_momentum_or_default,
                grad_scale,
                clip_factor,
                math,
                maximize,
                choice_of_clip_value_is_none_zero_clip_value_positive,
                choice_of_momentum_is_none_zero_momentum_positive,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        v_ptr = ops.pointer(v_address, v_dtype, start)
        b_ptr = ops.pointer(b_address, b_dtype, start)
        ema_ptr = ops.pointer(ema_address, ema_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                v_ptr,
                b_ptr,
                ema_ptr,
                offsets,
                offsets < elements,
                minus_clip_value_or_default,
                clip_value_or_default,
                beta,
                one_minus_beta,
                one_minus_beta_pow_step,
                epsilon,
                c_coef_times_sqrt_lr,
                lr_squared,
                d_coef_times_sqrt_init_lr,
                extra_l2,
                init_lr,
                momentum_or_default,
                one_minus_momentum_or_default,
                grad_scale,
                clip_factor,
                math,
                maximize,
                choice_of_clip_value_is_none_zero_clip_value_positive,
                choice_of_momentum_is_none_zero_momentum_positive,
            )
