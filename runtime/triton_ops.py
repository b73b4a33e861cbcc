"""Operations that generated Triton kernels call: those whose rounding or treatment of NaN needs care.

In and out: blocks of float32, or of float64 where the scalar row is float64. Every operation rounds once, to nearest.
Kernels are compiled with `enable_fp_fusion=False`, so that a product and a sum stay two operations. Must not know any
algorithm.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# (values of a kernel have types of Triton's own, which its compiler infers)

import triton
import triton.language as tl

from thetac.runtime import triton_elementary as elementary

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)  # kernels run in Triton's interpreter, without a GPU


@triton.jit
def pointer(address, dtype: tl.constexpr, start):
    """Return a pointer to element `start` of a tensor, given the tensor's address as an integer."""
    return address.to(tl.pointer_type(dtype)) + start


@triton.jit
def aligned_pointer(address, dtype: tl.constexpr, start):
    """Return the same pointer, declared to be a multiple of 16 bytes: the compiler accesses 128 bits at once."""
    # A pointer of its own: the promise would otherwise hold wherever the compiler finds the same expression.
    return tl.multiple_of(address.to(tl.pointer_type(dtype)) + start, 16)


@triton.jit
def load(pointers, mask, math: tl.constexpr):
    """Return elements in the dtype of the arithmetic. Without a mask, all of them exist."""
    return tl.load(pointers, mask=mask).to(math)


@triton.jit
def store(pointers, values, mask):
    """Store values, rounded to the dtype of storage: to nearest, ties to even."""
    dtype: tl.constexpr = pointers.dtype.element_ty
    if INTERPRETED and dtype == tl.bfloat16:
        tl.store(pointers, _bfloat16(values), mask=mask)
    else:
        tl.store(pointers, values, mask=mask)


@triton.jit
def scaled(grad, pointers, mask, grad_scale, clip):
    """Return the gradient divided by `grad_scale`, which is stored as well, then multiplied by `clip`.

    Both are pointers to one number; None leaves the operation out.
    """
    if grad_scale is not None:
        grad = divide(grad, tl.load(grad_scale).to(grad.dtype))
        store(pointers, grad, mask)
    if clip is not None:
        grad = grad * tl.load(clip).to(grad.dtype)
    return grad


@triton.jit
def _bfloat16(x):
    """Return float32 rounded to bfloat16: Triton's interpreter (3.7) truncates where compiled code rounds."""
    bits = x.to(tl.float32).to(tl.uint32, bitcast=True)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return tl.where(x == x, rounded, 0x7FC0).to(tl.uint16).to(tl.bfloat16, bitcast=True)


@triton.jit
def divide(x, y):
    """Return x / y, rounded to nearest: the plain operator may be approximate in float32."""
    return elementary.divide(x, y)


@triton.jit
def sqrt(x):
    """Return the square root, rounded to nearest: the plain function may be approximate in float32."""
    if x.dtype == tl.float64:
        root = tl.sqrt(x)
    else:
        root = tl.sqrt_rn(x)
    return root


@triton.jit
def negative(x):
    """Return -x: the plain operator is 0 - x, which loses the sign of zero."""
    return x * -1


@triton.jit
def sign(x):
    """Return -1, 0 or 1; 0 for NaN, as torch does."""
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)


@triton.jit
def maximum(x, y):
    """Return the larger of x and y, NaN if either is NaN."""
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def minimum(x, y):
    """Return the smaller of x and y, NaN if either is NaN."""
    return tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def clamp(x, low, high):
    """Return minimum(maximum(x, low), high); NaN stays."""
    return minimum(maximum(x, low), high)


@triton.jit
def lerp(start, end, weight):
    """Return start + weight * (end - start), by torch's two formulas: each is exact at its own end."""
    return tl.where(tl.abs(weight) < 0.5, start + weight * (end - start), end - (end - start) * (1 - weight))


@triton.jit
def rsqrt(x):
    """Return 1 / sqrt(x), each rounded to nearest: the plain function may be approximate."""
    return divide(tl.full((), 1.0, x.dtype), sqrt(x))


@triton.jit
def cbrt(x):
    """Return the cube root, which has the sign of x."""
    return elementary.cube_root(x)


@triton.jit
def exp(x):
    """Return e ** x."""
    return elementary.exponential(x)


@triton.jit
def log(x):
    """Return the natural logarithm: -inf for 0, NaN below."""
    return elementary.logarithm(x)


@triton.jit
def tanh(x):
    """Return the hyperbolic tangent."""
    return elementary.hyperbolic_tangent(x)


@triton.jit
def atan2(y, x):
    """Return the angle of the point (x, y), between -pi and pi."""
    return elementary.angle(y, x)


@triton.jit
def power(x, y):
    """Return x ** y, which is NaN for a negative number to a power that is no integer."""
    return elementary.power(x, y)
