"""Operations that generated implementations call and that torch does not have as one call.

In and out: tensors of any shape, lists of them, and host scalars. Must not know of optimizers, groups or states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar, overload

import torch
from torch import Tensor

from thetac.runtime import scalar_math

Scalar = float | Tensor  # a host scalar, or a tensor with the value of one
TensorList = list[Tensor] | tuple[Tensor, ...]  # what torch's list operations take, and what they return

Axis = int | tuple[int, ...] | None  # along which numbers are reduced; None: all

Pair = TypeVar("Pair", Tensor, Tensor | None)
Value = TypeVar("Value", float, Tensor, Scalar)

_FLOAT16 = 65504.0  # what every floating dtype holds


def as_pairs(*tensors: Pair) -> tuple[Pair, ...]:
    """Return complex tensors viewed as pairs of reals; None, for a state that does not exist, stays None."""
    return tuple(None if tensor is None else torch.view_as_real(tensor) for tensor in tensors)


def as_lists_of_pairs(*lists: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
    """Return lists of complex tensors viewed as pairs of reals."""
    return tuple([torch.view_as_real(tensor) for tensor in tensors] for tensors in lists)


def scale_(tensors: TensorList, factor: float) -> None:
    """Multiply tensors by a host scalar, in place, with each product rounded once.

    `torch._foreach_mul_` rounds the scalar to bfloat16 or float16 first on the CPU; a 0-d tensor keeps it exact.

    Args:
        tensors: Tensors of one dtype and device, at least one.
        factor: The scalar.
    """
    if tensors[0].dtype in (torch.bfloat16, torch.float16) and tensors[0].device.type == "cpu":
        torch._foreach_mul_(tensors, torch.tensor(factor, dtype=torch.float64, device="cpu"))
    else:
        torch._foreach_mul_(tensors, factor)


def increment(counters: TensorList) -> None:
    """Add 1 to each counter, in place. Counters are 0-d tensors on one device, at least one."""
    if counters[0].device.type == "cpu":
        # A Python number would be wrapped into a tensor once per counter.
        torch._foreach_add_(counters, torch.tensor(1.0, dtype=torch.float32, device="cpu"), alpha=1.0)
    else:
        torch._foreach_add_(counters, 1)


def read_numbers(*lists: Sequence[Tensor]) -> tuple[list[float], ...]:
    """Read 0-d tensors, all on one device, and wait for that device once.

    Args:
        lists: Lists of real 0-d tensors, in all at least one.

    Returns:
        The lists with numbers in place of the tensors.
    """
    numbers = iter(torch.stack([tensor for tensors in lists for tensor in tensors]).tolist())
    return tuple([next(numbers) for _ in tensors] for tensors in lists)


def largest(x: Tensor, axis: Axis = None) -> Tensor:
    """Return the largest number of a tensor or, with that axis of the size 1, along an axis or several.

    It is NaN if one is, and -inf if there is none.
    """
    return _extreme(x, axis, torch.amax, -math.inf)


def smallest(x: Tensor, axis: Axis = None) -> Tensor:
    """Return the smallest number of a tensor or, with that axis of the size 1, along an axis or several.

    It is NaN if one is, and inf if there is none.
    """
    return _extreme(x, axis, torch.amin, math.inf)


def _extreme(x: Tensor, axis: Axis, reduce: Callable[..., Tensor], of_nothing: float) -> Tensor:
    """Return a reduction that torch refuses where there is nothing to reduce."""
    if axis is None:
        return reduce(x) if x.numel() else x.new_full((), of_nothing)
    axes = (axis,) if isinstance(axis, int) else axis
    if x.dim() and not all(x.shape[one] for one in axes):
        return x.new_full(x.sum(axis, keepdim=True).shape, of_nothing)
    return reduce(x, axis, keepdim=True)


def sum_of_rest(x: Tensor) -> Tensor:
    """Return the sum for each index of the first axis; the others, at least one, stay with the size 1."""
    return x.sum(_rest(x), keepdim=True)


def mean_of_rest(x: Tensor) -> Tensor:
    """Return the mean for each index of the first axis, as `sum_of_rest` does."""
    return x.mean(_rest(x), keepdim=True)


def norm_of_rest(x: Tensor) -> Tensor:
    """Return the norm for each index of the first axis, as `sum_of_rest` does."""
    norms: Tensor = torch.linalg.vector_norm(x, dim=_rest(x), keepdim=True)
    return norms


def largest_of_rest(x: Tensor) -> Tensor:
    """Return the largest number for each index of the first axis, as `largest` and `sum_of_rest` do."""
    return largest(x, _rest(x))


def smallest_of_rest(x: Tensor) -> Tensor:
    """Return the smallest number for each index of the first axis, as `smallest` and `sum_of_rest` do."""
    return smallest(x, _rest(x))


def mean_of_blocks(x: Tensor, number: float) -> Tensor:
    """Return for each index of the first axis the mean of the block that it belongs to.

    Args:
        x: A tensor.
        number: How many blocks the first axis is cut into; the last may be shorter.
    """
    length = max(-(-len(x) // int(number)), 1)
    if len(x) % length == 0:
        blocks = x.view(len(x) // length, length, *x.shape[1:])
        return blocks.mean(1, keepdim=True).expand_as(blocks).flatten(0, 1)
    return torch.cat([block.mean(0, keepdim=True).expand_as(block) for block in torch.split(x, length)])


def _rest(x: Tensor) -> tuple[int, ...]:
    """Return all axes of a tensor but the first."""
    return tuple(range(1, x.dim()))


def copied(value: Value) -> Value:
    """Return the same value in memory of its own."""
    return value.clone() if isinstance(value, Tensor) else value


def fitting(number: float, dtype: torch.dtype) -> float:
    """Return a host scalar, or the infinity of its sign if it is too large for the dtype.

    Kernels read it as infinity, too, where torch would raise.
    """
    if -_FLOAT16 <= number <= _FLOAT16:
        return number
    limit = torch.finfo(dtype).max
    return number if abs(number) <= limit or math.isnan(number) else math.copysign(math.inf, number)


def store(target: Tensor | None, value: Scalar | None) -> None:
    """Write a value into a state or parameter, rounded to its dtype; do nothing for a state that does not exist."""
    if target is None or value is None:
        return
    if not isinstance(value, Tensor):
        target.fill_(fitting(value, target.dtype))
    elif target.dim() == 0 and torch.compiler.is_compiling():
        # Of a float64 number on the host dynamo drops `copy_`, as its result is not used.
        torch._foreach_copy_([target], [value])
    else:
        target.copy_(value)


# The operations of the language on host scalars and tensors alike, for rules that run on tensors throughout. Tensors
# broadcast; two host scalars give a host scalar.


@overload
def divide(x: Tensor, y: Scalar) -> Tensor: ...
@overload
def divide(x: Scalar, y: Tensor) -> Tensor: ...
@overload
def divide(x: float, y: float) -> float: ...
@overload
def divide(x: Scalar, y: Scalar) -> Scalar: ...
def divide(x: Scalar, y: Scalar) -> Scalar:
    """Return x / y, which is infinite or NaN where y is 0."""
    return x / y if isinstance(x, Tensor) or isinstance(y, Tensor) else scalar_math.divide(x, y)


@overload
def power(x: Tensor, y: Scalar) -> Tensor: ...
@overload
def power(x: Scalar, y: Tensor) -> Tensor: ...
@overload
def power(x: float, y: float) -> float: ...
@overload
def power(x: Scalar, y: Scalar) -> Scalar: ...
def power(x: Scalar, y: Scalar) -> Scalar:
    """Return x ** y, which is NaN for a negative number to a power that is no integer."""
    return x**y if isinstance(x, Tensor) or isinstance(y, Tensor) else scalar_math.power(x, y)


@overload
def modulo(x: Tensor, y: Scalar) -> Tensor: ...
@overload
def modulo(x: Scalar, y: Tensor) -> Tensor: ...
@overload
def modulo(x: float, y: float) -> float: ...
@overload
def modulo(x: Scalar, y: Scalar) -> Scalar: ...
def modulo(x: Scalar, y: Scalar) -> Scalar:
    """Return the remainder of x / y with the sign of y, NaN where y is 0."""
    return x % y if isinstance(x, Tensor) or isinstance(y, Tensor) else scalar_math.modulo(x, y)


def sqrt(x: Value) -> Value:
    """Return the square root, NaN below 0."""
    return x.sqrt() if isinstance(x, Tensor) else scalar_math.sqrt(x)


def rsqrt(x: Value) -> Value:
    """Return 1 / sqrt(x), NaN below 0."""
    return x.rsqrt() if isinstance(x, Tensor) else scalar_math.rsqrt(x)


def cbrt(x: Value) -> Value:
    """Return the cube root, which has the sign of x.

    torch has none. As a power it has the bits of `x.pow(1 / 3)`, which optimizers use that have numbers above 0.
    """
    return x.abs().pow(1 / 3).copysign(x) if isinstance(x, Tensor) else scalar_math.cbrt(x)


def cube_roots(tensors: TensorList) -> TensorList:
    """Return the cube roots of tensors of one dtype and device, at least one, each with the bits of `cbrt`."""
    roots = torch._foreach_abs(tensors)
    torch._foreach_pow_(roots, 1 / 3)
    for root, tensor in zip(roots, tensors, strict=True):
        root.copysign_(tensor)
    return roots


def sign(x: Value) -> Value:
    """Return -1, 0 or 1; 0 for NaN."""
    return x.sign() if isinstance(x, Tensor) else scalar_math.sign(x)


def exp(x: Value) -> Value:
    """Return e ** x."""
    return x.exp() if isinstance(x, Tensor) else scalar_math.exp(x)


def log(x: Value) -> Value:
    """Return the natural logarithm: -inf for 0, NaN below."""
    return x.log() if isinstance(x, Tensor) else scalar_math.log(x)


def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent."""
    return x.tanh() if isinstance(x, Tensor) else scalar_math.tanh(x)


@overload
def atan2(y: Tensor, x: Scalar) -> Tensor: ...
@overload
def atan2(y: Scalar, x: Tensor) -> Tensor: ...
@overload
def atan2(y: float, x: float) -> float: ...
@overload
def atan2(y: Scalar, x: Scalar) -> Scalar: ...
def atan2(y: Scalar, x: Scalar) -> Scalar:
    """Return the angle of the point (x, y), between -pi and pi."""
    if isinstance(y, Tensor):
        return torch.atan2(y, x if isinstance(x, Tensor) else y.new_full((), fitting(x, y.dtype)))
    return torch.atan2(x.new_full((), fitting(y, x.dtype)), x) if isinstance(x, Tensor) else scalar_math.atan2(y, x)


def floor(x: Value) -> Value:
    """Return the largest whole number that is not above each x."""
    return x.floor() if isinstance(x, Tensor) else scalar_math.floor(x)


def cos(x: Value) -> Value:
    """Return the cosine, NaN for infinities."""
    return x.cos() if isinstance(x, Tensor) else scalar_math.cos(x)


@overload
def maximum(x: Tensor, y: Scalar) -> Tensor: ...
@overload
def maximum(x: Scalar, y: Tensor) -> Tensor: ...
@overload
def maximum(x: float, y: float) -> float: ...
@overload
def maximum(x: Scalar, y: Scalar) -> Scalar: ...
def maximum(x: Scalar, y: Scalar) -> Scalar:
    """Return the larger of x and y, NaN if either is NaN."""
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return torch.maximum(x, y)
    if isinstance(x, Tensor):
        return x.clamp(min=_beside(x, y))
    return y.clamp(min=_beside(y, x)) if isinstance(y, Tensor) else scalar_math.maximum(x, y)


@overload
def minimum(x: Tensor, y: Scalar) -> Tensor: ...
@overload
def minimum(x: Scalar, y: Tensor) -> Tensor: ...
@overload
def minimum(x: float, y: float) -> float: ...
@overload
def minimum(x: Scalar, y: Scalar) -> Scalar: ...
def minimum(x: Scalar, y: Scalar) -> Scalar:
    """Return the smaller of x and y, NaN if either is NaN."""
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return torch.minimum(x, y)
    if isinstance(x, Tensor):
        return x.clamp(max=_beside(x, y))
    return y.clamp(max=_beside(y, x)) if isinstance(y, Tensor) else scalar_math.minimum(x, y)


@overload
def where(condition: bool | Tensor, x: Tensor, y: Tensor) -> Tensor: ...
@overload
def where(condition: Tensor, x: Scalar, y: Scalar) -> Tensor: ...
@overload
def where(condition: bool | Tensor, x: Scalar, y: Scalar) -> Scalar: ...
def where(condition: bool | Tensor, x: Scalar, y: Scalar) -> Scalar:
    """Return x where the condition holds, else y. Both have been computed if the condition is a tensor."""
    if not isinstance(condition, Tensor):
        return x if condition else y
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        x = torch.full((), x, dtype=torch.float64, device=condition.device)
    return torch.where(condition, _beside(y, x), _beside(x, y))


def _beside(tensor: Scalar, x: Scalar) -> Scalar:
    """Return x, fitted into the dtype of the tensor if x is a number."""
    if isinstance(x, Tensor) or not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        return x
    return fitting(x, tensor.dtype)


def both(x: bool | Tensor, y: bool | Tensor) -> bool | Tensor:
    """Return whether x and y hold."""
    return torch.logical_and(*_flags(x, y)) if isinstance(x, Tensor) or isinstance(y, Tensor) else x and y


def either(x: bool | Tensor, y: bool | Tensor) -> bool | Tensor:
    """Return whether x or y holds."""
    return torch.logical_or(*_flags(x, y)) if isinstance(x, Tensor) or isinstance(y, Tensor) else x or y


def negation(x: bool | Tensor) -> bool | Tensor:
    """Return whether x does not hold."""
    return torch.logical_not(x) if isinstance(x, Tensor) else not x


def _flags(x: bool | Tensor, y: bool | Tensor) -> tuple[Tensor, Tensor]:
    """Return both as bool tensors on one device."""
    device = x.device if isinstance(x, Tensor) else y.device if isinstance(y, Tensor) else None
    first, second = (
        value if isinstance(value, Tensor) else torch.full((), value, dtype=torch.bool, device=device)
        for value in (x, y)
    )
    return first, second


def plain_number(value: object) -> object:
    """Return the number in a tensor that has one real element, anything else as it is."""
    is_number = isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex()
    return value.item() if is_number else value  # type: ignore[attr-defined]
