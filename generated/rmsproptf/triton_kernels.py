# Generated from specs/rmsprop_tf.yaml by thetac 0.1.0; do not edit.
"""RMSpropTF on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "square_avg", "momentum_buffer", "grad_avg")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    square_avg_ptr,
    momentum_buffer_ptr,
    grad_avg_ptr,
    offsets,
    mask,
    lr_nonzero,
    param_factor,
    one_minus_lr_times_weight_decay,
    weight_decay,
    alpha,
    one_minus_alpha,
    eps,
    momentum,
    lr,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decoupled_decay: tl.constexpr,
    corrected_weight_decay: tl.constexpr,
    centered: tl.constexpr,
    momentum_positive: tl.constexpr,
    lr_in_momentum: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    square_avg = ops.load(square_avg_ptr + offsets, mask, math)
    if momentum_positive:
        momentum_buffer = ops.load(momentum_buffer_ptr + offsets, mask, math)
    if centered:
        grad_avg = ops.load(grad_avg_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        if decoupled_decay and corrected_weight_decay:
            if lr_nonzero != 0:
                # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr, lr),
                #   max_lr) * weight_decay)
                param = param * param_factor
        elif decoupled_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            param = param * one_minus_lr_times_weight_decay
        else:
            # weight decay
            grad = grad + weight_decay * param
    # square_avg = alpha * square_avg + (1 - alpha) * grad * grad
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    variance = square_avg
    if centered:
        # grad_avg = alpha * grad_avg + (1 - alpha) * grad
        grad_avg = alpha * grad_avg + one_minus_alpha * grad
        variance = square_avg - grad_avg * grad_avg
    # avg = sqrt(variance + eps)
    avg = ops.sqrt(variance + eps)
    if momentum_positive:
        if lr_in_momentum:
            # momentum_buffer = momentum * momentum_buffer + lr * grad / avg
            momentum_buffer = momentum * momentum_buffer + ops.divide(lr * grad, avg)
            param = param - momentum_buffer
        else:
            # momentum_buffer = momentum * momentum_buffer + grad / avg
            momentum_buffer = momentum * momentum_buffer + ops.divide(grad, avg)
            param = param - lr * momentum_buffer
    else:
        # param = param - lr * grad / avg
        param = param - ops.divide(lr * grad, avg)

    ops.store(param_ptr + offsets, param, mask)
    ops.store(square_avg_ptr + offsets, square_avg, mask)
    if momentum_positive:
        ops.store(momentum_buffer_ptr + offsets, momentum_buffer, mask)
    if centered:
        ops.store(grad_avg_ptr + offsets, grad_avg, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    square_avg_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
    grad_avg_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decoupled_decay: tl.constexpr,
    corrected_weight_decay: tl.constexpr,
    centered: tl.constexpr,
    momentum_positive: tl.constexpr,
    lr_in_momentum: tl.constexpr,
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
    row = rows + 9 * tl.load(tensor + 1)
    lr_nonzero = tl.load(row + 0)
    param_factor = tl.load(row + 1)
    one_minus_lr_times_weight_decay = tl.load(row + 2)
    weight_decay = tl.load(row + 3)
    alpha = tl.load(row + 4)
    one_minus_alpha = tl.load(row + 5)
    eps = tl.load(row + 6)
    momentum = tl.load(row + 7)
    lr = tl.load(row + 8)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    square_avg_address = tl.load(tensor + header + 2)
    momentum_buffer_address = tl.load(tensor + header + 3)
    grad_avg_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        square_avg_ptr = ops.aligned_pointer(square_avg_address, square_avg_dtype, start)
        momentum_buffer_ptr = ops.aligned_pointer(momentum_buffer_address, momentum_buffer_dtype, start)
        grad_avg_ptr = ops.aligned_pointer(grad_avg_address, grad_avg_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                square_avg_ptr,
                momentum_buffer_ptr,
                grad_avg_ptr,
                first + tl.arange(0, block),
                None,
                lr_nonzero,
                param_factor,
                one_minus_lr_times_weight_decay,
                weight_decay,
                alpha,
                one_minus_alpha,
                eps,
                momentum,
                lr,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decoupled_decay,
                corrected_weight_decay,
                centered,
                momentum_positive,
                lr_in_momentum,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        square_avg_ptr = ops.pointer(square_avg_address, square_avg_dtype, start)
        momentum_buffer_ptr = ops.pointer(momentum_buffer_address, momentum_buffer_dtype, start)
        grad_avg_ptr = ops.pointer(grad_avg_address, grad_avg_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                square_avg_ptr,
                momentum_buffer_ptr,
                grad_avg_ptr,
                offsets,
                offsets < elements,
                lr_nonzero,
                param_factor,
                one_minus_lr_times_weight_decay,
                weight_decay,
                alpha,
                one_minus_alpha,
                eps,
                momentum,
                lr,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decoupled_decay,
                corrected_weight_decay,
                centered,
                momentum_positive,
                lr_in_momentum,
            )
