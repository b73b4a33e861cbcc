"""Optimizers that need more than roots: angles, cube roots, exponentials and powers, each from the source it names."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.references.algorithms.forms import Array, Memory, Pair, Reference, Result


def adam_atan2(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-4,
    betas: Pair = (0.9, 0.99),
    weight_decay: float = 0.0,
    regen_reg_rate: float = 0.0,
    decoupled_wd: bool = False,
    cautious_wd: bool = False,
    a: float = 1.27,
    b: float = 1.0,
) -> Result:
    """adam_atan2.py of adam-atan2-pytorch 0.4.1, with cautious_factor=1."""
    if decoupled_wd:
        weight_decay /= float(lr)
        regen_reg_rate /= float(lr)
    first = x.copy()
    m, v = np.zeros_like(x), np.zeros_like(x)
    for steps, g in enumerate(gradients, 1):
        if regen_reg_rate > 0 and steps > 1:
            x = x + lr * regen_reg_rate * (first - x)
        m = m + (1 - betas[0]) * (g - m)
        v = v + (1 - betas[1]) * (g * g - v)
        update = np.arctan2(m / (1 - betas[0] ** steps), b * np.sqrt(v / (1 - betas[1] ** steps)))
        mask = (update * x > 0).astype(float) if cautious_wd else 1.0
        if weight_decay > 0:
            x = x * (1 - lr * weight_decay * mask)
        x = x - lr * a * update
    memory: Memory = {"exp_avg": m, "exp_avg_sq": v}
    return x, memory | ({"param_init": first} if regen_reg_rate > 0 else {})


def madgrad(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-2,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    eps: float = 1e-6,
    decouple_decay: bool = False,
) -> Result:
    """Defazio and Jelassi 2021, Algorithm 1, with the authors' eps and decays; an element that never moved stays."""
    x0 = x.copy()
    s, nu = np.zeros_like(x), np.zeros_like(x)

    def from_the_start(point: Array) -> Array:
        root = np.cbrt(nu) + eps
        return np.where(root == 0, point, point - s / np.where(root == 0, 1.0, root))

    for k, gradient in enumerate(gradients):
        rate = lr + eps if lr != 0 else 0.0
        weight = rate * math.sqrt(k + 1)
        g = gradient if decouple_decay else gradient + weight_decay * x
        nu = nu + weight * g * g
        s = s + weight * g
        old = x
        # Without momentum, the authors find x0 from the parameter as it is, decays included.
        x = momentum * x + (1 - momentum) * from_the_start(x0)
        if decouple_decay:
            x = x - rate * weight_decay * old
            if momentum == 0:
                x0 = x0 - rate * weight_decay * old
    return x, {"grad_sum_sq": nu, "s": s} | ({"x0": x0} if momentum != 0 else {})


def diffgrad(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Result:
    """diffGrad_v2.py, which keeps a copy of the gradient."""
    b1, b2 = betas
    m, v, last = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for t, gradient in enumerate(gradients, 1):
        g = gradient + weight_decay * x
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        dfc = 1 / (1 + np.exp(-np.abs(last - g)))
        last = g
        x = x - lr * math.sqrt(1 - b2**t) / (1 - b1**t) * m * dfc / (np.sqrt(v) + eps)
    return x, {"exp_avg": m, "exp_avg_sq": v, "previous_grad": last}


def padam(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 0.1,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = True,
    partial: float = 0.25,
) -> Result:
    """uclaml/Padam, Padam.py."""
    b1, b2 = betas
    m, v, top = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for t, gradient in enumerate(gradients, 1):
        g = gradient + weight_decay * x
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        top = np.maximum(top, v)
        denom = np.sqrt(top if amsgrad else v) + eps
        x = x - lr * math.sqrt(1 - b2**t) / (1 - b1**t) * m / denom ** (2 * partial)
    return x, {"exp_avg": m, "exp_avg_sq": v} | ({"max_exp_avg_sq": top} if amsgrad else {})


REFERENCES: dict[str, Reference] = {
    "AdamAtan2": adam_atan2,
    "MADGRAD": madgrad,
    "DiffGrad": diffgrad,
    "PAdam": padam,
}
