# Generated from specs/asam.yaml by thetac 0.1.0; do not edit.
"""ASAM for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, read_numbers
from thetac.runtime.totals import Waiting, total


def step(
    params: TensorList,
    grads: TensorList,
    *,
    rho: float,
    eta: float,
    scaled: bool,
    maximize: bool,
) -> Waiting:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads = as_lists_of_pairs(params, grads)
    # ascent = grad
    ascents: TensorList = grads
    if scaled:
        # ascent = (abs(param) + eta) * grad
        ascents = torch._foreach_abs(params)
        torch._foreach_add_(ascents, eta)
        torch._foreach_mul_(ascents, grads)
    # sum_ascent_squared = sum(ascent * ascent)
    sum_ascent_squared_tensors = [
        ascent.mul(ascent).sum()
        for ascent in ascents
    ]
    (sum_ascent_squareds,) = read_numbers(sum_ascent_squared_tensors)
    del grads
    # total_sum_ascent_squared = total(sum_ascent_squared)
    total_sum_ascent_squared = yield total(*sum_ascent_squareds)
    length = scalar_math.sqrt(total_sum_ascent_squared)
    if scaled:
        # ascent = (abs(param) + eta) * ascent
        magnitudes = torch._foreach_abs(params)
        torch._foreach_add_(magnitudes, eta)
        torch._foreach_mul_(magnitudes, ascents)
        ascents = magnitudes
    # param = param + rho / (length + 1e-16) * ascent
    torch._foreach_add_(params, ascents, alpha=rho / (length + 1e-16))
    return {}
