# Generated from specs/textbook/adam_no_bias_correction.yaml by thetac 0.1.0; do not edit.
"""AdamNoBiasCorrection for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    ms: Sequence[Tensor],
    vs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, m, v in zip(params, grads, ms, vs, strict=True):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, m, v = as_pairs(param, grad, m, v)
        # m = beta1 * m + (1 - beta1) * grad
        m.mul_(beta1).add_(grad, alpha=1 - beta1)
        # v = beta2 * v + (1 - beta2) * (grad * grad)
        v.mul_(beta2).add_(grad.mul(grad), alpha=1 - beta2)
        # param = param - lr * m / (sqrt(v) + eps)
        param.addcdiv_(m, v.sqrt().add_(eps), value=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    ms: Sequence[Tensor],
    vs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, m_out, v_out in zip(params, grads, ms, vs, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, m_out, v_out = as_pairs(param_out, grad, m_out, v_out)
        param = param_out
        m = m_out
        v = v_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            m = m_out.clone()
            v = v_out.clone()
        if maximize:
            # maximize
            grad = -grad
        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * (grad * grad)
        param = param - lr * m / (sqrt(v) + eps)
        store(param_out, param)
        store(m_out, m)
        store(v_out, v)
