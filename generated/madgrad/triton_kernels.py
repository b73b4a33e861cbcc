# Generated from specs/madgrad.yaml by thetac 0.1.0; do not edit.
"""MADGRAD on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "grad_sum_sq", "s", "x0")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    grad_sum_sq_ptr,
    s_ptr,
    x0_ptr,
    offsets,
    mask,
    weight_decay,
    eps,
    weight,
    one_minus_momentum,
    rate_times_weight_decay,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple_decay: tl.constexpr,
    momentum_nonzero: tl.constexpr,
    eps_zero: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    grad_sum_sq = ops.load(grad_sum_sq_ptr + offsets, mask, math)
    s = ops.load(s_ptr + offsets, mask, math)
    if momentum_nonzero:
        x0 = ops.load(x0_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        if not decouple_decay:
            # weight decay
            grad = grad + weight_decay * param
    before = param
    if momentum_nonzero:
        # start = x0
        start_ = x0
    else:
        # last_root = cbrt(grad_sum_sq) + eps
        last_root = ops.cbrt(grad_sum_sq) + eps
        if eps_zero:
            # last_root = where(last_root == 0, inf, last_root)
            last_root = tl.where(last_root == 0, tl.full((), float("inf"), math), last_root)
        # start = param + s / last_root
        start_ = param + ops.divide(s, last_root)
    grad_sum_sq = grad_sum_sq + weight * grad * grad
    # root = cbrt(grad_sum_sq) + eps
    root = ops.cbrt(grad_sum_sq) + eps
    if eps_zero:
        # root = where(root == 0, inf, root)
        root = tl.where(root == 0, tl.full((), float("inf"), math), root)
    s = s + weight * grad
    # dual averaging: z = start - s / root
    z = start_ - ops.divide(s, root)
    # param = lerp(param, z, 1 - momentum)
    param = ops.lerp(param, z, one_minus_momentum)
    if decouple_decay and weight_decay_nonzero:
        # param = param - rate * weight_decay * before
        param = param - rate_times_weight_decay * before

    ops.store(param_ptr + offsets, param, mask)
    ops.store(grad_sum_sq_ptr + offsets, grad_sum_sq, mask)
    ops.store(s_ptr + offsets, s, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    grad_sum_sq_dtype: tl.constexpr,
    s_dtype: tl.constexpr,
    x0_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple_decay: tl.constexpr,
    momentum_nonzero: tl.constexpr,
    eps_zero: tl.constexpr,
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
    row = rows + 5 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    eps = tl.load(row + 1)
    weight = tl.load(row + 2)
    one_minus_momentum = tl.load(row + 3)
    rate_times_weight_decay = tl.load(row + 4)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    grad_sum_sq_address = tl.load(tensor + header + 2)
    s_address = tl.load(tensor + header + 3)
    x0_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        grad_sum_sq_ptr = ops.aligned_pointer(grad_sum_sq_address, grad_sum_sq_dtype, start)
        s_ptr = ops.aligned_pointer(s_address, s_dtype, start)
        x0_ptr = ops.aligned_pointer(x0_address, x0_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                grad_sum_sq_ptr,
                s_ptr,
                x0_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                eps,
                weight,
                one_minus_momentum,
                rate_times_weight_decay,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decouple_decay,
                momentum_nonzero,
                eps_zero,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        grad_sum_sq_ptr = ops.pointer(grad_sum_sq_address, grad_sum_sq_dtype, start)
        s_ptr = ops.pointer(s_address, s_dtype, start)
        x0_ptr = ops.pointer(x0_address, x0_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                grad_sum_sq_ptr,
                s_ptr,
                x0_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                eps,
                weight,
                one_minus_momentum,
                rate_times_weight_decay,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decouple_decay,
                momentum_nonzero,
                eps_zero,
            )
