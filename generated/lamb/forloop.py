# Generated from specs/lamb.yaml by thetac 0.1.0; do not edit.
"""LAMB for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, both, divide, minimum, power, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    max_lr: float,
    start_lr: float,
    bias_correction: bool,
    grad_averaging: bool,
    trust_clip: bool,
    always_adapt: bool,
    decoupled_decay: bool,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq in zip(params, grads, steps, exp_avgs, exp_avg_sqs, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if decoupled_decay and corrected_weight_decay:
                if lr != 0:
                    # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr,
                    #   lr), max_lr) * weight_decay)
                    param.mul_(
                        1
                        - scalar_math.divide(
                            scalar_math.power(lr, 2), (start_lr if start_lr > 0 else lr) if max_lr_is_none else max_lr
                        )
                        * weight_decay
                    )
            elif decoupled_decay:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
        if grad_averaging:
            # exp_avg = lerp(exp_avg, grad, 1 - beta1)
            exp_avg.lerp_(grad, 1 - beta1)
        else:
            # exp_avg = beta1 * exp_avg + grad
            exp_avg.mul_(beta1).add_(grad)
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        if bias_correction:
            bias_correction1 = 1 - beta1**step
            scale = bias_correction1 / scalar_math.sqrt(1 - beta2**step)
            # denom = sqrt(exp_avg_sq) * scale + bias_correction1 * eps
            denom = exp_avg_sq.sqrt().mul_(scale).add_(bias_correction1 * eps)
            # direction = exp_avg / denom
            direction = exp_avg.div(denom)
        else:
            # direction = exp_avg / (sqrt(exp_avg_sq) + eps)
            direction = exp_avg.div(exp_avg_sq.sqrt().add_(eps))
        if weight_decay != 0 and not decoupled_decay:
            # direction = direction + weight_decay * param
            direction.add_(param, alpha=weight_decay)
        if weight_decay != 0 or always_adapt:
            # norm_param = norm(param)
            norm_param = param.norm().item()
            # norm_direction = norm(direction)
            norm_direction = direction.norm().item()
            trust_ratio = scalar_math.divide(norm_param, norm_direction) if norm_param > 0 and norm_direction > 0 else 1
            if trust_clip:
                trust_ratio = scalar_math.minimum(trust_ratio, 1)
            # direction = trust_ratio * direction
            direction.mul_(trust_ratio)
        # param = param - lr * direction
        param.add_(direction, alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    max_lr: float,
    start_lr: float,
    bias_correction: bool,
    grad_averaging: bool,
    trust_clip: bool,
    always_adapt: bool,
    decoupled_decay: bool,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out
            )
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if decoupled_decay and corrected_weight_decay:
                if capturable:
                    param_if_so = (
                        param
                        * (
                            1
                            - divide(power(lr, 2), where(max_lr_is_none, where(start_lr > 0, start_lr, lr), max_lr))
                            * weight_decay
                        )
                    )
                    param = where(lr != 0, param_if_so, param)
                elif lr != 0:
                    # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr,
                    #   lr), max_lr) * weight_decay)
                    param = (
                        param
                        * (
                            1
                            - divide(power(lr, 2), where(max_lr_is_none, where(start_lr > 0, start_lr, lr), max_lr))
                            * weight_decay
                        )
                    )
            elif decoupled_decay:
                # weight decay
                param = param * (1 - lr * weight_decay)
        if grad_averaging:
            # exp_avg = lerp(exp_avg, grad, 1 - beta1)
            exp_avg = exp_avg + (1 - beta1) * (grad - exp_avg)
        else:
            exp_avg = beta1 * exp_avg + grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        if bias_correction:
            bias_correction1 = 1 - beta1**step
            scale = bias_correction1 / sqrt(1 - beta2**step)
            denom = sqrt(exp_avg_sq) * scale + bias_correction1 * eps
            direction = exp_avg / denom
        else:
            direction = exp_avg / (sqrt(exp_avg_sq) + eps)
        if weight_decay != 0 and not decoupled_decay:
            direction = direction + weight_decay * param
        if weight_decay != 0 or always_adapt:
            # norm_param = norm(param)
            norm_param = param.norm()
            # norm_direction = norm(direction)
            norm_direction = direction.norm()
            # trust_ratio = where(norm_param > 0 and norm_direction > 0, norm_param / norm_direction, 1)
            trust_ratio: Scalar = where(both(norm_param > 0, norm_direction > 0), norm_param / norm_direction, 1)
            if trust_clip:
                trust_ratio = minimum(trust_ratio, 1)
            direction = trust_ratio * direction
        param = param - lr * direction
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
