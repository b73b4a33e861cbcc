"""What differs from torch on purpose: each test shows what torch does, and what we do."""

from __future__ import annotations

import pytest
import torch

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import both, ours
from tests.support.runtime_helpers import give_gradients, parameters, train


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


@pytest.mark.difference(
    "`differentiable` is an option of a group, as the others are. torch lets autograd follow a step if the constructor "
    "was told so, whatever groups say: switched on in a group later, it does nothing there, and here it is an error if "
    "parameters are leaves."
)
def test_differentiable_is_an_option_of_a_group() -> None:
    torchs, mine = (cls(parameters(), foreach=False) for cls in reversed(both("AdamW")))
    for optimizer in (torchs, mine):
        optimizer.param_groups[0]["differentiable"] = True
    train(torchs, 1)
    with pytest.raises(
        RuntimeError, match=r"^a leaf Variable that requires grad is being used in an in-place operation"
    ):
        train(mine, 1)


@pytest.mark.difference(
    "Sparse gradients in Adagrad: torch has equations of their own for them, written in another order than those for "
    "dense gradients. Here both are the same equations, and equal torch's to rounding. SGD has torch's bits."
)
def test_sparse_gradients_are_stepped_as_dense_ones() -> None:
    for name, same_bits in (("Adagrad", False), ("SGD", True)):
        runs = []
        for cls in both(name):
            (param,) = params = parameters([(2000, 4)])
            optimizer = cls(params, lr=0.01, foreach=False)
            for step in range(3):
                give_gradients(params, step)
                param.grad = param.grad.to_sparse(1)
                optimizer.step()
            runs.append(optimizer)
        assert_same_training(*runs, rtol=1.3e-6, atol=1e-5)
        mine, torchs = (optimizer.param_groups[0]["params"][0] for optimizer in runs)
        assert torch.equal(mine, torchs) == same_bits
