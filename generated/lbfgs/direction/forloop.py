# Generated from specs/lbfgs.yaml by thetac 0.1.0; do not edit.
"""`direction` of LBFGS, in plain torch operations on one vector that stands for all parameters."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.drivers.history import History, inverse_hessian, remember


def direction(
    grad: Tensor,
    *,
    d: Tensor,
    prev_flat_grad: Tensor,
    t: float,
    n_iter: float,
    pairs: History,
) -> Tensor:
    """Return the next direction from the gradient; what is given stays as it is, but for states."""
    if n_iter == 1:
        # d = -grad
        d = grad.neg()
    else:
        # pairs = remember(pairs, d * t, grad - prev_flat_grad, 1e-10)
        remember(pairs, d.mul(t), grad.sub(prev_flat_grad), 1e-10)
        # d = inverse_hessian(pairs, -grad)
        d = inverse_hessian(pairs, grad.neg())
    return d
