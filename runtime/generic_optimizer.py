"""A base class for update rules written by hand, on the groups, hooks and checkpoints of the generated optimizers.

In: a subclass with `step_param`, and `init_state` if it remembers anything. Out: an optimizer. Must neither know nor
check what a rule keeps in its state. Everything else is checked before the first
write, as for a generated optimizer; an error that a rule raises keeps its type and says at which parameter it was.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, assert_never

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac import __contract__
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups.gather import gather
from thetac.runtime.param_groups.grad_scaling import Scaling
from thetac.runtime.param_groups.groups import check_values, option
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.schema import Group, Hyperparameter, Interval, Requirement, Schema

WeightDecayStyle = Literal["l2", "decoupled", "absolute"]
STYLES = ("l2", "decoupled", "absolute")

_SCHEMA = Schema(
    contract=__contract__,
    name="GenericOptimizer",
    package=__name__,
    hyperparameters=(
        Hyperparameter(
            "weight_decay",
            elements=("weight_decay",),
            intervals=(Interval(0.0, float("inf"), True, True),),
            is_tuple=False,
            tensor=True,
            error="Invalid weight_decay value: {value}",
        ),
    ),
    flags=(),
    states=(),
    requirements=(
        Requirement(
            holds=lambda group: group["weight_decay_style"] in STYLES,
            message=f"weight_decay_style must be one of {', '.join(STYLES)}",
        ),
        Requirement(
            holds=lambda group: group["weight_decay_style"] != "decoupled" or "lr" in group,
            message="weight_decay_style 'decoupled' decays by lr * weight_decay, but there is no lr among the defaults",
        ),
    ),
    specialisations=(),
    options=("maximize",),
    half_precision="native",
    refusable=(),
    sparse="native",
    sparse_error="",
    decays_gradient=lambda group: group["weight_decay"] != 0 and group["weight_decay_style"] == "l2",
    state_at_construction=False,
    foreach_temporaries=0,
    traffic=lambda known: {},
)


class GenericOptimizer(Optimizer, ABC):
    """An optimizer whose update of one parameter is written in Python, in a subclass.

    Args:
        params: parameters, or groups of them, to optimize
        defaults: hyperparameters of the rule with their default values; a group may override each of them, and a
            scheduler drives the one that is called `lr`
        weight_decay (float or Tensor, default: 0.0, in [0, inf]): how much decay, by the style below
        weight_decay_style (default: "l2"): "l2" adds `weight_decay * param` to the gradient; "decoupled" takes
            `lr * weight_decay` of the parameter away before the rule runs; "absolute" takes `weight_decay` of it away,
            unless lr is 0
        maximize (bool, default: False): the rule sees the negated gradient

    Raises what the generated optimizers raise for wrong arguments, and before a rule is called everything that they
    check of parameters and gradients. Sparse and complex gradients reach the rule as they are.

    Example::

        class HeavyBall(GenericOptimizer):
            def __init__(self, params, lr=1e-2, momentum=0.9, weight_decay=0.0):
                super().__init__(params, {"lr": lr, "momentum": momentum}, weight_decay=weight_decay)

            def init_state(self, state, group, param):
                state["velocity"] = torch.zeros_like(param)

            def step_param(self, state, group, grad, param):
                state["velocity"].mul_(group["momentum"]).add_(grad)
                param.sub_(state["velocity"], alpha=group["lr"])
    """

    schema = _SCHEMA
    _state_is_declared = False
    _why_not_traced = "a rule written by hand"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.schema = replace(_SCHEMA, name=cls.__name__)
        _check_arguments(cls, cls.init_state, ("state", "group", "param"))
        _check_arguments(cls, cls.step_param, ("state", "group", "grad", "param"))

    def __init__(
        self,
        params: ParamsT,
        defaults: Mapping[str, object],
        *,
        weight_decay: float | Tensor = 0.0,
        weight_decay_style: WeightDecayStyle = "l2",
        maximize: bool = False,
    ) -> None:
        own = {"weight_decay": weight_decay, "weight_decay_style": weight_decay_style, "maximize": maximize}
        for name in own:
            if name in defaults:
                raise TypeError(f"{name} is an argument of GenericOptimizer; leave it out of the defaults")
        super().__init__(params, {**defaults, **own})

    def init_state(self, state: Entry, group: dict[str, Any], param: Tensor) -> None:
        """Fill `state` with what the rule remembers of `param`.

        It is called in a step in which the parameter has a gradient and no state yet, before anything is written.

        Args:
            state: An empty dictionary, which becomes `optimizer.state[param]`.
            group: The parameter group, which must not be changed.
            param: The parameter, which must not be changed.
        """

    @abstractmethod
    def step_param(self, state: Entry, group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        """Update `param` and `state` in place; autograd does not record it.

        Args:
            state: What `init_state` filled and earlier steps changed.
            group: The parameter group.
            grad: The gradient, unscaled, and negated and decayed as the group says. It may be `param.grad` itself, and
                must not be changed.
            param: The parameter.
        """

    def explain(self) -> str:
        """Return a text: one line per group with the rule and the parameters that it updates."""
        lines = [f"{self.schema.name}, {len(self.param_groups)} parameter group{'s' * (len(self.param_groups) != 1)}"]
        for index, group in enumerate(self.param_groups):
            elements = sum(param.numel() for param in group["params"])
            count = len(group["params"])
            lines.append(
                f"group {index}: {type(self).__name__}.step_param for {count} parameter{'s' * (count != 1)} "
                f"of {elements:,} elements (a rule written by hand)"
            )
        return "\n".join(lines)

    def _update(self, grad_scale: Tensor | None, found_inf: Tensor | None) -> Tensor | None:
        if found_inf is not None and found_inf.item():
            return None
        for group in self.param_groups:
            check_values(self.schema, group, ("weight_decay",))
        gathered = gather(self.schema, self.param_groups, [group["params"] for group in self.param_groups], self.state)
        gathered.created = self._new_state(gathered.members)
        gathered.commit(self.state)
        scaling = Scaling(grad_scale)
        for member in gathered.members:
            group, param = self.param_groups[member.group], member.param
            (grad,) = scaling.apply([member.grad])
            if option(group, "maximize"):
                grad = grad.neg()
            if weight_decay := float(group["weight_decay"]):
                grad = _decayed(group, weight_decay, grad, param)
            self._call(self.step_param, member, self.state[param], group, grad, param)
        return None

    def _new_state(self, members: Sequence[Member]) -> list[tuple[Tensor, Entry]]:
        """Make state for parameters that have none, and return it by parameter; `optimizer.state` stays as it is."""
        fresh: dict[Tensor, Entry] = {}
        for member in members:
            if not self.state.get(member.param) and member.param not in fresh:
                entry = fresh[member.param] = {}
                self._call(self.init_state, member, entry, self.param_groups[member.group], member.param)
        return list(fresh.items())

    def _call(self, method: Callable[..., object], member: Member, *arguments: object) -> None:
        """Call a method of the rule for a parameter, and add a note with the parameter to any error.

        Raises:
            TypeError: The method returns something.
        """
        try:
            if (returned := method(*arguments)) is not None:
                raise TypeError(
                    f"{method.__name__} must change its arguments in place and return None, "
                    f"but it returned {type(returned).__name__}"
                )
        except Exception as error:
            group = self.param_groups[member.group]
            position = next(index for index, param in enumerate(group["params"]) if param is member.param)
            name = f" ({group['param_names'][position]})" if "param_names" in group else ""
            error.add_note(
                f"in {type(self).__name__}.{method.__name__} for parameter {position} of group {member.group}{name}, "
                f"of shape {tuple(member.param.shape)} and {member.param.dtype}"
            )
            raise


def _decayed(group: Group, weight_decay: float, grad: Tensor, param: Tensor) -> Tensor:
    """Decay by the style of the group, and return the gradient that the rule sees.

    "l2" decays the gradient, the other styles the parameter in place.
    """
    style: WeightDecayStyle = group["weight_decay_style"]
    match style:
        case "l2":
            return grad.add(param, alpha=weight_decay)
        case "decoupled":
            param.mul_(1 - float(group["lr"]) * weight_decay)
        case "absolute":
            if group.get("lr") != 0:
                param.mul_(1 - weight_decay)
        case _:
            assert_never(style)
    return grad


def _check_arguments(cls: type, method: Callable[..., object], names: tuple[str, ...]) -> None:
    """Raise TypeError, when a class is defined, for a method that a step could not call with these arguments."""
    try:
        inspect.signature(method).bind(cls, *names)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{method.__name__} must take (self, {', '.join(names)}): {error}") from None
