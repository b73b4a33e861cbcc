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


def grokfast(memory: Memory, grad: Array, alpha: float = 0.98, lamb: float = 2.0) -> Array:
    """ironjr/grokfast, gradfilter_ema."""
    slow = memory.arrays["slow"] = alpha * memory.arrays.get("slow", grad) + (1 - alpha) * grad
    return grad + lamb * slow


def cautious(memory: Memory, update: Array, grad: Array, lr: float, param: Array) -> Array:
    """kyleliang919/C-Optim, without a scale."""
    return update * (update * grad > 0)


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


ON_GRADIENT = {"grokfast": grokfast}
ON_UPDATE = {"cautious": cautious}
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
            grad = ON_GRADIENT[name](memories[name], grad, **features[name])  # type: ignore[arg-type]
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
