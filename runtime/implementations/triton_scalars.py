"""Triton kernels that read and write scalars at many addresses.

In: a table of addresses. Out: the values there as float64, or new values stored there, rounded to the dtype of storage.
Must not know what the scalars mean.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# (values of a kernel have types of Triton's own, which its compiler infers)

import triton
import triton.language as tl

from thetac.runtime import triton_ops as ops

BLOCK = 128  # scalars per program


@triton.jit
def gather(addresses, values, count, dtype: tl.constexpr, block: tl.constexpr = BLOCK):
    """Read the value at each address."""
    at = block * tl.program_id(0) + tl.arange(0, block)
    inside = at < count
    pointers = ops.pointer(tl.load(addresses + at, mask=inside, other=0), dtype, 0)
    tl.store(values + at, tl.load(pointers, mask=inside, other=0).to(tl.float64), mask=inside)


@triton.jit
def scatter(addresses, values, count, dtype: tl.constexpr, block: tl.constexpr = BLOCK):
    """Write one value to each address."""
    at = block * tl.program_id(0) + tl.arange(0, block)
    inside = at < count
    pointers = ops.pointer(tl.load(addresses + at, mask=inside, other=0), dtype, 0)
    ops.store(pointers, tl.load(values + at, mask=inside, other=0), inside)
