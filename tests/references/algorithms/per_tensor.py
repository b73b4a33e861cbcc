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
    corrected_weight_decay: bool = False,
    max_lr: float | None = None,
) -> Result:
    """timm/optim/lamb.py of huggingface/pytorch-image-models, with max_grad_norm=None; max_lr is defaults["lr"].

    With bias_correction=False, always_adapt=True and the defaults of the others it is lamb_optimizer.py of
    google-research/albert.
    """
    largest = max_lr or float(lr)
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        c1, c2 = (1 - betas[0] ** t, 1 - betas[1] ** t) if bias_correction else (1.0, 1.0)
        m = betas[0] * m + (1 - betas[0] if grad_averaging else 1.0) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        update = (m / c1) / (np.sqrt(v) / math.sqrt(c2) + eps)
        if weight_decay != 0 and decoupled_decay:
            x = x - (lr**2 / largest if corrected_weight_decay else lr) * weight_decay * x
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
    largest = max_lr or float(lr)
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        hat1, hat2 = ((beta**t - beta) / (beta**t - 1) for beta in betas)
        m = m + (1 - hat1) * (g - m)
        v = hat2 * v + (1 - hat2) * g * g
        rate = lr / max(1, math.sqrt(math.fsum((g**2 / np.maximum(v, eps**2)).ravel()) / x.size))
        if weight_decay != 0:
            x = x * (1 - (rate / largest if decouple_lr else rate) * weight_decay)
        x = x - rate * m / (np.sqrt(v) + eps)
    return x, {"exp_avg": m, "exp_avg_sq": v}


def novograd(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1.0,
    betas: Pair = (0.95, 0.98),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    grad_averaging: bool = False,
) -> Result:
    """NovoGrad2 of open_seq2seq/optimizers/novograd.py, NVIDIA/OpenSeq2Seq, over TensorFlow's MomentumOptimizer."""
    ema = 0.0
    accumulator = np.zeros_like(x)
    for gradient in gradients:
        g_2 = math.fsum((gradient * gradient).ravel())
        ema = g_2 if ema == 0.0 else ema * betas[1] + g_2 * (1 - betas[1])
        g = gradient * (np.float64(1.0) / np.sqrt(ema + eps))
        if weight_decay > 0:
            g = g + weight_decay * x
        if grad_averaging:
            g = g * (1 - betas[0])
        accumulator = accumulator * betas[0] + g
        x = x - accumulator * lr
    return x, {"grads_ema": ema, "momentum_buffer": accumulator}


def fromage(x: Array, gradients: Sequence[Array], *, lr: float = 0.01, p_bound: float | None = None) -> Result:
    """Algorithm 1 of Bernstein et al. 2020, and the bound of fromage.py, jxbz/fromage."""
    largest = math.inf if p_bound is None else p_bound * _norm(x)
    for g in gradients:
        both = _norm(x) > 0 and _norm(g) > 0
        x = (x - lr * g * (_norm(x) / _norm(g) if both else 1.0)) / math.sqrt(1 + lr**2)
        if _norm(x) > largest:
            x = x * (largest / _norm(x))
    memory: Memory = {} if p_bound is None else {"max_norm": largest}
    return x, memory


def mars(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 3e-3,
    betas: Pair = (0.95, 0.99),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    gamma: float = 0.025,
    mars_type: str = "adamw",
    optimize_1d: bool = False,
    lr_1d: float = 3e-3,
    betas_1d: Pair = (0.9, 0.95),
    weight_decay_1d: float = 0.1,
) -> Result:
    """MARS/optimizers/mars.py of AGI-Arena/MARS, with is_approx=True; gradients are copied."""
    corrects = optimize_1d or x.ndim == 2
    factor = 1.0 if corrects else lr_1d / float(lr)
    if not corrects:
        betas, weight_decay, mars_type = betas_1d, weight_decay_1d, "adamw"
    m, v, largest, last = (np.zeros_like(x) for _ in range(4))
    for t, g in enumerate(gradients, 1):
        c = g
        if corrects:
            c = (g - last) * (gamma * (betas[0] / (1.0 - betas[0]))) + g
            c = c / _norm(c) if _norm(c) > 1.0 else c
        m = m * betas[0] + c * (1.0 - betas[0])
        if mars_type == "adamw":
            v = v * betas[1] + c * c * (1.0 - betas[1])
            largest = np.maximum(largest, v)
            root = np.sqrt(largest if amsgrad else v) / math.sqrt(1.0 - betas[1] ** t)
            update = m / ((root + eps) * (1.0 - betas[0] ** t))
        else:
            update = np.sign(m)
        x = x - lr * factor * (x * weight_decay + update)
        last = g
    memory: Memory = {"exp_avg": m, "exp_avg_sq": v}
    if amsgrad:
        memory["max_exp_avg_sq"] = largest
    if corrects:
        memory["last_grad"] = last
    return x, memory


def sm3(x: Array, gradients: Sequence[Array], *, lr: float = 0.1, momentum: float = 0.9) -> Result:
    """sm3/sm3.py of google-research/google-research, run on each matrix of a parameter with more than two axes."""
    batch = x.shape[:-2]
    rows = np.zeros((*batch, *x.shape[-2:-1], 1))
    columns = np.zeros((*batch, 1, *x.shape[-1:]))
    total, gbar = np.zeros_like(x), np.zeros_like(x)
    for g in gradients:
        if x.ndim > 1:
            total = np.minimum(rows, columns) + g * g
            rows, columns = total.max(axis=-1, keepdims=True), total.max(axis=-2, keepdims=True)
        else:
            total = total + g * g
        scaled = (1.0 - momentum) * (g * (1 / np.sqrt(total + 1e-30)))
        gbar = gbar + (gbar * (momentum - 1.0) + scaled) if momentum > 0 else gbar
        x = x - lr * (gbar if momentum > 0 else scaled)
    memory: Memory = {"row": rows, "column": columns} if x.ndim > 1 else {"accumulator": total}
    if momentum > 0:
        memory["momentum_buffer"] = gbar
    return x, memory


def apollo(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 0.01,
    beta: float = 0.9,
    eps: float = 1e-4,
    rebound: str = "constant",
    warmup: float = 500,
    init_lr: float | None = None,
    weight_decay: float = 0,
    weight_decay_type: str | None = None,
) -> Result:
    """optim/apollo.py of XuezheMax/apollo."""
    base_lr = float(lr)
    init_lr = base_lr / 1000 if init_lr is None else init_lr
    kind = weight_decay_type or ("L2" if rebound == "constant" else "decoupled")
    m, curvature, d = (np.zeros_like(x) for _ in range(3))
    for t, gradient in enumerate(gradients, 1):
        rate = (base_lr - init_lr) * (t - 1) / warmup + init_lr if t - 1 < warmup else lr
        g = gradient + weight_decay * x if kind == "L2" else gradient
        alpha = (1 - beta) / (1 - beta**t)
        delta = g - m
        bound = float(np.abs(delta).max()) if rebound == "belief" else 0.01
        m = m + alpha * delta
        scale = math.fsum((d**4).ravel()) ** 0.25 + (eps if rebound == "belief" else eps / bound)
        d = d / scale
        change = -alpha * math.fsum((delta / scale * d).ravel()) - math.fsum((curvature * d * d).ravel())
        curvature = curvature + d * d * change
        denom = np.maximum(np.abs(curvature), bound) + (eps / alpha if rebound == "belief" else 0.0)
        d = m / denom
        if kind == "stable":
            d = d + weight_decay / float(denom.mean()) * x
        elif kind == "decoupled":
            d = d + weight_decay * x
        x = x - rate * d
    return x, {"exp_avg_grad": m, "approx_hessian": curvature, "direction": d}


def adam_mini(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    betas: Pair = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    blocks: str = "tensor",
    n_heads: int = 32,
) -> Result:
    """adam_mini.py of adam-mini 1.1.1: the rules for bias terms, matrices of neurons, heads, and for other blocks."""
    by_row = blocks in ("row", "head") and x.ndim > 1
    m = np.zeros_like(x)
    rest = tuple(range(1, x.ndim))
    v: Array = np.zeros_like(x) if blocks == "element" else np.zeros((len(x), *(1 for _ in rest)) if by_row else ())
    for t, g in enumerate(gradients, 1):
        square = g * g
        if by_row:
            square = square.mean(axis=rest, keepdims=True)
            if blocks == "head":
                of_heads = square.reshape(n_heads, -1).mean(axis=1)
                square = np.repeat(of_heads, len(x) // n_heads).reshape(square.shape)
        elif blocks != "element":
            square = np.asarray(math.fsum(square.ravel()) / x.size)
        v = v * betas[1] + square * (1 - betas[1])
        x = x * (1 - lr * weight_decay)
        m = m + (1 - betas[0]) * (g - m)
        h = np.sqrt(v) / math.sqrt(1 - betas[1] ** t) + eps
        x = x - m * (1 / (1 - betas[0] ** t) / h) * lr
    if blocks == "element":
        return x, {"m": m, "v": v}
    return x, {"m": m, "v_row": v} if by_row else {"m": m, "vmean": float(v)}


REFERENCES: dict[str, Reference] = {
    "AdamMini": adam_mini,
    "ApolloMa": apollo,
    "Fromage": fromage,
    "LAMB": lamb,
    "LARS": lars,
    "MARS": mars,
    "NovoGrad": novograd,
    "SM3": sm3,
    "StableAdamW": stable_adamw,
}
