"""The sum of squares of all gradients of a bucket, as a Triton kernel: the first pass of clipping by global norm.

In: the tables of a bucket, as the generated kernels take them. Out: one sum per chunk; the caller adds them up in one
order, so the result is bitwise reproducible. Must not know optimizers.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# (values of a kernel have types of Triton's own, which its compiler infers)

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

CHUNK = 8192  # elements per program
BLOCK = 1024


@triton.jit
def sum_of_squares(
    tensors,
    chunks,
    sums,
    columns: tl.constexpr,
    header: tl.constexpr,
    grad_dtype: tl.constexpr,
    chunk_size: tl.constexpr = CHUNK,
    block: tl.constexpr = BLOCK,
):
    """Add up the squares of one chunk of one gradient, in the dtype of `sums`: float32 or float64."""
    math: tl.constexpr = sums.dtype.element_ty
    chunk = chunks + 2 * tl.program_id(0)
    tensor = tensors + columns * tl.load(chunk).to(tl.int64)
    start = chunk_size * tl.load(chunk + 1).to(tl.int64)
    elements = tl.minimum(tl.load(tensor) - start, chunk_size).to(tl.int32)
    grad = ops.pointer(tl.load(tensor + header + 1), grad_dtype, start)
    total = tl.zeros((block,), dtype=math)
    for first in range(0, elements, block):
        offsets = first + tl.arange(0, block)
        value = tl.load(grad + offsets, mask=offsets < elements, other=0).to(math)
        total += value * value
    tl.store(sums + tl.program_id(0), tl.sum(total, axis=0))
