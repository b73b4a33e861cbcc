# Generated from specs/aggmo.yaml by thetac 0.1.0; do not edit.
"""AggMo on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "velocity1", "velocity2", "velocity3")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    velocity1_ptr,
    velocity2_ptr,
    velocity3_ptr,
    offsets,
    mask,
    weight_decay,
    beta1,
    lr_over_three,
    beta2,
    beta3,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    velocity1 = ops.load(velocity1_ptr + offsets, mask, math)
    velocity2 = ops.load(velocity2_ptr + offsets, mask, math)
    velocity3 = ops.load(velocity3_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        # weight decay
        grad = grad + weight_decay * param
    velocity1 = beta1 * velocity1 + grad
    # param = param - lr / 3 * velocity1
    param = param - lr_over_three * velocity1
    velocity2 = beta2 * velocity2 + grad
    # param = param - lr / 3 * velocity2
    param = param - lr_over_three * velocity2
    velocity3 = beta3 * velocity3 + grad
    # param = param - lr / 3 * velocity3
    param = param - lr_over_three * velocity3

    ops.store(param_ptr + offsets, param, mask)
    ops.store(velocity1_ptr + offsets, velocity1, mask)
    ops.store(velocity2_ptr + offsets, velocity2, mask)
    ops.store(velocity3_ptr + offsets, velocity3, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    velocity1_dtype: tl.constexpr,
    velocity2_dtype: tl.constexpr,
    velocity3_dtype: tl.constexpr,
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
    row = rows + 5 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    beta1 = tl.load(row + 1)
    lr_over_three = tl.load(row + 2)
    beta2 = tl.load(row + 3)
    beta3 = tl.load(row + 4)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    velocity1_address = tl.load(tensor + header + 2)
    velocity2_address = tl.load(tensor + header + 3)
    velocity3_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        velocity1_ptr = ops.aligned_pointer(velocity1_address, velocity1_dtype, start)
        velocity2_ptr = ops.aligned_pointer(velocity2_address, velocity2_dtype, start)
        velocity3_ptr = ops.aligned_pointer(velocity3_address, velocity3_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                velocity1_ptr,
                velocity2_ptr,
                velocity3_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                beta1,
                lr_over_three,
                beta2,
                beta3,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        velocity1_ptr = ops.pointer(velocity1_address, velocity1_dtype, start)
        velocity2_ptr = ops.pointer(velocity2_address, velocity2_dtype, start)
        velocity3_ptr = ops.pointer(velocity3_address, velocity3_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                velocity1_ptr,
                velocity2_ptr,
                velocity3_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                beta1,
                lr_over_three,
                beta2,
                beta3,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )
