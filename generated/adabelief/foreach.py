# Generated from specs/adabelief.yaml by thetac 0.1.0; do not edit.
"""AdaBelief for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avgs: TensorList,
    exp_avg_vars: TensorList,
    max_exp_avg_vars: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    weight_decouple: bool,
    fixed_decay: bool,
    rectify: bool,
    degenerated_to_sgd: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if weight_decouple and fixed_decay:
            if lr != 0:
                # weight decay: param = param * (1 - weight_decay)
                scale_(params, 1 - weight_decay)
        elif weight_decouple:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_vars, max_exp_avg_vars = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_vars, max_exp_avg_vars
        )
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    # what the mean did not predict: surprise = grad - exp_avg
    surprises = torch._foreach_sub(grads, exp_avgs)
    # exp_avg_var = beta2 * exp_avg_var + (1 - beta2) * surprise * surprise
    scale_(exp_avg_vars, beta2)
    torch._foreach_addcmul_(exp_avg_vars, surprises, surprises, value=1 - beta2)
    # exp_avg_var = exp_avg_var + eps
    torch._foreach_add_(exp_avg_vars, eps)
    # variance = exp_avg_var
    variances = exp_avg_vars
    if amsgrad:
        # max_exp_avg_var = maximum(max_exp_avg_var, exp_avg_var)
        torch._foreach_maximum_(max_exp_avg_vars, exp_avg_vars)
        # variance = max_exp_avg_var
        variances = max_exp_avg_vars
    bias_correction1 = 1 - beta1**step
    bias_correction2 = 1 - beta2**step
    if rectify:
        # longest simple moving average
        rho_inf = 2 / (1 - beta2) - 1
        # its length by now
        rho = rho_inf - 2 * step * beta2**step / bias_correction2
        if rho >= 5:
            rect = scalar_math.sqrt(
                scalar_math.divide(
                    scalar_math.divide(scalar_math.divide(bias_correction2 * (rho - 4), rho_inf - 4) * (rho - 2), rho)
                    * rho_inf,
                    rho_inf - 2,
                )
            )
            # param = param - lr * rect / bias_correction1 * exp_avg / (sqrt(exp_avg_var) + eps)
            roots = torch._foreach_sqrt(exp_avg_vars)
            torch._foreach_add_(roots, eps)
            torch._foreach_addcdiv_(
                params, exp_avgs, roots, value=fitting(-lr * rect / bias_correction1, params[0].dtype)
            )
        elif degenerated_to_sgd:
            # param = param - lr / bias_correction1 * exp_avg
            torch._foreach_add_(params, exp_avgs, alpha=-lr / bias_correction1)
    else:
        # param = param - lr / bias_correction1 * exp_avg / (sqrt(variance) / sqrt(bias_correction2) + eps)
        roots_ = torch._foreach_sqrt(variances)
        torch._foreach_div_(roots_, scalar_math.sqrt(bias_correction2))
        torch._foreach_add_(roots_, eps)
        torch._foreach_addcdiv_(params, exp_avgs, roots_, value=-lr / bias_correction1)
