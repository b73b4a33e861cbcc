# Generated from specs/diffgrad.yaml by thetac 0.1.0; do not edit.
"""DiffGrad on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq", "previous_grad")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    previous_grad_ptr,
    offsets,
    mask,
    weight_decay,
    beta1,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    eps,
    step_size,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    previous_grad = ops.load(previous_grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        # weight decay
        grad = grad + weight_decay * param
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    # denom = sqrt(exp_avg_sq) + eps
    denom = ops.sqrt(exp_avg_sq) + eps
    # friction = 1 / (1 + exp(-abs(previous_grad - grad)))
    friction = ops.divide(tl.full((), 1.0, math), 1 + ops.exp(ops.negative(tl.abs(previous_grad - grad))))
    # for the next step
    previous_grad = grad
    # param = param - step_size * (exp_avg * friction) / denom
    param = param - ops.divide(step_size * (exp_avg * friction), denom)

    ops.store(param_ptr + offsets, param, mask)
    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    ops.store(previous_grad_ptr + offsets, previous_grad, mask)


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
    previous_grad_dtype: tl.constexpr,
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
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 7 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    beta1 = tl.load(row + 1)
    one_minus_beta1 = tl.load(row + 2)
    beta2 = tl.load(row + 3)
    one_minus_beta2 = tl.load(row + 4)
    eps = tl.load(row + 5)
    step_size = tl.load(row + 6)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)
    previous_grad_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        previous_grad_ptr = ops.aligned_pointer(previous_grad_address, previous_grad_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                previous_grad_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                eps,
                step_size,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        previous_grad_ptr = ops.pointer(previous_grad_address, previous_grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                previous_grad_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                beta1,
                one_minus_beta1,
                beta2,
                one_minus_beta2,
                eps,
                step_size,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )
