# Generated from specs/textbook/rmsprop.yaml by thetac 0.1.0; do not edit.
"""TextbookRMSprop for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    caches: Sequence[Tensor],
    lr: float,
    decay_rate: float,
    eps: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, cache in zip(params, grads, caches, strict=True):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, cache = as_pairs(param, grad, cache)
        # cache = decay_rate * cache + (1 - decay_rate) * (grad * grad)
        cache.mul_(decay_rate).add_(grad.mul(grad), alpha=1 - decay_rate)
        # param = param - lr * grad / (sqrt(cache) + eps)
        param.addcdiv_(grad, cache.sqrt().add_(eps), value=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    caches: Sequence[Tensor],
    lr: float | Tensor,
    decay_rate: float,
    eps: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, cache_out in zip(params, grads, caches, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, cache_out = as_pairs(param_out, grad, cache_out)
        param = param_out
        cache = cache_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            cache = cache_out.clone()
        if maximize:
            # maximize
            grad = -grad
        cache = decay_rate * cache + (1 - decay_rate) * (grad * grad)
        param = param - lr * grad / (sqrt(cache) + eps)
        store(param_out, param)
        store(cache_out, cache)
