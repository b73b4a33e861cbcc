# Generated from specs/lars.yaml by thetac 0.1.0; do not edit.
"""LARS for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, read_numbers, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    momentum_buffers: TensorList,
    first_momentum_buffer: bool,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    trust_coeff: float,
    eps: float,
    nesterov: bool,
    trust_clip: bool,
    always_adapt: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, momentum_buffers = as_lists_of_pairs(params, grads, momentum_buffers)
    # direction = grad
    directions: TensorList = grads
    if weight_decay != 0 or always_adapt:
        # norm_param = norm(param)
        norm_param_tensors = torch._foreach_norm(params)
        # norm_grad = norm(grad)
        norm_grad_tensors = torch._foreach_norm(grads)
        norm_params, norm_grads = read_numbers(norm_param_tensors, norm_grad_tensors)
        # trust_ratio = trust_coeff * norm_param / (norm_grad + weight_decay * norm_param + eps)
        trust_ratios: list[float] = [
            scalar_math.divide(trust_coeff * norm_param, norm_grad + weight_decay * norm_param + eps)
            for norm_param, norm_grad in zip(norm_params, norm_grads, strict=True)
        ]
        # trust_ratio = where(norm_param > 0 and norm_grad > 0, trust_ratio, 1)
        trust_ratios = [
            trust_ratio if norm_param > 0 and norm_grad > 0 else 1
            for norm_param, norm_grad, trust_ratio in zip(norm_params, norm_grads, trust_ratios, strict=True)
        ]
        if trust_clip:
            # trust_ratio = minimum(trust_ratio / lr, 1)
            trust_ratios = [
                scalar_math.minimum(scalar_math.divide(trust_ratio, lr), 1)
                for trust_ratio in trust_ratios
            ]
        # direction = trust_ratio * (grad + weight_decay * param)
        directions = [
            grad.add(param, alpha=weight_decay).mul_(trust_ratio)
            for grad, param, trust_ratio in zip(grads, params, trust_ratios, strict=True)
        ]
    if momentum != 0:
        if first_momentum_buffer:
            # momentum_buffer = direction
            torch._foreach_copy_(momentum_buffers, directions)
        else:
            # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * direction
            scale_(momentum_buffers, momentum)
            torch._foreach_add_(momentum_buffers, directions, alpha=1 - dampening)
        if nesterov:
            # direction = direction + momentum * momentum_buffer
            directions = torch._foreach_add(directions, momentum_buffers, alpha=momentum)
        else:
            # direction = momentum_buffer
            directions = momentum_buffers
    # param = param - lr * direction
    torch._foreach_add_(params, directions, alpha=-lr)
