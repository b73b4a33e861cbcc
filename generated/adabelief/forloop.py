# Generated from specs/adabelief.yaml by thetac 0.1.0; do not edit.
"""AdaBelief for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, divide, fitting, maximum, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_vars: Sequence[Tensor],
    max_exp_avg_vars: Sequence[Tensor | None],
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
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_var, max_exp_avg_var in zip(
        params, grads, steps, exp_avgs, exp_avg_vars, max_exp_avg_vars, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if weight_decouple and fixed_decay:
                if lr != 0:
                    # weight decay: param = param * (1 - weight_decay)
                    param.mul_(1 - weight_decay)
            elif weight_decouple:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
            else:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_var = as_pairs(param, grad, exp_avg, exp_avg_var)
            (max_exp_avg_var,) = as_pairs(max_exp_avg_var)
        # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        # what the mean did not predict: surprise = grad - exp_avg
        surprise = grad.sub(exp_avg)
        # exp_avg_var = beta2 * exp_avg_var + (1 - beta2) * surprise * surprise
        exp_avg_var.mul_(beta2).addcmul_(surprise, surprise, value=1 - beta2)
        # exp_avg_var = exp_avg_var + eps
        exp_avg_var.add_(eps)
        variance = exp_avg_var
        if amsgrad:
            assert max_exp_avg_var is not None
            # max_exp_avg_var = maximum(max_exp_avg_var, exp_avg_var)
            torch.maximum(max_exp_avg_var, exp_avg_var, out=max_exp_avg_var)
            variance = max_exp_avg_var
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
                        scalar_math.divide(
                            scalar_math.divide(bias_correction2 * (rho - 4), rho_inf - 4) * (rho - 2), rho
                        )
                        * rho_inf,
                        rho_inf - 2,
                    )
                )
                # param = param - lr * rect / bias_correction1 * exp_avg / (sqrt(exp_avg_var) + eps)
                param.addcdiv_(
                    exp_avg, exp_avg_var.sqrt().add_(eps), value=fitting(-lr * rect / bias_correction1, param.dtype)
                )
            elif degenerated_to_sgd:
                # param = param - lr / bias_correction1 * exp_avg
                param.add_(exp_avg, alpha=-lr / bias_correction1)
        else:
            # param = param - lr / bias_correction1 * exp_avg / (sqrt(variance) / sqrt(bias_correction2) + eps)
            param.addcdiv_(
                exp_avg,
                variance.sqrt().div_(scalar_math.sqrt(bias_correction2)).add_(eps),
                value=-lr / bias_correction1,
            )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_vars: Sequence[Tensor],
    max_exp_avg_vars: Sequence[Tensor | None],
    lr: float | Tensor,
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
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_var_out, max_exp_avg_var_out in zip(
        params, grads, steps, exp_avgs, exp_avg_vars, max_exp_avg_vars, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_var_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_var_out
            )
            (max_exp_avg_var_out,) = as_pairs(max_exp_avg_var_out)
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_var = exp_avg_var_out
        max_exp_avg_var = max_exp_avg_var_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_var = exp_avg_var_out.clone()
            max_exp_avg_var = max_exp_avg_var_out.clone() if max_exp_avg_var_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if weight_decouple and fixed_decay:
                if capturable:
                    param_if_so = param * (1 - weight_decay)
                    param = where(lr != 0, param_if_so, param)
                elif lr != 0:
                    # weight decay
                    param = param * (1 - weight_decay)
            elif weight_decouple:
                # weight decay
                param = param * (1 - lr * weight_decay)
            else:
                # weight decay
                grad = grad + weight_decay * param
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        # what the mean did not predict
        surprise = grad - exp_avg
        exp_avg_var = beta2 * exp_avg_var + (1 - beta2) * surprise * surprise
        exp_avg_var = exp_avg_var + eps
        variance = exp_avg_var
        if amsgrad:
            assert max_exp_avg_var is not None
            max_exp_avg_var = maximum(max_exp_avg_var, exp_avg_var)
            variance = max_exp_avg_var
        bias_correction1 = 1 - beta1**step
        bias_correction2 = 1 - beta2**step
        if rectify:
            # longest simple moving average
            rho_inf = 2 / (1 - beta2) - 1
            # its length by now
            rho = rho_inf - 2 * step * beta2**step / bias_correction2
            if capturable:
                rect_if_so = sqrt(
                    divide(
                        divide(divide(bias_correction2 * (rho - 4), rho_inf - 4) * (rho - 2), rho) * rho_inf,
                        rho_inf - 2,
                    )
                )
                param_if_so = param - lr * rect_if_so / bias_correction1 * exp_avg / (sqrt(exp_avg_var) + eps)
                param_if_not = param
                if degenerated_to_sgd:
                    param_if_not = param_if_not - lr / bias_correction1 * exp_avg
                param = where(rho >= 5, param_if_so, param_if_not)
            elif rho >= 5:
                # rect = sqrt(bias_correction2 * (rho - 4) / (rho_inf - 4) * (rho - 2) / rho * rho_inf / (rho_inf - 2))
                rect = sqrt(
                    divide(
                        divide(divide(bias_correction2 * (rho - 4), rho_inf - 4) * (rho - 2), rho) * rho_inf,
                        rho_inf - 2,
                    )
                )
                param = param - lr * rect / bias_correction1 * exp_avg / (sqrt(exp_avg_var) + eps)
            elif degenerated_to_sgd:
                param = param - lr / bias_correction1 * exp_avg
        else:
            param = param - lr / bias_correction1 * exp_avg / (sqrt(variance) / sqrt(bias_correction2) + eps)
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_var_out, exp_avg_var)
        store(max_exp_avg_var_out, max_exp_avg_var)
