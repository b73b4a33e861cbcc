"""Modes of use: maximize, tensors as numbers, version counters, autocast; scalers and capturable lie elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import every_class, ours, remembering, torchs
from tests.support.runtime_helpers import give_gradients, parameters, train

IMPLEMENTATIONS: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
every_implementation = pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)


def make(name: str, *args: object, **kwargs: object) -> torch.optim.Optimizer:
    return ours(name)(*args, **{**remembering(name), **kwargs})


# maximize, and numbers given as tensors.


@pytest.mark.feature("modes", "maximize: the same as negated gradients")
@every_implementation
@every_class
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
@every_class
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
        # Some states start from what the constructor was given.
        numbers = {"lr": 0.01, **({"betas": tuple(beta.item() for beta in betas)} if betas else {})}
        by_numbers = make(name, parameters(), **numbers, **options)
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


# Autograd's version counters, autocast.


@pytest.mark.feature("modes", "a backward through a parameter that a step has written raises")
@every_implementation
@every_class
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
@every_class
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
