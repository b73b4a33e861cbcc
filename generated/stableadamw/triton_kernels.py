# Generated from specs/stable_adamw.yaml by thetac 0.1.0; do not edit.
"""StableAdamW on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

docs/architecture.md describes the tables they are given, docs/triton.md how they are laid out.
"""

import triton
import triton.language as tl

from thetac.runtime import triton_folds as folds
from thetac.runtime import triton_ops as ops
from thetac.runtime import triton_passes as passes

STREAMS = ("param", "grad", "exp_avg", "exp_avg_sq")
CHUNK = 8192  # elements per program
SMALL = ()
LAUNCH_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}  # every operation rounds on its own


@triton.jit
def update_elements(
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    one_minus_beta1_hat,
    beta2_hat,
    one_minus_beta2_hat,
    eps_squared,
    spread_part_part,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    # exp_avg = lerp(exp_avg, grad, 1 - beta1_hat)
    exp_avg = ops.lerp(exp_avg, grad, one_minus_beta1_hat)
    # exp_avg_sq = beta2_hat * exp_avg_sq + (1 - beta2_hat) * grad * grad
    exp_avg_sq = beta2_hat * exp_avg_sq + one_minus_beta2_hat * grad * grad
    # spread_part_part_part = grad * grad / maximum(exp_avg_sq, eps * eps)
    spread_part_part_part = ops.divide(grad * grad, ops.maximum(exp_avg_sq, eps_squared))
    spread_part_part = folds.sum_lanes(spread_part_part, spread_part_part_part, mask)

    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    return spread_part_part


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
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple_lr: tl.constexpr,
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
    row = rows + 9 * tl.load(tensor + 1)
    one_minus_beta1_hat = tl.load(row + 0)
    beta2_hat = tl.load(row + 1)
    one_minus_beta2_hat = tl.load(row + 2)
    eps_squared = tl.load(row + 3)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)
    spread_part_part = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, chunk_size, block):
            spread_part_part = update_elements(
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                first + tl.arange(0, block),
                None,
                one_minus_beta1_hat,
                beta2_hat,
                one_minus_beta2_hat,
                eps_squared,
                spread_part_part,
                grad_scale,
                clip_factor,
                math,
                maximize,
            )
    else:
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            spread_part_part = update_elements(
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                offsets < elements,
                one_minus_beta1_hat,
                beta2_hat,
                one_minus_beta2_hat,
                eps_squared,
                spread_part_part,
                grad_scale,
                clip_factor,
                math,
                maximize,
            )

    tl.store(partials + 1 * tl.program_id(0) + 0, folds.sum_all(spread_part_part))


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
    decouple_lr: tl.constexpr,
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
    own_numbers = numbers + 4 * tl.load(chunk).to(tl.int64)
    row = rows + 9 * tl.load(tensor + 1)
    param_size = tl.load(row + 4).to(math)
    lr = tl.load(row + 5).to(math)
    rate_divisor = tl.load(row + 6).to(math)
    weight_decay = tl.load(row + 7).to(math)

    spread_part_part = folds.sum_range(partials + 1 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 1)
    tl.store(own_numbers + 0, spread_part_part)
    # spread_part = spread_part_part / param_size
    spread_part = ops.divide(spread_part_part, param_size)
    # spread = sqrt(spread_part)
    spread = ops.sqrt(spread_part)
    # rate = lr / maximum(spread, 1)
    rate = ops.divide(lr, ops.maximum(spread, 1.0))
    tl.store(own_numbers + 3, rate)
    if weight_decay_nonzero and decouple_lr:
        # param_part = 1 - rate / where(highest > 0, highest, inf) * weight_decay
        param_part = 1 - ops.divide(rate, rate_divisor) * weight_decay
        tl.store(own_numbers + 1, param_part)
    if weight_decay_nonzero and not decouple_lr:
        # one_minus_rate_times_weight_decay = 1 - rate * weight_decay
        one_minus_rate_times_weight_decay = 1 - rate * weight_decay
        tl.store(own_numbers + 2, one_minus_rate_times_weight_decay)


@triton.jit
def update_elements_1(
    param_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    eps,
    param_part,
    one_minus_rate_times_weight_decay,
    rate,
    math: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple_lr: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)

    if weight_decay_nonzero:
        if decouple_lr:
            param = param * param_part
        else:
            param = param * one_minus_rate_times_weight_decay
    # param = param - rate * exp_avg / (sqrt(exp_avg_sq) + eps)
    param = param - ops.divide(rate * exp_avg, ops.sqrt(exp_avg_sq) + eps)

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
    exp_avg_dtype: tl.constexpr,
    exp_avg_sq_dtype: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decouple_lr: tl.constexpr,
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
    row = rows + 9 * tl.load(tensor + 1)
    eps = tl.load(row + 8)
    own_numbers = numbers + 4 * tl.load(chunk).to(tl.int64)
    param_part = tl.load(own_numbers + 1).to(math)
    one_minus_rate_times_weight_decay = tl.load(own_numbers + 2).to(math)
    rate = tl.load(own_numbers + 3).to(math)
    param_address = tl.load(tensor + header + 0)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, chunk_size, block):
            update_elements_1(
                param_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                first + tl.arange(0, block),
                None,
                eps,
                param_part,
                one_minus_rate_times_weight_decay,
                rate,
                math,
                weight_decay_nonzero,
                decouple_lr,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            update_elements_1(
                param_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                offsets < elements,
                eps,
                param_part,
                one_minus_rate_times_weight_decay,
                rate,
                math,
                weight_decay_nonzero,
                decouple_lr,
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
        divides=True,
        sweep=kernel_1,
        tiled=False,
        folds=passes.Counts(0, 0, 0, 0),
    ),
)
SCRATCH = passes.Counts(4, 0, 0, 0)
AXES = False  # whether anything is per row, column or matrix


def has_vectors(*, maximize: bool, weight_decay_nonzero: bool, decouple_lr: bool) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
