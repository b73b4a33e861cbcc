"""Optimizers whose steps depend on norms and sums of whole parameters, each from the source that it names."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.references.algorithms.forms import Array, Memory, Pair, Reference, Result


def _norm(x: Array) -> float:
    return math.sqrt(math.fsum((x * x).ravel()))


def lamb(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    bias_correction: bool = True,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.01,
    grad_averaging: bool = True,
    trust_clip: bool = False,
    always_adapt: bool = False,
    decoupled_decay: bool = False,
) -> Result:
    """timm/optim/lamb.py of huggingface/pytorch-image-models, with max_grad_norm=None.

    With bias_correction=False, always_adapt=True and the defaults of the others it is lamb_optimizer.py of
    google-research/albert.
    """
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        c1, c2 = (1 - betas[0] ** t, 1 - betas[1] ** t) if bias_correction else (1.0, 1.0)
        m = betas[0] * m + (1 - betas[0] if grad_averaging else 1.0) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        update = (m / c1) / (np.sqrt(v) / math.sqrt(c2) + eps)
        if weight_decay != 0 and decoupled_decay:
            x = x - lr * weight_decay * x
        elif weight_decay != 0:
            update = update + weight_decay * x
        if weight_decay != 0 or always_adapt:
            w_norm, g_norm = _norm(x), _norm(update)
            ratio = w_norm / g_norm if w_norm > 0 and g_norm > 0 else 1.0
            update = update * (min(ratio, 1.0) if trust_clip else ratio)
        x = x - lr * update
    return x, {"exp_avg": m, "exp_avg_sq": v}


def lars(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1.0,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
    trust_coeff: float = 0.001,
    eps: float = 1e-8,
    trust_clip: bool = False,
    always_adapt: bool = False,
) -> Result:
    """timm/optim/lars.py of huggingface/pytorch-image-models."""
    buffer: Array | None = None
    for gradient in gradients:
        g = gradient
        if weight_decay != 0 or always_adapt:
            w_norm, g_norm = _norm(x), _norm(g)
            ratio = trust_coeff * w_norm / (g_norm + w_norm * weight_decay + eps) if w_norm > 0 and g_norm > 0 else 1.0
            g = (g + weight_decay * x) * (min(ratio / lr, 1.0) if trust_clip else ratio)
        if momentum != 0:
            buffer = g.copy() if buffer is None else momentum * buffer + (1.0 - dampening) * g
            g = g + momentum * buffer if nesterov else buffer
        x = x - lr * g
    memory: Memory = {} if buffer is None else {"momentum_buffer": buffer}
    return x, memory


def stable_adamw(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Pair = (0.9, 0.99),
    weight_decay: float = 1e-2,
    eps: float = 1e-6,
    decouple_lr: bool = False,
    max_lr: float | None = None,
) -> Result:
    """optimi/stableadamw.py of torch-optimi 0.3.3, one parameter at a time."""
    first_lr = lr
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        hat1, hat2 = ((beta**t - beta) / (beta**t - 1) for beta in betas)
        m = m + (1 - hat1) * (g - m)
        v = hat2 * v + (1 - hat2) * g * g
        rate = lr / max(1, math.sqrt(math.fsum((g**2 / np.maximum(v, eps**2)).ravel()) / x.size))
        if weight_decay != 0:
            x = x * (1 - (rate / (max_lr or first_lr) if decouple_lr else rate) * weight_decay)
        x = x - rate * m / (np.sqrt(v) + eps)
    memory: Memory = {"exp_avg": m, "exp_avg_sq": v}
    if decouple_lr:
        memory["start_lr"] = first_lr
    return x, memory


REFERENCES: dict[str, Reference] = {
    "LAMB": lamb,
    "LARS": lars,
    "StableAdamW": stable_adamw,
}
