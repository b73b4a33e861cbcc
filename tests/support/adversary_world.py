"""An optimizer and what its user holds: what the actions of the adversary work on.

torch's implementations leave a step half done when they raise, do not take lazily conjugated gradients, and the loader
rounds scalar states to the dtype of the parameter. In a world of torch's, actions undo the first, resolve the second
and put back the third, so that the rest can be compared bit for bit.
"""

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
    tensor_rates: bool = True  # whether lr may become a tensor; torch then computes in its dtype
    of_torch: bool = False  # its actions then make up for what torch does otherwise
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
