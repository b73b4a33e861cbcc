"""Gradients for optimizers that take sparse ones alone: the same numbers, with every row stored.

Tests that run over all optimizers give dense gradients. What such an optimizer does with a gradient that stores all
rows is what its rule says of a dense one, so everything that these tests ask holds of it, too. Hooks, which torch runs
around each step, make the one of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

import thetac
from tests.references.torch_inputs import optimizer_info


def takes_sparse_alone(name: str) -> bool:
    """Return whether an optimizer, ours or as `torch.NAME` torch's, takes no dense gradients."""
    if name.startswith("torch."):
        return bool(optimizer_info(name.removeprefix("torch.")).only_supports_sparse_grads)
    return name in thetac.generated.__all__ and bool(getattr(thetac, name).schema.dense_error)


def with_every_row(grad: Tensor) -> Tensor:
    """Return a sparse gradient that stores every row of a dense one: what belongs to an index of its first axis."""
    if grad.dim() == 0:
        indices, values = torch.zeros((0, 1), dtype=torch.int64), grad.unsqueeze(0)
    else:
        indices, values = torch.arange(len(grad)).unsqueeze(0), grad
    made = torch.sparse_coo_tensor(indices, values, grad.shape, check_invariants=True)
    return made._coalesced_(True)


class _Sparse:
    """Makes the gradients of a step sparse before it, and puts the dense ones back after it: they share memory."""

    def __init__(self) -> None:
        self._dense: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = {}  # by id of the optimizer

    def before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        if not takes_sparse_alone(_name_of(optimizer)):
            return None
        self._dense[id(optimizer)] = []
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._make_sparse(optimizer)
            return None

        def closed() -> Any:
            loss = closure()
            self._make_sparse(optimizer)
            return loss

        return (args[0], closed), {}

    def _make_sparse(self, optimizer: Optimizer) -> None:
        replaced = self._dense[id(optimizer)]
        for group in optimizer.param_groups:
            for param in group["params"]:
                if (grad := param.grad) is not None and not grad.is_sparse:
                    param.grad = with_every_row(grad)
                    replaced.append((param, param.grad, grad))

    def after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for param, sparse, dense in self._dense.pop(id(optimizer), []):
            if param.grad is sparse:
                param.grad = dense


def _name_of(optimizer: Optimizer) -> str:
    cls = type(optimizer)
    return f"torch.{cls.__name__}" if cls.__module__.startswith("torch.optim") else cls.__name__


@contextmanager
def as_sparse_for(name: str) -> Iterator[None]:
    """Let steps make dense gradients sparse where an optimizer of this name needs it; do nothing for any other."""
    if not takes_sparse_alone(name.removeprefix("torch.")):
        yield
        return
    sparse = _Sparse()
    handles = (register_optimizer_step_pre_hook(sparse.before), register_optimizer_step_post_hook(sparse.after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
