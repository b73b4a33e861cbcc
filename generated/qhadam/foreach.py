# Generated from specs/qhadam.yaml by thetac 0.1.0; do not edit.
"""QHAdam for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_, store


def step(
    params: TensorList,
    grads: TensorList,
    *,
    beta1_weights: TensorList,
    beta2_weights: TensorList,
    exp_avgs: TensorList,
    exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    nu1: float,
    nu2: float,
    weight_decay: float,
    eps: float,
    decouple_weight_decay: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    beta1_weight = beta1_weights[0].item()
    beta2_weight = beta2_weights[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decouple_weight_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs = as_lists_of_pairs(params, grads, exp_avgs, exp_avg_sqs)
    # beta1_weight = 1 + beta1 * beta1_weight
    new_beta1_weight = 1 + beta1 * beta1_weight
    for beta1_weight_t in beta1_weights:
        store(beta1_weight_t, new_beta1_weight)
    beta1_weight = beta1_weights[0].item()
    # beta2_weight = 1 + beta2 * beta2_weight
    new_beta2_weight = 1 + beta2 * beta2_weight
    for beta2_weight_t in beta2_weights:
        store(beta2_weight_t, new_beta2_weight)
    beta2_weight = beta2_weights[0].item()
    # square = grad * grad
    squares = torch._foreach_mul(grads, grads)
    # exp_avg = (1 - 1 / beta1_weight) * exp_avg + 1 / beta1_weight * grad
    scale_(exp_avgs, 1 - scalar_math.divide(1, beta1_weight))
    torch._foreach_add_(exp_avgs, grads, alpha=scalar_math.divide(1, beta1_weight))
    # exp_avg_sq = (1 - 1 / beta2_weight) * exp_avg_sq + 1 / beta2_weight * square
    scale_(exp_avg_sqs, 1 - scalar_math.divide(1, beta2_weight))
    torch._foreach_add_(exp_avg_sqs, squares, alpha=scalar_math.divide(1, beta2_weight))
    # avg_grad = nu1 * exp_avg + (1 - nu1) * grad
    avg_grads = torch._foreach_mul(exp_avgs, nu1)
    torch._foreach_add_(avg_grads, grads, alpha=1 - nu1)
    # avg_grad_rms = sqrt(nu2 * exp_avg_sq + (1 - nu2) * square) + eps
    avg_grad_rmses = torch._foreach_mul(exp_avg_sqs, nu2)
    torch._foreach_add_(avg_grad_rmses, squares, alpha=1 - nu2)
    torch._foreach_sqrt_(avg_grad_rmses)
    torch._foreach_add_(avg_grad_rmses, eps)
    # param = param - lr * avg_grad / avg_grad_rms
    torch._foreach_addcdiv_(params, avg_grads, avg_grad_rmses, value=-lr)
