# Generated from specs/pnm.yaml by thetac 0.1.0; do not edit.
"""PNM on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "pos_momentum", "neg_momentum")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    pos_momentum_ptr,
    neg_momentum_ptr,
    offsets,
    mask,
    one_minus_lr_times_weight_decay,
    weight_decay,
    step_mod_two_equal_to_one,
    beta1_squared,
    one_minus_beta1_squared,
    one_plus_beta2,
    beta2,
    lr_over_noise_norm,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decoupled: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    pos_momentum = ops.load(pos_momentum_ptr + offsets, mask, math)
    neg_momentum = ops.load(neg_momentum_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        if decoupled:
            # weight decay: param = param * (1 - lr * weight_decay)
            param = param * one_minus_lr_times_weight_decay
        else:
            # weight decay
            grad = grad + weight_decay * param
    if step_mod_two_equal_to_one != 0:
        # pos_momentum = beta1 ** 2 * pos_momentum + (1 - beta1 ** 2) * grad
        pos_momentum = beta1_squared * pos_momentum + one_minus_beta1_squared * grad
        # direction = (1 + beta2) * pos_momentum - beta2 * neg_momentum
        direction = one_plus_beta2 * pos_momentum - beta2 * neg_momentum
    else:
        # neg_momentum = beta1 ** 2 * neg_momentum + (1 - beta1 ** 2) * grad
        neg_momentum = beta1_squared * neg_momentum + one_minus_beta1_squared * grad
        # direction = (1 + beta2) * neg_momentum - beta2 * pos_momentum
        direction = one_plus_beta2 * neg_momentum - beta2 * pos_momentum
    # param = param - lr / noise_norm * direction
    param = param - lr_over_noise_norm * direction

    ops.store(param_ptr + offsets, param, mask)
    ops.store(pos_momentum_ptr + offsets, pos_momentum, mask)
    ops.store(neg_momentum_ptr + offsets, neg_momentum, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    pos_momentum_dtype: tl.constexpr,
    neg_momentum_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decoupled: tl.constexpr,
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
    tensor = tensors + (header + 4) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 8 * tl.load(tensor + 1)
    one_minus_lr_times_weight_decay = tl.load(row + 0)
    weight_decay = tl.load(row + 1)
    step_mod_two_equal_to_one = tl.load(row + 2)
    beta1_squared = tl.load(row + 3)
    one_minus_beta1_squared = tl.load(row + 4)
    one_plus_beta2 = tl.load(row + 5)
    beta2 = tl.load(row + 6)
    lr_over_noise_norm = tl.load(row + 7)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    pos_momentum_address = tl.load(tensor + header + 2)
    neg_momentum_address = tl.load(tensor + header + 3)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        pos_momentum_ptr = ops.aligned_pointer(pos_momentum_address, pos_momentum_dtype, start)
        neg_momentum_ptr = ops.aligned_pointer(neg_momentum_address, neg_momentum_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                pos_momentum_ptr,
                neg_momentum_ptr,
                first + tl.arange(0, block),
                None,
                one_minus_lr_times_weight_decay,
                weight_decay,
                step_mod_two_equal_to_one,
                beta1_squared,
                one_minus_beta1_squared,
                one_plus_beta2,
                beta2,
                lr_over_noise_norm,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decoupled,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        pos_momentum_ptr = ops.pointer(pos_momentum_address, pos_momentum_dtype, start)
        neg_momentum_ptr = ops.pointer(neg_momentum_address, neg_momentum_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                pos_momentum_ptr,
                neg_momentum_ptr,
                offsets,
                offsets < elements,
                one_minus_lr_times_weight_decay,
                weight_decay,
                step_mod_two_equal_to_one,
                beta1_squared,
                one_minus_beta1_squared,
                one_plus_beta2,
                beta2,
                lr_over_noise_norm,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decoupled,
            )
