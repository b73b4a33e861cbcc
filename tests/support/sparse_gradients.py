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

_NO_OPTIONS = "torch's SparseAdam has none of the options of implementations"
_NO_SPARSE = "torch makes no sparse tensors of such gradients"
_OTHERWISE = "tests/runtime/implementations/test_sparse_rows.py tries the same with rows"

# Tests of all optimizers that have no meaning for one that takes sparse gradients alone, and why.
EXCEPTIONS = {
    "test_a_checkpoint_of_torch_goes_on_in_ours": f"{_NO_OPTIONS}; {_OTHERWISE}",
    "test_a_checkpoint_of_a_float32_model_goes_on_in_a_bfloat16_model": f"{_NO_OPTIONS}; {_OTHERWISE}",
    "test_options_that_torch_does_not_have_are_kept_where_torchs_checkpoint_is_loaded": _NO_OPTIONS,
    "test_flags_and_numbers_follow_the_checkpoint": _NO_OPTIONS,
    "test_add_param_group": _NO_OPTIONS,
    "test_zero_grad": _NO_OPTIONS,
    "test_what_the_scaler_refuses": _NO_OPTIONS,
    "test_the_host_reads_nothing": "no kernels of a GPU take sparse gradients",
    "test_what_kernels_cannot_take_computes_in_the_wider_dtype_too": "its controls have gradients of other dtypes",
    "test_mixed_devices": _NO_SPARSE,
    "test_a_step_is_the_same_under_any_defaults": _NO_SPARSE,
    "test_steps_of_fake_tensors": _NO_SPARSE,
    "test_the_whole_step_in_one_graph": "torch.compile traces no sparse gradients",
    "test_the_graph_of_a_step_replays": "traces have no sparse gradients",
    "test_a_mode_that_counts_sees_every_step": "the operator for kernels takes dense gradients alone",
    "test_hooks_of_a_step_run_in_torchs_order": "it counts hooks, and these make the gradients sparse",
    "test_every_optimizer_trains_data_parallel": "torch's DTensors and buckets of gradients are dense",
    "test_every_optimizer_trains_fully_sharded": "torch's DTensors and buckets of gradients are dense",
    "test_every_optimizer_under_zero": "its processes know nothing of these hooks",
    "test_sharded_checkpoints_of_every_optimizer": "torch's DTensors and buckets of gradients are dense",
    "test_for_loop_and_torchs": f"programs have complex parameters, and tensors as counters; {_OTHERWISE}",
    "test_foreach_and_for_loop": f"programs have complex parameters, and tensors as counters; {_OTHERWISE}",
    "test_fused_and_for_loop": f"programs have complex parameters, and tensors as counters; {_OTHERWISE}",
}


def is_exception(test: str, name: object) -> bool:
    """Return whether a test function has no meaning for an optimizer."""
    return test in EXCEPTIONS and isinstance(name, str) and takes_sparse_alone(name.removeprefix("torch."))


def served_by(name: str, implementation: str) -> str:
    """Return what runs where an implementation is asked for: foreach takes no sparse gradients."""
    return "for-loop" if implementation == "foreach" and takes_sparse_alone(name) else implementation


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
    return torch.sparse_coo_tensor(indices, values, grad.shape, check_invariants=True, is_coalesced=True)


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
