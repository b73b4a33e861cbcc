# Generated from specs/pid.yaml by thetac 0.1.0; do not edit.
"""PID on a GPU: one kernel, launched once per step for all tensors of equal dtypes.

docs/architecture.md describes the tables it is given, docs/triton.md how it is laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

STREAMS = ("param", "grad", "I_buffer", "D_buffer", "grad_buffer")
CHUNK = 8192  # elements per program
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    I_buffer_ptr,
    D_buffer_ptr,
    grad_buffer_ptr,
    offsets,
    mask,
    weight_decay,
    first_I_buffer,
    not_first_I_buffer,
    momentum,
    one_minus_dampening,
    one_minus_momentum,
    I,
    D,
    lr,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    momentum_nonzero: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    if momentum_nonzero:
        I_buffer = ops.load(I_buffer_ptr + offsets, mask, math)
        D_buffer = ops.load(D_buffer_ptr + offsets, mask, math)
        grad_buffer = ops.load(grad_buffer_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        # weight decay
        grad = grad + weight_decay * param
    if momentum_nonzero:
        if first_I_buffer != 0:
            # first value
            I_buffer = grad
    direction = grad
    if momentum_nonzero:
        if not_first_I_buffer != 0:
            # I_buffer = momentum * I_buffer + (1 - dampening) * grad
            I_buffer = momentum * I_buffer + one_minus_dampening * grad
            # D_buffer = momentum * D_buffer + (1 - momentum) * (grad - grad_buffer)
            D_buffer = momentum * D_buffer + one_minus_momentum * (grad - grad_buffer)
            grad_buffer = grad
        direction = grad + I * I_buffer + D * D_buffer
    param = param - lr * direction

    ops.store(param_ptr + offsets, param, mask)
    if momentum_nonzero:
        ops.store(I_buffer_ptr + offsets, I_buffer, mask)
        ops.store(D_buffer_ptr + offsets, D_buffer, mask)
        ops.store(grad_buffer_ptr + offsets, grad_buffer, mask)


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    I_buffer_dtype: tl.constexpr,
    D_buffer_dtype: tl.constexpr,
    grad_buffer_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    momentum_nonzero: tl.constexpr,
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
    weight_decay = tl.load(row + 0)
    first_I_buffer = tl.load(row + 1)
    not_first_I_buffer = tl.load(row + 2)
    momentum = tl.load(row + 3)
    one_minus_dampening = tl.load(row + 4)
    one_minus_momentum = tl.load(row + 5)
    I = tl.load(row + 6)
    D = tl.load(row + 7)
    lr = tl.load(row + 8)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    I_buffer_address = tl.load(tensor + header + 2)
    D_buffer_address = tl.load(tensor + header + 3)
    grad_buffer_address = tl.load(tensor + header + 4)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        I_buffer_ptr = ops.aligned_pointer(I_buffer_address, I_buffer_dtype, start)
        D_buffer_ptr = ops.aligned_pointer(D_buffer_address, D_buffer_dtype, start)
        grad_buffer_ptr = ops.aligned_pointer(grad_buffer_address, grad_buffer_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements(
                param_ptr,
                grad_ptr,
                I_buffer_ptr,
                D_buffer_ptr,
                grad_buffer_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                first_I_buffer,
                not_first_I_buffer,
                momentum,
                one_minus_dampening,
                one_minus_momentum,
                I,
                D,
                lr,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                momentum_nonzero,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        I_buffer_ptr = ops.pointer(I_buffer_address, I_buffer_dtype, start)
        D_buffer_ptr = ops.pointer(D_buffer_address, D_buffer_dtype, start)
        grad_buffer_ptr = ops.pointer(grad_buffer_address, grad_buffer_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements(
                param_ptr,
                grad_ptr,
                I_buffer_ptr,
                D_buffer_ptr,
                grad_buffer_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                first_I_buffer,
                not_first_I_buffer,
                momentum,
                one_minus_dampening,
                one_minus_momentum,
                I,
                D,
                lr,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                momentum_nonzero,
            )
