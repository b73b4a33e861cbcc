# Generated from specs/amos.yaml by thetac 0.1.0; do not edit.
"""Amos for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    vs: TensorList,
    bs: TensorList,
    emas: TensorList,
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
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, vs, bs, emas = as_lists_of_pairs(params, grads, vs, bs, emas)
    momentum_or_default = 0 if momentum_is_none else momentum
    clip_value_or_default = 0 if clip_value_is_none else clip_value
    # clipped = grad
    clippeds: TensorList = grads
    if (0 if clip_value_is_none else clip_value) > 0:
        # clipped = clamp(grad, -clip_value_or_default, clip_value_or_default)
        # tensor by tensor: torch has no list operation for `clamp`
        clippeds = [
            grad.clamp(-clip_value_or_default, clip_value_or_default)
            for grad in grads
        ]
    # g2 = clipped * clipped
    g2s = torch._foreach_mul(clippeds, clippeds)
    # v = v * beta + g2 * (1 - beta)
    scale_(vs, beta)
    torch._foreach_add_(vs, torch._foreach_mul(g2s, 1 - beta))
    # rcpl_v_hat = (1 - beta ** step) / maximum(v, epsilon)
    rcpl_v_hats = torch._foreach_clamp_min(vs, epsilon)
    torch._foreach_reciprocal_(rcpl_v_hats)
    scale_(rcpl_v_hats, 1 - beta**step)
    # decay_factor_c = 1 / sqrt(1 + c_coef * sqrt(lr) * b)
    decay_factor_cs = torch._foreach_mul(bs, c_coef * scalar_math.sqrt(lr))
    torch._foreach_add_(decay_factor_cs, 1)
    torch._foreach_sqrt_(decay_factor_cs)
    torch._foreach_reciprocal_(decay_factor_cs)
    scale_(decay_factor_cs, 1)
    # gamma = decay_factor_c * lr ** 2 * rcpl_v_hat * g2
    gammas = torch._foreach_mul(decay_factor_cs, scalar_math.power(lr, 2))
    torch._foreach_mul_(gammas, rcpl_v_hats)
    torch._foreach_mul_(gammas, g2s)
    init_lr = lr * eta
    # decay_factor_d = 1 / (1 + d_coef * sqrt(init_lr) * b)
    decay_factor_ds = torch._foreach_mul(bs, d_coef * scalar_math.sqrt(init_lr))
    torch._foreach_add_(decay_factor_ds, 1)
    torch._foreach_reciprocal_(decay_factor_ds)
    scale_(decay_factor_ds, 1)
    # change = decay_factor_d * ((-0.5 * gamma - extra_l2) * param - init_lr * sqrt(rcpl_v_hat) * clipped)
    products = torch._foreach_mul(gammas, -0.5)
    torch._foreach_sub_(products, extra_l2)
    torch._foreach_mul_(products, params)
    torch._foreach_addcmul_(products, torch._foreach_sqrt(rcpl_v_hats), clippeds, value=-init_lr)
    changes: TensorList = torch._foreach_mul(decay_factor_ds, products)
    # b = b + gamma * (1 + b)
    torch._foreach_addcmul_(bs, gammas, torch._foreach_add(bs, 1), value=1)
    if (0 if momentum_is_none else momentum) > 0:
        # ema = momentum_or_default * ema + (1 - momentum_or_default) * change
        scale_(emas, momentum_or_default)
        torch._foreach_add_(emas, changes, alpha=1 - momentum_or_default)
        # change = ema
        changes = emas
    # param = param + change
    torch._foreach_add_(params, changes)
