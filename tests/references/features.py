"""Features that specs add to their rules, written a second time, from their sources: NumPy, float64, one parameter.

A step is that of the rule with the features around it: the gradient before weight decay, the update before it is
applied, the parameter at the end. The rules are stated here too, by the update that they subtract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Values = Mapping[str, float | str]


@dataclass
class Memory:
    """What a rule or a feature keeps of a parameter."""

    arrays: dict[str, Array] = field(default_factory=dict)
    step: int = 0


# Rules: from what they remember and the gradient after L2 decay, the update, lr included.


def adamw(memory: Memory, grad: Array, lr: float) -> Array:
    m = memory.arrays["m"] = 0.9 * memory.arrays.get("m", np.zeros_like(grad)) + 0.1 * grad
    v = memory.arrays["v"] = 0.999 * memory.arrays.get("v", np.zeros_like(grad)) + 0.001 * grad**2
    return lr * (m / (1 - 0.9**memory.step)) / (np.sqrt(v / (1 - 0.999**memory.step)) + 1e-8)


def lion(memory: Memory, grad: Array, lr: float) -> Array:
    m = memory.arrays.get("m", np.zeros_like(grad))
    memory.arrays["m"] = 0.99 * m + 0.01 * grad
    return lr * np.sign(0.9 * m + 0.1 * grad)


def sgd(memory: Memory, grad: Array, lr: float) -> Array:
    """With momentum 0.9, nesterov."""
    buffer = memory.arrays["b"] = 0.9 * memory.arrays["b"] + grad if "b" in memory.arrays else grad
    return lr * (grad + 0.9 * buffer)


@dataclass(frozen=True)
class Base:
    update: Callable[[Memory, Array, float], Array]
    lr: float
    decay: float
    coupled: bool
    arguments: Mapping[str, object]  # of the constructor


RULES = {
    "AdamW": Base(adamw, 1e-3, 0.1, False, {"lr": 1e-3, "weight_decay": 0.1}),
    "Lion": Base(lion, 1e-3, 0.1, False, {"lr": 1e-3, "weight_decay": 0.1}),
    "SGD": Base(sgd, 1e-2, 0.1, True, {"lr": 1e-2, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
}


# Features: what they do at one place of a step, with the values that they are given.


def unit_norms(values: Array) -> Array:
    """Return the norm of what belongs to one index of the first axis, or of all; timm/utils/agc.py, unitwise_norm."""
    if values.ndim <= 1:
        return np.asarray(np.sqrt(np.sum(values**2)))
    norms = np.sqrt(np.sum(values**2, axis=tuple(range(1, values.ndim)), keepdims=True))
    return np.asarray(norms)


def agc(memory: Memory, grad: Array, param: Array, clip: float = 0.01, eps: float = 1e-3) -> Array:
    """timm/utils/agc.py, adaptive_clip_grad."""
    most, length = np.maximum(unit_norms(param), eps) * clip, unit_norms(grad)
    return np.where(length < most, grad, grad * (most / np.maximum(length, 1e-6)))


def centralization(memory: Memory, grad: Array, param: Array) -> Array:
    """Yonghongwei/Gradient-Centralization, centralized_gradient."""
    return grad - grad.mean(axis=tuple(range(1, grad.ndim)), keepdims=True) if grad.ndim > 1 else grad


def grokfast(memory: Memory, grad: Array, param: Array, alpha: float = 0.98, lamb: float = 2.0) -> Array:
    """ironjr/grokfast, gradfilter_ema."""
    slow = memory.arrays["slow"] = alpha * memory.arrays.get("slow", grad) + (1 - alpha) * grad
    return grad + lamb * slow


def cautious(
    memory: Memory,
    update: Array,
    grad: Array,
    lr: float,
    param: Array,
    normalization: str = "mean",
    least: float = 1e-3,
) -> Array:
    """kyleliang919/C-Optim: c_adamw divides by the mean, c_lion counts; heavyball compares sign bits."""
    mask = (update * grad > 0).astype(np.float64)
    match normalization:
        case "mean":
            return update * mask / max(mask.mean(), least)
        case "count":
            return update * (mask * (mask.size / (mask.sum() + 1)))
        case "signs":
            mask = (np.signbit(update) == np.signbit(grad)).astype(np.float64)
            return update * mask * (mask.size / max(mask.sum(), 1))
        case _:
            return update * mask


def update_clipping(
    memory: Memory, update: Array, grad: Array, lr: float, param: Array, threshold: float = 1.0
) -> Array:
    """arXiv:1804.04235, section 6: U / max(1, RMS(U) / d), before the rate multiplies it."""
    direction = update / lr
    return lr * direction / max(1.0, float(np.sqrt(np.mean(direction**2))) / threshold)


def trust_ratio(
    memory: Memory,
    update: Array,
    grad: Array,
    lr: float,
    param: Array,
    coefficient: float = 1.0,
    limit: float = np.inf,
) -> Array:
    """arXiv:1904.00962, the ratio of LAMB; LARS has a coefficient, timm's trust_clip a limit."""
    length, move = np.sqrt(np.sum(param**2)), np.sqrt(np.sum((update / lr) ** 2))
    return update * min(coefficient * length / move, limit) if length > 0 and move > 0 else update


def lookahead(memory: Memory, param: Array, before: Array, k: int = 5, alpha: float = 0.8) -> Array:
    """michaelrzhang/lookahead; the slow weights begin as the parameter before the first step."""
    slow = memory.arrays.setdefault("slow", before)
    if memory.step % k == 0:
        param = memory.arrays["slow"] = alpha * param + (1 - alpha) * slow
    return param


def ema(memory: Memory, param: Array, before: Array, decay: float = 0.999) -> Array:
    """torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn: the first update copies."""
    average = memory.arrays.get("average")
    memory.arrays["average"] = param if average is None else decay * average + (1 - decay) * param
    return param


ON_GRADIENT = {"agc": agc, "centralization": centralization, "grokfast": grokfast}
ON_UPDATE = {"cautious": cautious, "update_clipping": update_clipping, "trust_ratio": trust_ratio}
ON_PARAM = {"lookahead": lookahead, "ema": ema}
ORDER = (*ON_GRADIENT, *ON_UPDATE, *ON_PARAM)


def trained(
    rule: str, features: Mapping[str, Values], param: Array, grads: Sequence[Array]
) -> tuple[Array, dict[str, Memory]]:
    """Return the parameter after a step for each gradient, and what the features remember then."""
    base, memories = RULES[rule], {name: Memory() for name in ("rule", *ORDER)}
    for grad in grads:
        for memory in memories.values():
            memory.step += 1
        before = param
        for name in (n for n in ON_GRADIENT if n in features):
            grad = ON_GRADIENT[name](memories[name], grad, param, **features[name])  # type: ignore[arg-type]
        if base.coupled:
            grad = grad + base.decay * param
        else:
            param = param * (1 - base.lr * base.decay)
        update = base.update(memories["rule"], grad, base.lr)
        for name in (n for n in ON_UPDATE if n in features):
            update = ON_UPDATE[name](memories[name], update, grad, base.lr, param, **features[name])
        param = param - update
        for name in (n for n in ON_PARAM if n in features):
            param = ON_PARAM[name](memories[name], param, before, **features[name])  # type: ignore[operator]
    return param, memories
