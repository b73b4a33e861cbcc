# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""AdaHessian for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_hessian_diag_sqs: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    beta2: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, exp_hessian_diag_sq, param_rank in zip(
        params, grads, exp_hessian_diag_sqs, ranks_of_params, strict=True
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if param_rank == 4:
            # row_mean_abs_grad = mean(abs(grad), axis=-1)
            row_mean_abs_grad = grad.abs().mean(-1, keepdim=True)
            # of_kernel = mean(row_mean_abs_grad, axis=-2)
            of_kernel = row_mean_abs_grad.mean(-2, keepdim=True)
            # exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * of_kernel * of_kernel
            exp_hessian_diag_sq.mul_(beta2).addcmul_(of_kernel, of_kernel, value=1 - beta2)
        else:
            # exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * grad * grad
            exp_hessian_diag_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_hessian_diag_sqs: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    beta2: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, exp_hessian_diag_sq_out, param_rank in zip(
        params, grads, exp_hessian_diag_sqs, ranks_of_params, strict=True
    ):
        exp_hessian_diag_sq = exp_hessian_diag_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            exp_hessian_diag_sq = exp_hessian_diag_sq_out.clone()
        if maximize:
            # maximize
            grad = -grad
        if param_rank == 4:
            # row_mean_abs_grad = mean(abs(grad), axis=-1)
            row_mean_abs_grad = abs(grad).mean(-1, keepdim=True)
            # of_kernel = mean(row_mean_abs_grad, axis=-2)
            of_kernel = row_mean_abs_grad.mean(-2, keepdim=True)
            exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * of_kernel * of_kernel
        else:
            exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * grad * grad
        store(exp_hessian_diag_sq_out, exp_hessian_diag_sq)
