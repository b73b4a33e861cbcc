"""Rules written by hand, for tests: torch's own, one that remembers nothing, and a few steps with them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.support.runtime_helpers import train
from thetac.runtime import GenericOptimizer


class HeavyBall(GenericOptimizer):
    """torch's SGD with momentum."""

    def __init__(self, params: object, lr: float | Tensor = 0.01, momentum: float = 0.9, **options: Any) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum}, **options)

    def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
        state["velocity"] = torch.zeros_like(param)

    def step_param(self, state: dict[str, Any], group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        state["velocity"].mul_(group["momentum"]).add_(grad)
        param.sub_(state["velocity"], alpha=float(group["lr"]))


class Moments(GenericOptimizer):
    """torch's Adam and AdamW."""

    def __init__(self, params: object, lr: float = 1e-3, **options: Any) -> None:
        super().__init__(params, {"lr": lr, "betas": (0.9, 0.999), "eps": 1e-8}, **options)

    def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(param)
        state["exp_avg_sq"] = torch.zeros_like(param)

    def step_param(self, state: dict[str, Any], group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        state["step"] += 1
        step, (beta1, beta2) = state["step"].item(), group["betas"]
        state["exp_avg"].lerp_(grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denom = (state["exp_avg_sq"].sqrt() / (1 - beta2**step) ** 0.5).add_(group["eps"])
        param.addcdiv_(state["exp_avg"], denom, value=-group["lr"] / (1 - beta1**step))


class Plain(GenericOptimizer):
    """A rule that remembers nothing."""

    def step_param(self, state: dict[str, Any], group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        param.sub_(grad, alpha=group["lr"])


def trained(optimizer: torch.optim.Optimizer, steps: int = 2) -> torch.optim.Optimizer:
    train(optimizer, steps)
    return optimizer
