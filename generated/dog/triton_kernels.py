# Generated from specs/dog.yaml by thetac 0.1.0; do not edit.
"""DoG on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "init_buffer")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    init_buffer_ptr,
    offsets,
    mask,
    weight_decay,
    sum_param_squared,
    sum_moved_squared,
    sum_grad_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    init_buffer = ops.load(init_buffer_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        # weight decay
        grad = grad + weight_decay * param
    param_squared = param * param
    sum_param_squared = folds.sum_lanes(sum_param_squared, param_squared, mask)
    moved = param - init_buffer
    moved_squared = moved * moved
    sum_moved_squared = folds.sum_lanes(sum_moved_squared, moved_squared, mask)
    grad_squared = grad * grad
    sum_grad_squared = folds.sum_lanes(sum_grad_squared, grad_squared, mask)

    return sum_param_squared, sum_moved_squared, sum_grad_squared


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
    init_buffer_dtype: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 2 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    init_buffer_address = tl.load(tensor + header + 2)
    sum_param_squared = folds.sum_start((block,), math)
    sum_moved_squared = folds.sum_start((block,), math)
    sum_grad_squared = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        init_buffer_ptr = ops.aligned_pointer(init_buffer_address, init_buffer_dtype, start)
        for first in range(0, chunk_size, block):
            sum_param_squared, sum_moved_squared, sum_grad_squared = update_elements(
                param_ptr,
                grad_ptr,
                init_buffer_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                sum_param_squared,
                sum_moved_squared,
                sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        init_buffer_ptr = ops.pointer(init_buffer_address, init_buffer_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_param_squared, sum_moved_squared, sum_grad_squared = update_elements(
                param_ptr,
                grad_ptr,
                init_buffer_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                sum_param_squared,
                sum_moved_squared,
                sum_grad_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )

    tl.store(partials + 3 * tl.program_id(0) + 0, folds.sum_all(sum_param_squared))
    tl.store(partials + 3 * tl.program_id(0) + 1, folds.sum_all(sum_moved_squared))
    tl.store(partials + 3 * tl.program_id(0) + 2, folds.sum_all(sum_grad_squared))


@triton.jit
def tensor_program_for_totals_0(
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
    found_inf=None,
):
    """What each tensor adds to totals after sweep 0; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    chunk = chunks + 2 * tl.program_id(0)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 3 * tl.load(chunk).to(tl.int64)

    sum_param_squared = folds.sum_range(partials + 3 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 3)
    tl.store(own_numbers + 0, sum_param_squared)
    sum_moved_squared = folds.sum_range(partials + 3 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 3)
    tl.store(own_numbers + 1, sum_moved_squared)
    sum_grad_squared = folds.sum_range(partials + 3 * tl.load(place + 4) + 2, 0, tl.load(place + 5).to(tl.int32), 3)
    tl.store(own_numbers + 2, sum_grad_squared)


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
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    chunk = chunks + 2 * tl.program_id(0)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 3 * tl.load(chunk).to(tl.int64)

    sum_param_squared = folds.sum_range(partials + 3 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 3)
    tl.store(own_numbers + 0, sum_param_squared)
    sum_moved_squared = folds.sum_range(partials + 3 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 3)
    tl.store(own_numbers + 1, sum_moved_squared)
    sum_grad_squared = folds.sum_range(partials + 3 * tl.load(place + 4) + 2, 0, tl.load(place + 5).to(tl.int32), 3)
    tl.store(own_numbers + 2, sum_grad_squared)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    weight_decay,
    eta,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        # weight decay
        grad = grad + weight_decay * param
    param = param - eta * grad

    ops.store(param_ptr + offsets, param, mask)


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
    init_buffer_dtype: tl.constexpr,
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
    tensor = tensors + (header + 3) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 2 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    eta = tl.load(row + 1)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements_1(
                param_ptr,
                grad_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                eta,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements_1(
                param_ptr,
                grad_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                eta,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=False,
        folds=passes.Counts(3, 0, 0, 0),
        terms=tensor_program_for_totals_0,
    ),
    passes.PassKernels(
        program=tensor_program_1,
        divides=True,
        sweep=kernel_1,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(3, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix
TERMS = (0, 1, 2)  # of totals: their places among a tensor's numbers


def has_vectors(*, maximize: bool, weight_decay_nonzero: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
