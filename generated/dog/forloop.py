# Generated from specs/dog.yaml by thetac 0.1.0; do not edit.
"""DoG for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, both, divide, fitting, maximum, sqrt, store, where
from thetac.runtime.totals import Waiting, WaitingOnTensors, group_total, together


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    init_buffers: Sequence[Tensor],
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
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    return together(
        [
            _step_of_one(
                param,
                grad,
                init_buffer,
                reps_rel=reps_rel,
                lr=lr,
                weight_decay=weight_decay,
                init_eta=init_eta,
                rbar=rbar,
                G=G,
                k=k,
                init_eta_is_none=init_eta_is_none,
                maximize=maximize,
            )
            for param, grad, init_buffer in zip(params, grads, init_buffers, strict=True)
        ]
    )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    init_buffers: Sequence[Tensor],
    reps_rel: float,
    lr: float | Tensor,
    weight_decay: float,
    init_eta: float,
    rbar: Scalar,
    G: Scalar,
    k: Scalar,
    init_eta_is_none: bool,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    return together(
        [
            _step_of_one_on_tensors(
                param_out,
                grad,
                init_buffer_out,
                reps_rel=reps_rel,
                lr=lr,
                weight_decay=weight_decay,
                init_eta=init_eta,
                rbar=rbar,
                G=G,
                k=k,
                init_eta_is_none=init_eta_is_none,
                maximize=maximize,
                differentiable=differentiable,
            )
            for param_out, grad, init_buffer_out in zip(params, grads, init_buffers, strict=True)
        ]
    )


def _step_of_one(
    param: Tensor,
    grad: Tensor,
    init_buffer: Tensor,
    *,
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
    """The step of one parameter, which waits for the others at each total."""
    if maximize:
        # maximize: grad = -grad
        grad = grad.neg()
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grad = grad.add(param, alpha=weight_decay)
    if torch.is_complex(param):
        param, grad, init_buffer = as_pairs(param, grad, init_buffer)
    init_eta_or_default = 0 if init_eta_is_none else init_eta
    # sum_param_squared = sum(param * param)
    sum_param_squared = param.mul(param).sum().item()
    # group_total_sum_param_squared = group_total(sum_param_squared)
    group_total_sum_param_squared = yield group_total(sum_param_squared)
    initial = (0 if init_eta_or_default > 0 else reps_rel) * (1 + scalar_math.sqrt(group_total_sum_param_squared))
    # moved = param - init_buffer
    moved = param.sub(init_buffer)
    # sum_moved_squared = sum(moved * moved)
    sum_moved_squared = moved.mul(moved).sum().item()
    del moved
    # group_total_sum_moved_squared = group_total(sum_moved_squared)
    group_total_sum_moved_squared = yield group_total(sum_moved_squared)
    distance = scalar_math.sqrt(group_total_sum_moved_squared)
    rbar = initial if k == 0 else scalar_math.maximum(rbar, distance)
    # sum_grad_squared = sum(grad * grad)
    sum_grad_squared = grad.mul(grad).sum().item()
    # group_total_sum_grad_squared = group_total(sum_grad_squared)
    group_total_sum_grad_squared = yield group_total(sum_grad_squared)
    G = G + group_total_sum_grad_squared
    eta = scalar_math.divide(lr * rbar, scalar_math.sqrt(G))
    eta = init_eta_or_default if k == 0 and init_eta_or_default > 0 else eta
    k = k + 1
    # param = param - eta * grad
    param.add_(grad, alpha=fitting(-eta, param.dtype))
    return {"rbar": rbar, "G": G, "k": k}


def _step_of_one_on_tensors(
    param_out: Tensor,
    grad: Tensor,
    init_buffer_out: Tensor,
    *,
    reps_rel: float,
    lr: float | Tensor,
    weight_decay: float,
    init_eta: float,
    rbar: Scalar,
    G: Scalar,
    k: Scalar,
    init_eta_is_none: bool,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The step of one parameter, which waits for the others at each total."""
    if torch.is_complex(param_out):
        param_out, grad, init_buffer_out = as_pairs(param_out, grad, init_buffer_out)
    param = param_out
    init_buffer = init_buffer_out
    if differentiable:  # autograd may keep these; what is stored at the end must not change them
        param = param_out.clone()
        init_buffer = init_buffer_out.clone()
    if maximize:
        # maximize
        grad = -grad
    if weight_decay != 0:
        # weight decay
        grad = grad + weight_decay * param
    # what None stands for
    init_eta_or_default = where(init_eta_is_none, 0, init_eta)
    # sum_param_squared = sum(param * param)
    sum_param_squared = (param * param).sum()
    # group_total_sum_param_squared = group_total(sum_param_squared)
    group_total_sum_param_squared = yield group_total(sum_param_squared)
    initial = where(init_eta_or_default > 0, 0, reps_rel) * (1 + sqrt(group_total_sum_param_squared))
    moved = param - init_buffer
    # sum_moved_squared = sum(moved * moved)
    sum_moved_squared = (moved * moved).sum()
    del init_buffer, moved
    # group_total_sum_moved_squared = group_total(sum_moved_squared)
    group_total_sum_moved_squared = yield group_total(sum_moved_squared)
    distance = sqrt(group_total_sum_moved_squared)
    rbar = where(k == 0, initial, maximum(rbar, distance))
    # sum_grad_squared = sum(grad * grad)
    sum_grad_squared = (grad * grad).sum()
    # group_total_sum_grad_squared = group_total(sum_grad_squared)
    group_total_sum_grad_squared = yield group_total(sum_grad_squared)
    G = G + group_total_sum_grad_squared
    # eta = lr * rbar / sqrt(G)
    eta: Scalar = divide(lr * rbar, sqrt(G))
    # eta = where(k == 0 and init_eta_or_default > 0, init_eta_or_default, eta)
    eta = where(both(k == 0, init_eta_or_default > 0), init_eta_or_default, eta)
    k = k + 1
    param = param - eta * grad
    store(param_out, param)
    return {"rbar": rbar, "G": G, "k": k}
