"""Optimizers that estimate the diagonal of the Hessian, with random probes (Hutchinson's method).

In: gradients with a graph, or a closure. Out: the same step as without a driver, before which the piece `estimate` has
run: `grad` is there, for each element, its probe times that of the product of the Hessian with all probes. A probe is 1
or -1 at random, so that the mean of estimates is the diagonal. Must not know what a rule makes of an estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.optim.optimizer import ParamsT

from thetac.drivers import STEPS_TAKEN
from thetac.runtime.drivers.driven import Driven
from thetac.runtime.drivers.random_numbers import rademacher_like
from thetac.runtime.param_groups.shared_numbers import check_agreement
from thetac.runtime.param_groups.steps_taken import check_count

ESTIMATE = "estimate"


class Curvature(Driven):
    """An optimizer that estimates the diagonal of the Hessian in every step, or in every few."""

    _step_supports_amp_scaling = True  # so that a GradScaler calls `step`, which says what to do instead
    _why_not_traced = "a step that differentiates gradients"

    def __init__(self, params: ParamsT, defaults: Mapping[str, object]) -> None:
        super().__init__(params, {**defaults, STEPS_TAKEN: 0})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group, with as many steps as the others unless it says how many; see `Optimizer`."""
        if isinstance(param_group, dict):
            known = self.param_groups[0] if self.param_groups else self.defaults
            count = {STEPS_TAKEN: param_group.get(STEPS_TAKEN, known[STEPS_TAKEN])}
            check_count(self.schema, count, "a parameter group")
            param_group = {**param_group, **count}
        super().add_param_group(param_group)

    @_disable_dynamo
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Estimate the Hessian's diagonal in every `update_each`-th step, the first among them, and update.

        After an error in the closure or in the differentiation, parameters, state and counters are as they were.

        Args:
            closure: Evaluates the model and returns the loss, of which the gradients are taken here. Or it calls
                `backward(create_graph=True)` itself. Gradients are cleared before it runs.

        Returns:
            The loss; None without a closure.

        Raises:
            RuntimeError: In a step that estimates, a gradient has no graph; or a GradScaler calls it.
            ValueError: Groups differ in what decides about estimates.
        """
        self._refuse_scaler(
            "differentiates gradients, of which a GradScaler would scale the graph, too: use bfloat16 or float32, and "
            "step without the scaler"
        )
        self._check_can_step()
        check_agreement(self.schema, self.param_groups)
        taken: int = self.param_groups[0][STEPS_TAKEN]
        is_due = taken % self.param_groups[0]["update_each"] == 0
        loss, flat = (None, frozenset[int]()) if closure is None else self._evaluate(closure, is_due=is_due)
        if is_due:
            found = self.estimates(taken, flat)
            self._check_update()
            with self._gradients(found):
                self._pieces.run(ESTIMATE, self.param_groups, self.state)
        else:
            for param in self._params():
                _detach_gradient(param)
        self._step(None)
        if any(param.grad is not None for param in self._params()):
            for group in self.param_groups:
                group[STEPS_TAKEN] = taken + 1
        return loss

    def estimates(self, draw: int, flat: frozenset[int]) -> list[Tensor | None]:
        """Return an estimate of the Hessian's diagonal, and detach the gradients from their graph, which is freed.

        Args:
            draw: Which probes are used.
            flat: Numbers of parameters in which the loss is linear: their gradients need no graph.

        Returns:
            For each parameter, in order, a tensor like it; None where it has no gradient.

        Raises:
            RuntimeError: A gradient has no graph; or what autograd raises.
        """
        params, seed = self._params(), self.param_groups[0]["seed"]
        found = [None if param.grad is None else torch.zeros_like(param.grad) for param in params]
        having = [(at, one, one.grad) for at, one in enumerate(params) if one.grad is not None and at not in flat]
        for number, _, grad in having:
            if grad.grad_fn is None:
                raise RuntimeError(
                    f"Gradient tensor {number} does not have grad_fn. When calling loss.backward(), make sure the "
                    "option create_graph is set to True."
                )
        if having:
            with torch.no_grad():
                probes = [rademacher_like(param, seed, number, draw) for number, param, _ in having]
            products = torch.autograd.grad([grad for *_, grad in having], [param for _, param, _ in having], probes)
            for (number, *_), probe, product in zip(having, probes, products, strict=True):
                found[number] = probe.mul_(product)
        for param in params:
            _detach_gradient(param)
        return found

    def _evaluate(self, closure: Callable[[], Any], *, is_due: bool) -> tuple[Any, frozenset[int]]:
        """Run the closure, and take the gradients of the loss if it has not.

        Returns:
            The loss, and the numbers of the parameters in which it is linear, as far as that is known.
        """
        params = self._params()
        self.zero_grad()
        with torch.enable_grad():
            loss = closure()
            if any(one.grad is not None for one in params) or not isinstance(loss, Tensor) or not loss.requires_grad:
                return loss, frozenset()
            wanted = [(number, param) for number, param in enumerate(params) if param.requires_grad]
            found = torch.autograd.grad(loss, [one for _, one in wanted], create_graph=is_due, allow_unused=True)
        for (_, param), grad in zip(wanted, found, strict=True):
            param.grad = grad
        flat = (number for (number, _), grad in zip(wanted, found, strict=True) if grad is None or grad.grad_fn is None)
        return loss.detach(), frozenset(flat)

    def _params(self) -> list[Tensor]:
        return [param for group in self.param_groups for param in group["params"]]

    @contextmanager
    def _gradients(self, others: Sequence[Tensor | None]) -> Iterator[None]:
        """Let parameters have other gradients for a while."""
        params = self._params()
        own = [param.grad for param in params]
        try:
            for param, grad in zip(params, others, strict=True):
                param.grad = grad
            yield
        finally:
            for param, grad in zip(params, own, strict=True):
                param.grad = grad


def _detach_gradient(param: Tensor) -> None:
    """Take a gradient out of its graph, so that the graph is freed: it refers to the parameter, which refers to it."""
    if param.grad is not None and param.grad.grad_fn is not None:
        param.grad = param.grad.detach()
