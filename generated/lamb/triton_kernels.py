# Generated from specs/lamb.yaml by thetac 0.1.0; do not edit.
"""LAMB on a GPU: kernels that are launched one after the other, each for all tensors of equal dtypes.

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
    param_ptr,
    grad_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    lr_nonzero,
    param_factor,
    one_minus_lr_times_weight_decay,
    one_minus_beta1,
    beta1,
    beta2,
    one_minus_beta2,
    scale,
    bias_correction1_times_eps,
    eps,
    weight_decay,
    sum_param_squared,
    sum_direction_squared,
    grad_scale,
    clip_factor,
    math: tl.constexpr,
    maximize: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decoupled_decay: tl.constexpr,
    corrected_weight_decay: tl.constexpr,
    grad_averaging: tl.constexpr,
    bias_correction: tl.constexpr,
    always_adapt: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    if always_adapt or weight_decay_nonzero:
        param = ops.load(param_ptr + offsets, mask, math)
    grad = ops.load(grad_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)
    grad = ops.scaled(grad, grad_ptr + offsets, mask, grad_scale, clip_factor)

    if maximize:
        # maximize: grad = -grad
        grad = ops.negative(grad)
    if weight_decay_nonzero:
        if decoupled_decay and corrected_weight_decay:
            if lr_nonzero != 0:
                # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr, lr),
                #   max_lr) * weight_decay)
                param = param * param_factor
        elif decoupled_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            param = param * one_minus_lr_times_weight_decay
    if grad_averaging:
        # exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg = ops.lerp(exp_avg, grad, one_minus_beta1)
    else:
        exp_avg = beta1 * exp_avg + grad
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    if bias_correction:
        # denom = sqrt(exp_avg_sq) * scale + bias_correction1 * eps
        denom = ops.sqrt(exp_avg_sq) * scale + bias_correction1_times_eps
        # direction = exp_avg / denom
        direction = ops.divide(exp_avg, denom)
    else:
        # direction = exp_avg / (sqrt(exp_avg_sq) + eps)
        direction = ops.divide(exp_avg, ops.sqrt(exp_avg_sq) + eps)
    if weight_decay_nonzero and not decoupled_decay:
        direction = direction + weight_decay * param
    if weight_decay_nonzero or always_adapt:
        param_squared = param * param
        direction_squared = direction * direction
    if always_adapt or weight_decay_nonzero:
        sum_param_squared = folds.sum_lanes(sum_param_squared, param_squared, mask)
        sum_direction_squared = folds.sum_lanes(sum_direction_squared, direction_squared, mask)

    ops.store(exp_avg_ptr + offsets, exp_avg, mask)
    ops.store(exp_avg_sq_ptr + offsets, exp_avg_sq, mask)
    return sum_param_squared, sum_direction_squared


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
    decoupled_decay: tl.constexpr,
    corrected_weight_decay: tl.constexpr,
    grad_averaging: tl.constexpr,
    bias_correction: tl.constexpr,
    always_adapt: tl.constexpr,
    trust_clip: tl.constexpr,
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
    row = rows + 12 * tl.load(tensor + 1)
    lr_nonzero = tl.load(row + 0)
    param_factor = tl.load(row + 1)
    one_minus_lr_times_weight_decay = tl.load(row + 2)
    one_minus_beta1 = tl.load(row + 3)
    beta1 = tl.load(row + 4)
    beta2 = tl.load(row + 5)
    one_minus_beta2 = tl.load(row + 6)
    scale = tl.load(row + 7)
    bias_correction1_times_eps = tl.load(row + 8)
    eps = tl.load(row + 9)
    weight_decay = tl.load(row + 10)
    param_address = tl.load(tensor + header + 0)
    grad_address = tl.load(tensor + header + 1)
    exp_avg_address = tl.load(tensor + header + 2)
    exp_avg_sq_address = tl.load(tensor + header + 3)
    sum_param_squared = folds.sum_start((block,), math)
    sum_direction_squared = folds.sum_start((block,), math)

    if aligned & (elements >= chunk_size):
        param_ptr = ops.aligned_pointer(param_address, param_dtype, start)
        grad_ptr = ops.aligned_pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.aligned_pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.aligned_pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, chunk_size, block):
            sum_param_squared, sum_direction_squared = update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                first + tl.arange(0, block),
                None,
                lr_nonzero,
                param_factor,
                one_minus_lr_times_weight_decay,
                one_minus_beta1,
                beta1,
                beta2,
                one_minus_beta2,
                scale,
                bias_correction1_times_eps,
                eps,
                weight_decay,
                sum_param_squared,
                sum_direction_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decoupled_decay,
                corrected_weight_decay,
                grad_averaging,
                bias_correction,
                always_adapt,
            )
    else:
        param_ptr = ops.pointer(param_address, param_dtype, start)
        grad_ptr = ops.pointer(grad_address, grad_dtype, start)
        exp_avg_ptr = ops.pointer(exp_avg_address, exp_avg_dtype, start)
        exp_avg_sq_ptr = ops.pointer(exp_avg_sq_address, exp_avg_sq_dtype, start)
        for first in range(0, tl.minimum(elements, chunk_size).to(tl.int32), block):
            offsets = first + tl.arange(0, block)
            sum_param_squared, sum_direction_squared = update_elements(
                param_ptr,
                grad_ptr,
                exp_avg_ptr,
                exp_avg_sq_ptr,
                offsets,
                offsets < elements,
                lr_nonzero,
                param_factor,
                one_minus_lr_times_weight_decay,
                one_minus_beta1,
                beta1,
                beta2,
                one_minus_beta2,
                scale,
                bias_correction1_times_eps,
                eps,
                weight_decay,
                sum_param_squared,
                sum_direction_squared,
                grad_scale,
                clip_factor,
                math,
                maximize,
                weight_decay_nonzero,
                decoupled_decay,
                corrected_weight_decay,
                grad_averaging,
                bias_correction,
                always_adapt,
            )

    if always_adapt or weight_decay_nonzero:
        tl.store(partials + 2 * tl.program_id(0) + 0, folds.sum_all(sum_param_squared))
        tl.store(partials + 2 * tl.program_id(0) + 1, folds.sum_all(sum_direction_squared))


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
    decoupled_decay: tl.constexpr,
    corrected_weight_decay: tl.constexpr,
    grad_averaging: tl.constexpr,
    bias_correction: tl.constexpr,
    always_adapt: tl.constexpr,
    trust_clip: tl.constexpr,
    found_inf=None,
):
    """What is computed once per tensor before sweep 1; nothing if `found_inf` is not 0."""
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return
    chunk = chunks + 2 * tl.program_id(0)
    place = geometry + 10 * tl.load(chunk).to(tl.int64)
    own_numbers = numbers + 3 * tl.load(chunk).to(tl.int64)

    sum_param_squared = tl.load(own_numbers + 0)
    sum_direction_squared = tl.load(own_numbers + 1)
    tl.debug_barrier()
    if always_adapt or weight_decay_nonzero:
        sum_param_squared = folds.sum_range(
            partials + 2 * tl.load(place + 4) + 0, 0, tl.load(place + 5).to(tl.int32), 2
        )
        tl.store(own_numbers + 0, sum_param_squared)
        sum_direction_squared = folds.sum_range(
            partials + 2 * tl.load(place + 4) + 1, 0, tl.load(place + 5).to(tl.int32), 2
        )
        tl.store(own_numbers + 1, sum_direction_squared)
    if weight_decay_nonzero or always_adapt:
        # norm_param = sqrt(sum_param_squared)
        norm_param = ops.sqrt(sum_param_squared)
        # norm_direction = sqrt(sum_direction_squared)
        norm_direction = ops.sqrt(sum_direction_squared)
        # trust_ratio = where(norm_param > 0 and norm_direction > 0, norm_param / norm_direction, 1)
        trust_ratio = tl.where((norm_param > 0) & (norm_direction > 0), ops.divide(norm_param, norm_direction), 1.0)
    if (weight_decay_nonzero or always_adapt) and trust_clip:
        # trust_ratio = minimum(trust_ratio, 1)
        trust_ratio = ops.minimum(trust_ratio, 1.0)
    if weight_decay_nonzero or always_adapt:
        # new_trust_ratio = trust_ratio
        new_trust_ratio = trust_ratio
        tl.store(own_numbers + 2, new_trust_ratio)


@triton.jit
def update_elements_1(
    param_ptr,
    exp_avg_ptr,
    exp_avg_sq_ptr,
    offsets,
    mask,
    lr_nonzero,
    param_factor,
    one_minus_lr_times_weight_decay,
    scale,
    bias_correction1_times_eps,
    eps,
    weight_decay,
    lr,
    new_trust_ratio,
    math: tl.constexpr,
    weight_decay_nonzero: tl.constexpr,
    decoupled_decay: tl.constexpr,
    corrected_weight_decay: tl.constexpr,
    bias_correction: tl.constexpr,
    always_adapt: tl.constexpr,
):
    """One step of one block of elements. Without a mask all of them exist."""
    param = ops.load(param_ptr + offsets, mask, math)
    exp_avg = ops.load(exp_avg_ptr + offsets, mask, math)
    exp_avg_sq = ops.load(exp_avg_sq_ptr + offsets, mask, math)

    if weight_decay_nonzero:
        if decoupled_decay and corrected_weight_decay:
            if lr_nonzero != 0:
                # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr, lr),
                #   max_lr) * weight_decay)
                param = param * param_factor
        elif decoupled_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            param = param * one_minus_lr_times_weight_decay
    if bias_correction:
        # denom = sqrt(exp_avg_sq) * scale + bias_correction1 * eps
        denom = ops.sqrt(exp_avg_sq) * scale + bias_correction1_times_eps
        # direction = exp_avg / denom
        direction = ops.divide(exp_avg, denom)
    else:
        # direction = exp_avg / (sqrt(exp_avg_sq) + eps)
        direction = ops.divide(exp_avg, ops.sqrt(exp_avg_sq) + eps)
    if weight_decay_nonzero and not decoupled_decay:
        direction = direction + weight_decay * param
    if weight_decay_nonzero or always_adapt:
        direction = new_trust_ratio * direction
    param = param - lr * direction

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
    decoupled_decay: tl.constexpr,
    corrected_weight_decay: tl.constexpr,
    grad_averaging: tl.constexpr,
    bias_correction: tl.constexpr,
    always_adapt: tl.constexpr,
    trust_clip: tl.constexpr,
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
    row = rows + 12 * tl.load(tensor + 1)
    lr_nonzero = tl.load(row + 0)
    param_factor = tl.load(row + 1)
    one_minus_lr_times_weight_decay = tl.load(row + 2)
    scale = tl.load(row + 7)
    bias_correction1_times_eps = tl.load(row + 8)
    eps = tl.load(row + 9)
    weight_decay = tl.load(row + 10)
    lr = tl.load(row + 11)
    own_numbers = numbers + 3 * tl.load(chunk).to(tl.int64)
    new_trust_ratio = tl.load(own_numbers + 2).to(math)
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
                lr_nonzero,
                param_factor,
                one_minus_lr_times_weight_decay,
                scale,
                bias_correction1_times_eps,
                eps,
                weight_decay,
                lr,
                new_trust_ratio,
                math,
                weight_decay_nonzero,
                decoupled_decay,
                corrected_weight_decay,
                bias_correction,
                always_adapt,
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
                lr_nonzero,
                param_factor,
                one_minus_lr_times_weight_decay,
                scale,
                bias_correction1_times_eps,
                eps,
                weight_decay,
                lr,
                new_trust_ratio,
                math,
                weight_decay_nonzero,
                decoupled_decay,
                corrected_weight_decay,
                bias_correction,
                always_adapt,
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
    decoupled_decay: bool,
    corrected_weight_decay: bool,
    grad_averaging: bool,
    bias_correction: bool,
    always_adapt: bool,
    trust_clip: bool,
) -> bool:
    """Return whether kernels of these specialisations compute anything per row, column or matrix."""
    return False
