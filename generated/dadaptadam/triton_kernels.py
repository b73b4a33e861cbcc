# Generated from specs/dadapt_adam.yaml by thetac 0.1.0; do not edit.
"""DAdaptAdam on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq", "s")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    s_ptr,
    offsets,
    mask,
    weight_decay,
    eps,
    beta1,
    direction_factor,
    beta2,
    one_minus_beta2,
    root,
    rate_times_one_minus_root,
    gain_term_part,
    sum_abs_s,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    if not decouple and weight_decay_nonzero:
        param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    s = ops.load(s_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    direction = grad
    if weight_decay_nonzero and not decouple:
        direction = grad + weight_decay * param
    # gain_term_part_part = direction * (s / (sqrt(exp_avg_sq) + eps))
    gain_term_part_part = direction * ops.divide(s, ops.sqrt(exp_avg_sq) + eps)
    gain_term_part = folds.sum_lanes(gain_term_part, gain_term_part_part, mask)
    # exp_avg = beta1 * exp_avg + layer_scale * rate * (1 - beta1) * direction
    exp_avg = beta1 * exp_avg + direction_factor * direction
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * direction * direction
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * direction * direction
    # s = root * s + rate * (1 - root) * direction
    s = root * s + rate_times_one_minus_root * direction
    # abs_s = abs(s)
    abs_s = tl.abs(s)
    sum_abs_s = folds.sum_lanes(sum_abs_s, abs_s, mask)

    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    ops.store(s_ptr + offsets, s, mask)
    return gain_term_part, sum_abs_s


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
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    s_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple: tl.constexpr,
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
    row = rows + 11 * tl.load(tensor + 1)
    weight_decay = tl.load(row + 0)
    eps = tl.load(row + 1)
    beta1 = tl.load(row + 3)
    direction_factor = tl.load(row + 4)
    beta2 = tl.load(row + 5)
    one_minus_beta2 = tl.load(row + 6)
    root = tl.load(row + 7)
    rate_times_one_minus_root = tl.load(row + 8)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)
    s_address = tl.load(tensor + header + 4)
    gain_term_part = folds.sum_start((block,), math)
    sum_abs_s = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        s_ptr = ops.aligned_pointer(s_address, s_dtype, start)
        for first in range(0, chunk_size, block):
            gain_term_part, sum_abs_s = update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                s_ptr,
                first + tl.arange(0, block),
                None,
                weight_decay,
                eps,
                beta1,
                direction_factor,
                beta2,
                one_minus_beta2,
                root,
                rate_times_one_minus_root,
                gain_term_part,
                sum_abs_s,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decouple,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        s_ptr = ops.pointer(s_address, s_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            gain_term_part, sum_abs_s = update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                s_ptr,
                offsets,
                offsets < elements,
                weight_decay,
                eps,
                beta1,
                direction_factor,
                beta2,
                one_minus_beta2,
                root,
                rate_times_one_minus_root,
                gain_term_part,
                sum_abs_s,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decouple,
            )

    tl.store(partials + 2 * tl.program_id(0) + 0, folds.sum_all(gain_term_part))
    tl.store(partials + 2 * tl.program_id(0) + 1, folds.sum_all(sum_abs_s))


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
    decouple: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    math: tl.constexpr = tl.float64
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + (header + 5) * tl.load(chunk).to(tl.int64)
    place = geometry + 13 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 4 * tl.load(chunk).to(tl.int64)
    row = rows + 11 * tl.load(tensor + 1)
    layer_scale_times_rate = tl.load(row + 2).to(math)
    layer_scale = tl.load(row + 9).to(math)

    gain_term_part = folds.sum_range(partials + 2 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 2)
    tl.store(own_numbers + 0, gain_term_part)
    sum_abs_s = folds.sum_range(partials + 2 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 2)
    tl.store(own_numbers + 1, sum_abs_s)
    # gain_term = layer_scale * rate * gain_term_part
    gain_term = layer_scale_times_rate * gain_term_part
    tl.store(own_numbers + 2, gain_term)
    # layer_scale_times_sum_abs_s = layer_scale * sum_abs_s
    layer_scale_times_sum_abs_s = layer_scale * sum_abs_s
    tl.store(own_numbers + 3, layer_scale_times_sum_abs_s)


@triton.jit
def update_elements_2(
    param_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    eps,
    param_factor,
    math: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)

    if weight_decay_nonzero and decouple:
        # param = param - where(still, 0, weight_decay * rate) * param
        param = param - param_factor * param
    # param = param - exp_avg / (sqrt(exp_avg_sq) + eps)
    param = param - ops.divide(exp_avg, ops.sqrt(exp_avg_sq) + eps)

    ops.store(param_ptr + offsets, param, mask)


@triton.jit
def kernel_2(
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
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    s_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple: tl.constexpr,
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
    row = rows + 11 * tl.load(tensor + 1)
    eps = tl.load(row + 1)
    param_factor = tl.load(row + 10)
    param_address = tl.load(tensor + header + 0)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements_2(
                param_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                first + tl.arange(0, block),
                None,
                eps,
                param_factor,
                math,
                weight_decay_nonzero,
                decouple,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements_2(
                param_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                offsets < elements,
                eps,
                param_factor,
                math,
                weight_decay_nonzero,
                decouple,
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
        divides=True,
        sweep=None,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
    passes.PassKernels(
        program=None,
        divides=False,
        sweep=kernel_2,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(4, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix
TERMS = (2, 3)  # of totals: their places among a tensor's numbers


def has_vectors(*, maximize: bool, weight_decay_nonzero: bool, decouple: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
