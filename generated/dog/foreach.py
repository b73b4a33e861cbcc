# Generated from specs/dog.yaml by thetac 0.1.0; do not edit.
"""DoG for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, read_numbers
from thetac.runtime.totals import Waiting, group_total


def step(
    params: TensorList,
    grads: TensorList,
    *,
    init_buffers: TensorList,
    reps_rel: float,
    lr: float,
    weight_decay: float,
    init_eta: float,
    rbar: float,
    G: float,
    k: float,
    init_eta_is_none: bool,
    maximize: bool,
) -> Waiting:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, init_buffers = as_lists_of_pairs(params, grads, init_buffers)
    init_eta_or_default = 0 if init_eta_is_none else init_eta
    # sum_param_squared = sum(param * param)
    sum_param_squared_tensors = [
        param.mul(param).sum()
        for param in params
    ]
    (sum_param_squareds,) = read_numbers(sum_param_squared_tensors)
    # group_total_sum_param_squared = group_total(sum_param_squared)
    group_total_sum_param_squared = yield group_total(*sum_param_squareds)
    initial = (0 if init_eta_or_default > 0 else reps_rel) * (1 + scalar_math.sqrt(group_total_sum_param_squared))
    # moved = param - init_buffer
    moveds = torch._foreach_sub(params, init_buffers)
    # sum_moved_squared = sum(moved * moved)
    sum_moved_squared_tensors = [
        moved.mul(moved).sum()
        for moved in moveds
    ]
    (sum_moved_squareds,) = read_numbers(sum_moved_squared_tensors)
    del moveds
    # group_total_sum_moved_squared = group_total(sum_moved_squared)
    group_total_sum_moved_squared = yield group_total(*sum_moved_squareds)
    distance = scalar_math.sqrt(group_total_sum_moved_squared)
    rbar = initial if k == 0 else scalar_math.maximum(rbar, distance)
    # sum_grad_squared = sum(grad * grad)
    sum_grad_squared_tensors = [
        grad.mul(grad).sum()
        for grad in grads
    ]
    (sum_grad_squareds,) = read_numbers(sum_grad_squared_tensors)
    # group_total_sum_grad_squared = group_total(sum_grad_squared)
    group_total_sum_grad_squared = yield group_total(*sum_grad_squareds)
    G = G + group_total_sum_grad_squared
    eta = scalar_math.divide(lr * rbar, scalar_math.sqrt(G))
    eta = init_eta_or_default if k == 0 and init_eta_or_default > 0 else eta
    k = k + 1
    # param = param - eta * grad
    torch._foreach_add_(params, grads, alpha=fitting(-eta, params[0].dtype))
    return {"rbar": rbar, "G": G, "k": k}
