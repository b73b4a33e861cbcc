"""Gradients flow through a step: gradcheck of every optimizer, torch's classes beside them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from every_optimizer import both, every_optimizer, ours, remembering, torchs
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError


def _step_as_a_function(
    cls: type[torch.optim.Optimizer], names: list[str], others: dict[str, float], arguments: dict[str, object]
) -> Callable[..., tuple[Tensor, ...]]:
    """What torch's tests differentiate: parameter, gradient and states before to parameter and states after."""

    def step(param: Tensor, grad: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        param = param.clone()
        param.grad = grad
        optimizer = cls([param], differentiable=True, **arguments)
        entry = {name: torch.tensor(value, dtype=torch.float64) for name, value in others.items()}
        entry.update(zip(names, (state.clone() for state in states), strict=True))
        if entry:
            optimizer.state[param].update(entry)
        optimizer.step()
        return (param, *(optimizer.state[param][name] for name in names))

    return step


@pytest.mark.feature("modes", "differentiable: gradients flow through a step (torch's own test: gradcheck)")
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@every_optimizer
def test_gradcheck(name: str, weight_decay: float) -> None:
    """By parameter, gradient and state, against finite differences; torch's class passes the same.

    Where a scalar state is not 1, torch's averages overwrite what their derivative needs; ours do not.
    """
    schema = ours(name).schema
    arguments: dict[str, object] = {"lr": 0.09, **remembering(name)}
    if "weight_decay" in {h.name for h in schema.hyperparameters}:
        arguments["weight_decay"] = weight_decay
    elif weight_decay:
        return
    group = ours(name)([torch.zeros(1)], **arguments).param_groups[0]
    present = [state for state in schema.states if state.when is None or state.when(group)]
    names = [state.name for state in present if state.kind == "tensor"]
    generator = torch.Generator().manual_seed(2)
    numbers = [torch.rand(6, generator=generator, dtype=torch.float64) + 0.2 for _ in range(2 + len(names))]
    for cls, scalar in ((ours(name), 0.7), *((cls, 1.0) for cls in both(name))):
        others = {
            state.name: 10.0 if state.kind == "counter" else scalar for state in present if state.kind != "tensor"
        }
        inputs = [number.clone().requires_grad_() for number in numbers]
        assert torch.autograd.gradcheck(_step_as_a_function(cls, names, others, arguments), inputs)


@pytest.mark.feature("modes", "differentiable: by lr, weight decay and betas that are tensors")
@pytest.mark.parametrize("argument", ["lr", "weight_decay", "betas"])
@every_optimizer
def test_gradcheck_of_hyperparameters(name: str, argument: str, record_property: Callable[[str, object], None]) -> None:
    """Through two steps, as in torch's tests of the three classes for which it has them; they are the control."""
    hyperparameter = next((h for h in ours(name).schema.hyperparameters if h.name == argument), None)
    if hyperparameter is None:
        return
    if not hyperparameter.tensor:
        record_property("why not", "weight decay and betas are refused as tensors that require grad: they are floats")
        plain = torch.tensor(0.5, requires_grad=True)
        value = tuple([plain] * len(hyperparameter.elements)) if hyperparameter.is_tuple else plain
        with pytest.raises(ValueError, match=r"cannot be a Tensor that requires grad; give it as a float$"):
            ours(name)([torch.zeros(2)], **{argument: value})
        return
    start = torch.linspace(0.3, 1.5, 5, dtype=torch.float64)

    def steps(cls: Callable[..., torch.optim.Optimizer], *values: Tensor) -> Tensor:
        param = start.clone()
        optimizer = cls([param], differentiable=True, **{argument: values if argument == "betas" else values[0]})
        for step in range(2):
            param.grad = (start * (step + 1)).cos()
            optimizer.step()
        return param

    classes: list[Callable[..., torch.optim.Optimizer]] = [partial(ours(name), **remembering(name))]
    if name in ("SGD", "Adam", "AdamW"):
        classes.append(torchs(name))
    for cls in classes:
        numbers = (0.9, 0.99) if argument == "betas" else (0.05,)
        inputs = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]
        if _starts_from(name, argument):
            record_property("why not", f"state that starts from {argument} is made without gradients, as in torch")
            with pytest.raises(GradcheckError):
                torch.autograd.gradcheck(partial(steps, cls), inputs)
        else:
            assert torch.autograd.gradcheck(partial(steps, cls), inputs)


def _starts_from(name: str, argument: str) -> bool:
    """Whether some state starts from the value of a hyperparameter."""
    group = ours(name)([torch.zeros(1)]).param_groups[0]
    return argument == "lr" and any(
        state.init is not None and state.init({**group, "lr": 0.1}) != state.init({**group, "lr": 0.2})
        for state in ours(name).schema.states
    )
