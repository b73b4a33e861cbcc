# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""AdaHessian for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    exp_hessian_diag_sqs: TensorList,
    param_rank: float,
    beta2: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if param_rank == 4:
        # row_mean_abs_grad = mean(abs(grad), axis=-1)
        # tensor by tensor: torch has no list operation for `mean along`
        row_mean_abs_grads = [
            grad.abs().mean(-1, keepdim=True)
            for grad in grads
        ]
        # of_kernel = mean(row_mean_abs_grad, axis=-2)
        # tensor by tensor: torch has no list operation for `mean along`
        of_kernels = [
            row_mean_abs_grad.mean(-2, keepdim=True)
            for row_mean_abs_grad in row_mean_abs_grads
        ]
        # exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * of_kernel * of_kernel
        scale_(exp_hessian_diag_sqs, beta2)
        torch._foreach_addcmul_(exp_hessian_diag_sqs, of_kernels, of_kernels, value=1 - beta2)
    else:
        # exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * grad * grad
        scale_(exp_hessian_diag_sqs, beta2)
        torch._foreach_addcmul_(exp_hessian_diag_sqs, grads, grads, value=1 - beta2)
