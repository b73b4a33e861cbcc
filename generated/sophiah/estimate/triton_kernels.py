# Generated from specs/sophia_h.yaml by thetac 0.1.0; do not edit.
"""SophiaH on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "hessian")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    grad_ptr,
    hessian_ptr,
    offsets,
    mask,
    beta2,
    one_minus_beta2,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = ops.load(grad_ptr + offsets, mask, math)
    hessian = ops.load(hessian_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # hessian = beta2 * hessian + (1 - beta2) * grad
    hessian = beta2 * hessian + one_minus_beta2 * grad

    ops.store(hessian_ptr + offsets, hessian, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    hessian_dtype: tl.constexpr,
    maximize: tl.constexpr,
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
    row = rows + 2 * tl.load(tensor + 1)
    beta2 = tl.load(row + 0)
    one_minus_beta2 = tl.load(row + 1)
    grad_address = tl.load(tensor + header + 1)
    hessian_address = tl.load(tensor + header + 2)

    if aligned & (elements >= chunk_size):
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        hessian_ptr = ops.aligned_pointer(hessian_address, hessian_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                grad_ptr,
                hessian_ptr,
                first + tl.arange(0, block),
                None,
                beta2,
                one_minus_beta2,
                grad_scale,
                clip_factor,
                math,
                maximize,
            )
    else:
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        hessian_ptr = ops.pointer(hessian_address, hessian_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                grad_ptr,
                hessian_ptr,
                offsets,
                offsets < elements,
                beta2,
                one_minus_beta2,
                grad_scale,
                clip_factor,
                math,
                maximize,
            )
