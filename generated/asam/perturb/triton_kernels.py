# Generated from specs/asam.yaml by thetac 0.1.0; do not edit.
"""ASAM on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    eta,
    sum_ascent_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    scaled: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    if scaled:
        param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    ascent = grad
    if scaled:
        # ascent = (abs(param) + eta) * grad
        ascent = (tl.abs(param) + eta) * grad
    ascent_squared = ascent * ascent
    sum_ascent_squared = folds.sum_lanes(sum_ascent_squared, ascent_squared, mask)

    return sum_ascent_squared


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
    maximize: tl.constexpr,
    scaled: tl.constexpr,
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
    tensor = tensors + (header + 2) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 2 * tl.load(tensor + 1)
    eta = tl.load(row + 0)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    sum_ascent_squared = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        for first in range(0, chunk_size, block):
            sum_ascent_squared = update_elements(
                param_ptr,
                grad_ptr,
                first + tl.arange(0, block),
                None,
                eta,
                sum_ascent_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                scaled,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_ascent_squared = update_elements(
                param_ptr,
                grad_ptr,
                offsets,
                offsets < elements,
                eta,
                sum_ascent_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                scaled,
            )

    tl.store(partials + 1 * tl.program_id(0) + 0, folds.sum_all(sum_ascent_squared))


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
    scaled: tl.constexpr,
    found_inf=None,
):
    """What each tensor adds to totals after sweep 0; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    chunk = chunks + 2 * tl.program_id(0)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 1 * tl.load(chunk).to(tl.int64)

    sum_ascent_squared = folds.sum_range(partials + 1 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 1)
    tl.store(own_numbers + 0, sum_ascent_squared)


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
    scaled: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    chunk = chunks + 2 * tl.program_id(0)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 1 * tl.load(chunk).to(tl.int64)

    sum_ascent_squared = folds.sum_range(partials + 1 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 1)
    tl.store(own_numbers + 0, sum_ascent_squared)


@triton.jit
def update_elements_1(
    param_ptr,
    grad_ptr,
    offsets,
    mask,
    eta,
    rho_over_length_plus_1eminus_16,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    scaled: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, None, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    ascent = grad
    if scaled:
        # ascent = (abs(param) + eta) * grad
        ascent = (tl.abs(param) + eta) * grad
    if scaled:
        # ascent = (abs(param) + eta) * ascent
        ascent = (tl.abs(param) + eta) * ascent
    # param = param + rho / (length + 1e-16) * ascent
    param = param + rho_over_length_plus_1eminus_16 * ascent

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
    maximize: tl.constexpr,
    scaled: tl.constexpr,
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
    tensor = tensors + (header + 2) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 2 * tl.load(tensor + 1)
    eta = tl.load(row + 0)
    rho_over_length_plus_1eminus_16 = tl.load(row + 1)
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
                eta,
                rho_over_length_plus_1eminus_16,
                clip_factor,
                math,
                maximize,
                scaled,
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
                eta,
                rho_over_length_plus_1eminus_16,
                clip_factor,
                math,
                maximize,
                scaled,
            )


PASSES = (
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel,
        tiled=False,
        folds=passes.Counts(1, 0, 0, 0),
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
SCRATCH = passes.Counts(1, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix
TERMS = (0,)  # of totals: their places among a tensor's numbers


def has_vectors(*, maximize: bool, scaled: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
