"""The step that `torch.compile` traces: an unwrapped `step` becomes part of the graph, without a break.

In: an optimizer, while dynamo traces. Out: its step as operations of the graph. Dynamo runs `_init_group` itself, as it
does for torch's optimizers: state is made, everything is checked, and parameters, gradients and state become inputs of
the graph. Counters stay tensors, and so do hyperparameters that are tensors: new values of them compile nothing again.
An explicit `fused=True` becomes one call of a custom operator per group, anything else the for-loop on tensors, out of
which the compiler makes kernels of its own. Must not know the plans that steps outside of graphs keep.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Protocol, TypeVar, cast

import torch
from torch import Tensor

import thetac.runtime.torch_compile.custom_op  # noqa: F401  # registers the operator
from thetac.runtime.implementations.barriers import run_together
from thetac.runtime.implementations.executor import Unfinished
from thetac.runtime.implementations.generated_modules import forloop_of, keywords_of, taken
from thetac.runtime.implementations.operator_call import KeptPlans, call_operator, register_kernel
from thetac.runtime.implementations.widened import HALF, Step, one_by_one, widened
from thetac.runtime.param_groups.gather import gather
from thetac.runtime.param_groups.groups import option, values_of
from thetac.runtime.param_groups.integer_counters import keep_as_tensors as keep_counters
from thetac.runtime.param_groups.shared_numbers import check_agreement, keep_as_tensors, put_shared, tensors_of
from thetac.runtime.schema import Schema
from thetac.runtime.stepping.choice import choose_all
from thetac.runtime.tensor_facts.dtensors import is_dtensor
from thetac.shape_numbers import SHAPE_NUMBERS

_Step = TypeVar("_Step", bound=Callable[..., float | None])


class Traceable(Protocol):
    """What this module uses of an optimizer (`runtime/optimizer.py`)."""

    schema: ClassVar[Schema]
    _why_not_traced: ClassVar[str]
    _traced: Traced | None
    param_groups: list[dict[str, Any]]
    state: Any  # a defaultdict of torch's

    def _step_outside_of_graphs(self, closure: Callable[[], float] | None) -> float | None: ...

    def _init_group(self, group: dict[str, Any], *lists: list[Any]) -> None: ...


def breaks_graphs(step: _Step) -> _Step:
    """Return the step of a class as users call it, at which the graph of a compiled caller breaks.

    `__wrapped__` is the step that can be traced, as in torch's optimizers.
    """

    @wraps(step)
    def outer(self: Traceable, closure: Callable[[], float] | None = None) -> float | None:
        """Step, outside of the graph if torch compiles the caller."""
        return self._step_outside_of_graphs(closure) if torch.compiler.is_compiling() else step(self, closure)

    return cast(_Step, outer)


class Traced:
    """What traced steps of one optimizer share. Dynamo drops what a graph assigns to an optimizer itself."""

    def __init__(self, schema: Schema) -> None:
        self.step = forloop_of(schema.package).step_on_tensors
        self.takes = keywords_of(self.step)
        self.step_on_copies = one_by_one(schema, widened(schema, self.step))
        self.times_created = 0  # assigned by a graph that creates state: its guard then fails, and the graph runs once
        self.created: list[weakref.ref[Tensor]] = []  # parameters whose state was made when `times_created` was
        self.created_at = 0
        self.kept = KeptPlans()


def prepare_for_graphs(optimizer: Traceable) -> bool:
    """Make tensors of numbers that a graph would take for constants: integer counters, and what parameters share.

    Dynamo calls this while it traces, before it looks at groups and state, and does not trace it.

    Returns:
        True, since dynamo wants a constant.
    """
    forget_unused_state(optimizer)
    keep_as_tensors(optimizer.schema, optimizer.param_groups, in_all=True)
    keep_counters(optimizer.schema, optimizer.param_groups, optimizer.state)
    return True


# What torch.compiler.assume_constant_result does; that would import dynamo, which takes longer than all of thetac.
prepare_for_graphs._dynamo_marked_constant = True  # type: ignore[attr-defined]


def forget_unused_state(optimizer: Traceable) -> None:
    """Remove state that was made for a graph which did not run, since a rule asks which states are new.

    Dynamo may trace a step a second time, or give up, when the state is made.
    """
    traced = optimizer._traced
    if traced is None or not traced.created:
        return
    if traced.created_at == traced.times_created:
        names = {state.name for state in optimizer.schema.states}
        for reference in traced.created:
            param = reference()
            rest = {name: value for name, value in optimizer.state.pop(param, {}).items() if name not in names}
            if rest:
                optimizer.state[param] = rest
    traced.created.clear()


def why_not(optimizer: Traceable) -> str:
    """Return why a step cannot be part of a graph, in words; empty if it can."""
    if optimizer._why_not_traced:
        return optimizer._why_not_traced
    if getattr(optimizer, "grad_scale", None) is not None or getattr(optimizer, "found_inf", None) is not None:
        return "a scaled step"
    for group in optimizer.param_groups:
        if option(group, "differentiable"):
            return "a differentiable step"
        if option(group, "clip_grad_norm") is not None:
            return "clipping, whose norm becomes an attribute of the optimizer"
        if optimizer.schema.waits and any(map(is_dtensor, group["params"])):
            return "a sum over distributed parameters"
        if not all(isinstance(group[shared.name], Tensor) for shared in optimizer.schema.shared):
            return "a shared number that was a float when the graph first looked at groups"
    return ""


def step_in_graph(optimizer: Traceable, closure: Callable[[], float] | None) -> float | None:
    """Do a step in operations that dynamo traces.

    Args:
        optimizer: The optimizer, of which `why_not` finds nothing.
        closure: Computes the loss and its gradients.

    Returns:
        The loss; None without a closure.
    """
    loss: float | None = None
    if closure is not None:
        with torch.enable_grad():
            loss = closure()
    schema = optimizer.schema
    with torch.no_grad():
        waiting: list[Unfinished] = []
        for index, group in enumerate(optimizer.param_groups):
            params: list[Tensor] = []
            grads: list[Tensor] = []
            created: list[bool] = []
            kernels: list[int] = []
            states: list[list[Tensor | None]] = [[] for _ in schema.states]
            numbers: list[list[float]] = [[] for _ in schema.shape_numbers]
            optimizer._init_group(group, params, grads, created, kernels, *numbers, *states)
            if not params:
                continue
            assert optimizer._traced is not None
            if kernels:
                call_operator(schema, kernels[0], params, grads, states, values_of(schema, group, keep_tensors=True))
            else:
                given = {**values_of(schema, group), "capturable": True, "differentiable": False}
                keywords: dict[str, Any] = taken(optimizer._traced.takes, given)
                for state, tensors in zip(schema.states, states, strict=True):
                    keywords[state.argument] = tensors
                    if state.first:
                        keywords[state.first] = created
                for name, listed in zip(schema.shape_numbers, numbers, strict=True):
                    if SHAPE_NUMBERS[name].listed in optimizer._traced.takes:
                        keywords[SHAPE_NUMBERS[name].listed] = listed
                wider = any(
                    grad.dtype != param.dtype or (param.dtype in HALF and schema.half_precision == "float32")
                    for param, grad in zip(params, grads, strict=True)
                )
                step: Step = optimizer._traced.step_on_copies if wider else optimizer._traced.step
                if schema.waits:
                    keywords |= tensors_of(schema, group, params[0].device)
                    waiting.append(Unfinished(index, step(params, grads, **keywords), params[0].device))
                else:
                    step(params, grads, **keywords)
            if any(created):
                optimizer._traced.times_created += 1
        if waiting:
            put_shared(schema, optimizer.param_groups, run_together(waiting))
    return loss


def init_group(
    optimizer: Traceable,
    group: dict[str, Any],
    params: list[Tensor],
    grads: list[Tensor],
    created: list[bool],
    kernels: list[int],
    *others: list[Any],
) -> None:
    """Fill lists with the tensors of one group; dynamo does not trace this.

    Args:
        optimizer: The optimizer.
        group: One of its groups.
        params: Gets the parameters with gradients.
        grads: Gets their gradients.
        created: Gets whether each parameter's state is new; stays empty if the rule does not ask for it.
        kernels: Gets the number of the kernel if the group is fused.
        others: One list per number of parameters that the rule reads, then one per state of the schema; each gets one
            item per parameter.

    Raises:
        RuntimeError: A parameter, gradient or state cannot take part, or `fused=True` cannot be met.
    """
    schema = optimizer.schema
    if optimizer._traced is None:
        optimizer._traced = Traced(schema)
    # The others without parameters, so that messages name the group by its index.
    groups = [one if one is group else {**one, "params": []} for one in optimizer.param_groups]
    gathered = gather(schema, groups, [one["params"] for one in groups], optimizer.state)
    members = gathered.members
    check_agreement(schema, optimizer.param_groups)
    if option(group, "fused") and members and not schema.waits:
        choose_all(schema, groups, members)  # raises where it cannot be met
        kernels.append(register_kernel(schema, group, members, optimizer._traced.kept))
    gathered.commit(optimizer.state)
    params += [member.param for member in members]
    grads += [member.grad for member in members]
    if any(state.first for state in schema.states):
        created += [member.created for member in members]
        optimizer._traced.created += [weakref.ref(member.known_param) for member in members if member.created]
        optimizer._traced.created_at = optimizer._traced.times_created
    names = schema.shape_numbers
    for name, numbers in zip(names, others, strict=False):
        numbers += [member.shape[name] for member in members]
    for index, tensors in enumerate(others[len(names) :]):
        tensors += [member.states[index] for member in members]
