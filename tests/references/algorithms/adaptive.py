"""Optimizers that divide by a second moment, each from the source it names, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.references.algorithms.forms import Array, Memory, Pair, Reference, Result, Triple


def laprop(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 4e-4,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-15,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    centered: bool = False,
) -> Result:
    """Ziyin, Wang and Ueda 2020 and laprop.py."""
    mu, nu = betas
    n, m, mean, largest = (np.zeros_like(x) for _ in range(4))
    c_m = c_n = 0.0
    for t, g in enumerate(gradients, 1):
        n = nu * n + (1 - nu) * g * g
        mean = nu * mean + (1 - nu) * g
        c_m = mu * c_m + (1 - mu) * lr
        c_n = nu * c_n + (1 - nu)
        trusted = not centered or t > 10
        second = n - mean**2 if centered and trusted else n
        if amsgrad and trusted:
            second = largest = np.maximum(largest, second)
        m = mu * m + (1 - mu) * lr * (g / (np.sqrt(second / c_n) + eps))
        x = x - (m if lr == 0 else m / (c_m / lr))
        x = x - weight_decay * x
    memory: Memory = {"exp_avg": m, "exp_avg_sq": n, "exp_avg_lr_1": c_m, "exp_avg_lr_2": c_n}
    memory |= {"exp_mean_avg_beta2": mean} if centered else {}
    return x, memory | ({"max_exp_avg_sq": largest} if amsgrad else {})


def rmsprop_tf(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 0.01,
    alpha: float = 0.9,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    decoupled_decay: bool = False,
    corrected_weight_decay: bool = False,
    max_lr: float | None = None,
    lr_in_momentum: bool = True,
) -> Result:
    """timm's rmsprop_tf.py without caution; max_lr is defaults["lr"]."""
    largest = max_lr or float(lr)
    mean_square, mean, buffer = np.ones_like(x), np.zeros_like(x), np.zeros_like(x)
    for gradient in gradients:
        g = gradient
        wd_scale = lr**2 / largest if corrected_weight_decay else lr
        if decoupled_decay:
            x = x * (1.0 - wd_scale * weight_decay)
        else:
            g = g + weight_decay * x
        mean_square = mean_square + (1 - alpha) * (g**2 - mean_square)
        mean = mean + (1 - alpha) * (g - mean)
        scaled = g / np.sqrt((mean_square - mean**2 if centered else mean_square) + eps)
        if momentum and lr_in_momentum:
            buffer = momentum * buffer + lr * scaled
            x = x - buffer
        elif momentum:
            buffer = momentum * buffer + scaled
            x = x - lr * buffer
        else:
            x = x - lr * scaled
    memory: Memory = {"square_avg": mean_square}
    memory |= {"grad_avg": mean} if centered else {}
    return x, memory | ({"momentum_buffer": buffer} if momentum else {})


def adapnm(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Triple = (0.9, 0.999, 1.0),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = True,
    decoupled: bool = True,
) -> Result:
    """Xie et al. 2021 and adapnm.py, where the two momenta change their roles in every step."""
    beta1, beta2, beta0 = betas
    momenta = [np.zeros_like(x), np.zeros_like(x)]
    v, largest = np.zeros_like(x), np.zeros_like(x)
    for t, gradient in enumerate(gradients, 1):
        g = gradient
        if decoupled:
            x = x * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * x
        fed, other = (t + 1) % 2, t % 2
        momenta[fed] = beta1**2 * momenta[fed] + (1 - beta1**2) * g
        both = ((1 + beta0) * momenta[fed] - beta0 * momenta[other]) / math.sqrt((1 + beta0) ** 2 + beta0**2)
        v = beta2 * v + (1 - beta2) * g * g
        largest = np.maximum(largest, v)
        x = x - lr / (1 - beta1**t) * both / (np.sqrt(largest if amsgrad else v) / math.sqrt(1 - beta2**t) + eps)
    memory: Memory = {"exp_avg": momenta[0], "neg_exp_avg": momenta[1], "exp_avg_sq": v}
    return x, memory | ({"max_exp_avg_sq": largest} if amsgrad else {})


def amos(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 0.01,
    eta: float = 1.0,
    beta: float = 0.999,
    momentum: float | None = None,
    clip_value: float | None = None,
    extra_l2: float = 0.0,
    d_coef: float = 0.25,
    c_coef: float = 0.25,
    epsilon: float = 2.0**-125,
) -> Result:
    """Tian and Parikh 2022 and amos.py with shape_fn=None: optax's clip, scale_by_amos, then its ema without debias."""
    v, b, ema = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for t, gradient in enumerate(gradients, 1):
        g = np.clip(gradient, -clip_value, clip_value) if clip_value else gradient
        v = beta * v + (1 - beta) * g**2
        inverse = (1 - beta**t) / np.maximum(v, epsilon)
        gamma = (1 + c_coef * math.sqrt(lr) * b) ** -0.5 * lr**2 * inverse * g**2
        d = 1 / (1 + d_coef * math.sqrt(lr * eta) * b)
        change = d * (-(0.5 * gamma + extra_l2) * x - lr * eta * np.sqrt(inverse) * g)
        b = b + gamma * (1 + b)
        if momentum:
            change = ema = momentum * ema + (1 - momentum) * change
        x = x + change
    return x, {"v": v, "b": b} | ({"ema": ema} if momentum else {})


REFERENCES: dict[str, Reference] = {
    "AdaPNM": adapnm,
    "Amos": amos,
    "LaProp": laprop,
    "RMSpropTF": rmsprop_tf,
}
