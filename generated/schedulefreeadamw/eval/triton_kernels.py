# Generated from specs/schedule_free_adamw.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeAdamW on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "z")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    z_ptr,
    offsets,
    mask,
    one_minus_one_over_beta1,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    z = ops.load(z_ptr + offsets, mask, math)
    if grad_scale is not None:
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    # param = lerp(param, z, 1 - 1 / beta1)
    param = ops.lerp(param, z, one_minus_one_over_beta1)

    ops.store(param_ptr + offsets, param, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    z_dtype: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 1 * tl.load(tensor + 1)
    one_minus_one_over_beta1 = tl.load(row + 0)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    z_address = tl.load(tensor + header + 2)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        z_ptr = ops.aligned_pointer(z_address, z_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                z_ptr,
                first + tl.arange(0, block),
                None,
                one_minus_one_over_beta1,
                grad_scale,
                clip_factor,
                math,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        z_ptr = ops.pointer(z_address, z_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                z_ptr,
                offsets,
                offsets < elements,
                one_minus_one_over_beta1,
                grad_scale,
                clip_factor,
                math,
            )
