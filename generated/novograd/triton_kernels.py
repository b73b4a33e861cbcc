# Generated from specs/novograd.yaml by thetac 0.1.0; do not edit.
"""NovoGrad on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "momentum_buffer")
CHUNK = 8192  # elements per program
SMALL = ("grads_ema", )
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    grad_ptr,
    offsets,
    mask,
    squared_norm,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = ops.load(grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    grad_squared = grad * grad
    squared_norm = folds.sum_lanes(squared_norm, grad_squared, mask)

    return squared_norm


@triton.jit
def kernel(
    tensors,
    chunks,
    rows,
    geometry,
    numbers,
    vectors,
    partials,
    vector_partials,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_positive: tl.constexpr,
    grad_averaging: tl.constexpr,
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
    grad_address = tl.load(tensor + header + 1)
    squared_norm = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for first in range(0, chunk_size, block):
            squared_norm = update_elements(
                grad_ptr,
                first + tl.arange(0, block),
                None,
                squared_norm,
                grad_scale,
                clip_factor,
                math,
                maximize,
            )
    else:
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            squared_norm = update_elements(
                grad_ptr,
                offsets,
                offsets < elements,
                squared_norm,
                grad_scale,
                clip_factor,
                math,
                maximize,
            )

    tl.store(partials + 1 * tl.program_id(0) + 0, folds.sum_all(squared_norm))


@triton.jit
def tensor_program_1(
    tensors,
    chunks,
    rows,
    geometry,
    numbers,
    vectors,
    partials,
    vector_partials,
    header: tl.constexpr,
    grads_ema_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_positive: tl.constexpr,
    grad_averaging: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 4) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 2 * tl.load(chunk).to(tl.int64)
    row = rows + 7 * tl.load(tensor + 1)
    beta2 = tl.load(row + 0).to(math)
    one_minus_beta2 = tl.load(row + 1).to(math)
    eps = tl.load(row + 2).to(math)
    grads_ema_ptr = ops.pointer(tl.load(tensor + header + 3), grads_ema_dtype, 0)

    grads_ema = ops.load(grads_ema_ptr, None, math)
    tl.debug_barrier()
    squared_norm = folds.sum_range(partials + 1 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 1)
    tl.store(own_numbers + 0, squared_norm)
    # grads_ema = where(grads_ema == 0, squared_norm, beta2 * grads_ema + (1 - beta2) * squared_norm)
    grads_ema = tl.where(grads_ema == 0, squared_norm, beta2 * grads_ema + one_minus_beta2 * squared_norm)
    ops.store(grads_ema_ptr, grads_ema, None)
    # sqrt_grads_ema_plus_eps = sqrt(grads_ema + eps)
    sqrt_grads_ema_plus_eps = ops.sqrt(grads_ema + eps)
    tl.store(own_numbers + 1, sqrt_grads_ema_plus_eps)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    momentum_buffer_ptr,
    offsets,
    mask,
    weight_decay,
    one_minus_beta1,
    beta1,
    lr,
    sqrt_grads_ema_plus_eps,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_positive: tl.constexpr,
    grad_averaging: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    momentum_buffer = ops.load(momentum_buffer_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # direction = grad / sqrt_grads_ema_plus_eps
    direction = ops.divide(grad, sqrt_grads_ema_plus_eps)
    if weight_decay_positive:
        direction = direction + weight_decay * param
    if grad_averaging:
        # direction = (1 - beta1) * direction
        direction = one_minus_beta1 * direction
    momentum_buffer = beta1 * momentum_buffer + direction
    param = param - lr * momentum_buffer

    ops.store(param_ptr + offsets, param, mask)
    ops.store(momentum_buffer_ptr + offsets, momentum_buffer, mask)


@triton.jit
def kernel_1(
    tensors,
    chunks,
    rows,
    geometry,
    numbers,
    vectors,
    partials,
    vector_partials,
    header: tl.constexpr,
    param_dtype: tl.constexpr,
    grad_dtype: tl.constexpr,
    momentum_buffer_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_positive: tl.constexpr,
    grad_averaging: tl.constexpr,
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
    row = rows + 7 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 3)
    one_minus_beta1 = tl.load(row + 4)
    beta1 = tl.load(row + 5)
    lr = tl.load(row + 6)
    own_numbers = numbers + 2 * tl.load(chunk).to(tl.int64)
    sqrt_grads_ema_plus_eps = tl.load(own_numbers + 1).to(math)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    momentum_buffer_address = tl.load(tensor + header + 2)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        momentum_buffer_ptr = ops.aligned_pointer(momentum_buffer_address, momentum_buffer_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements_1(
                param_ptr,
                grad_ptr,
                momentum_buffer_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                one_minus_beta1,
                beta1,
                lr,
                sqrt_grads_ema_plus_eps,
                clip_factor,
                math,
                maximize,
                weight_decay_positive,
                grad_averaging,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        momentum_buffer_ptr = ops.pointer(momentum_buffer_address, momentum_buffer_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements_1(
                param_ptr,
                grad_ptr,
                momentum_buffer_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                one_minus_beta1,
                beta1,
                lr,
                sqrt_grads_ema_plus_eps,
                clip_factor,
                math,
                maximize,
                weight_decay_positive,
                grad_averaging,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=False,
        folds=passes.Counts(1, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=False,
        sweep=kernel_1,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(2, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, weight_decay_positive: bool, grad_averaging: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
