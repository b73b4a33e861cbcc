"""The oracles of rules that know the Hessian's diagonal: the authors' code, written again in torch's operations.

Their estimates come from autograd, as in their code, with the same random signs that ours draws; or, where gradients do
not depend on the point, estimates are these gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.oracles.oracle import Steps
from tests.references.algorithms.forms import Array, Memory, Result
from tests.references.torch_inputs import Settings
from thetac.runtime.drivers.random_numbers import rademacher_like

State = dict[str, Any]  # of one parameter
Estimate = Callable[[State, Tensor, Settings], None]  # from an estimate of the Hessian's diagonal, or from a gradient
Update = Callable[[State, Tensor, Tensor, float, Settings], None]  # of a parameter, from its gradient and lr


def estimate_adahessian(state: State, diagonal: Tensor, settings: Settings) -> None:
    """amirgholami/adahessian, optim_adahessian.py, get_trace and step."""
    size = diagonal.abs()
    trace = size.mean(dim=(2, 3), keepdim=True) if size.dim() == 4 else size
    _, beta2 = settings.get("betas", (0.9, 0.999))  # type: ignore[misc]
    state["exp_hessian_diag_sq"].mul_(beta2).add_((1 - beta2) * trace * trace)


def update_adahessian(state: State, param: Tensor, grad: Tensor, lr: float, settings: Settings) -> None:
    """amirgholami/adahessian, optim_adahessian.py, step."""
    beta1, beta2 = settings.get("betas", (0.9, 0.999))  # type: ignore[misc]
    power, step = settings.get("hessian_power", 1), state["step"]
    state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
    root = state["exp_hessian_diag_sq"].sqrt() ** power / math.sqrt(1 - beta2**step) ** power  # type: ignore[operator]
    direction = state["exp_avg"] / (1 - beta1**step) / (root + settings.get("eps", 1e-4))
    param.sub_(lr * (direction + settings.get("weight_decay", 0) * param))


def estimate_sophia_h(state: State, diagonal: Tensor, settings: Settings) -> None:
    """Liuhong99/Sophia at 01af183, sophia.py, SophiaH.update_hessian."""
    _, beta2 = settings.get("betas", (0.9, 0.99))  # type: ignore[misc]
    state["hessian"].mul_(beta2).add_(diagonal, alpha=1 - beta2)


def update_sophia_h(state: State, param: Tensor, grad: Tensor, lr: float, settings: Settings) -> None:
    """Liuhong99/Sophia at 01af183, sophia.py, _single_tensor_sophiah."""
    beta1, _ = settings.get("betas", (0.9, 0.99))  # type: ignore[misc]
    param.mul_(1 - lr * settings.get("weight_decay", 1e-2))  # type: ignore[operator]
    state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
    size = settings.get("gamma", 10) * state["hessian"].relu() + 1e-12
    ratio = (state["exp_avg"].abs() / size).clamp(None, 1)
    param.add_(state["exp_avg"].sign() * ratio, alpha=-lr / (1 - beta1 ** state["step"]))


def estimate_sophia_g(state: State, grad: Tensor, settings: Settings) -> None:
    """Liuhong99/Sophia, sophia.py, SophiaG.update_hessian: from the gradient of sampled labels."""
    _, beta2 = settings.get("betas", (0.965, 0.99))  # type: ignore[misc]
    state["hessian"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)


def update_sophia_g(state: State, param: Tensor, grad: Tensor, lr: float, settings: Settings) -> None:
    """Liuhong99/Sophia, sophia.py, _single_tensor_sophiag."""
    beta1, _ = settings.get("betas", (0.965, 0.99))  # type: ignore[misc]
    param.mul_(1 - lr * settings.get("weight_decay", 0.1))  # type: ignore[operator]
    state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
    size = settings.get("rho", 0.04) * settings.get("bs", 5120) * state["hessian"] + 1e-15  # type: ignore[operator]
    param.addcmul_(state["exp_avg"].sign(), (state["exp_avg"].abs() / size).clamp(None, 1), value=-lr)


@dataclass(frozen=True, slots=True)
class Curved:
    """A rule that estimates in every `update_each`-th step; 0: only where it is asked to."""

    label: str
    estimate: Estimate
    update: Update
    tensors: tuple[str, ...]
    lr: float
    update_each: int
    late: str = ""
    undefined: Callable[[Settings], bool] = lambda settings: False

    def start(self, parameters: Sequence[Tensor], settings: Settings) -> Steps:
        """Return the optimizer."""
        return Curving(self, parameters, settings)

    def reference(self, x: Array, gradients: Sequence[Array], **settings: object) -> Result:
        """Return the last point and the states, where estimates are the gradients."""
        parameter = torch.tensor(x)
        optimizer = Curving(self, [parameter], settings)  # type: ignore[arg-type]
        for gradient in gradients:
            parameter.grad = torch.tensor(gradient)
            optimizer.finish([parameter.grad] if optimizer.is_due else None)
        memory: Memory = {name: optimizer.states[0][name].numpy() for name in self.tensors}
        return parameter.numpy(), memory


class Curving:
    """The steps of one."""

    def __init__(self, rule: Curved, parameters: Sequence[Tensor], settings: Settings) -> None:
        self._rule, self._settings, self._parameters = rule, settings, parameters
        self._every = int(settings.get("update_each", rule.update_each))  # type: ignore[call-overload]
        self._taken = 0
        self.differentiates = rule.update_each > 0
        self.param_groups: list[dict[str, Any]] = [{"lr": float(settings.get("lr", rule.lr))}]  # type: ignore[arg-type]
        self.states: list[State] = [
            {"step": 0, **{name: torch.zeros_like(one, requires_grad=False) for name in rule.tensors}}
            for one in parameters
        ]

    @property
    def is_due(self) -> bool:
        return self._every > 0 and self._taken % self._every == 0

    def step(self, closure: Callable[[], Tensor] | None = None) -> None:
        """Estimate with probes, where it is due, and update; without a closure, do not estimate."""
        diagonals: list[Tensor | None] | None = None
        if closure is not None:
            having = [(at, one) for at, one in enumerate(self._parameters)]
            loss = closure()
            grads = torch.autograd.grad(loss, [one for _, one in having], create_graph=True, allow_unused=True)
            diagonals = [None] * len(having)
            seed = int(self._settings.get("seed", 0))  # type: ignore[call-overload]
            used = [(at, one, grad) for (at, one), grad in zip(having, grads, strict=True) if grad is not None]
            probes = [rademacher_like(one.detach(), seed, at, self._taken) for at, one, _ in used]
            products = torch.autograd.grad([grad for *_, grad in used], [one for _, one, _ in used], probes)
            for (at, one, grad), probe, product in zip(used, probes, products, strict=True):
                diagonals[at], one.grad = probe * product, grad.detach()
        self.finish(diagonals if self.is_due else None)

    def update_hessian(self) -> None:
        """Estimate from the gradients that there are."""
        for one, state in zip(self._parameters, self.states, strict=True):
            if one.grad is not None:
                self._rule.estimate(state, one.grad, self._settings)

    @torch.no_grad()
    def finish(self, diagonals: Sequence[Tensor | None] | None) -> None:
        lr = float(self.param_groups[0]["lr"])
        for at, (one, state) in enumerate(zip(self._parameters, self.states, strict=True)):
            if one.grad is None:
                continue
            state["step"] += 1
            if diagonals is not None and (diagonal := diagonals[at]) is not None:
                self._rule.estimate(state, diagonal, self._settings)
            sign = -1 if self._settings.get("maximize") else 1
            self._rule.update(state, one, sign * one.grad, lr, self._settings)
        self._taken += 1


CURVED = {
    "AdaHessian": Curved(
        "transcription of amirgholami/adahessian",
        estimate_adahessian,
        update_adahessian,
        ("exp_avg", "exp_hessian_diag_sq"),
        0.15,
        1,
    ),
    "SophiaH": Curved(
        "transcription of Liuhong99/Sophia", estimate_sophia_h, update_sophia_h, ("exp_avg", "hessian"), 1e-3, 10
    ),
    "SophiaG": Curved(
        "transcription of Liuhong99/Sophia", estimate_sophia_g, update_sophia_g, ("exp_avg", "hessian"), 1e-4, 0
    ),
}
