"""Optimizers that look at whole tensors, written by hand in torch's list operations: what a careful user would write.

In: parameters, as for any optimizer. Out: updated parameters. They are fast rather than complete: one group, no
options. torch has none of these, and the libraries that have them loop over tensors.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class _ByHand(torch.optim.Optimizer):
    """Keeps state as lists, in the order of the parameters."""

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float, **values: float) -> None:
        super().__init__(params, {"lr": lr, **values})
        self.params: list[Tensor] = list(self.param_groups[0]["params"])
        self.steps = 0

    def zeros(self) -> list[Tensor]:
        """Return a new state like the parameters."""
        return [torch.zeros_like(param) for param in self.params]

    def value(self, name: str) -> float:
        """Return a hyperparameter."""
        return float(self.param_groups[0][name])

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all parameters."""
        self.steps += 1
        self.update(self.params, [param.grad for param in self.params if param.grad is not None])

    def update(self, params: list[Tensor], grads: list[Tensor]) -> None:
        """Update all parameters from their gradients."""
        raise NotImplementedError


def _ratios(numerators: list[Tensor], denominators: list[Tensor]) -> list[Tensor]:
    """Return quotients of norms, 1 where one of the two is 0."""
    above, below = torch.stack(numerators), torch.stack(denominators)
    return list(torch.where((above > 0) & (below > 0), above / below, 1.0).unbind())


class LAMB(_ByHand):
    """You et al., as its authors' code has it: no bias correction."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
        self.exp_avgs, self.exp_avg_sqs = self.zeros(), self.zeros()

    def update(self, params: list[Tensor], grads: list[Tensor]) -> None:
        """See `_ByHand`."""
        beta2 = self.value("beta2")
        torch._foreach_lerp_(self.exp_avgs, grads, 1 - self.value("beta1"))
        torch._foreach_mul_(self.exp_avg_sqs, beta2)
        torch._foreach_addcmul_(self.exp_avg_sqs, grads, grads, 1 - beta2)
        directions = torch._foreach_sqrt(self.exp_avg_sqs)
        torch._foreach_add_(directions, self.value("eps"))
        directions = torch._foreach_div(self.exp_avgs, directions)
        torch._foreach_add_(directions, params, alpha=self.value("weight_decay"))
        trust = _ratios(list(torch._foreach_norm(params)), list(torch._foreach_norm(directions)))
        torch._foreach_mul_(directions, trust)
        torch._foreach_add_(params, directions, alpha=-self.value("lr"))


class LARS(_ByHand):
    """You et al., as in timm."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.01,
        trust_coeff: float = 0.001,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, trust_coeff=trust_coeff, eps=eps)
        self.buffers = self.zeros()

    def update(self, params: list[Tensor], grads: list[Tensor]) -> None:
        """See `_ByHand`."""
        decay = self.value("weight_decay")
        of_params, of_grads = (torch.stack(list(torch._foreach_norm(tensors))) for tensors in (params, grads))
        ratios = self.value("trust_coeff") * of_params / (of_grads + decay * of_params + self.value("eps"))
        ratios = torch.where((of_params > 0) & (of_grads > 0), ratios, 1.0)
        directions = torch._foreach_add(grads, params, alpha=decay)
        torch._foreach_mul_(directions, list(ratios.unbind()))
        torch._foreach_mul_(self.buffers, self.value("momentum"))
        torch._foreach_add_(self.buffers, directions)
        torch._foreach_add_(params, self.buffers, alpha=-self.value("lr"))


class StableAdamW(_ByHand):
    """Wortsman et al., as in torch-optimi."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.99,
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
        self.exp_avgs, self.exp_avg_sqs = self.zeros(), self.zeros()

    def update(self, params: list[Tensor], grads: list[Tensor]) -> None:
        """See `_ByHand`."""
        step, eps = self.steps, self.value("eps")
        beta1, beta2 = (
            beta * (1 - beta ** (step - 1)) / (1 - beta**step) for beta in map(self.value, ("beta1", "beta2"))
        )
        torch._foreach_lerp_(self.exp_avgs, grads, 1 - beta1)
        torch._foreach_mul_(self.exp_avg_sqs, beta2)
        torch._foreach_addcmul_(self.exp_avg_sqs, grads, grads, 1 - beta2)
        roots = torch._foreach_sqrt(torch._foreach_clamp_min(self.exp_avg_sqs, eps**2))
        norms = torch.stack(list(torch._foreach_norm(torch._foreach_div(grads, roots))))
        rms = norms / torch.tensor([param.numel() for param in params], dtype=norms.dtype).sqrt()
        rates = self.value("lr") / rms.clamp(min=1.0)
        torch._foreach_mul_(params, list((1 - self.value("weight_decay") * rates).unbind()))
        denominators = torch._foreach_sqrt(self.exp_avg_sqs)
        torch._foreach_add_(denominators, eps)
        directions = torch._foreach_div(self.exp_avgs, denominators)
        torch._foreach_mul_(directions, list(rates.unbind()))
        torch._foreach_sub_(params, directions)


class NovoGrad(_ByHand):
    """Ginsburg et al., as in their code: one second moment per tensor."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float = 1.0,
        beta1: float = 0.95,
        beta2: float = 0.98,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
        self.buffers = self.zeros()
        self.second: Tensor | None = None

    def update(self, params: list[Tensor], grads: list[Tensor]) -> None:
        """See `_ByHand`."""
        squares = torch.stack(list(torch._foreach_norm(grads))) ** 2
        self.second = squares if self.second is None else self.second.lerp_(squares, 1 - self.value("beta2"))
        directions = torch._foreach_mul(grads, list((self.second + self.value("eps")).rsqrt().unbind()))
        if decay := self.value("weight_decay"):
            torch._foreach_add_(directions, params, alpha=decay)
        torch._foreach_mul_(self.buffers, self.value("beta1"))
        torch._foreach_add_(self.buffers, directions)
        torch._foreach_add_(params, self.buffers, alpha=-self.value("lr"))
