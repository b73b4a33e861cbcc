"""torch's own test cases (`torch.testing._internal.common_optimizers.optim_db`), for every optimizer.

An optimizer that torch has gets the cases of its class. Any other gets those cases of torch's classes whose arguments
it takes too. `make_problem`, `loss_of` and `train` are the training of torch's tests.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.testing._internal.common_optimizers import (
    ErrorOptimizerInput,
    OptimizerErrorEnum,
    get_error_inputs_for_all_optims,
)

from tests.references.torch_inputs import IN_TORCH, optimizer_info
from tests.support.every_optimizer import ours

Arguments = dict[str, object]
Record = Callable[[str, object], None]

IMPLEMENTATIONS: dict[str, Arguments] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
every_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
STEPS = 7  # as in torch's comparisons of implementations


# At these defaults the problem diverges, and roundings grow with it.
WHERE_IT_CONVERGES: Mapping[str, Arguments] = {"ScheduleFreeSGD": {"lr": 0.01}}


def inputs_of(name: str, device: str = "cpu") -> list[Arguments]:
    """What torch's tests construct it with for a device, which need not be there."""
    infos = [optimizer_info(name)] if name in IN_TORCH else [optimizer_info(each) for each in IN_TORCH]
    found = [dict(case.kwargs) for info in infos for case in info.optim_inputs_func(device=device)]
    distinct = {str(sorted(arguments.items())): arguments for arguments in found}
    taken = [arguments for arguments in distinct.values() if _takes(name, arguments)]
    assert len(taken) == len(distinct) or name not in IN_TORCH, "a case of torch's own class would be left out"
    return [{**WHERE_IT_CONVERGES.get(name, {}), **arguments} for arguments in taken]


def errors_of(name: str) -> Iterator[ErrorOptimizerInput]:
    if name in IN_TORCH:
        yield from optimizer_info(name).optim_error_inputs_func(device="cpu", dtype=torch.float32)
        return
    yield from get_error_inputs_for_all_optims("cpu", torch.float32)
    common = {case.optimizer_error_input.desc for case in get_error_inputs_for_all_optims("cpu", torch.float32)}
    for each in IN_TORCH:
        for case in optimizer_info(each).optim_error_inputs_func(device="cpu", dtype=torch.float32):
            given = case.optimizer_error_input
            if case.error_regex.startswith(each):  # it names the class, which alone takes this for a mistake
                continue
            # What is a mistake in Nesterov's momentum, say, is one only where there is that flag.
            if given.desc not in common and _takes(name, given.kwargs) and _has_ranges(name, given.kwargs):
                yield from _in_words_of(name, case)


def _in_words_of(name: str, case: ErrorOptimizerInput) -> Iterator[ErrorOptimizerInput]:
    """A case of another class with the text that this one has for it; none if it is no mistake here."""
    given, regex = case.optimizer_error_input, case.error_regex
    if any(isinstance(param, Tensor) and param.is_complex() for param in given.params or ()):
        text = ours(name).schema.complex_error
        if not text:
            return
        regex = f"^{text}$"
    if given.kwargs and all(_allows(name, key, value) for key, value in given.kwargs.items()):
        return
    for key, value in given.kwargs.items():
        if isinstance(value, tuple) and "at index" not in regex:  # torch's text has a name for the element
            regex = rf"^Invalid {key} value at index \d: "
    yield ErrorOptimizerInput(given, error_on=case.error_on, error_type=case.error_type, error_regex=regex)


def _allows(name: str, key: str, value: object) -> bool:
    """Whether a hyperparameter may be this number or tuple of numbers."""
    intervals = next(h.intervals for h in ours(name).schema.hyperparameters if h.name == key)
    numbers = value if isinstance(value, tuple) else (value,)
    return all(one is None or number in one for number, one in zip(numbers, intervals, strict=True))


def make_mistake(case: ErrorOptimizerInput, cls: Callable[..., torch.optim.Optimizer], params: list[Parameter]) -> None:
    """Do what is an error, in the constructor or in a step."""
    optimizer = cls(params, **case.optimizer_error_input.kwargs)
    if case.error_on is OptimizerErrorEnum.STEP_ERROR:
        optimizer.step()


def _takes(name: str, arguments: Arguments) -> bool:
    """Whether its constructor has these arguments, tuples where it has them and of the same length."""
    signature = inspect.signature(ours(name)).parameters
    return all(
        key in signature
        and _length(value) == _length(signature[key].default)
        and (not has_tensors(value) or key == "lr" or name in IN_TORCH)
        for key, value in arguments.items()
    )


def _length(value: object) -> int | None:
    return len(value) if isinstance(value, tuple) else None


def has_tensors(value: object) -> bool:
    return any(isinstance(each, Tensor) for each in (value if isinstance(value, tuple) else (value,)))


def _has_ranges(name: str, arguments: Arguments) -> bool:
    hyperparameters = {h.name: h for h in ours(name).schema.hyperparameters}
    return all(key in hyperparameters and all(hyperparameters[key].intervals) for key in arguments)


def refuses_tensors(name: str) -> bool:
    """Whether it refuses tensors for numbers under `foreach=True` without `capturable=True`."""
    return any("as a Tensor is not" in requirement.message for requirement in ours(name).schema.requirements)


def copied(arguments: Arguments) -> Arguments:
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in arguments.items()}


def make_problem(dtype: torch.dtype = torch.float32, seed: int = 5) -> tuple[list[Parameter], Tensor]:
    """torch's: a matrix and a vector, and the point at which their affine map shall vanish."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((10, 5), (10,), (5,))
    weight, bias, point = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return [Parameter(weight), Parameter(bias)], point


def loss_of(params: list[Parameter], point: Tensor) -> Tensor:
    return (params[0].mv(point) + params[1]).abs().square().sum()


def train(optimizer: torch.optim.Optimizer, params: list[Parameter], point: Tensor, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(params, point)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    return [*losses, loss_of(params, point).item()]
