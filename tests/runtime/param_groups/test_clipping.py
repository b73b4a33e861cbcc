"""`clip_grad_norm=`: the step of `torch.nn.utils.clip_grad_norm_` and then a step, with gradients left as they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import thetac as ours
from tests.support.comparing import assert_same_training
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture
from tests.support.stepping import every_class_that_evaluates_once
from thetac.runtime.optimizer import Optimizer

IMPLEMENTATIONS = [{"foreach": False}, {"foreach": True}, {"fused": True}]


def pair(
    name: str, max_norm: float, dtype: torch.dtype = torch.float32, **options: bool
) -> tuple[Optimizer, Optimizer]:
    """One that clips within its step, and one that is clipped before it."""
    arguments = {"lr": 0.01, **options}
    return (
        getattr(ours, name)(parameters(dtype=dtype), clip_grad_norm=max_norm, **arguments),
        getattr(ours, name)(parameters(dtype=dtype), **arguments),
    )


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


@pytest.mark.parametrize("options", IMPLEMENTATIONS, ids=str)
@every_class_that_evaluates_once  # an estimate is not clipped
@pytest.mark.parametrize("max_norm", [0.5, 1e3])
def test_the_same_as_clipping_and_then_stepping(name: str, max_norm: float, options: dict[str, bool]) -> None:
    within, before = pair(name, max_norm, **options)
    for step in range(3):
        for one in (within, before):
            give_gradients(params_of(one), step)
        kept = [param.grad.clone() for param in params_of(within)]
        norm = torch.nn.utils.clip_grad_norm_(params_of(before), max_norm)
        before.step()
        within.step()
        assert within.grad_norm is not None
        assert within.grad_norm.dim() == 0
        torch.testing.assert_close(within.grad_norm, norm)
        assert all(torch.equal(param.grad, grad) for param, grad in zip(params_of(within), kept, strict=True))
    assert_same_training(within, before, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("options", IMPLEMENTATIONS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64, torch.bfloat16], ids=str)
def test_other_dtypes(dtype: torch.dtype, options: dict[str, bool]) -> None:
    within, before = pair("AdamW", 0.5, dtype, **options)
    for step in range(3):
        for one in (within, before):
            give_gradients(params_of(one), step)
        norm = torch.nn.utils.clip_grad_norm_(params_of(before), 0.5)
        before.step()
        within.step()
        assert within.grad_norm is not None
        rough = dtype == torch.bfloat16  # gradients of the twin are rounded when they are clipped
        torch.testing.assert_close(
            within.grad_norm, norm.to(within.grad_norm.dtype), rtol=0.02 if rough else 1e-6, atol=1e-6
        )
    assert_same_training(within, before, rtol=0.05 if rough else 2e-5, atol=0.02 if rough else 1e-6)


@pytest.mark.parametrize("options", IMPLEMENTATIONS, ids=str)
@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_infinities_and_nan_as_torch_has_them(value: float, options: dict[str, bool]) -> None:
    within, before = pair("SGD", 0.5, **options)
    for one in (within, before):
        give_gradients(params_of(one), 0)
        params_of(one)[1].grad[3] = value
    torch.nn.utils.clip_grad_norm_(params_of(before), 0.5)
    before.step()
    within.step()
    for a, b in zip(params_of(within), params_of(before), strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)


@pytest.mark.parametrize("options", IMPLEMENTATIONS, ids=str)
def test_one_norm_over_all_groups_and_dtypes(options: dict[str, bool]) -> None:
    optimizers = []
    for clip in (0.25, None):
        groups = [
            {"params": parameters()},
            {"params": parameters(seed=1), "lr": 0.1},
            {"params": parameters(dtype=torch.float64, seed=2), "weight_decay": 0.5},
        ]
        optimizers.append(ours.AdamW(groups, clip_grad_norm=clip, **options))
    within, before = optimizers
    for one in optimizers:
        give_gradients(params_of(one), 3)
    # torch's function refuses nothing here, but rounds each norm to its gradient's dtype
    norm = torch.stack([param.grad.double().norm() for param in params_of(before)]).norm()
    for param in params_of(before):
        param.grad.mul_(min(1.0, 0.25 / (norm.item() + 1e-6)))
    for one in optimizers:
        one.step()
    assert within.grad_norm is not None
    torch.testing.assert_close(within.grad_norm, norm)
    assert_same_training(within, before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", IMPLEMENTATIONS, ids=str)
def test_sparse_gradients_and_none(options: dict[str, bool]) -> None:
    optimizers = [ours.SGD(parameters([(6, 2), (3,), (4,)]), lr=0.1, clip_grad_norm=c, **options) for c in (0.5, None)]
    for one in optimizers:
        first, second, _ = params_of(one)
        rows = torch.tensor([[1, 4, 1]])
        first.grad = torch.sparse_coo_tensor(rows, torch.ones(3, 2), (6, 2))
        second.grad = torch.ones(3)
    norm = (4 * 2 + 2 + 3) ** 0.5  # the two entries of one row add up
    for param in params_of(optimizers[1])[:2]:
        param.grad = param.grad * (0.5 / norm)
    for one in optimizers:
        one.step()
    assert optimizers[0].grad_norm is not None
    assert optimizers[0].grad_norm.item() == pytest.approx(norm)
    assert_same_training(*optimizers, rtol=1e-5, atol=1e-6)


def test_nothing_to_clip() -> None:
    optimizer = ours.AdamW(parameters(), clip_grad_norm=1.0)
    optimizer.step()
    assert optimizer.grad_norm is not None
    assert optimizer.grad_norm.item() == 0


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_a_limit_that_is_none(value: float) -> None:
    with pytest.raises(ValueError, match=f"^Invalid clip_grad_norm value: {value}$"):
        ours.AdamW(parameters(), clip_grad_norm=value)


def test_groups_must_agree() -> None:
    optimizer = ours.AdamW(parameters(), clip_grad_norm=1.0)
    with pytest.raises(ValueError, match="all groups must have the same"):
        optimizer.add_param_group({"params": parameters(seed=1), "clip_grad_norm": 2.0})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": parameters(seed=1)})
    give_gradients(params_of(optimizer), 0)
    optimizer.param_groups[1]["clip_grad_norm"] = None
    before = picture(optimizer)
    with pytest.raises(ValueError, match=r"all groups must have the same, not 1\.0, None"):
        optimizer.step()
    assert_unchanged(before, optimizer)


def test_the_key_is_in_groups_and_checkpoints_only_where_it_is_used() -> None:
    assert "clip_grad_norm" not in ours.AdamW(parameters()).state_dict()["param_groups"][0]
    clipped = ours.AdamW(parameters(), clip_grad_norm=0.5)
    assert clipped.state_dict()["param_groups"][0]["clip_grad_norm"] == 0.5
    other = ours.AdamW(parameters())
    other.load_state_dict(clipped.state_dict())
    give_gradients(params_of(other), 0)
    other.step()
    assert other.grad_norm is not None
