"""Optimizers that take the gradient at another point than the one that they update.

In: a closure. Out: the same step as without a driver, from the gradient at the point to which `perturb` moves the
parameters. They are copied before, and restored from the copy, to the bit and in their own memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.amp.grad_scaler import GradScaler
from torch.optim.optimizer import StateDict

from thetac.runtime.drivers.driven import Driven
from thetac.runtime.drivers.pieces import missing_closure
from thetac.runtime.implementations.copy_cpp import copy_tensors
from thetac.runtime.tensor_facts.dtensors import get_local

PERTURB = "perturb"


class TwoPoint(Driven):
    """An optimizer that evaluates twice in every step: where the parameters are, and where `perturb` takes them."""

    _step_supports_amp_scaling = True  # so that a GradScaler calls `step`, which says what to do instead
    _why_not_traced = "a step that evaluates its closure twice"
    _copies: Copies | None = None  # made at the first step, and never pickled
    _is_second = False  # whether the step that runs is the second half of one
    _second: SecondStep | None = None  # what a GradScaler knows the second half by, until its `update`

    @_disable_dynamo
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Evaluate, perturb, evaluate, restore, and update from the second gradient.

        After an error in the closure or in a check, parameters, state and counters are as they were.

        Args:
            closure: Clears the gradients, evaluates the model, calls `backward` and returns the loss. It runs twice.

        Returns:
            The loss of the first evaluation.

        Raises:
            TypeError: There is no closure.
            RuntimeError: A GradScaler calls it, or `first_step` was called before.
        """
        if self._is_second:
            self.restore()
            return self._step(None)
        self._refuse_scaler(
            "evaluates twice in a step, so scaler.step(optimizer) cannot run it: call optimizer.first_step() after "
            "scaler.unscale_(optimizer), and optimizer.second_step(scaler) after the second backward"
        )
        if closure is None:
            raise missing_closure(self)
        self._check_can_step()
        self._refuse_if_perturbed("step")
        with torch.enable_grad():
            loss = closure()
        self.first_step()
        try:
            self.zero_grad()
            with torch.enable_grad():
                closure()
        finally:
            self.restore()
        self._step(None)
        return loss

    @_disable_dynamo
    def first_step(self) -> None:
        """Perturb the parameters along the gradients that there are.

        For training loops that evaluate by themselves, such as those with a GradScaler: first the gradients, unscaled,
        then `first_step()`, `zero_grad()`, the gradients once more, and `second_step()`.

        Raises:
            RuntimeError: It was called before, without `second_step`; or what a step raises for these gradients.
        """
        self._check_can_step()
        self._refuse_if_perturbed("first_step")
        if self._copies is None:
            self._copies = Copies()
        self._copies.take([param for group in self.param_groups for param in group["params"]])
        try:
            with _not_differentiable(self.param_groups):
                self._pieces.run(PERTURB, self.param_groups, self.state)
        except BaseException:
            self.restore()
            raise

    def second_step(self, scaler: GradScaler | None = None) -> None:
        """Restore the parameters, and update them from the gradients that there are. Hooks of `step` run around it.

        Args:
            scaler: The GradScaler that has scaled the loss of the second evaluation. It unscales the gradients, and
                skips the update where one is infinite or NaN; parameters are restored all the same.

        Raises:
            RuntimeError: It does not come after `first_step`; or what a step raises.
        """
        if not self._is_perturbed():
            raise RuntimeError(f"{type(self).__name__}: second_step comes after first_step")
        if scaler is None:
            self._run_second_half()
        else:
            self._second = SecondStep(self)
            scaler.step(self._second)  # type: ignore[arg-type]  # it asks for nothing else of an optimizer

    def restore(self) -> None:
        """Give the parameters the values that they had before `first_step`; without it, do nothing."""
        if self._copies is not None:
            self._copies.put_back()

    def state_dict(self) -> StateDict:
        """Return the state as `torch.optim.Optimizer.state_dict` does; raise RuntimeError while it is perturbed."""
        self._refuse_if_perturbed("state_dict")
        return super().state_dict()

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Take over a checkpoint as other optimizers do; raise RuntimeError while parameters are perturbed."""
        self._refuse_if_perturbed("load_state_dict")
        super().load_state_dict(state_dict)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled or copied; raise RuntimeError while parameters are perturbed."""
        self._refuse_if_perturbed("pickle")
        return super().__getstate__()

    def _run_second_half(self) -> None:
        self._is_second = True
        try:
            self.step()
        finally:
            self._is_second = False

    def _is_perturbed(self) -> bool:
        return self._copies is not None and self._copies.are_taken

    def _refuse_if_perturbed(self, what: str) -> None:
        if self._is_perturbed():
            raise RuntimeError(
                f"{type(self).__name__}: {what} comes before first_step or after second_step, which restores the "
                "parameters; restore() does it without an update"
            )


class SecondStep:
    """The second half of a step, as an optimizer of its own: a GradScaler unscales gradients once per optimizer."""

    _step_supports_amp_scaling = True
    grad_scale: Tensor | None  # both are there while a scaler calls `step`, unless it is disabled
    found_inf: Tensor | None

    def __init__(self, optimizer: TwoPoint) -> None:
        self._optimizer = optimizer
        self.param_groups = optimizer.param_groups

    def step(self) -> None:
        """Do it with the scale that the scaler has put here."""
        one: Any = self._optimizer
        one.grad_scale, one.found_inf = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        try:
            one._run_second_half()
        finally:
            del one.grad_scale, one.found_inf


class Copies:
    """Copies of parameters, in buffers that are used again: new memory would cost more than the copying."""

    def __init__(self) -> None:
        self._buffers: list[Tensor | None] = []  # one for each parameter that has had a gradient
        self._taken: list[tuple[Tensor, Tensor]] = []  # local parts of parameters, and their copies

    @property
    def are_taken(self) -> bool:
        """Whether there are copies that have not been put back."""
        return bool(self._taken)

    def take(self, params: list[Tensor]) -> None:
        """Copy the parameters that have gradients."""
        del self._buffers[len(params) :]
        self._buffers += [None] * (len(params) - len(self._buffers))
        taken: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for index, param in enumerate(params):
                if param.grad is not None:
                    local = get_local(param.detach())
                    taken.append((local, self._buffer(index, local)))
            copy_tensors([copy for _, copy in taken], [local for local, _ in taken])
        self._taken = taken

    def put_back(self) -> None:
        """Write the copies into the parameters, if there are any."""
        if self._taken:
            with torch.no_grad():
                copy_tensors([local for local, _ in self._taken], [copy for _, copy in self._taken])
            self._taken = []

    def _buffer(self, index: int, local: Tensor) -> Tensor:
        buffer = self._buffers[index]
        if buffer is None or _form(buffer) != _form(local):
            buffer = self._buffers[index] = torch.empty_like(local)
        return buffer


def _form(tensor: Tensor) -> tuple[object, ...]:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device


@contextmanager
def _not_differentiable(groups: list[dict[str, Any]]) -> Iterator[None]:
    """Let autograd not record steps for a while: what is restored is no function of anything."""
    changed = [group for group in groups if group.get("differentiable")]
    for group in changed:
        group["differentiable"] = False
    try:
        yield
    finally:
        for group in changed:
            group["differentiable"] = True
