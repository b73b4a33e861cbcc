"""Steps on whole DTensors, for rules with sums over a parameter: every process has a part, and all get the same sums.

In: a generated step. Out: the same step for lists with DTensors. A reduction of a DTensor may leave each process with
its own term of the sum, and `item()` would read that. So every result is completed at once, by communication, and no
later operation ever meets a term. Must not know rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from thetac.runtime.implementations.widened import Step
from thetac.runtime.tensor_facts.dtensors import complete, has_empty_shards, is_dtensor, replicate, to_global
from thetac.runtime.tensors import Scalar
from thetac.runtime.totals import Terms, Totals, advance, in_context

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

_REFUSES_NOTHING = (torch.amax, torch.amin)  # raise in a process whose shard is empty


def on_global_tensors(step: Step, *, waits: bool) -> Step:
    """Return the same step, whose operations on DTensors give the results of all processes together.

    Args:
        step: The step.
        waits: Whether it waits for totals. Its terms then are those of all processes, too.
    """

    @wraps(step)
    def on_all(*args: Any, **keywords: Any) -> None:
        """Run the step with complete reductions."""
        with _CompleteResults():
            step(*args, **keywords)

    @wraps(step)
    def on_all_waiting(*args: Any, **keywords: Any) -> Totals[Any]:
        """Run the step from total to total with complete reductions."""
        rest = in_context(step(*args, **keywords), _CompleteResults)
        try:
            terms, results = advance([rest], None)
            while terms:
                number = yield Terms([_whole(value) for value in terms[0].values], terms[0].in_group)
                terms, results = advance([rest], [number])
            return results[0]
        finally:
            rest.close()

    return on_all_waiting if waits else on_all


def _whole(value: Scalar) -> Scalar:
    """Return a term of a total that has no parts in other processes."""
    return to_global(value) if isinstance(value, Tensor) else value


class _CompleteResults(TorchFunctionMode):
    """Computes every operation on DTensors to its end."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        keywords = kwargs or {}
        if func is Tensor.copy_:
            return func(args[0], _placed_like(args[1], args[0]), *args[2:], **keywords)
        if args and is_dtensor(args[0]):
            if func in _REFUSES_NOTHING:
                args = (replicate(args[0]), *args[1:])
            elif (compute := _out_of_place(func, args[0])) is not None:
                return args[0].copy_(_placed_like(compute(*args, **keywords), args[0]))
        result = func(*args, **keywords)
        return complete(result) if is_dtensor(result) else result


def _placed_like(source: Tensor, target: Tensor) -> Tensor:
    """Return what is copied into a tensor, with its placements; into no DTensor, all of it."""
    if not is_dtensor(source):
        return source
    if not is_dtensor(target):
        return to_global(source)  # a number per parameter, which is the same in all processes
    return source.redistribute(placements=target.placements)


def _out_of_place(func: Callable[..., object], written: DTensor) -> Callable[..., Tensor] | None:
    """Return an operation that makes a new tensor instead of writing, where DTensor cannot write; None if it can.

    DTensor refuses to broadcast into a tensor of which some processes have nothing.
    """
    name = getattr(func, "__name__", "")
    if not name.endswith("_") or name.endswith("__") or not has_empty_shards(written):
        return None
    found: Callable[..., Tensor] | None = getattr(Tensor, name.removesuffix("_"), None)
    return found
