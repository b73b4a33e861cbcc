# Generated from specs/amos.yaml by thetac 0.1.0; do not edit.
"""Amos for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, maximum, minimum, power, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    vs: Sequence[Tensor],
    bs: Sequence[Tensor],
    emas: Sequence[Tensor | None],
    lr: float,
    eta: float,
    beta: float,
    momentum: float,
    clip_value: float,
    extra_l2: float,
    d_coef: float,
    c_coef: float,
    epsilon: float,
    momentum_is_none: bool,
    clip_value_is_none: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, v, b, ema in zip(params, grads, steps, vs, bs, emas, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, v, b = as_pairs(param, grad, v, b)
            (ema,) = as_pairs(ema)
        momentum_or_default = 0 if momentum_is_none else momentum
        clip_value_or_default = 0 if clip_value_is_none else clip_value
        clipped = grad
        if (0 if clip_value_is_none else clip_value) > 0:
            # clipped = clamp(grad, -clip_value_or_default, clip_value_or_default)
            clipped = grad.clamp(-clip_value_or_default, clip_value_or_default)
        # g2 = clipped * clipped
        g2 = clipped.mul(clipped)
        # v = v * beta + g2 * (1 - beta)
        v.mul_(beta).add_(g2.mul(1 - beta))
        # rcpl_v_hat = (1 - beta ** step) / maximum(v, epsilon)
        rcpl_v_hat = v.clamp(min=epsilon).reciprocal_().mul_(1 - beta**step)
        # decay_factor_c = 1 / sqrt(1 + c_coef * sqrt(lr) * b)
        decay_factor_c = b.mul(c_coef * scalar_math.sqrt(lr)).add_(1).sqrt_().reciprocal_().mul_(1)
        # gamma = decay_factor_c * lr ** 2 * rcpl_v_hat * g2
        gamma = decay_factor_c.mul(scalar_math.power(lr, 2)).mul_(rcpl_v_hat).mul_(g2)
        init_lr = lr * eta
        # decay_factor_d = 1 / (1 + d_coef * sqrt(init_lr) * b)
        decay_factor_d = b.mul(d_coef * scalar_math.sqrt(init_lr)).add_(1).reciprocal_().mul_(1)
        # change = decay_factor_d * ((-0.5 * gamma - extra_l2) * param - init_lr * sqrt(rcpl_v_hat) * clipped)
        change = decay_factor_d.mul(
            gamma.mul(-0.5).sub_(extra_l2).mul_(param).addcmul_(rcpl_v_hat.sqrt(), clipped, value=-init_lr)
        )
        # b = b + gamma * (1 + b)
        b.addcmul_(gamma, b.add(1), value=1)
        if (0 if momentum_is_none else momentum) > 0:
            assert ema is not None
            # ema = momentum_or_default * ema + (1 - momentum_or_default) * change
            ema.mul_(momentum_or_default).add_(change, alpha=1 - momentum_or_default)
            change = ema
        # param = param + change
        param.add_(change)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    vs: Sequence[Tensor],
    bs: Sequence[Tensor],
    emas: Sequence[Tensor | None],
    lr: float | Tensor,
    eta: float,
    beta: float,
    momentum: float,
    clip_value: float,
    extra_l2: float,
    d_coef: float,
    c_coef: float,
    epsilon: float,
    momentum_is_none: bool,
    clip_value_is_none: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, v_out, b_out, ema_out in zip(params, grads, steps, vs, bs, emas, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, v_out, b_out = as_pairs(param_out, grad, v_out, b_out)
            (ema_out,) = as_pairs(ema_out)
        param = param_out
        v = v_out
        b = b_out
        ema = ema_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            v = v_out.clone()
            b = b_out.clone()
            ema = ema_out.clone() if ema_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        # what None stands for
        momentum_or_default = where(momentum_is_none, 0, momentum)
        # what None stands for
        clip_value_or_default = where(clip_value_is_none, 0, clip_value)
        clipped = grad
        if (0 if clip_value_is_none else clip_value) > 0:
            # clipped = clamp(grad, -clip_value_or_default, clip_value_or_default)
            clipped = minimum(maximum(grad, -clip_value_or_default), clip_value_or_default)
        g2 = clipped * clipped
        v = v * beta + g2 * (1 - beta)
        rcpl_v_hat = (1 - beta**step) / maximum(v, epsilon)
        decay_factor_c = 1 / sqrt(1 + c_coef * sqrt(lr) * b)
        # gamma = decay_factor_c * lr ** 2 * rcpl_v_hat * g2
        gamma = decay_factor_c * power(lr, 2) * rcpl_v_hat * g2
        init_lr = lr * eta
        decay_factor_d = 1 / (1 + d_coef * sqrt(init_lr) * b)
        change = decay_factor_d * ((-0.5 * gamma - extra_l2) * param - init_lr * sqrt(rcpl_v_hat) * clipped)
        b = b + gamma * (1 + b)
        if (0 if momentum_is_none else momentum) > 0:
            assert ema is not None
            ema = momentum_or_default * ema + (1 - momentum_or_default) * change
            change = ema
        param = param + change
        store(param_out, param)
        store(v_out, v)
        store(b_out, b)
        store(ema_out, ema)
