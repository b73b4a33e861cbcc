"""The class behind every generated optimizer: torch's interface, driven by a schema.

What torch's base class does is torch's: hooks, profiling, `state_dict`, `zero_grad`. Here are the constructor's
checks, the checks of every group, state made at construction, closures and `explain`. `stepping/stepper.py` takes
steps, and `checkpoints/restore.py` converts checkpoints.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, Self, overload

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.optim.optimizer import ParamsT, StateDict

from thetac.options import OPTIONS
from thetac.runtime.checkpoints.restore import convert_state_dict
from thetac.runtime.implementations.graph_capture import is_traced
from thetac.runtime.param_groups.grad_scaling import max_norm_of
from thetac.runtime.param_groups.groups import (
    check_options,
    check_values,
    known_keys,
    starting_values,
    warn_of_misspelt_keys,
    with_scalar_tuples,
    without_unused_options,
    written_keys,
)
from thetac.runtime.param_groups.integer_counters import as_tensors, keep_as_tensors, to_integers
from thetac.runtime.param_groups.shape_classes import ShapeClasses, check_params, list_params
from thetac.runtime.param_groups.shared_numbers import check_agreement, check_shared, first_values, restore_floats
from thetac.runtime.param_groups.spelling import describe_unexpected_keyword
from thetac.runtime.param_groups.state import restored_entry
from thetac.runtime.schema import Schema
from thetac.runtime.stepping.explain import explanation
from thetac.runtime.stepping.step_hooks import hooked
from thetac.runtime.stepping.stepper import Stepper
from thetac.runtime.torch_compile.traced_step import (
    Traced,
    breaks_graphs,
    forget_unused_state,
    init_group,
    prepare_for_graphs,
    step_in_graph,
    why_not,
)


@cache
def _may_be_captured() -> bool:
    """Return whether there is a device whose operations can be captured in graphs."""
    return torch.accelerator.is_available()


class Optimizer(torch.optim.Optimizer):
    """A `torch.optim.Optimizer` whose algorithm is a generated package, described by `schema`.

    Raises what torch's optimizers raise for the same mistakes, in their wording, for constructor arguments and for
    what a group overrides; NaN is no valid value of any hyperparameter.
    """

    schema: ClassVar[Schema]  # what the algorithm has: hyperparameters, flags, states, options
    _state_is_declared: ClassVar[bool] = True  # whether the schema names all of the state
    _why_not_traced: ClassVar[str] = ""  # why steps of the class cannot be part of a graph; empty if they can
    grad_norm: Tensor | None = None
    """The global norm of the unscaled gradients, before clipping, in the last step of groups that clip, also where it
    was skipped: 0-d, on their device."""
    _is_made: bool = True  # whether all groups of the constructor are there
    _stepper: Stepper | None = None  # made at the first step, and never pickled
    _traced: Traced | None = None  # made at the first step that is traced, and never pickled

    if sys.version_info < (3, 13):  # later versions suggest the keyword themselves

        def __new__(cls, *_: object, **keywords: object) -> Self:
            if keywords and (mistake := describe_unexpected_keyword(cls.__init__, keywords)) is not None:
                raise TypeError(mistake)
            return super().__new__(cls)

    def __init__(self, params: ParamsT, defaults: Mapping[str, object]) -> None:
        keys = tuple(defaults)
        check_values(self.schema, defaults, keys)
        group_keys = with_scalar_tuples(self.schema, without_unused_options(self.schema, defaults))
        group_keys |= first_values(self.schema, (), group_keys)
        self._is_made = False
        super().__init__(params, group_keys)
        self._is_made = True
        check_options(group_keys)
        check_params(self.schema, self.param_groups)
        if defaults.get("fused"):
            self._step_supports_amp_scaling = True  # torch's GradScaler then leaves unscaling to the step
        if self.schema.state_at_construction:
            self._make_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over pickled or loaded attributes; what an older or another version did not have gets its default."""
        super().__setstate__(state)
        # torch adds an option to the defaults, which is not among those of every class.
        self.defaults = without_unused_options(self.schema, self.defaults)
        self._complete_defaults()
        if self._stepper is not None:
            self._stepper.trust_state()
        if self._traced is not None:
            self._traced.created.clear()
        for group in self.param_groups:
            for key, value in self.defaults.items():
                group.setdefault(key, value)
            for key in self.schema.fixed:
                group[key] = self.defaults[key]
            for param in group["params"]:
                if entry := self.state.get(param):
                    entry.update(restored_entry(self.schema, group, param, entry))
        restore_floats(self.schema, self.param_groups)

    @_disable_dynamo
    def load_state_dict(self, state_dict: StateDict) -> None:
        """Take over a checkpoint, ours or torch's, as torch does; docs/checkpoints.md says where it differs.

        State is not copied unless it has to be moved or cast. Errors are raised before anything is changed.

        Args:
            state_dict: What `state_dict()` returned, of this class or of torch's.

        Raises:
            KeyError: It is no state dict of an optimizer.
            ValueError: It does not fit the groups and parameters.
            TypeError: A value has the wrong type.
        """
        state_dict = state_dict.copy()
        for prepare in self._optimizer_load_state_dict_pre_hooks.values():
            if (replacement := prepare(self, state_dict)) is not None:
                state_dict = replacement
        taken = convert_state_dict(
            self.schema, self.param_groups, self.defaults, state_dict, is_declared=self._state_is_declared
        )
        self.__setstate__({"state": taken.state, "param_groups": taken.groups})
        for follow in self._optimizer_load_state_dict_post_hooks.values():
            follow(self)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group.

        Args:
            param_group: The parameters under "params", and the hyperparameters and options that override the defaults.

        Raises:
            ValueError: A value is out of range, a parameter has a shape that the rule does not take, or
                `clip_grad_norm`, or a value that must agree in all groups, differs from that of the other groups.
            TypeError: A value has the wrong type.
            RuntimeError: Two options exclude each other.
        """
        if isinstance(param_group, dict):
            warn_of_misspelt_keys(self.schema, param_group, self.defaults)
            added = {**self.defaults, **param_group}
            check_values(self.schema, added, tuple(param_group))
            if self._is_made and self.schema.shape_requirements and list_params(param_group):
                check_params(self.schema, [{**added, **param_group}], len(self.param_groups))
            not_given = dict.fromkeys(written_keys(self.schema))
            first = first_values(self.schema, self.param_groups, {**added, **not_given, **param_group})
            first |= starting_values(self.schema, param_group)
            added |= first
            check_shared(self.schema, added, "the added group")
            if len(self.param_groups):
                check_options(added)
                max_norm_of([*self.param_groups, added])
                check_agreement(self.schema, [*self.param_groups, added])
        super().add_param_group(param_group)
        if isinstance(param_group, dict):
            self.param_groups[-1].update(first)

    profile_hook_step = staticmethod(hooked)  # what torch wraps `step` in

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @breaks_graphs
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient.

        Everything that can be checked is checked before the first write: after an error in the closure or in a check,
        parameters and state are as they were.

        Args:
            closure: Reevaluates the model and returns the loss.

        Returns:
            The loss; None without a closure.
        """
        if not torch.compiler.is_compiling():
            return self._step(closure)
        prepare_for_graphs(self)
        return self._step_outside_of_graphs(closure) if why_not(self) else step_in_graph(self, closure)

    def explain(self) -> str:
        """Return a text: what updates which parameters and why, bytes moved per step, and why plans were made."""
        return explanation(self.schema, self.param_groups, self.state, self._stepper)

    def _check_can_step(self) -> None:
        """Raise where no step may be taken now; drivers ask before they evaluate or move anything."""

    def _step(self, closure: Callable[[], float] | None) -> float | None:
        """Run the closure, update parameters outside of autograd, and return the loss."""
        if _may_be_captured() and all("capturable" in group for group in self.param_groups):
            self._accelerator_graph_capture_health_check()
        loss: float | None = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # torch's GradScaler sets these around a step of an optimizer that supports it.
        grad_scale: Tensor | None = getattr(self, "grad_scale", None)
        found_inf: Tensor | None = getattr(self, "found_inf", None)
        if not isinstance(found_inf, Tensor):
            found_inf = None  # it has seen no gradient and says 0
        with torch.set_grad_enabled(False):  # `no_grad` makes one of these when it begins, and one when it ends
            norm = self._update(grad_scale, found_inf)
        if norm is not None:
            self.grad_norm = norm
        return loss

    def _update(self, grad_scale: Tensor | None, found_inf: Tensor | None) -> Tensor | None:
        """Update every parameter that has a gradient, unless `found_inf` is not 0: then nothing is written.

        Args:
            grad_scale: What gradients are divided by; one element.
            found_inf: Not 0 if a gradient is infinite or NaN; one element.

        Returns:
            The global norm of the gradients, 0-d, if the groups clip it; else None.
        """
        if self._traced is not None:
            forget_unused_state(self)
        if self._stepper is None:
            self._stepper = Stepper(self.schema)
        if not self._stepper.has_integers:
            return self._stepper.step(self.param_groups, self.state, grad_scale, found_inf)
        if is_traced():
            keep_as_tensors(self.schema, self.param_groups, self.state)
        with as_tensors(self.schema, self.param_groups, self.state):
            return self._stepper.step(self.param_groups, self.state, grad_scale, found_inf)

    @_disable_dynamo
    def _step_outside_of_graphs(self, closure: Callable[[], float] | None) -> float | None:
        """Do a step in a function that torch compiles: the graph breaks here, and the step runs as always."""
        return self._step(closure)

    def _init_group(self, group: dict[str, Any], *lists: list[Any]) -> None:
        """Fill the lists with the tensors of a group; dynamo calls it by this name."""
        init_group(self, group, *lists)

    def _complete_defaults(self) -> None:
        """Add defaults that the pickle of an older version lacks, with the values that the constructor gives now."""
        known = (key for key in (*known_keys(self.schema), *written_keys(self.schema)) if key not in OPTIONS)
        if all(key in self.defaults for key in (*known, *self.schema.options, *self.schema.fixed)):
            return
        described = next(cls for cls in type(self).__mro__ if "schema" in vars(cls))
        arguments = inspect.signature(described).parameters
        given = {key: value for key, value in self.defaults.items() if key in arguments}
        of_today = described([torch.nn.Parameter(torch.empty(0, dtype=torch.float32, device="cpu"))], **given)
        self.defaults = {**of_today.defaults, **self.defaults}

    def _make_state(self) -> None:
        """Make the state of all parameters, as optimizers do that have it from construction on."""
        for group in self.param_groups:
            classes = ShapeClasses(self.schema, group)
            for param in group["params"]:
                self.state[param].update(classes.of(param).new_state.of(param, None))
        to_integers(self.schema, self.param_groups, self.state)
