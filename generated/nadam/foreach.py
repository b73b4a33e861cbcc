# Generated from specs/nadam.yaml by thetac 0.1.0; do not edit.
"""NAdam for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    mu_products: TensorList,
    exp_avgs: TensorList,
    exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    momentum_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs = as_lists_of_pairs(params, grads, exp_avgs, exp_avg_sqs)
    if weight_decay != 0:
        if decoupled_weight_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    # momentum of this step
    mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
    # and of the next
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    # mu_product = mu_product * mu
    torch._foreach_mul_(mu_products, mu)
    mu_product = mu_products[0].item()
    # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    # second moment: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    # denom = sqrt(exp_avg_sq / (1 - beta2 ** step)) + eps
    denoms = torch._foreach_div(exp_avg_sqs, 1 - beta2**step)
    torch._foreach_sqrt_(denoms)
    torch._foreach_add_(denoms, eps)
    # param = param - lr * (1 - mu) / (1 - mu_product) * grad / denom
    torch._foreach_addcdiv_(params, grads, denoms, value=scalar_math.divide(-lr * (1 - mu), 1 - mu_product))
    # param = param - lr * mu_next / (1 - mu_product * mu_next) * exp_avg / denom
    torch._foreach_addcdiv_(params, exp_avgs, denoms, value=scalar_math.divide(-lr * mu_next, 1 - mu_product * mu_next))
