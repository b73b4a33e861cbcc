"""An optimizer and what its user holds: what the actions of the adversary work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

SHAPES = ((4, 4), (3,), (), (2, 1, 3), (0, 2), (5, 5))
Switch = Mapping[str, object]  # options of a group
Make = Callable[[Sequence[Tensor] | Sequence[dict[str, object]]], torch.optim.Optimizer]


@dataclass
class World:
    """An optimizer, how to make another like it, and what its user keeps alive."""

    make: Make
    dtype: torch.dtype
    switches: Sequence[Switch] = ({},)  # to implementations that must not make a difference
    undoes: bool = False  # whether what a step that raised has done has to be undone, as torch leaves it
    optimizer: torch.optim.Optimizer = field(init=False)
    kept: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.optimizer = self.make(
            [self.parameter(torch.randn(s, generator=generator, dtype=self.dtype)) for s in SHAPES]
        )

    @staticmethod
    def parameter(values: Tensor) -> Tensor:
        return torch.nn.Parameter(values)

    @property
    def params(self) -> list[Tensor]:
        return [param for group in self.optimizer.param_groups for param in group["params"]]

    def param(self, number: int) -> Tensor:
        return self.params[number % len(self.params)]

    def random(self, like: Tensor, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(number)
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    def states(self, number: int) -> dict[str, Tensor]:
        """The states of a parameter that have one number per element."""
        param = self.param(number)
        entry = self.optimizer.state.get(param, {})
        return {k: v for k, v in entry.items() if isinstance(v, Tensor) and v.shape == param.shape and k != "step"}


Action = Callable[[World, int], object]
