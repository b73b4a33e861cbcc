"""Modes of use, over all optimizers: differentiable, capturable, maximize, tensors as numbers, autocast, autograd."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from every_optimizer import both, every_optimizer, ours, remembering, torchs
from runtime_helpers import assert_same_training, assert_unchanged, give_gradients, parameters, picture, train
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError
from torch.nn import Parameter

IMPLEMENTATIONS: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
every_implementation = pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)


def make(name: str, *args: object, **kwargs: object) -> torch.optim.Optimizer:
    return ours(name)(*args, **{**remembering(name), **kwargs})


# Autograd through a step.


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

    classes: list[Callable[..., torch.optim.Optimizer]] = [partial(make, name)]
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


# Capturable, maximize, and numbers given as tensors.


@pytest.mark.feature("modes", "capturable: on the CPU torch's own error, before anything is written")
@every_optimizer
def test_capturable_on_the_cpu(name: str, record_property: Callable[[str, object], None]) -> None:
    """The devices that torch names after its words differ from one of its classes to the other."""
    if "capturable" not in ours(name)([torch.zeros(1)]).defaults:
        record_property("why not", "it has no such argument, as in torch")
        return
    for cls in both(name):
        params = parameters()
        optimizer = cls(params, capturable=True)
        give_gradients(params, 0)
        before = picture(optimizer)
        with pytest.raises(
            AssertionError, match=r"^If capturable=True, params.* must be on supported devices: \['cuda'"
        ):
            optimizer.step()
        if cls is ours(name):
            assert_unchanged(before, optimizer)


@pytest.mark.feature("modes", "maximize: the same as negated gradients")
@every_implementation
@every_optimizer
def test_maximize(name: str, options: dict[str, bool]) -> None:
    up, down = make(name, parameters(), maximize=True, **options), make(name, parameters(), **options)
    for step in range(3):
        for optimizer, sign in ((up, 1), (down, -1)):
            params = optimizer.param_groups[0]["params"]
            give_gradients(params, step)
            for param in params:
                param.grad.mul_(sign)
            optimizer.step()
    assert_same_training(up, down)


@pytest.mark.feature("modes", "lr and betas as tensors of 0 dimensions or 1 element, read at every step")
@every_implementation
@every_optimizer
def test_tensors_are_read_at_every_step(
    name: str, options: dict[str, bool], record_property: Callable[[str, object], None]
) -> None:
    """What is written into them between steps is what the next step computes with."""
    kinds = {h.name: h for h in ours(name).schema.hyperparameters}
    if options.get("foreach") and any("as a Tensor is not" in each.message for each in ours(name).schema.requirements):
        record_property("why not", "`foreach=True` refuses tensors without `capturable=True`, as in torch")
        with pytest.raises(
            ValueError, match=r"^lr as a Tensor is not supported for capturable=False and foreach=True$"
        ):
            make(name, parameters(), lr=torch.tensor(0.01), **options)
        return
    for shape in ((), (1,)):
        lr = torch.full(shape, 0.01, dtype=torch.float64)
        arguments: dict[str, object] = {"lr": lr}
        betas: tuple[Tensor, ...] = ()
        if "betas" in kinds:
            betas = tuple(
                torch.full(shape, 0.5 + 0.1 * i, dtype=torch.float64) for i in range(len(kinds["betas"].elements))
            )
            arguments["betas"] = betas
        by_tensors = make(name, parameters(), **arguments, **options)
        held = by_tensors.param_groups[0].get("betas", ())
        by_numbers = make(name, parameters(), **options)
        for step in range(4):
            lr.mul_(0.75)
            for beta in held:
                beta.add_(0.02)
            group = by_numbers.param_groups[0]
            group["lr"] = lr.item()
            if held:
                group["betas"] = tuple(beta.item() for beta in held)
            train(by_tensors, 1, seed=step)
            train(by_numbers, 1, seed=step)
        assert_same_training(by_tensors, by_numbers, rtol=1e-6, atol=1e-7)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_optimizer
def test_capturable_in_a_graph(name: str) -> None:
    """A step that is captured once and replayed ends where eager steps end."""
    if "capturable" not in ours(name)([torch.zeros(1)]).param_groups[0]:
        return
    runs = []
    for captured in (False, True):
        params = [Parameter(param.detach().cuda()) for param in parameters()]
        give_gradients([param.cpu() for param in params], 0)
        for index, param in enumerate(params):
            param.grad = torch.full_like(param, 0.25 * (index + 1))
        optimizer = make(name, params, capturable=True)
        optimizer.step()
        if captured:
            graph = torch.cuda.CUDAGraph()
            torch.cuda.synchronize()
            with torch.cuda.graph(graph):
                optimizer.step()
            for _ in range(5):
                graph.replay()
        else:
            for _ in range(5):
                optimizer.step()
        torch.cuda.synchronize()
        runs.append(optimizer)
    assert_same_training(*runs)


# Autograd's version counters, autocast, GradScaler.


@pytest.mark.feature("modes", "a backward through a parameter that a step has written raises")
@every_implementation
@every_optimizer
def test_autograd_knows_what_was_written(name: str, options: dict[str, bool]) -> None:
    makes = [partial(make, name, **options)]
    if not options and (control := torchs(name)) is not None:
        makes.append(control)
    for one in makes:
        param = Parameter(torch.linspace(1, 2, 4))
        optimizer = one([param])
        train(optimizer, 2)
        for _ in range(2):  # the second step has a plan
            loss = param.square().sum()
            train(optimizer, 1, seed=3)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()


@pytest.mark.feature("modes", "autocast: a step within it is the same as outside of it")
@every_implementation
@every_optimizer
def test_autocast(name: str, options: dict[str, bool]) -> None:
    def run(within: bool) -> torch.optim.Optimizer:
        weight, bias = parameters([(4, 3), (4,)])
        optimizer = make(name, [weight, bias], **options)
        inputs = torch.linspace(-1, 1, 6).reshape(2, 3)
        for _ in range(4):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                outputs = torch.nn.functional.linear(inputs, weight, bias)
                assert outputs.dtype is torch.bfloat16
                outputs.float().square().sum().backward()
                if within:
                    optimizer.step()
            if not within:
                optimizer.step()
        assert weight.dtype is torch.float32
        return optimizer

    assert_same_training(run(within=True), run(within=False))


@pytest.mark.feature("modes", "GradScaler: unscaled steps, and steps that are skipped")
@every_implementation
@every_optimizer
def test_grad_scaler(name: str, options: dict[str, bool]) -> None:
    """Powers of two as scales leave the bits alone; a step with an infinity in it leaves everything alone."""
    scaled, plain = make(name, parameters(), **options), make(name, parameters(), **options)
    supports = getattr(scaled, "_step_supports_amp_scaling", False)
    assert supports == (options.get("fused") is True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    for step in range(5):
        params = scaled.param_groups[0]["params"]
        give_gradients(params, step)
        held = [param.grad.clone() for param in params]
        scaler.scale(torch.tensor(1.0))  # makes the scale
        for param in params:
            param.grad.mul_(scaler.get_scale())
        if step == 2:
            params[1].grad[3] = float("inf")
            before = picture(scaled)
            scaler.step(scaled)
            assert_unchanged(before, scaled)
        else:
            scaler.step(scaled)
            for param, grad in zip(params, held, strict=True):
                assert torch.equal(param.grad, grad), "gradients are unscaled, as torch leaves them"
            train(plain, 1, seed=step)
        scaler.update()
    assert_same_training(scaled, plain)


# What differs from torch on purpose.


@pytest.mark.difference(
    "The default, with neither `foreach` nor `fused` given, is the fastest implementation that fits the tensors: C++ "
    "kernels on the CPU, where torch runs its for-loop. It equals torch to rounding; `foreach=False` equals it bit for "
    "bit."
)
def test_the_default_is_the_fastest() -> None:
    optimizer = ours("AdamW")(parameters())
    train(optimizer, 1)
    assert "C++ for 4 parameters" in optimizer.explain()
    control = torch.optim.AdamW(parameters())
    train(control, 1)
    assert_same_training(optimizer, control, rtol=1.3e-6, atol=1e-5)


@pytest.mark.difference(
    "Values that a parameter group overrides are checked as the constructor's arguments are; torch checks only those. "
    "NaN is no value of any hyperparameter."
)
def test_overrides_of_groups_are_checked() -> None:
    for value in (-1.0, float("nan")):
        torch.optim.AdamW([{"params": parameters(), "lr": value}])
        with pytest.raises(ValueError, match=f"^Invalid learning rate: {value}$"):
            ours("AdamW")([{"params": parameters(), "lr": value}])
    torch.optim.SGD(parameters(), lr=float("nan"))
    with pytest.raises(ValueError, match=r"^Invalid learning rate: nan$"):
        ours("SGD")(parameters(), lr=float("nan"))


@pytest.mark.difference(
    "foreach never writes to gradients. torch's does where that saves a copy, in Nesterov's momentum for one."
)
def test_foreach_does_not_touch_gradients() -> None:
    touched = []
    for cls in both("SGD"):
        params = parameters()
        optimizer = cls(params, momentum=0.9, nesterov=True, foreach=True)
        train(optimizer, 1)
        give_gradients(params, 1)
        held = [param.grad.clone() for param in params if param.grad is not None]
        optimizer.step()
        touched.append(not all(torch.equal(param.grad, grad) for param, grad in zip(params, held, strict=True)))
    assert touched == [False, True]


@pytest.mark.difference(
    "A key of a parameter group that nothing reads, but that looks like one that is read, gives a warning."
)
def test_misspelt_keys_are_named() -> None:
    torch.optim.AdamW([{"params": parameters(), "weight_decy": 0.1}])
    with pytest.warns(UserWarning, match="did you mean `weight_decay`"):
        ours("AdamW")([{"params": parameters(), "weight_decy": 0.1}])
