"""What differs from torch on purpose: each test shows what torch does, and what we do."""

from __future__ import annotations

import pytest
import torch

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import both, ours
from tests.support.runtime_helpers import give_gradients, parameters, train


@pytest.mark.difference(
    "By default, with neither `foreach` nor `fused` given, the fastest implementation that supports the tensors runs:"
    " C++ kernels on the CPU, where torch runs its for-loop. It equals torch to rounding; `foreach=False` equals it "
    "bit for bit."
)
def test_the_default_is_the_fastest() -> None:
    optimizer = ours("AdamW")(parameters())
    train(optimizer, 1)
    assert "C++ for 4 parameters" in optimizer.explain()
    control = torch.optim.AdamW(parameters())
    train(control, 1)
    assert_same_training(optimizer, control, rtol=1.3e-6, atol=1e-5)


@pytest.mark.difference(
    "The values of a parameter group are checked like the constructor's arguments; torch checks only the latter. NaN "
    "is rejected for every hyperparameter."
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
    "foreach never writes to gradients. torch's foreach does where that saves a copy, for example in Nesterov's "
    "momentum."
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
    "A key of a parameter group that nothing reads gives a warning if it looks like a misspelt one."
)
def test_misspelt_keys_are_named() -> None:
    torch.optim.AdamW([{"params": parameters(), "weight_decy": 0.1}])
    with pytest.warns(UserWarning, match="did you mean `weight_decay`"):
        ours("AdamW")([{"params": parameters(), "weight_decy": 0.1}])


@pytest.mark.difference(
    "`differentiable` is an option of a group, like the others. In torch only the constructor's value enables "
    "autograd: set in a group later, it has no effect there. Here it is an error if parameters are leaves."
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
    "For sparse gradients, torch's Adagrad has separate equations, in another order than those for dense gradients. "
    "Here both use the same equations, and equal torch's to rounding. SGD has torch's bits."
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
