"""Rules whose states have one number per row or column, for tests of the runtime: no optimizer of ours has these."""

from __future__ import annotations

import thetac
from thetac.runtime.optimizer import Optimizer

FACTORED = """
optimizer: Factored
summary: Second moments of rows and columns, as torch's Adafactor keeps them.
hyperparameters:
  lr: {default: 1e-2, tensor: true}
  beta2_decay: {default: -0.8, doc: how slowly moments change later}
  eps: {default: [none, 1e-3], names: [eps1, eps2], none: [epsilon(param), ""], doc: smallest moment and scale}
  d: {default: 1.0, doc: largest root of the mean square of an update}
  weight_decay: {default: 0.0}
complex: unsupported
half_precision: native
state:
  step: counter
  row_var: {init: zeros, shape: rows, when: rank(param) > 1}
  col_var: {init: zeros, shape: columns, when: rank(param) > 1}
  variance: {init: zeros, when: rank(param) <= 1}
update: |
  alpha = maximum(eps2, norm(param) / sqrt(size(param))) * minimum(lr, 1 / sqrt(step))
  if weight_decay != 0:
    param = param * (1 - lr * weight_decay)
  weight = step ** beta2_decay
  if rank(param) > 1:
    row_var = lerp(row_var, norm(grad, axis=-1) ** 2 / columns(param), weight)
    col_var = lerp(col_var, norm(grad, axis=-2) ** 2 / rows(param), weight)
    estimate = row_var * col_var / maximum(mean(row_var, axis=-2), eps1)
  else:
    variance = lerp(variance, grad * grad, weight)
    estimate = variance
  update = rsqrt(maximum(estimate, eps1 * eps1)) * grad
  param = param - alpha / maximum(1, norm(update) / (sqrt(size(param)) * d)) * update
"""
RULES = {"Factored": FACTORED}


def shaped(name: str) -> type[Optimizer]:
    """Return the class of one of these rules."""
    return thetac.load(RULES[name])
