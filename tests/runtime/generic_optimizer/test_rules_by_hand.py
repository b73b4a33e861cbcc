"""Rules written by hand on `GenericOptimizer`: torch's bits where they are torch's rules; documentation, example."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from tests.support.generic_rules import HeavyBall, Moments, Plain, trained
from tests.support.paths import ROOT
from tests.support.runtime_helpers import give_gradients, parameters, states, train
from thetac.runtime import GenericOptimizer


@pytest.mark.feature("rules written by hand", "torch's rules have torch's bits; three styles of weight decay")
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


@pytest.mark.feature("rules written by hand", "torch's rules have torch's bits; three styles of weight decay")
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


@pytest.mark.feature("rules written by hand", "groups, closures, late, sparse and complex gradients")
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


@pytest.mark.feature("rules written by hand", "groups, closures, late, sparse and complex gradients")
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
    assert [list(entry) for entry in states(trained(Plain(parameters(), {"lr": 0.1})))] == [[]] * 4


@pytest.mark.feature("rules written by hand", "groups, closures, late, sparse and complex gradients")
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


@pytest.mark.feature("rules written by hand", "groups, closures, late, sparse and complex gradients")
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
        "assert thetac.runtime.GenericOptimizer.__module__ == 'thetac.runtime.generic_optimizer'\n"
        "assert 'triton' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.feature("rules written by hand", "the example: a small transformer with a warm-up")
@pytest.mark.thorough("a minute of training; the rules that it uses are tested above")
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
