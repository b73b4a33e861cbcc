"""The oracle of Adam-mini: the authors choose blocks by the names of parameters, a spec is told them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.oracles.oracle import Package, Steps
from tests.references.algorithms.forms import Array, Result
from tests.references.algorithms.per_tensor import adam_mini
from tests.references.torch_inputs import Settings

NAMES: Mapping[object, str] = {"tensor": "norm", "row": "mlp", "head": "wq", "element": "bias"}  # by `blocks`
PACKAGE = Package("adam-mini", "adam_mini:Adam_mini")


@dataclass(frozen=True, slots=True)
class AdamMini:
    """The authors' optimizer, given parameters under names that make it choose the blocks of the settings."""

    late: str = ""
    undefined: Callable[[Settings], bool] = lambda settings: False

    @property
    def label(self) -> str:
        """Return the distribution with its version."""
        return PACKAGE.label

    def start(self, parameters: Sequence[Tensor], settings: Settings) -> Steps:
        """Return an optimizer of the same memory: theirs needs matrices for rows, and parameters with gradients."""
        others = dict(settings)
        name, decay = NAMES[others.pop("blocks", "tensor")], others.pop("weight_decay", 0.0)
        if name == NAMES["head"]:  # of one size in all parameters: theirs have dim * dim / n_heads elements
            (size,) = {parameter.numel() // int(others["n_heads"]) for parameter in parameters}  # type: ignore[call-overload]
            others |= {"dim": size, "n_heads": size}
        theirs = [
            (parameter.view(len(parameter), -1) if parameter.dim() > 2 else parameter).detach().requires_grad_()
            for parameter in parameters
        ]
        names = [NAMES["tensor"] if name == NAMES["row"] and one.dim() < 2 else name for one in theirs]
        given = [(f"{name}{index}", one) for index, (name, one) in enumerate(zip(names, theirs, strict=True))]
        made = PACKAGE.start(given, {**others, "verbose": False})  # type: ignore[arg-type]  # theirs takes pairs
        for group in made.param_groups:  # their constructor leaves out the decay of some names
            group["weight_decay"] = decay
        return _Steps(made, parameters, theirs)

    def reference(self, x: Array, gradients: Sequence[Array], **settings: object) -> Result:
        """Return what a transcription gives, whose states have the spec's names."""
        return adam_mini(x, gradients, **settings)  # type: ignore[arg-type]


class _Steps:
    """Steps of theirs with the gradients of ours."""

    def __init__(self, made: torch.optim.Optimizer, parameters: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
        self._made, self._parameters, self._theirs = made, parameters, theirs
        self.param_groups = made.param_groups

    def step(self) -> None:
        for ours, theirs in zip(self._parameters, self._theirs, strict=True):
            theirs.grad = None if ours.grad is None else ours.grad.view(theirs.shape)
        self._made.step()
