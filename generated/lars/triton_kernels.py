# Generated from specs/lars.yaml by thetac 0.1.0; do not edit.
"""LARS on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "momentum_buffer")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    sum_param_squared,
    sum_grad_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    always_adapt: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it
    if always_adapt or weight_decay_nonzero:
        param = ops.load(param_ptr + offsets, mask, math)
    if (always_adapt or weight_decay_nonzero) or grad_scale is not None:
        grad = ops.load(grad_ptr + offsets, mask, math)
        grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero or always_adapt:
        param_squared = param * param
        grad_squared = grad * grad
    if always_adapt or weight_decay_nonzero:
        sum_param_squared = folds.sum_lanes(sum_param_squared, param_squared, mask)
        sum_grad_squared = folds.sum_lanes(sum_grad_squared, grad_squared, mask)

    return sum_param_squared, sum_grad_squared


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
    weight_decay_nonzero: tl.constexpr,
    always_adapt: tl.constexpr,
    trust_clip: tl.constexpr,
    momentum_nonzero: tl.constexpr,
    nesterov: tl.constexpr,
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
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    sum_param_squared = folds.sum_start((block,), math)
    sum_grad_squared = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for first in range(0, chunk_size, block):
            sum_param_squared, sum_grad_squared = update_elements(
                param_ptr,
                grad_ptr,
                first + tl.arange(0, block),
                None,
                sum_param_squared,
                sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                always_adapt,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_param_squared, sum_grad_squared = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                offsets < elements,
                sum_param_squared,
                sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                always_adapt,
            )

    if always_adapt or weight_decay_nonzero:
        tl.store(partials + 2 * tl.program_id(0) + 0, folds.sum_all(sum_param_squared))
        tl.store(partials + 2 * tl.program_id(0) + 1, folds.sum_all(sum_grad_squared))


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
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    always_adapt: tl.constexpr,
    trust_clip: tl.constexpr,
    momentum_nonzero: tl.constexpr,
    nesterov: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 3 * tl.load(chunk).to(tl.int64)
    row = rows + 7 * tl.load(tensor + 1)
    trust_coeff = tl.load(row + 0).to(math)
    weight_decay = tl.load(row + 1).to(math)
    eps = tl.load(row + 2).to(math)
    lr = tl.load(row + 3).to(math)

    sum_param_squared = tl.load(own_numbers + 0)
    sum_grad_squared = tl.load(own_numbers + 1)
    tl.debug_barrier()
    if always_adapt or weight_decay_nonzero:
        sum_param_squared = folds.sum_range(
            partials + 2 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 2
        )
        tl.store(own_numbers + 0, sum_param_squared)
        sum_grad_squared = folds.sum_range(partials + 2 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 2)
        tl.store(own_numbers + 1, sum_grad_squared)
    if weight_decay_nonzero or always_adapt:
        # norm_param = sqrt(sum_param_squared)
        norm_param = ops.sqrt(sum_param_squared)
        # norm_grad = sqrt(sum_grad_squared)
        norm_grad = ops.sqrt(sum_grad_squared)
        # trust_ratio = trust_coeff * norm_param / (norm_grad + weight_decay * norm_param + eps)
        trust_ratio = ops.divide(trust_coeff * norm_param, norm_grad + weight_decay * norm_param + eps)
        # trust_ratio = where(norm_param > 0 and norm_grad > 0, trust_ratio, 1)
        trust_ratio = tl.where((norm_param > 0) & (norm_grad > 0), trust_ratio, 1.0)
    if (weight_decay_nonzero or always_adapt) and trust_clip:
        # trust_ratio = minimum(trust_ratio / lr, 1)
        trust_ratio = ops.minimum(ops.divide(trust_ratio, lr), 1.0)
    if weight_decay_nonzero or always_adapt:
        # new_trust_ratio = trust_ratio
        new_trust_ratio = trust_ratio
        tl.store(own_numbers + 2, new_trust_ratio)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    momentum_buffer_ptr,
    offsets,
    mask,
    weight_decay,
    lr,
    first_momentum_buffer,
    momentum,
    one_minus_dampening,
    new_trust_ratio,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    always_adapt: tl.constexpr,
    momentum_nonzero: tl.constexpr,
    nesterov: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    if momentum_nonzero:
        momentum_buffer = ops.load(momentum_buffer_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    direction = grad
    if weight_decay_nonzero or always_adapt:
        direction = new_trust_ratio * (grad + weight_decay * param)
    if momentum_nonzero:
        if first_momentum_buffer != 0:
            momentum_buffer = direction
        else:
            # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * direction
            momentum_buffer = momentum * momentum_buffer + one_minus_dampening * direction
        if nesterov:
            direction = direction + momentum * momentum_buffer
        else:
            direction = momentum_buffer
    param = param - lr * direction

    ops.store(param_ptr + offsets, param, mask)
    if momentum_nonzero:
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
    weight_decay_nonzero: tl.constexpr,
    always_adapt: tl.constexpr,
    trust_clip: tl.constexpr,
    momentum_nonzero: tl.constexpr,
    nesterov: tl.constexpr,
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
    row = rows + 7 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 1)
    lr = tl.load(row + 3)
    first_momentum_buffer = tl.load(row + 4)
    momentum = tl.load(row + 5)
    one_minus_dampening = tl.load(row + 6)
    own_numbers = numbers + 3 * tl.load(chunk).to(tl.int64)
    new_trust_ratio = tl.load(own_numbers + 2).to(math)
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
                lr,
                first_momentum_buffer,
                momentum,
                one_minus_dampening,
                new_trust_ratio,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                always_adapt,
                momentum_nonzero,
                nesterov,
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
                lr,
                first_momentum_buffer,
                momentum,
                one_minus_dampening,
                new_trust_ratio,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                always_adapt,
                momentum_nonzero,
                nesterov,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=False,
        folds=passes.Counts(2, 0, 0, 0),
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=False,
        sweep=kernel_1,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(3, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix


def has_vectors(
    *,
    maximize: bool,
    weight_decay_nonzero: bool,
    always_adapt: bool,
    trust_clip: bool,
    momentum_nonzero: bool,
    nesterov: bool,
) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
