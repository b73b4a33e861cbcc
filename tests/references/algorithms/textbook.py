"""Optimizers as textbooks have them, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.references.algorithms.forms import Array, Reference, Result


def gradient_descent(x: Array, gradients: Sequence[Array], *, lr: float = 1e-2) -> Result:
    """x_{t+1} = x_t - lr g_t."""
    for g in gradients:
        x = x - lr * g
    return x, {}


def momentum_sgd(x: Array, gradients: Sequence[Array], *, lr: float = 1e-2, mu: float = 0.9) -> Result:
    """Polyak's heavy ball in two points: x_{t+1} = x_t - lr g_t + mu (x_t - x_{t-1})."""
    before, now = x, x
    for g in gradients:
        before, now = now, now - lr * g + mu * (now - before)
    return now, {"v": now - before}


def nesterov_sgd(x: Array, gradients: Sequence[Array], *, lr: float = 1e-2, mu: float = 0.9) -> Result:
    """Nesterov's two sequences: y is reached by a gradient step from the look-ahead point x."""
    ahead, y, before = x, x, x
    for g in gradients:
        before, y = y, ahead - lr * g
        ahead = y + mu * (y - before)
    return ahead, {"v": y - before}


def textbook_adagrad(x: Array, gradients: Sequence[Array], *, lr: float = 1e-2, eps: float = 1e-8) -> Result:
    """Duchi et al. 2011, diagonal, with eps beside the root."""
    total = np.zeros_like(x)
    for g in gradients:
        total += g**2
        x = x - lr / (eps + total**0.5) * g
    return x, {"cache": total}


def textbook_rmsprop(
    x: Array, gradients: Sequence[Array], *, lr: float = 1e-2, decay_rate: float = 0.99, eps: float = 1e-8
) -> Result:
    """Hinton 2012, slide 29, with eps beside the root."""
    mean_square = np.zeros_like(x)
    for g in gradients:
        mean_square = decay_rate * mean_square + (1 - decay_rate) * g**2
        x = x - lr / (eps + mean_square**0.5) * g
    return x, {"cache": mean_square}


def adam_no_bias_correction(
    x: Array,
    gradients: Sequence[Array],
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Result:
    """Kingma and Ba 2015, Algorithm 1 with m and v in place of their corrected forms."""
    m, v = np.zeros_like(x), np.zeros_like(x)
    for g in gradients:
        m += (1 - beta1) * (g - m)
        v += (1 - beta2) * (g**2 - v)
        x = x - lr / (eps + v**0.5) * m
    return x, {"m": m, "v": v}


REFERENCES: dict[str, Reference] = {
    "GradientDescent": gradient_descent,
    "MomentumSGD": momentum_sgd,
    "NesterovSGD": nesterov_sgd,
    "TextbookAdagrad": textbook_adagrad,
    "TextbookRMSprop": textbook_rmsprop,
    "AdamNoBiasCorrection": adam_no_bias_correction,
}
