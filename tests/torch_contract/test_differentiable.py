"""Gradients flow through a step: gradcheck of every optimizer, torch's classes beside them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from tests.support.every_optimizer import both, every_optimizer, ours, remembering, torchs
from thetac.shape_numbers import shape_numbers


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

    Ours by scalar states too. Where such a state is not 1, torch's averages overwrite what their derivative needs, and
    torch's ASGD reads its scalar states as numbers.
    """
    schema = ours(name).schema
    arguments: dict[str, object] = {"lr": 0.09, **remembering(name)}
    if "weight_decay" in {h.name for h in schema.hyperparameters}:
        arguments["weight_decay"] = weight_decay
    elif weight_decay:
        return
    group = ours(name)([torch.zeros(1)], **arguments).param_groups[0]
    present = [state for state in schema.states if state.exists(group, shape_numbers((6,), 2.0**-52))]
    generator = torch.Generator().manual_seed(2)
    controls = [cls for cls in both(name) if "differentiable" in inspect.signature(cls).parameters]
    for cls, scalar in ((ours(name), 0.7), *((cls, 1.0) for cls in controls)):
        flowing = ("tensor", "scalar") if scalar != 1 else ("tensor",)
        names = [state.name for state in present if state.kind in flowing]
        sizes = [(6,), (6,), *((6,) if state.kind == "tensor" else () for state in present if state.kind in flowing)]
        others = {
            state.name: 10.0 if state.kind == "counter" else scalar for state in present if state.kind not in flowing
        }
        inputs = [(torch.rand(size, generator=generator, dtype=torch.float64) + 0.2).requires_grad_() for size in sizes]
        assert torch.autograd.gradcheck(_step_as_a_function(cls, names, others, arguments), inputs)


# What torch's TestDifferentiableOptimizer sets of each class: tensor states, scalar states, whether those flow, and
# arguments. Steps are counted from 10, tensors are random in [0, 1).
TORCHS_OWN: tuple[tuple[str, tuple[str, ...], dict[str, float], bool, dict[str, object]], ...] = (
    ("SGD", ("momentum_buffer",), {}, False, {}),
    ("Adam", ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"), {}, False, {"amsgrad": True}),
    (
        "RMSprop",
        ("square_avg", "momentum_buffer", "grad_avg"),
        {},
        False,
        {"maximize": True, "momentum": 0.9, "centered": True, "weight_decay": 0.1},
    ),
    ("Adadelta", ("square_avg", "acc_delta"), {}, False, {"weight_decay": 0.1}),
    ("Adagrad", ("sum",), {}, False, {"weight_decay": 0.1}),
    ("Adamax", ("exp_avg", "exp_inf"), {}, False, {"weight_decay": 0.1}),
    ("ASGD", ("ax",), {"eta": 0.9, "mu": 1.0}, False, {}),
    ("Rprop", ("prev", "step_size"), {}, False, {}),
    ("AdamW", ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"), {}, False, {"amsgrad": True}),
    ("NAdam", ("exp_avg", "exp_avg_sq"), {"mu_product": 1.0}, True, {}),
    ("NAdam", ("exp_avg", "exp_avg_sq"), {"mu_product": 1.0}, True, {"decoupled_weight_decay": True}),
    ("RAdam", ("exp_avg", "exp_avg_sq"), {}, False, {}),
    ("RAdam", ("exp_avg", "exp_avg_sq"), {}, False, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
)


def _own_step(
    param: Tensor,
    grad: Tensor,
    state: dict[str, Tensor],
    cls: type[torch.optim.Optimizer],
    arguments: dict[str, object],
    *_flowing: Tensor,
) -> tuple[Tensor, ...]:
    """The function of torch's test: every state that requires grad comes out, what is behind `arguments` goes in."""
    param = param.clone()
    param.grad = grad
    optimizer = cls([param], lr=0.9, differentiable=True, **arguments)
    optimizer.state[param].update({name: value.clone() for name, value in state.items()})
    optimizer.step()
    return (param, *(value for value in optimizer.state[param].values() if value.requires_grad))


@pytest.mark.parametrize("case", TORCHS_OWN, ids=lambda case: f"{case[0]}-{'-'.join(case[4])}")
def test_torch_s_own_test(case: tuple[str, tuple[str, ...], dict[str, float], bool, dict[str, object]]) -> None:
    name, tensors, scalars, scalars_flow, arguments = case
    for cls in both(name):
        generator = torch.Generator().manual_seed(5)
        state = {} if name == "SGD" else {"step": torch.tensor(10.0, dtype=torch.float64)}
        for key in tensors:
            random = torch.rand(10, generator=generator, dtype=torch.float64)
            state[key] = (1e-2 * random if key == "grad_avg" else random).requires_grad_()
        for key, value in scalars.items():
            state[key] = torch.tensor(value, dtype=torch.float64, requires_grad=scalars_flow)
        param, grad = (torch.rand(10, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
        assert torch.autograd.gradcheck(_own_step, (param, grad, state, cls, arguments, *state.values()))


def test_the_gradient_by_a_scalar_state_is_torch_s() -> None:
    """Of NAdam's product of momenta: of parameter and product together."""
    found = []
    for cls in both("NAdam"):
        start = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
        param = torch.linspace(0.5, 1.5, 4, dtype=torch.float64, requires_grad=True).clone()
        optimizer = cls([param], lr=0.1, differentiable=True)
        moments = {key: torch.full((4,), 0.3, dtype=torch.float64) for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[param].update(step=torch.tensor(10.0, dtype=torch.float64), mu_product=start.clone(), **moments)
        param.grad = param.detach().cos()
        optimizer.step()
        found.append(torch.autograd.grad(param.sum() + optimizer.state[param]["mu_product"], start)[0])
    torch.testing.assert_close(*found, rtol=1e-12, atol=0)


def test_gradients_flow_from_step_to_step_through_a_scalar_state() -> None:
    """QHAdam's weight of the mean is a geometric sum: what it was two steps ago counts beta1 ** 2 of it."""
    start = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    param = torch.ones(2, dtype=torch.float64, requires_grad=True).clone()
    optimizer = ours("QHAdam")([param], betas=(0.5, 0.9), differentiable=True)
    zeros = {key: torch.zeros(2, dtype=torch.float64) for key in ("exp_avg", "exp_avg_sq")}
    weights = {"beta1_weight": start.clone(), "beta2_weight": torch.ones((), dtype=torch.float64)}
    optimizer.state[param].update(**weights, **zeros)
    for _ in range(2):
        param.grad = torch.ones(2, dtype=torch.float64)
        optimizer.step()
    (by_start,) = torch.autograd.grad(optimizer.state[param]["beta1_weight"], start)
    assert by_start == 0.25


START_FROM_LR = ("ApolloMa", "MARS")  # without a state: a number of their groups is the lr of the constructor
# Arguments under which what follows from the first lr shows within two steps.
WHERE_THE_START_COUNTS: dict[str, dict[str, float]] = {"AdaBound": {"gamma": 0.99}}


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

    def steps(cls: Callable[..., torch.optim.Optimizer], *values: Tensor, begun: bool = False) -> Tensor:
        param = start.clone()
        given = values if argument == "betas" else values[0]
        optimizer = cls([param], differentiable=True, **{argument: 0.05 if begun else given})
        for step in range(2):
            if begun and step == 1:
                optimizer.param_groups[0][argument] = given
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
                torch.autograd.gradcheck(partial(steps, partial(cls, **WHERE_THE_START_COUNTS.get(name, {}))), inputs)
            assert torch.autograd.gradcheck(partial(steps, cls, begun=True), inputs), "by a later lr"
        else:
            assert torch.autograd.gradcheck(partial(steps, cls), inputs)


def _starts_from(name: str, argument: str) -> bool:
    """Whether some state starts from the value of a hyperparameter."""
    group = ours(name)([torch.zeros(1)]).param_groups[0]
    numbers = shape_numbers((5,), 2.0**-52)
    if argument == "lr" and name in START_FROM_LR:
        return True
    return argument == "lr" and any(
        state.init is not None
        and state.exists(group, numbers)
        and state.init({**group, "lr": 0.1}) != state.init({**group, "lr": 0.2})
        for state in ours(name).schema.states
    )
