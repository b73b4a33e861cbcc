"""How far to go along a direction.

In: a function that evaluates loss and gradient at a distance, and both at the start. Out: the distance, with loss and
gradient there. Numbers may be 0-d tensors. Must not know how directions are found, nor what moves the parameters.

`strong_wolfe` is torch's, operation for operation, so that its bits are: bracketing and cubic interpolation as in
Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6. `nonmonotone` is that of Grippo, Lampariello and
Lucidi (SIAM J. Numer. Anal. 23, 1986), as Raydan uses it (SIAM J. Optim. 7, 1997): the loss must fall below the largest
of the last few, and steps that are too long are cut by quadratic interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

SUFFICIENT, CURVATURE = 1e-4, 0.9  # of the two conditions, times the slope at the start
LEAST_BRACKET = 1e-9  # times the largest number of the direction; torch passes no other
REMEMBERED = 10  # losses of a non-monotone search; Raydan's M
LEAST_CUT, MOST_CUT = 0.1, 0.5  # of a step that is too long

Number = Any  # a float or a 0-d tensor: mypy cannot type their mixture as torch's operators do


@dataclass(frozen=True, slots=True)
class Point:
    """A distance along the direction, and what was found there."""

    t: Number
    loss: float
    grad: Tensor


@dataclass(frozen=True, slots=True)
class Line:
    """A direction, with what is known at its start."""

    evaluate: Callable[[Number], tuple[float, Tensor]]  # loss and gradient at a distance
    dot: Callable[[Tensor, Tensor], Tensor]
    d: Tensor  # the direction, flat
    d_norm: Tensor  # its largest magnitude
    loss: float
    grad: Tensor
    slope: Tensor  # along the direction


def strong_wolfe(line: Line, t: Number, most: int) -> Point:
    """Find a distance that meets the strong Wolfe conditions.

    Args:
        line: The direction.
        t: The first distance to try.
        most: How many more distances than the first are tried at most; none if it is below 1.

    Returns:
        The distance. It is the best one found where none meets the conditions; that may be 0.
    """
    f, gtd, dot, d = line.loss, line.slope, line.dot, line.d
    most = max(most, 0)
    f_new, g_new = line.evaluate(t)
    iteration = 0
    gtd_new = dot(g_new, d)
    before: tuple[Number, float, Tensor, Number] = (0, f, line.grad, gtd)  # distance, loss, gradient, slope
    ends: list[tuple[Number, float, Tensor, Number]] | None = None
    while iteration < most:
        here = (t, f_new, g_new, gtd_new)
        if f_new > (f + SUFFICIENT * t * gtd) or (iteration > 1 and f_new >= before[1]):
            ends = [before, here]
            break
        is_flat = abs(gtd_new) <= -CURVATURE * gtd
        if is_flat and not math.isnan(f_new):
            return Point(t, f_new, g_new)
        if is_flat or gtd_new >= 0:  # where a flat place has no loss, torch raises IndexError
            ends = [before, here]
            break
        bounds = (t + 0.01 * (t - before[0]), t * 10)
        t = _interpolate(before[0], before[1], before[3], t, f_new, gtd_new, bounds)
        before = here
        f_new, g_new = line.evaluate(t)
        gtd_new = dot(g_new, d)
        iteration += 1
    if ends is None:
        ends = [(0, f, line.grad, gtd), (t, f_new, g_new, gtd_new)]
    return _zoom(line, ends, iteration, most)


def _zoom(line: Line, ends: list[tuple[Number, float, Tensor, Number]], iteration: int, most: int) -> Point:
    """Find the distance between the two ends of a bracket, each with its loss, gradient and slope."""
    f, gtd = line.loss, line.slope
    low, high = (0, 1) if ends[0][1] <= ends[-1][1] else (1, 0)
    stalls, done = False, False
    while not done and iteration < most:
        if abs(ends[1][0] - ends[0][0]) * line.d_norm < LEAST_BRACKET:
            break
        t = _interpolate(ends[0][0], ends[0][1], ends[0][3], ends[1][0], ends[1][1], ends[1][3])
        # Where interpolation comes close to an end twice, or reaches it, a tenth of the bracket is gone instead.
        largest, smallest = max(ends[0][0], ends[1][0]), min(ends[0][0], ends[1][0])
        margin = 0.1 * (largest - smallest)
        if min(largest - t, t - smallest) < margin:
            if stalls or t >= largest or t <= smallest:
                t = largest - margin if abs(t - largest) < abs(t - smallest) else smallest + margin
                stalls = False
            else:
                stalls = True
        else:
            stalls = False
        f_new, g_new = line.evaluate(t)
        gtd_new = line.dot(g_new, line.d)
        iteration += 1
        here = (t, f_new, g_new, gtd_new)
        if f_new > (f + SUFFICIENT * t * gtd) or f_new >= ends[low][1]:
            ends[high] = here
            low, high = (0, 1) if ends[0][1] <= ends[1][1] else (1, 0)
        else:
            if abs(gtd_new) <= -CURVATURE * gtd:
                done = True
            elif gtd_new * (ends[high][0] - ends[low][0]) >= 0:
                ends[high] = ends[low]
            ends[low] = here
    t, loss, grad, _ = ends[low]
    return Point(t, loss, grad)


def _interpolate(
    x1: Number,
    f1: float,
    g1: Number,
    x2: Number,
    f2: float,
    g2: Number,
    bounds: tuple[Number, Number] | None = None,
) -> Number:
    """Return the minimum, between bounds, of the cubic with these values and slopes at two points.

    Args:
        x1: The first point.
        f1: The value there.
        g1: The slope there.
        x2: The second point.
        f2: The value there.
        g2: The slope there.
        bounds: Between which the result is; the points themselves if there are none.
    """
    least, most = bounds if bounds is not None else (x1, x2) if x1 <= x2 else (x2, x1)
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if not square >= 0:
        return (least + most) / 2.0
    d2 = square.sqrt()
    if x1 <= x2:
        position = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        position = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(position, least), most)


def nonmonotone(line: Line, t: Number, most: int, losses: Sequence[float]) -> Point:
    """Find a distance at which the loss is sufficiently below the largest of the last few.

    Args:
        line: The direction.
        t: The first distance to try.
        most: How many more distances than the first are tried at most; none if it is below 1.
        losses: The last losses, that at the start included.

    Returns:
        The distance; 0 where none was found.
    """
    reference, slope, t = max(losses), float(line.slope), float(t)
    for _ in range(max(most, 0) + 1):
        loss, grad = line.evaluate(t)
        if loss <= reference + SUFFICIENT * t * slope:
            return Point(t, loss, grad)
        excess = loss - line.loss - t * slope
        cut = -slope * t / (2 * excess) if excess > 0 and math.isfinite(excess) else LEAST_CUT
        t *= min(max(cut, LEAST_CUT), MOST_CUT)
    return Point(0.0, line.loss, line.grad)
