"""What rules written by hand share with generated optimizers: hooks, schedulers, checkpoints, scalers."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import lr_scheduler
from torch.optim.optimizer import required

from tests.support.comparing import assert_same_training
from tests.support.generic_rules import HeavyBall, Moments, Plain, trained
from tests.support.runtime_helpers import give_gradients, parameters, states, train


@pytest.mark.feature("rules written by hand", "hooks, the profiler, schedulers, GradScaler")
def test_hooks_and_the_profiler_see_it() -> None:
    optimizer, seen = HeavyBall(parameters()), []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.register_state_dict_post_hook(lambda _, saved: {**saved, "mine": 1})
    with torch.profiler.profile() as profile:
        train(optimizer, 1)
    assert seen == ["before", "after"]
    assert optimizer.state_dict()["mine"] == 1
    assert "Optimizer.step#HeavyBall.step" in {event.key for event in profile.key_averages()}


@pytest.mark.feature("rules written by hand", "hooks, the profiler, schedulers, GradScaler")
def test_schedulers_drive_lr_and_momentum() -> None:
    optimizer = HeavyBall(parameters(), lr=0.5)
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    for step in range(9):
        train(optimizer, 1, seed=step)
        scheduler.step()
    group = optimizer.param_groups[0]
    assert group["lr"] < 0.01
    assert group["momentum"] > 0.94
    rate = torch.tensor(0.5)
    by_tensor = HeavyBall([Parameter(torch.ones(1))], lr=rate, momentum=0.0, weight_decay_style="decoupled")
    (param,) = by_tensor.param_groups[0]["params"]
    param.grad = torch.ones(1)
    by_tensor.step()
    rate.mul_(0.5)
    by_tensor.step()
    assert param.tolist() == [0.25]


@pytest.mark.feature("rules written by hand", "state_dict, pickle, deepcopy: a run goes on bit for bit")
@pytest.mark.parametrize("way", ["state_dict", "torch.save", "pickle", "deepcopy"])
@pytest.mark.parametrize("rule", [HeavyBall, Moments])
def test_training_goes_on_after_a_round_trip(rule: type[HeavyBall] | type[Moments], way: str) -> None:
    unbroken = trained(rule(parameters(dtype=torch.bfloat16), weight_decay=0.1), 5)
    first = trained(rule(parameters(dtype=torch.bfloat16), weight_decay=0.1), 2)
    match way:
        case "pickle":
            second = pickle.loads(pickle.dumps(first))
        case "deepcopy":
            second = copy.deepcopy(first)
        case _:
            second = rule([Parameter(p.detach().clone()) for p in first.param_groups[0]["params"]])
            saved = first.state_dict()
            if way == "torch.save":
                buffer = io.BytesIO()
                torch.save(saved, buffer)
                saved = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
            second.load_state_dict(saved)
    train(second, 3, seed=2)
    assert_same_training(second, unbroken)
    assert second.param_groups[0]["weight_decay"] == 0.1


@pytest.mark.feature("rules written by hand", "state_dict, pickle, deepcopy: a run goes on bit for bit")
def test_state_keeps_its_dtype_and_may_be_absent() -> None:
    class Wide(HeavyBall):
        def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
            state["velocity"] = torch.zeros_like(param, dtype=torch.float32)

    first = trained(Wide(parameters(dtype=torch.bfloat16)))
    second = Wide(parameters(dtype=torch.bfloat16))
    second.load_state_dict(first.state_dict())
    assert {entry["velocity"].dtype for entry in states(second)} == {torch.float32}
    without = first.state_dict()
    without["state"] = {}
    second.load_state_dict(without)
    assert not second.state
    train(second, 1)
    assert len(second.state) == 4


def test_a_required_value() -> None:
    with pytest.raises(
        ValueError, match=r"^parameter group didn't specify a value of required optimization parameter lr$"
    ):
        Plain([{"params": parameters()}], {"lr": required})
    Plain([{"params": parameters(), "lr": 0.1}], {"lr": required})


@pytest.mark.feature("rules written by hand", "hooks, the profiler, schedulers, GradScaler")
def test_grad_scaler_unscales() -> None:
    scaled, plain = HeavyBall(parameters()), HeavyBall(parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    for step in range(3):
        give_gradients(scaled.param_groups[0]["params"], step)
        scaler.scale(torch.tensor(1.0))
        for param in scaled.param_groups[0]["params"]:
            param.grad.mul_(256.0)
        scaler.step(scaled)
        scaler.update()
        train(plain, 1, seed=step)
    assert_same_training(scaled, plain)


def test_explain() -> None:
    optimizer = HeavyBall([{"params": parameters()}, {"params": parameters([(2,)])}])
    assert optimizer.explain() == (
        "HeavyBall, 2 parameter groups\n"
        "group 0: HeavyBall.step_param for 4 parameters of 47 elements (a rule written by hand)\n"
        "group 1: HeavyBall.step_param for 1 parameter of 2 elements (a rule written by hand)"
    )
