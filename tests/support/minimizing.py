"""Problems to minimize, runs of two optimizers side by side, and comparisons of all that they have to the bit."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

Problem = tuple[list[Parameter], Callable[[], Tensor]]  # parameters, and their loss
MakeProblem = Callable[[torch.dtype], Problem]
Arguments = Mapping[str, Any]
Maker = Callable[..., torch.optim.Optimizer]


def affine(dtype: torch.dtype) -> Problem:
    generator = torch.Generator().manual_seed(0)
    weight, bias, given = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((5, 3), (5,), (3,))
    )
    params = [Parameter(weight.to(dtype)), Parameter(bias.to(dtype))]
    given = given.to(dtype)
    return params, lambda: (params[0] @ given + params[1]).pow(2).sum()


def rosenbrock(variables: int) -> MakeProblem:
    def make(dtype: torch.dtype) -> Problem:
        x = Parameter(torch.linspace(-1.2, 1, variables, dtype=torch.float64).to(dtype))
        return [x], lambda: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    return make


def non_smooth(dtype: torch.dtype) -> Problem:
    x = Parameter(torch.linspace(-1, 2, 7, dtype=torch.float64).to(dtype))
    return [x], lambda: x.abs().sum() + (x - 1).abs().max()


def one_unused(dtype: torch.dtype) -> Problem:
    x = Parameter(torch.linspace(-1, 2, 4, dtype=torch.float64).to(dtype))
    others = [Parameter(torch.ones(3, dtype=dtype)), Parameter(torch.ones(2, 2, dtype=dtype))]
    return [x, *others], lambda: (x**4).sum() + (others[1] * x.view(2, 2)).pow(2).sum()


def log_of_negatives(dtype: torch.dtype) -> Problem:
    x = Parameter(torch.linspace(0.1, 2, 5, dtype=torch.float64).to(dtype))
    return [x], lambda: (x - 3 * x.log()).sum()


def unbounded(dtype: torch.dtype) -> Problem:
    x = Parameter(torch.linspace(0.1, 2, 5, dtype=torch.float64).to(dtype))
    return [x], lambda: -(x**3).sum()


def complex_values(dtype: torch.dtype) -> Problem:
    x = Parameter(torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.complex128).to(dtype))
    return [x], lambda: (x - (1 + 2j)).abs().pow(2).sum() + (x.real**4).sum()


REAL: Mapping[str, MakeProblem] = {
    "affine": affine,
    "rosenbrock 2": rosenbrock(2),
    "rosenbrock 6": rosenbrock(6),
    "non-smooth": non_smooth,
    "one unused": one_unused,
    "log of negatives": log_of_negatives,
    "unbounded": unbounded,
}
COMPLEX: Mapping[str, MakeProblem] = {"complex": complex_values}


class Run:
    """An optimizer on a problem of its own, with its losses and how often it evaluated."""

    def __init__(self, make: Maker, problem: MakeProblem, dtype: torch.dtype, arguments: Arguments) -> None:
        self._make, self._arguments = make, arguments
        self.params, self._loss = problem(dtype)
        self.evaluations = 0
        self.returned: list[Any] = []
        self.optimizer = self._new()

    def _new(self) -> torch.optim.Optimizer:
        given = {name: value.clone() if isinstance(value, Tensor) else value for name, value in self._arguments.items()}
        return self._make(self.params, **given)

    def closure(self) -> Tensor:
        self.evaluations += 1
        self.optimizer.zero_grad()
        loss = self._loss()
        loss.backward()
        return loss

    def step(self) -> type[BaseException] | None:
        """Take a step; return the type of the error, or None."""
        try:
            self.returned.append(self.optimizer.step(self.closure))  # type: ignore[arg-type]
        except Exception as error:  # both have to raise the same
            return type(error)
        return None

    def saved(self) -> dict[str, Any]:
        """Return the state dict as it comes back from a file."""
        file = io.BytesIO()
        torch.save(self.optimizer.state_dict(), file)
        file.seek(0)
        found: dict[str, Any] = torch.load(file, weights_only=True)
        return found

    def go_on_from(self, state_dict: dict[str, Any]) -> None:
        """Replace the optimizer by a new one that goes on from a checkpoint."""
        self.optimizer = self._new()
        self.optimizer.load_state_dict(state_dict)

    def entry(self) -> dict[str, Any]:
        found: dict[str, Any] = self.optimizer.state_dict()["state"].get(0, {})
        return found


def differences(ours: Run, torchs: Run) -> list[str]:
    """Return what is not the same to the bit: parameters, losses, counts, and the state with its types and order."""
    found = (
        [f"{torchs.evaluations} evaluations, not {ours.evaluations}"] if ours.evaluations != torchs.evaluations else []
    )
    pairs: list[tuple[str, Any, Any]] = [("losses", ours.returned, torchs.returned)]
    pairs += [(f"parameter {i}", *both) for i, both in enumerate(zip(ours.params, torchs.params, strict=True))]
    mine, theirs = ours.entry(), torchs.entry()
    if list(mine) != list(theirs):
        found.append(f"the keys {list(mine)}, not {list(theirs)}")
    pairs += [(key, mine[key], theirs[key]) for key in mine.keys() & theirs.keys()]
    return found + [f"{what}: {left}, not {right}" for what, left, right in pairs if not identical(left, right)]


def identical(left: Any, right: Any) -> bool:
    """Return whether two values have the same types, dtypes and bits."""
    if type(left) is not type(right):
        return False
    if isinstance(left, Tensor):
        same = left.dtype == right.dtype and left.shape == right.shape
        return same and torch.equal(*(one.detach().reshape(-1).view(torch.uint8) for one in (left, right)))
    if isinstance(left, list):
        return len(left) == len(right) and all(map(identical, left, right))
    return bool(left == right) or (left != left and right != right)
