"""Optimizers whose parameters are at one point while a model trains, and at another one where it is evaluated.

In: calls of `train` and `eval`. Out: parameters that the pieces of these names have moved, and groups that say where
they are. A step outside of training mode is an error. Works with other drivers, as the first base of a class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch._compile import _disable_dynamo
from torch.optim.optimizer import ParamsT

from thetac.drivers import MODES, TRAIN_MODE
from thetac.runtime.drivers.driven import Driven
from thetac.runtime.param_groups.train_mode import check_mode

TRAIN, EVAL = MODES


class Modes(Driven):
    """An optimizer with a training mode, in which it steps, and an evaluation mode, in which it begins."""

    _why_never_traced: ClassVar[str] = ""  # what `_why_not_traced` is in the other bases of a class

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._why_never_traced = super()._why_not_traced

    def __init__(self, params: ParamsT, defaults: Mapping[str, object]) -> None:
        super().__init__(params, {**defaults, TRAIN_MODE: False})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group, in the mode of the others unless it says which; see `Optimizer`."""
        mode: dict[str, Any] = {}
        if isinstance(param_group, dict):
            known = self.param_groups[0] if self.param_groups else self.defaults
            mode = {TRAIN_MODE: param_group.get(TRAIN_MODE, known[TRAIN_MODE])}
            check_mode(self.schema, mode, "a parameter group")
        super().add_param_group(param_group)
        self.param_groups[-1].update(mode)

    @_disable_dynamo
    def train(self) -> None:
        """Move the parameters to where training goes on, unless they are there; call it before the first step.

        Raises:
            What a step raises for the same parameters and states, before anything is written.
        """
        self._change_mode(TRAIN, is_training=True)

    @_disable_dynamo
    def eval(self) -> None:
        """Move the parameters to where the model is evaluated, unless they are there; `train` moves them back.

        Raises:
            What a step raises for the same parameters and states, before anything is written.
        """
        self._change_mode(EVAL, is_training=False)

    def _check_can_step(self) -> None:
        """Raise RuntimeError if a group is not in training mode."""
        for index, group in enumerate(self.param_groups):
            if not group[TRAIN_MODE]:
                raise RuntimeError(
                    f"{type(self).__name__} is not in training mode (group {index}): call optimizer.train() before "
                    "the first step and after optimizer.eval()"
                )

    def _change_mode(self, piece: str, *, is_training: bool) -> None:
        """Run a piece for the groups that are in the other mode."""
        groups = [group for group in self.param_groups if group[TRAIN_MODE] is not is_training]
        if not groups:
            return
        self._pieces.move(piece, self.param_groups, groups, self.state)
        for group in groups:
            group[TRAIN_MODE] = is_training

    def _step(self, closure: Callable[[], float] | None) -> float | None:
        self._check_can_step()
        return super()._step(closure)

    @property
    def _why_not_traced(self) -> str:  # type: ignore[override]
        """Why a step cannot be part of a graph: outside of training mode it is an error, which `_step` raises."""
        is_training = all(group[TRAIN_MODE] for group in self.param_groups)
        return self._why_never_traced if is_training else "a step outside of training mode"
