# Generated from specs/dadapt_lion.yaml by thetac 0.1.0; do not edit.
"""DAdaptLion on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_avg", "s")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    s_ptr,
    offsets,
    mask,
    one_minus_rate_times_weight_decay,
    beta1,
    one_minus_beta1,
    rate,
    beta2,
    one_minus_beta2_times_rate,
    root,
    one_minus_root_times_rate,
    sum_direction_times_s,
    sum_abs_s,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    s = ops.load(s_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # param = param * (1 - rate * weight_decay)
    param = param * one_minus_rate_times_weight_decay
    # direction = sign(beta1 * exp_avg + (1 - beta1) * grad)
    direction = ops.sign(beta1 * exp_avg + one_minus_beta1 * grad)
    param = param - rate * direction
    # exp_avg = beta2 * exp_avg + (1 - beta2) * rate * grad
    exp_avg = beta2 * exp_avg + one_minus_beta2_times_rate * grad
    direction_times_s = direction * s
    sum_direction_times_s = folds.sum_lanes(sum_direction_times_s, direction_times_s, mask)
    # s = root * s + (1 - root) * rate * direction
    s = root * s + one_minus_root_times_rate * direction
    # abs_s = abs(s)
    abs_s = tl.abs(s)
    sum_abs_s = folds.sum_lanes(sum_abs_s, abs_s, mask)

    ops.store(param_ptr + offsets, param, mask)
    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(s_ptr + offsets, s, mask)
    return sum_direction_times_s, sum_abs_s


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
    s_dtype: tl.constexpr,
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
    tensor = tensors + (header + 4) * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.load(tensor) - start  # from here to the end of the tensor
    aligned = tl.load(tensor + 2) != 0
    row = rows + 8 * tl.load(tensor + 1)
    one_minus_rate_times_weight_decay = tl.load(row + 0)
    beta1 = tl.load(row + 1)
    one_minus_beta1 = tl.load(row + 2)
    rate = tl.load(row + 3)
    beta2 = tl.load(row + 4)
    one_minus_beta2_times_rate = tl.load(row + 5)
    root = tl.load(row + 6)
    one_minus_root_times_rate = tl.load(row + 7)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    s_address = tl.load(tensor + header + 3)
    sum_direction_times_s = folds.sum_start((block,), math)
    sum_abs_s = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        s_ptr = ops.aligned_pointer(s_address, s_dtype, start)
        for first in range(0, chunk_size, block):
            sum_direction_times_s, sum_abs_s = update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                s_ptr,
                first + tl.arange(0, block),
                None,
                one_minus_rate_times_weight_decay,
                beta1,
                one_minus_beta1,
                rate,
                beta2,
                one_minus_beta2_times_rate,
                root,
                one_minus_root_times_rate,
                sum_direction_times_s,
                sum_abs_s,
                grad_scale,
                clip_factor,
                math,
                maximize,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        s_ptr = ops.pointer(s_address, s_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_direction_times_s, sum_abs_s = update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                s_ptr,
                offsets,
                offsets < elements,
                one_minus_rate_times_weight_decay,
                beta1,
                one_minus_beta1,
                rate,
                beta2,
                one_minus_beta2_times_rate,
                root,
                one_minus_root_times_rate,
                sum_direction_times_s,
                sum_abs_s,
                grad_scale,
                clip_factor,
                math,
                maximize,
            )

    tl.store(partials + 2 * tl.program_id(0) + 0, folds.sum_all(sum_direction_times_s))
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
    own_numbers = numbers + 3 * tl.load(chunk).to(tl.int64)
    row = rows + 8 * tl.load(tensor + 1)
    rate = tl.load(row + 3).to(math)

    sum_direction_times_s = folds.sum_range(
        partials + 2 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 2
    )
    tl.store(own_numbers + 0, sum_direction_times_s)
    sum_abs_s = folds.sum_range(partials + 2 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 2)
    tl.store(own_numbers + 1, sum_abs_s)
    # rate_times_sum_direction_times_s = rate * sum_direction_times_s
    rate_times_sum_direction_times_s = rate * sum_direction_times_s
    tl.store(own_numbers + 2, rate_times_sum_direction_times_s)


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
)
SCRATCH = passes.Counts(3, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix
TERMS = (2, 1)  # of totals: their places among a tensor's numbers


def has_vectors(*, maximize: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
