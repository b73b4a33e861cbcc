"""Optimizers of papers with code of their authors, each from the source it names, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.references.algorithms.forms import Array, Memory, Pair, Reference, Result, Triple


def lion(
    x: Array, gradients: Sequence[Array], *, lr: float = 1e-4, betas: Pair = (0.9, 0.99), weight_decay: float = 0.0
) -> Result:
    """Chen et al. 2023, program 1 and lion_pytorch.py: decay, signed step, then the momentum of the next step."""
    m = np.zeros_like(x)
    for g in gradients:
        x = x - lr * weight_decay * x
        c = m * betas[0] + g * (1 - betas[0])
        x = x - lr * np.sign(c)
        m = m * betas[1] + g * (1 - betas[1])
    return x, {"exp_avg": m}


def signum(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
) -> Result:
    """Bernstein et al. 2018 and mxnet's kernel signum_update, whose buffer has the opposite sign; wd and wd_lh."""
    wd, wd_lh = (0.0, weight_decay) if decoupled_weight_decay else (weight_decay, 0.0)
    mom = np.zeros_like(x)
    for g in gradients:
        mom = momentum * mom - (1 - momentum) * wd * x - (1 - momentum) * g
        x = (1 - lr * wd_lh) * x + lr * ((mom > 0).astype(float) - (mom < 0).astype(float))
    return x, ({"momentum_buffer": -mom} if momentum else {})


def adan(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Triple = (0.98, 0.92, 0.99),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    no_prox: bool = False,
) -> Result:
    """Xie et al. 2022, Algorithm 1, with adan.py's bias corrections: one step of both means at once."""
    b1, b2, b3 = betas
    m, v, n = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    last = gradients[0]
    for k, g in enumerate(gradients, 1):
        difference = g - last
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * difference
        n = b3 * n + (1 - b3) * (g + b2 * difference) ** 2
        eta = lr / (np.sqrt(n / (1 - b3**k)) + eps)
        move = eta * (m / (1 - b1**k) + b2 * v / (1 - b2**k))
        x = (1 - lr * weight_decay) * x - move if no_prox else (x - move) / (1 + lr * weight_decay)
        last = g
    return x, {"exp_avg": m, "exp_avg_diff": v, "exp_avg_sq": n, "pre_grad": last}


def adabelief(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-16,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    weight_decouple: bool = True,
    fixed_decay: bool = False,
    rectify: bool = True,
    degenerated_to_sgd: bool = True,
) -> Result:
    """Zhuang et al. 2020, Algorithm 2, and adabelief_pytorch 0.2.1; the rectification is Liu et al. 2020's r_t."""
    b1, b2 = betas
    m, s, largest = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    n_max = 2 / (1 - b2) - 1
    for t, gradient in enumerate(gradients, 1):
        g = gradient
        if weight_decouple:
            x = x - x * weight_decay * (1.0 if fixed_decay else lr)
        else:
            g = g + weight_decay * x
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        largest = np.maximum(largest, s)
        m_hat = m / (1 - b1**t)
        n = n_max - 2 * t * b2**t / (1 - b2**t)
        if not rectify:
            s_hat = (largest if amsgrad else s) / (1 - b2**t)
            x = x - lr * m_hat / (np.sqrt(s_hat) + eps)
        elif n >= 5:
            r = math.sqrt((n - 4) * (n - 2) * n_max / ((n_max - 4) * (n_max - 2) * n))
            x = x - lr * r * math.sqrt(1 - b2**t) * m_hat / (np.sqrt(s) + eps)
        elif degenerated_to_sgd:
            x = x - lr * m_hat
    memory: Memory = {"exp_avg": m, "exp_avg_var": s}
    return x, memory | ({"max_exp_avg_var": largest} if amsgrad else {})


def yogi(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 0.01,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-3,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 1e-6,
) -> Result:
    """Zaheer et al. 2018, Algorithm 2, and the Yogi of TensorFlow Addons (activation sign, l2 as the decay)."""
    b1, b2 = betas
    m, v = np.zeros_like(x), np.full_like(x, initial_accumulator_value)
    for t, g in enumerate(gradients, 1):
        m = m * b1 + g * (1 - b1)
        v = v + (1 - b2) * np.sign(g * g - v) * (g * g)
        per_coordinate = lr * math.sqrt(1 - b2**t) / (1 - b1**t) / (np.sqrt(v) + eps)
        x = (x - per_coordinate * m) / (1 + weight_decay * per_coordinate)
    return x, {"exp_avg": m, "exp_avg_sq": v}


def ademamix(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Triple = (0.9, 0.999, 0.9999),
    alpha: float = 2.0,
    beta3_warmup: float | None = None,
    alpha_warmup: float | None = None,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Result:
    """Pagliardini et al. 2024, Algorithm 1 and its schedules, with ademamix.py's 1e-8 in the half-life."""

    def half_life(beta: float) -> float:
        return math.log(0.5) / math.log(beta + 1e-8) - 1

    b1, b2, b3_last = betas
    m1, m2, nu = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        weight, b3 = alpha, b3_last
        if alpha_warmup and t < alpha_warmup:
            weight = alpha * t / alpha_warmup
        if beta3_warmup and t < beta3_warmup:
            mu = t / beta3_warmup
            b3 = 0.5 ** (1 / ((1 - mu) * half_life(b1) + mu * half_life(b3_last) + 1))
        m1 = b1 * m1 + (1 - b1) * g
        m2 = b3 * m2 + (1 - b3) * g
        nu = b2 * nu + (1 - b2) * g**2
        update = (m1 / (1 - b1**t) + weight * m2) / (np.sqrt(nu / (1 - b2**t)) + eps)
        x = x - lr * (update + weight_decay * x)
    memory: Memory = {"exp_avg_slow": m2, "exp_avg_sq": nu}
    return x, memory | ({"exp_avg_fast": m1} if b1 else {})


def adopt(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Pair = (0.9, 0.9999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    decouple: bool = False,
    clip: bool = True,
    clip_exponent: float = 0.25,
) -> Result:
    """Taniguchi et al. 2024, clipped ADOPT, and adopt.py, whose step counts from 0."""
    b1, b2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, gradient in enumerate(gradients):
        g = gradient if decouple else gradient + weight_decay * x
        if t == 0:
            v = g * g
            continue
        if decouple:
            x = x - lr * weight_decay * x
        normed = g / np.maximum(np.sqrt(v), eps)
        if clip:
            normed = np.clip(normed, -(t**clip_exponent), t**clip_exponent)
        m = b1 * m + (1 - b1) * normed
        x = x - lr * m
        v = b2 * v + (1 - b2) * g * g
    return x, {"exp_avg": m, "exp_avg_sq": v}


def qhadam(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Pair = (0.9, 0.999),
    nus: Pair = (1.0, 1.0),
    weight_decay: float = 0.0,
    decouple_weight_decay: bool = False,
    eps: float = 1e-8,
) -> Result:
    """Ma and Yarats 2019: moments divided by 1 - beta^t, which qhadam.py's weights amount to."""
    (b1, b2), (nu1, nu2) = betas, nus
    m, s = np.zeros_like(x), np.zeros_like(x)
    t = 0
    for t, gradient in enumerate(gradients, 1):
        g = gradient
        if decouple_weight_decay:
            x = x - lr * weight_decay * x
        else:
            g = g + weight_decay * x
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * g * g
        numerator = (1 - nu1) * g + nu1 * m / (1 - b1**t)
        x = x - lr * numerator / (np.sqrt((1 - nu2) * g * g + nu2 * s / (1 - b2**t)) + eps)
    weights = [(1 - beta**t) / (1 - beta) for beta in betas]
    corrected = {"exp_avg": m / (1 - b1**t), "exp_avg_sq": s / (1 - b2**t)}
    return x, corrected | {"beta1_weight": weights[0], "beta2_weight": weights[1]}


REFERENCES: dict[str, Reference] = {
    "Lion": lion,
    "Signum": signum,
    "Adan": adan,
    "AdaBelief": adabelief,
    "Yogi": yogi,
    "AdEMAMix": ademamix,
    "ADOPT": adopt,
    "QHAdam": qhadam,
}
