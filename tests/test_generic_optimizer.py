"""Rules written by hand on `GenericOptimizer`: torch's bits where they are torch's rules, and everything it shares."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from runtime_helpers import assert_same_training, assert_unchanged, give_gradients, parameters, picture, states, train
from torch import Tensor
from torch.nn import Parameter
from torch.optim import lr_scheduler
from torch.optim.optimizer import required

from thetac.runtime import GenericOptimizer

ROOT = Path(__file__).parent.parent


class HeavyBall(GenericOptimizer):
    """torch's SGD with momentum."""

    def __init__(self, params: object, lr: float | Tensor = 0.01, momentum: float = 0.9, **options: Any) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum}, **options)

    def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
        state["velocity"] = torch.zeros_like(param)

    def step_param(self, state: dict[str, Any], group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        state["velocity"].mul_(group["momentum"]).add_(grad)
        param.sub_(state["velocity"], alpha=float(group["lr"]))


class Moments(GenericOptimizer):
    """torch's Adam and AdamW."""

    def __init__(self, params: object, lr: float = 1e-3, **options: Any) -> None:
        super().__init__(params, {"lr": lr, "betas": (0.9, 0.999), "eps": 1e-8}, **options)

    def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(param)
        state["exp_avg_sq"] = torch.zeros_like(param)

    def step_param(self, state: dict[str, Any], group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        state["step"] += 1
        step, (beta1, beta2) = state["step"].item(), group["betas"]
        state["exp_avg"].lerp_(grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denom = (state["exp_avg_sq"].sqrt() / (1 - beta2**step) ** 0.5).add_(group["eps"])
        param.addcdiv_(state["exp_avg"], denom, value=-group["lr"] / (1 - beta1**step))


class Plain(GenericOptimizer):
    """A rule that remembers nothing."""

    def step_param(self, state: dict[str, Any], group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        param.sub_(grad, alpha=group["lr"])


# The step, weight decay, maximize.


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1, torch.tensor([0.1], dtype=torch.float64)], ids=str)
@pytest.mark.parametrize(
    ("rule", "style", "control"),
    [
        (HeavyBall, "l2", lambda params, **options: torch.optim.SGD(params, lr=0.01, momentum=0.9, **options)),
        (Moments, "l2", torch.optim.Adam),
        (Moments, "decoupled", torch.optim.AdamW),
    ],
    ids=["momentum", "moments", "decoupled moments"],
)
def test_torchs_rules_by_hand_have_torchs_bits(
    rule: type[GenericOptimizer],
    style: str,
    control: Callable[..., torch.optim.Optimizer],
    weight_decay: float | Tensor,
    maximize: bool,
) -> None:
    mine = rule(parameters(), weight_decay=weight_decay, weight_decay_style=style, maximize=maximize)
    theirs = control(parameters(), weight_decay=float(weight_decay), maximize=maximize, foreach=False)
    for optimizer in (mine, theirs):
        train(optimizer, 5)
    for mine_params, their_params in zip(*(o.param_groups[0]["params"] for o in (mine, theirs)), strict=True):
        assert torch.equal(mine_params, their_params)


def test_absolute_decay() -> None:
    """It does not depend on lr, but a step with lr 0 moves nothing."""
    optimizer = Plain([Parameter(torch.ones(2))], {"lr": 0.5}, weight_decay=0.25, weight_decay_style="absolute")
    (param,) = optimizer.param_groups[0]["params"]
    param.grad = torch.tensor([0.0, 1.0])
    optimizer.step()
    assert param.tolist() == [0.75, 0.25]
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert param.tolist() == [0.75, 0.25]
    without_lr = Counting([Parameter(torch.ones(2))], {}, weight_decay=0.25, weight_decay_style="absolute")
    (param,) = without_lr.param_groups[0]["params"]
    param.grad = torch.zeros(2)
    without_lr.step()
    assert param.tolist() == [0.75, 0.75]


class Counting(GenericOptimizer):
    """Counts, so that it shows what it was called with."""

    def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
        assert not state
        assert not torch.is_grad_enabled()
        state["seen"] = []

    def step_param(self, state: dict[str, Any], group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        assert not torch.is_grad_enabled()
        assert self.state[param] is state
        assert any(group is mine for mine in self.param_groups)
        state["seen"].append(grad)


def test_groups_override_everything() -> None:
    first, second, third = (Parameter(torch.ones(2)) for _ in range(3))
    groups = [
        {"params": [first]},
        {"params": [second], "lr": 0.25, "weight_decay": 0.5, "weight_decay_style": "decoupled"},
        {"params": [third], "maximize": True},
    ]
    optimizer = Plain(groups, {"lr": 0.5})
    for param in (first, second, third):
        param.grad = torch.ones(2)
    optimizer.step()
    assert [first.tolist(), second.tolist(), third.tolist()] == [[0.5] * 2, [1 - 0.125 - 0.25] * 2, [1.5] * 2]
    with pytest.warns(UserWarning, match="HeavyBall does not read `momentun` .* did you mean `momentum`"):
        HeavyBall([{"params": parameters(), "momentun": 0.5}])


def test_parameters_without_gradients_and_late_ones() -> None:
    params = parameters()
    optimizer = HeavyBall(params)
    optimizer.step()
    assert not optimizer.state
    give_gradients(params[:2], 0)
    optimizer.step()
    assert list(optimizer.state) == params[:2]
    train(optimizer, 2)
    assert all(list(entry) == ["velocity"] for entry in states(optimizer))
    assert [list(entry) for entry in states(_trained(Plain(parameters(), {"lr": 0.1})))] == [[]] * 4


def _trained(optimizer: torch.optim.Optimizer, steps: int = 2) -> torch.optim.Optimizer:
    train(optimizer, steps)
    return optimizer


@pytest.mark.parametrize("maximize", [False, True])
def test_sparse_and_complex_gradients_reach_the_rule_as_they_are(maximize: bool) -> None:
    params = [Parameter(torch.ones(4, 2)), Parameter(torch.ones(3, dtype=torch.complex64))]
    optimizer = Counting(params, {"lr": 0.1}, maximize=maximize)
    params[0].grad = torch.sparse_coo_tensor([[0, 0]], torch.ones(2, 2), (4, 2), check_invariants=True)
    params[1].grad = torch.full((3,), 1 + 2j, dtype=torch.complex64)
    optimizer.step()
    (sparse,), (complex_,) = (optimizer.state[param]["seen"] for param in params)
    assert sparse.is_sparse
    assert sparse.to_dense()[0].tolist() == [-2, -2] if maximize else [2, 2]
    assert complex_.tolist() == [-1 - 2j if maximize else 1 + 2j] * 3
    if not maximize:
        assert sparse is params[0].grad
        assert not sparse.is_coalesced()
        assert complex_ is params[1].grad
    optimizer.param_groups[0]["weight_decay"] = 0.1
    with pytest.raises(
        RuntimeError, match=r"^add\(sparse, dense\) is not supported. Use add\(dense, sparse\) instead.$"
    ):
        optimizer.step()
    assert len(optimizer.state[params[1]]["seen"]) == 1


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
def test_closures() -> None:
    (param,) = parameters([(3,)])
    optimizer = HeavyBall([param])
    losses = []

    def closure() -> Tensor:
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        losses.append(param.square().sum())
        losses[-1].backward(create_graph=True)  # a gradient that itself has a history
        return losses[-1]

    with torch.no_grad():
        assert optimizer.step(closure) is losses[0]
    assert optimizer.step() is None
    assert not optimizer.state[param]["velocity"].requires_grad
    param.grad = None


# What it shares with generated optimizers.


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


@pytest.mark.parametrize("way", ["state_dict", "torch.save", "pickle", "deepcopy"])
@pytest.mark.parametrize("rule", [HeavyBall, Moments])
def test_training_goes_on_after_a_round_trip(rule: type[HeavyBall] | type[Moments], way: str) -> None:
    unbroken = _trained(rule(parameters(dtype=torch.bfloat16), weight_decay=0.1), 5)
    first = _trained(rule(parameters(dtype=torch.bfloat16), weight_decay=0.1), 2)
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


def test_state_keeps_its_dtype_and_may_be_absent() -> None:
    class Wide(HeavyBall):
        def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
            state["velocity"] = torch.zeros_like(param, dtype=torch.float32)

    first = _trained(Wide(parameters(dtype=torch.bfloat16)))
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


# Mistakes.


def test_a_rule_without_its_method() -> None:
    class Nothing(GenericOptimizer):
        pass

    with pytest.raises(TypeError, match=r"abstract class (GenericOptimizer|Nothing) .*step_param"):
        Nothing(parameters(), {"lr": 0.1})
    with pytest.raises(TypeError, match=r"abstract class GenericOptimizer .*step_param"):
        GenericOptimizer(parameters(), {"lr": 0.1})


def test_a_method_that_takes_other_arguments_is_found_when_the_class_is_defined() -> None:
    with pytest.raises(
        TypeError,
        match=r"^Short.step_param must take \(self, state, group, grad, param\): too many positional arguments$",
    ):

        class Short(GenericOptimizer):
            def step_param(self, state: object, param: object) -> None: ...  # type: ignore[override]

    with pytest.raises(
        TypeError, match=r"^Long.init_state must take \(self, state, group, param\): missing a required"
    ):

        class Long(Plain):
            def init_state(self, state: object, group: object, grad: object, param: object) -> None: ...  # type: ignore[override]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"weight_decay": -0.1}, ValueError, r"^Invalid weight_decay value: -0.1$"),
        ({"weight_decay": float("nan")}, ValueError, r"^Invalid weight_decay value: nan$"),
        ({"weight_decay_style": "L2"}, ValueError, r"^weight_decay_style must be one of l2, decoupled, absolute$"),
        ({"defaults": {"weight_decay": 0.1}}, TypeError, "^weight_decay is an argument of GenericOptimizer; leave it"),
        (
            {"defaults": {}, "weight_decay_style": "decoupled"},
            ValueError,
            r"^weight_decay_style 'decoupled' decays by lr \* weight_decay, but there is no lr among the defaults$",
        ),
        ({"params": []}, ValueError, r"^optimizer got an empty parameter list$"),
        ({"params": torch.ones(2)}, TypeError, "^params argument given to the optimizer should be an iterable of"),
        ({"params": [torch.ones(2, requires_grad=True) * 2]}, ValueError, r"^can't optimize a non-leaf Tensor$"),
    ],
    ids=str,
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Plain(**{"params": parameters(), "defaults": {"lr": 0.1}, **arguments})


def test_wrong_values_in_groups_are_found_before_anything_is_written() -> None:
    params = parameters()
    optimizer = Plain([{"params": params[:2]}, {"params": params[2:]}], {"lr": 0.1})
    give_gradients(params, 0)
    before = picture(optimizer)
    with pytest.raises(ValueError, match=r"^Invalid weight_decay value: -1$"):
        optimizer.add_param_group({"params": parameters([(2,)]), "weight_decay": -1})
    optimizer.param_groups[1]["weight_decay_style"] = "none"
    with pytest.raises(ValueError, match=r"^weight_decay_style must be one of l2, decoupled, absolute$"):
        optimizer.step()
    optimizer.param_groups[1]["weight_decay_style"] = "l2"
    assert_unchanged(before, optimizer)


def test_a_wrong_gradient_is_found_before_anything_is_written() -> None:
    params = parameters()
    optimizer = HeavyBall(params)
    give_gradients(params, 0)
    params[-1].data = torch.ones(2)
    before = picture(optimizer)
    with pytest.raises(RuntimeError, match=r"^the gradient of parameter 3 of group 0 has the shape \(2, 3, 4\), not"):
        optimizer.step()
    assert_unchanged(before, optimizer)


def test_an_error_while_state_is_made_changes_nothing_and_says_where() -> None:
    class Picky(HeavyBall):
        def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
            state["velocity"] = torch.zeros(5, 3) + param  # of one shape only

    names = ("first", "second", "third", "fourth")
    optimizer = Picky(list(zip(names, parameters(), strict=True)), weight_decay=0.1)
    give_gradients(optimizer.param_groups[0]["params"], 0)
    before = picture(optimizer)
    with pytest.raises(RuntimeError, match="must match the size") as caught:
        optimizer.step()
    assert caught.value.__notes__ == [
        "in Picky.init_state for parameter 1 of group 0 (second), of shape (7,) and torch.float32"
    ]
    assert_unchanged(before, optimizer)


def test_an_error_of_a_rule_keeps_its_type_and_says_where() -> None:
    optimizer = HeavyBall([{"params": parameters([(2,)])}, {"params": parameters([(2,), (4,)])}])
    train(optimizer, 1)
    optimizer.state[optimizer.param_groups[1]["params"][1]]["velocity"] = torch.zeros(3)
    with pytest.raises(RuntimeError, match="must match the size") as caught:
        train(optimizer, 1)
    assert caught.value.__notes__ == [
        "in HeavyBall.step_param for parameter 1 of group 1, of shape (4,) and torch.float32"
    ]


def test_a_rule_must_not_return_what_it_should_have_written() -> None:
    class Pure(GenericOptimizer):
        def step_param(self, state: object, group: dict[str, Any], grad: Tensor, param: Tensor) -> Tensor:  # type: ignore[override]
            return param - grad

    optimizer = Pure(parameters(), {"lr": 0.1})
    give_gradients(optimizer.param_groups[0]["params"], 0)
    with pytest.raises(
        TypeError, match=r"^step_param must change .* in place and return None, but it returned Tensor\nin Pure"
    ):
        optimizer.step()


# Documentation, import, example.


def test_the_example_of_its_documentation() -> None:
    text = textwrap.dedent((inspect.getdoc(GenericOptimizer) or "").partition("Example::\n\n")[2])
    names: dict[str, Any] = {"GenericOptimizer": GenericOptimizer, "torch": torch}
    exec(text, names)
    mine, theirs = names["HeavyBall"](parameters()), torch.optim.SGD(parameters(), lr=0.01, momentum=0.9, foreach=False)
    for optimizer in (mine, theirs):
        train(optimizer, 3)
    assert all(map(torch.equal, mine.param_groups[0]["params"], theirs.param_groups[0]["params"]))


def test_it_is_imported_where_it_is_asked_for() -> None:
    program = (
        "import sys, thetac.runtime\n"
        "assert 'torch' not in sys.modules\n"
        "assert not hasattr(thetac.runtime, 'Generic')\n"
        "assert thetac.runtime.GenericOptimizer.__module__ == 'thetac.runtime.generic'\n"
        "assert 'triton' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_transformer_trains_with_a_warm_up_written_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import warmup_transformer
    finally:
        sys.path.pop(0)
    with torch.random.fork_rng([]):
        losses, _ = warmup_transformer.train(steps=20)
        again, _ = warmup_transformer.train(steps=20)
        assert losses == again
        warmup_transformer.main(["--steps", "160"])
    shown = capsys.readouterr().out
    rates = [float(line.split("learning rate ")[1].split()[0]) for line in shown.splitlines() if "step " in line][-4:]
    assert rates == sorted(rates), "it warms up"
    share = float(shown.splitlines()[-1].partition("; ")[2].partition("%")[0])
    assert share > 85, shown
