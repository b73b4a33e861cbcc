"""The oracles of rules that take the gradient at a point nearby: the authors' ascent around torch's SGD.

The authors' classes wrap any optimizer of torch's. Written again from their sources is the way to the point and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.oracles.oracle import Steps
from tests.references.algorithms.forms import Array, Memory, Result
from tests.references.torch_inputs import Settings

Ascent = Callable[[list[Tensor], Settings], None]  # moves parameters that have gradients


def ascend_sam(params: list[Tensor], settings: Settings) -> None:
    """davda54/sam, sam.py: first_step and _grad_norm."""
    rho, adaptive = float(settings.get("rho", 0.05)), settings.get("adaptive", False)  # type: ignore[arg-type]
    norms = [((param.abs() if adaptive else 1.0) * param.grad).norm(p=2) for param in params]  # type: ignore[operator]
    scale = rho / (torch.stack(norms).norm(p=2) + 1e-12)
    for param in params:
        param.add_((param.pow(2) if adaptive else 1.0) * param.grad * scale)


def ascend_asam(params: list[Tensor], settings: Settings) -> None:
    """SamsungLabs/ASAM, asam.py: ascent_step; `scaled` says what names of parameters say there."""
    rho, eta = float(settings.get("rho", 0.5)), float(settings.get("eta", 0.01))  # type: ignore[arg-type]
    weights = [param.abs() + eta if settings.get("scaled", True) else torch.ones_like(param) for param in params]
    norms = [(param.grad * weight).norm(p=2) for param, weight in zip(params, weights, strict=True)]  # type: ignore[operator]
    norm = torch.stack(norms).norm(p=2) + 1.0e-16
    for param, weight in zip(params, weights, strict=True):
        assert param.grad is not None
        param.add_(param.grad * weight * weight * (rho / norm))


OWN = ("rho", "adaptive", "eta", "scaled")  # the settings that are not SGD's


@dataclass(frozen=True, slots=True)
class Sharpness:
    """An ascent around torch's SGD."""

    ascend: Ascent
    label: str
    late: str = ""
    undefined: Callable[[Settings], bool] = lambda settings: False

    def start(self, parameters: Sequence[Tensor], settings: Settings) -> Steps:
        """Return the optimizer."""
        return Ascending(parameters, settings, self.ascend)

    def reference(self, x: Array, gradients: Sequence[Array], **settings: object) -> Result:
        """Return the last point and the momentum, where gradients do not depend on the point."""
        parameter = torch.tensor(x)
        optimizer = Ascending([parameter], settings, self.ascend)  # type: ignore[arg-type]
        for gradient in gradients:
            parameter.grad = torch.tensor(gradient)
            optimizer.step(lambda: 0.0)
        kept = optimizer.base.state[parameter].get("momentum_buffer")
        memory: Memory = {} if kept is None else {"momentum_buffer": kept.numpy()}
        return parameter.numpy(), memory


class Ascending:
    """Evaluates where the parameters are, ascends, evaluates, goes back, and takes the step of SGD."""

    needs_closure = True

    def __init__(self, parameters: Sequence[Tensor], settings: Settings, ascend: Ascent) -> None:
        self._settings, self._ascend = settings, ascend
        own = {key: value for key, value in settings.items() if key not in OWN}
        self.base = torch.optim.SGD(parameters, **own, foreach=False)  # type: ignore[arg-type]
        self.param_groups = self.base.param_groups

    def step(self, closure: Callable[[], float]) -> None:
        closure()
        params = [param for group in self.param_groups for param in group["params"] if param.grad is not None]
        before = [param.clone() for param in params]
        self._ascend(params, self._settings)
        closure()
        for param, value in zip(params, before, strict=True):
            param.copy_(value)
        self.base.step()
