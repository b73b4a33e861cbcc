"""Optimizers with momenta or signs and no second moment, each from the source it names, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.references.algorithms.forms import Array, Pair, Reference, Result, Triple


def sign_sgd(x: Array, gradients: Sequence[Array], *, lr: float = 0.01, weight_decay: float = 0.0) -> Result:
    """Bernstein et al. 2018 and mxnet's kernel signsgd_update."""
    for g in gradients:
        x = (1 - lr * weight_decay) * x - lr * ((g > 0).astype(float) - (g < 0).astype(float))
    return x, {}


def aggmo(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 0.01,
    betas: Triple = (0.0, 0.9, 0.99),
    weight_decay: float = 0.0,
) -> Result:
    """Lucas et al. 2019, equation 3, and aggmo.py: each velocity moves by its part of lr, one after the other."""
    velocities = [np.zeros_like(x) for _ in betas]
    for gradient in gradients:
        g = gradient + weight_decay * x
        velocities = [beta * v + g for beta, v in zip(betas, velocities, strict=True)]
        for v in velocities:
            x = x - (lr / len(betas)) * v
    return x, {f"velocity{index}": v for index, v in enumerate(velocities, 1)}


def sgdw(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    max_lr: float | None = None,
    nesterov: bool = False,
    corrected_weight_decay: bool = False,
) -> Result:
    """timm's sgdw.py, _single_tensor_sgdw without caution; max_lr is defaults["lr"]."""
    largest = max_lr or float(lr)
    buf: Array | None = None
    for g in gradients:
        wd_scale = lr**2 / largest if corrected_weight_decay else lr
        x = x * (1.0 - wd_scale * weight_decay)
        step = g
        if momentum:
            buf = g if buf is None else buf * momentum + (1 - dampening) * g
            step = g + momentum * buf if nesterov else buf
        x = x - lr * step
    return x, {} if buf is None else {"momentum_buffer": buf}


def pid(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 0.01,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    I: float = 5.0,  # noqa: E741  # the authors' name
    D: float = 10.0,
) -> Result:
    """pid.py of An et al. 2018; the first gradient goes into a local variable there and is forgotten."""
    total, change, last = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for step, gradient in enumerate(gradients):
        g = gradient + weight_decay * x
        if momentum == 0:
            x = x - lr * g
            continue
        if step == 0:
            total = g
        else:
            total = momentum * total + (1 - dampening) * g
            change = momentum * change + (1 - momentum) * (g - last)
            last = g
        x = x - lr * (g + I * total + D * change)
    return x, {"I_buffer": total, "D_buffer": change, "grad_buffer": last} if momentum else {}


def tiger(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    beta: float = 0.965,
    weight_decay: float = 0.01,
    grad_accum_steps: int = 1,
    shrink_ratio: float = 0.99,
    kind: str = "matrix",
) -> Result:
    """Su 2023, tiger.py: _prepare and _resource_apply; kind is what a variable's name says there."""
    m, k = np.zeros_like(x), grad_accum_steps
    for t, gradient in enumerate(gradients):
        b1 = beta if t % k == 0 else 1.0
        rate: Array | float = lr if (t + 1) % k == 0 else 0.0
        d, c, g = weight_decay, 0.0, gradient
        is_nan = bool(np.isnan(gradient).any())
        if is_nan:
            b1, g = 1.0, np.zeros_like(gradient)
        if kind in ("bias", "gain"):
            rate, d, c = rate * 0.5, 0.0, float(kind == "gain")
        elif kind == "embedding":
            rate = rate * np.sqrt(np.mean(x**2, axis=-1 if x.ndim else None, keepdims=True))
        else:
            rate = rate * np.sqrt(np.mean(x**2))
        m = b1 * m + (1 - beta) / k * g
        x = (x - c) * shrink_ratio + c if is_nan else x - (np.sign(m) + d * x) * rate
    return x, {"m": m}


def pnm(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1.0,
    betas: Pair = (0.9, 1.0),
    weight_decay: float = 0.0,
    decoupled: bool = True,
) -> Result:
    """Xie et al. 2021 and pnm.py, where the two momenta change their roles in every step."""
    beta1, beta0 = betas
    momenta = [np.zeros_like(x), np.zeros_like(x)]
    for step, gradient in enumerate(gradients):
        g = gradient
        if decoupled:
            x = x * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * x
        fed, other = step % 2, 1 - step % 2
        momenta[fed] = beta1**2 * momenta[fed] + (1 - beta1**2) * g
        both = (1 + beta0) * momenta[fed] - beta0 * momenta[other]
        x = x - lr * both / math.sqrt((1 + beta0) ** 2 + beta0**2)
    return x, {"pos_momentum": momenta[0], "neg_momentum": momenta[1]}


REFERENCES: dict[str, Reference] = {
    "AggMo": aggmo,
    "PID": pid,
    "PNM": pnm,
    "SGDW": sgdw,
    "SignSGD": sign_sgd,
    "Tiger": tiger,
}
