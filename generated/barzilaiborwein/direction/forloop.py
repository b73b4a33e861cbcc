# Generated from specs/barzilai_borwein.yaml by thetac 0.1.0; do not edit.
"""`direction` of BarzilaiBorwein, in plain torch operations on one vector that stands for all parameters."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.drivers.sums import Sums
from thetac.runtime.tensors import store


def direction(
    grad: Tensor,
    *,
    d: Tensor,
    prev_flat_grad: Tensor,
    t: float,
    n_iter: float,
    scale_t: Tensor,
    long: bool,
    whole: Sums,
) -> Tensor:
    """Return the next direction from the gradient; what is given stays as it is, but for states."""
    scale = scale_t.item()
    if n_iter == 1:
        # d = -grad
        d = grad.neg()
    else:
        # s = d * t
        s = d.mul(t)
        # y = grad - prev_flat_grad
        y = grad.sub(prev_flat_grad)
        # sy = sum(s * y)
        sy = whole.sum(s.mul(y)).item()
        if long:
            # sum_s_squared = sum(s * s)
            sum_s_squared = whole.sum(s.mul(s)).item()
            size = scalar_math.divide(sum_s_squared, sy)
        else:
            # sum_y_squared = sum(y * y)
            sum_y_squared = whole.sum(y.mul(y)).item()
            size = scalar_math.divide(sy, sum_y_squared)
        # scale = where(sy > 0, size, scale)
        store(scale_t, size if sy > 0 else scale)
        scale = scale_t.item()
        # d = -(scale * grad)
        d = grad.mul(scale).neg_()
    return d
