"""What generated Triton kernels call: operations of the language whose rounding or treatment of NaN needs care.

Arithmetic is float32, or float64 where the row of numbers is float64. Every operation rounds once, to nearest; kernels
are compiled with `enable_fp_fusion=False`, so that a product and a sum stay two operations.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# (values of a kernel have types of Triton's own, which its compiler infers)

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)  # kernels run in Triton's interpreter, without a GPU


@triton.jit
def pointer(address, dtype: tl.constexpr, start):
    """Element `start` of a tensor, given its address as an integer."""
    return address.to(tl.pointer_type(dtype)) + start


@triton.jit
def aligned_pointer(address, dtype: tl.constexpr, start):
    """The same, for the compiler to know that it is a multiple of 16 bytes: accesses of 128 bits."""
    # A pointer of its own: the promise would otherwise hold wherever the compiler finds the same expression.
    return tl.multiple_of(address.to(tl.pointer_type(dtype)) + start, 16)


@triton.jit
def load(pointers, mask, math: tl.constexpr):
    """Elements in the dtype of the arithmetic. Without a mask all of them exist."""
    return tl.load(pointers, mask=mask).to(math)


@triton.jit
def store(pointers, values, mask):
    """Round to the dtype of storage, to nearest, ties to even."""
    dtype: tl.constexpr = pointers.dtype.element_ty
    if INTERPRETED and dtype == tl.bfloat16:
        tl.store(pointers, _bfloat16(values), mask=mask)
    else:
        tl.store(pointers, values, mask=mask)


@triton.jit
def scaled(grad, pointers, mask, grad_scale, clip):
    """A gradient divided by a number in memory, and stored so; then multiplied by another. None: not."""
    if grad_scale is not None:
        grad = divide(grad, tl.load(grad_scale).to(grad.dtype))
        store(pointers, grad, mask)
    if clip is not None:
        grad = grad * tl.load(clip).to(grad.dtype)
    return grad


@triton.jit
def _bfloat16(x):
    """Triton's interpreter (3.7) truncates where compiled code rounds."""
    bits = x.to(tl.float32).to(tl.uint32, bitcast=True)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return tl.where(x == x, rounded, 0x7FC0).to(tl.uint16).to(tl.bfloat16, bitcast=True)


@triton.jit
def divide(x, y):
    """The plain operator may be approximate in float32."""
    if y.dtype == tl.float64:
        quotient = x / y
    else:
        quotient = tl.div_rn(x, y)
    return quotient


@triton.jit
def sqrt(x):
    """The plain function may be approximate in float32."""
    if x.dtype == tl.float64:
        root = tl.sqrt(x)
    else:
        root = tl.sqrt_rn(x)
    return root


@triton.jit
def negative(x):
    """The plain operator is 0 - x, which loses the sign of zero."""
    return x * -1


@triton.jit
def sign(x):
    """-1, 0 or 1; 0 for NaN, as torch has it."""
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)


@triton.jit
def maximum(x, y):
    """NaN if either is."""
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def minimum(x, y):
    """NaN if either is."""
    return tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def clamp(x, low, high):
    """The upper bound wins where they cross; NaN stays."""
    return minimum(maximum(x, low), high)


@triton.jit
def lerp(start, end, weight):
    """torch's two formulas: each is exact at its own end."""
    return tl.where(tl.abs(weight) < 0.5, start + weight * (end - start), end - (end - start) * (1 - weight))
