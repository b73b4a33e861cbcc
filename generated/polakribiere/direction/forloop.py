# Generated from specs/polak_ribiere.yaml by thetac 0.1.0; do not edit.
"""`direction` of PolakRibiere, in plain torch operations on one vector that stands for all parameters."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.drivers.sums import Sums


def direction(
    grad: Tensor,
    *,
    d: Tensor,
    prev_flat_grad: Tensor,
    n_iter: float,
    whole: Sums,
) -> Tensor:
    """Return the next direction from the gradient; what is given stays as it is, but for states."""
    if n_iter == 1:
        # d = -grad
        d = grad.neg()
    else:
        # gamma_part = sum(grad * (grad - prev_flat_grad))
        gamma_part = whole.sum(grad.mul(grad.sub(prev_flat_grad))).item()
        # sum_prev_flat_grad_squared = sum(prev_flat_grad * prev_flat_grad)
        sum_prev_flat_grad_squared = whole.sum(prev_flat_grad.mul(prev_flat_grad)).item()
        gamma = scalar_math.divide(gamma_part, sum_prev_flat_grad_squared)
        # d = maximum(gamma, 0) * d - grad
        d = d.mul(scalar_math.maximum(gamma, 0)).sub_(grad)
        # sum_d_times_grad = sum(d * grad)
        sum_d_times_grad = whole.sum(d.mul(grad)).item()
        # d = where(sum_d_times_grad < 0, d, -grad)
        d = (d if (sum_d_times_grad < 0) else grad.neg()).clone()
    return d
