# Generated from specs/mars.yaml by thetac 0.1.0; do not edit.
"""MARS for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, copied, divide, maximum, sign, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor | None],
    last_grads: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    gamma: float,
    lr_1d: float,
    beta1_1d: float,
    beta2_1d: float,
    weight_decay_1d: float,
    start_lr: float,
    amsgrad: bool,
    optimize_1d: bool,
    mars_type_is_adamw: bool,
    mars_type_is_lion: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq, max_exp_avg_sq, last_grad, param_rank in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, last_grads, ranks_of_params, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
            max_exp_avg_sq, last_grad = as_pairs(max_exp_avg_sq, last_grad)
        decay = weight_decay
        rate = lr
        correction1 = 1 - beta1**step
        correction2 = scalar_math.sqrt(1 - beta2**step)
        if optimize_1d or param_rank == 2:
            assert last_grad is not None
            # corrected = grad + gamma * beta1 / (1 - beta1) * (grad - last_grad)
            corrected = grad.add(grad.sub(last_grad), alpha=gamma * beta1 / (1 - beta1))
            # norm_corrected = norm(corrected)
            norm_corrected = corrected.norm().item()
            # corrected = corrected / maximum(norm_corrected, 1)
            corrected.div_(scalar_math.maximum(norm_corrected, 1))
            # exp_avg = beta1 * exp_avg + (1 - beta1) * corrected
            exp_avg.mul_(beta1).add_(corrected, alpha=1 - beta1)
            if mars_type_is_adamw:
                # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * corrected * corrected
                exp_avg_sq.mul_(beta2).addcmul_(corrected, corrected, value=1 - beta2)
            # last_grad = grad
            last_grad.copy_(grad)
        if not (optimize_1d or param_rank == 2):
            # exp_avg = beta1_1d * exp_avg + (1 - beta1_1d) * grad
            exp_avg.mul_(beta1_1d).add_(grad, alpha=1 - beta1_1d)
            # exp_avg_sq = beta2_1d * exp_avg_sq + (1 - beta2_1d) * grad * grad
            exp_avg_sq.mul_(beta2_1d).addcmul_(grad, grad, value=1 - beta2_1d)
            correction1 = 1 - beta1_1d**step
            correction2 = scalar_math.sqrt(1 - beta2_1d**step)
            rate = lr * (scalar_math.divide(lr_1d, start_lr) if start_lr != 0 else 1)
            decay = weight_decay_1d
        if mars_type_is_lion and (optimize_1d or param_rank == 2):
            # direction = sign(exp_avg)
            direction = exp_avg.sign()
        else:
            second_moment = exp_avg_sq
            if amsgrad:
                assert max_exp_avg_sq is not None
                # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
                torch.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
                second_moment = max_exp_avg_sq
            # direction = exp_avg / (sqrt(second_moment) * (correction1 / correction2) + correction1 * eps)
            direction = exp_avg.div(
                second_moment.sqrt().mul_(scalar_math.divide(correction1, correction2)).add_(correction1 * eps)
            )
        # param = param - rate * (decay * param + direction)
        param.add_(param.mul(decay).add_(direction), alpha=-rate)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor | None],
    last_grads: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    gamma: float,
    lr_1d: float,
    beta1_1d: float,
    beta2_1d: float,
    weight_decay_1d: float,
    start_lr: float,
    amsgrad: bool,
    optimize_1d: bool,
    mars_type_is_adamw: bool,
    mars_type_is_lion: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out, max_exp_avg_sq_out, last_grad_out, param_rank in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, last_grads, ranks_of_params, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out
            )
            max_exp_avg_sq_out, last_grad_out = as_pairs(max_exp_avg_sq_out, last_grad_out)
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        max_exp_avg_sq = max_exp_avg_sq_out
        last_grad = last_grad_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            max_exp_avg_sq = max_exp_avg_sq_out.clone() if max_exp_avg_sq_out is not None else None
            last_grad = last_grad_out.clone() if last_grad_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        decay: Scalar = weight_decay
        rate: Scalar = lr
        correction1: Scalar = 1 - beta1**step
        correction2: Scalar = sqrt(1 - beta2**step)
        if optimize_1d or param_rank == 2:
            assert last_grad is not None
            corrected = grad + gamma * beta1 / (1 - beta1) * (grad - last_grad)
            # norm_corrected = norm(corrected)
            norm_corrected = corrected.norm()
            corrected = corrected / maximum(norm_corrected, 1)
            exp_avg = beta1 * exp_avg + (1 - beta1) * corrected
            if mars_type_is_adamw:
                exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * corrected * corrected
            # last_grad = grad
            last_grad = copied(grad)
        if not (optimize_1d or param_rank == 2):
            exp_avg = beta1_1d * exp_avg + (1 - beta1_1d) * grad
            exp_avg_sq = beta2_1d * exp_avg_sq + (1 - beta2_1d) * grad * grad
            correction1 = 1 - beta1_1d**step
            correction2 = sqrt(1 - beta2_1d**step)
            # rate = lr * where(start_lr != 0, lr_1d / start_lr, 1)
            rate = lr * where(start_lr != 0, divide(lr_1d, start_lr), 1)
            decay = weight_decay_1d
        if mars_type_is_lion and (optimize_1d or param_rank == 2):
            direction = sign(exp_avg)
        else:
            second_moment = exp_avg_sq
            if amsgrad:
                assert max_exp_avg_sq is not None
                max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
                second_moment = max_exp_avg_sq
            # direction = exp_avg / (sqrt(second_moment) * (correction1 / correction2) + correction1 * eps)
            direction = exp_avg / (sqrt(second_moment) * divide(correction1, correction2) + correction1 * eps)
        param = param - rate * (decay * param + direction)
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
        store(max_exp_avg_sq_out, max_exp_avg_sq)
        store(last_grad_out, last_grad)
