# Generated from specs/adadelta.yaml by thetac 0.1.0; do not edit.
"""Adadelta on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "square_avg", "acc_delta")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    square_avg_ptr,
    acc_delta_ptr,
    offsets,
    mask,
    weight_decay,
    rho,
    one_minus_rho,
    eps,
    lr,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    square_avg = ops.load(square_avg_ptr + offsets, mask, math)
    acc_delta = ops.load(acc_delta_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        # weight decay
        grad = grad + weight_decay * param
    # mean squared gradient: square_avg = rho * square_avg + (1 - rho) * grad * grad
    square_avg = rho * square_avg + one_minus_rho * grad * grad
    # delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * grad
    delta = ops.divide(ops.sqrt(acc_delta + eps), ops.sqrt(square_avg + eps)) * grad
    # mean squared update: acc_delta = rho * acc_delta + (1 - rho) * delta * delta
    acc_delta = rho * acc_delta + one_minus_rho * delta * delta
    param = param - lr * delta

    ops.store(param_ptr + offsets, param, mask)
    ops.store(square_avg_ptr + offsets, square_avg, mask)
    ops.store(acc_delta_ptr + offsets, acc_delta, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    square_avg_dtype: tl.constexpr,
    acc_delta_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
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
    row = rows + 5 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    rho = tl.load(row + 1)
    one_minus_rho = tl.load(row + 2)
    eps = tl.load(row + 3)
    lr = tl.load(row + 4)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    square_avg_address = tl.load(tensor + header + 2)
    acc_delta_address = tl.load(tensor + header + 3)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        square_avg_ptr = ops.aligned_pointer(square_avg_address, square_avg_dtype, start)
        acc_delta_ptr = ops.aligned_pointer(acc_delta_address, acc_delta_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                square_avg_ptr,
                acc_delta_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                rho,
                one_minus_rho,
                eps,
                lr,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        square_avg_ptr = ops.pointer(square_avg_address, square_avg_dtype, start)
        acc_delta_ptr = ops.pointer(acc_delta_address, acc_delta_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                square_avg_ptr,
                acc_delta_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                rho,
                one_minus_rho,
                eps,
                lr,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )
