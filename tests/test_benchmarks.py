"""The benchmark measures what it says: on tiny sizes, without a look at any time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from runtime_helpers import train

import thetac

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from benchmarks import costs
from benchmarks.contestants import UnavailableError, algorithms, contestant, gradients
from benchmarks.floor import floor
from benchmarks.plots import plot
from benchmarks.report import markdown
from benchmarks.run import Plan, full, measure, quick
from benchmarks.shapes import ALL, MODELS, equal, size
from benchmarks.targets import targets
from benchmarks.timing import Spread, take_turns

ROOT = Path(__file__).parents[1]
TINY = "4 x 100"


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    labels = ("ours for-loop", "ours foreach", "ours fused", "torch for-loop", "torch fused")
    cases = [(name, TINY, labels) for name in ("AdamW", "Lion")]
    found = measure(Plan(0.01, cases, ["AdamW"], [], ["AdamW"], ["AdamW"], ()), progress=False)
    return json.loads(json.dumps(found))


def test_shapes_are_those_of_the_models() -> None:
    assert {name: round(size(shapes) / 1e6, 1) for name, shapes in MODELS.items()} == {
        "ResNet-50": 25.6,
        "GPT-2 124M": 124.4,
        "Llama layer": 218.1,
    }
    assert len(ALL["160 ResNet-like"]) == 160
    assert round(size(ALL["160 ResNet-like"]) / 1e6, 1) == 4.7


def test_every_algorithm_is_measured_and_every_target_has_its_case() -> None:
    everything = full()
    assert {name for name, _, _ in everything.cases} == set(algorithms())
    assert set(algorithms()) == {name for name in thetac.__all__ if isinstance(getattr(thetac, name), type)}
    assert {shapes for _, shapes, _ in everything.cases} == set(ALL) - {TINY}
    assert {name for name, _, _ in quick().cases} == set(algorithms())


def test_contestants_are_who_they_say_they_are() -> None:
    grads = gradients(equal(3, 5))
    for label, wanted in (("ours fused", {"fused": True}), ("torch foreach", {"foreach": True})):
        one = contestant("AdamW", label, grads)
        assert {key: one.optimizer.param_groups[0][key] for key in wanted} == wanted
    with pytest.raises(UnavailableError, match="torch does not have it"):
        contestant("Lion", "torch fused", grads)
    with pytest.raises(UnavailableError, match="no fused implementation"):
        contestant("NAdam", "torch fused", grads)


def test_contestants_take_turns() -> None:
    calls: list[str] = []
    functions = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    rounds = take_turns(functions, budget=0.0, between=lambda: calls.append("-"))
    assert "".join(calls[:12]) == "-a-a-a-b-b-b"
    assert "".join(calls[12:20]) == "-a-b-b-a"
    assert len(rounds.seconds["a"]) == len(rounds.seconds["b"])
    calls.clear()
    take_turns(functions, budget=0.0)
    assert "".join(calls[6:]).startswith("a" * 20 + "b" * 40 + "a" * 20)  # in loops where nothing comes between


def test_spread() -> None:
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3.0, 2.0, 4.0)


def test_the_floor_moves_everything_and_changes_nothing() -> None:
    params = [torch.nn.Parameter(torch.randn(n)) for n in (5, 40_000)]
    optimizer = thetac.AdamW(params)
    train(optimizer, 2)
    before = [p.detach().clone() for p in params]
    states = [optimizer.state[p]["exp_avg"].clone() for p in params]
    move, moved = floor(optimizer, params)
    move()
    assert moved == 4 * 40_005 * 7  # a parameter and two moments both ways, a gradient one way
    assert all(torch.equal(a, b) for a, b in zip(params, before, strict=True))
    assert all(torch.equal(optimizer.state[p]["exp_avg"], s) for p, s in zip(params, states, strict=True))
    grads = [param.grad for param in params]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)


def test_kernels_are_left_out_and_come_back() -> None:
    one = contestant("AdamW", "ours fused", gradients(equal(2, 3)))
    one.step()
    before = one.params[0].detach().clone()
    with costs.without_kernels():
        one.step()
    assert torch.equal(one.params[0], before)
    one.step()
    assert not torch.equal(one.params[0], before)


def test_memory_sees_what_foreach_allocates_and_fused_does_not() -> None:
    shapes = equal(3, 10_000)
    assert costs.memory("AdamW", "torch foreach", shapes)[0] >= 3 * 40_000
    assert costs.memory("AdamW", "ours fused", shapes)[0] < 1_000


def test_results_become_the_same_page_every_time(results: dict[str, object], tmp_path: Path) -> None:
    page = markdown(results, "results.json")
    assert page == markdown(json.loads(json.dumps(results)), "results.json")
    assert "| AdamW |" in page
    assert "## 4 x 100" in page
    assert {"AdamW, microseconds of Python per parameter"} <= {target.case for target in targets(results["cases"])}
    assert [path.name for path in plot(results, tmp_path)] == []  # a single size, and none of the usual ones
    cases = results["cases"]
    assert isinstance(cases, list)
    for case in cases:
        case["shapes"] = "500 x 1,000"
    cases.append({**cases[0], "elements": 4_000})
    assert [path.name for path in plot(results, tmp_path)] == ["ratios.png", "sizes.png"]


def test_targets_know_what_is_met() -> None:
    ratios = {"torch fused / ours fused": {"median": 5.0, "low": 4.0, "high": 6.0}}
    case = {"kind": "steady", "algorithm": "AdamW", "shapes": "500 x 1,000", "tensors": 500, "ratios": ratios}
    found = {target.case: target for target in targets([case])}
    assert found["AdamW, 500 x 1,000"].met is True
    assert found["AdamW, 500 x 10"].met is None
    ratios["torch fused / ours fused"]["median"] = 4.0
    assert {target.case: target for target in targets([case])}["AdamW, 500 x 1,000"].met is False
    slow = {"kind": "python", "algorithm": "AdamW", "tensors": 500, "seconds": 400e-6}
    (limit,) = [target for target in targets([slow]) if target.value is not None]
    assert (limit.is_limit, limit.met) == (True, False)


def test_the_program_for_gpus_runs_to_its_end_in_the_interpreter(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--interpret", "--quick", "--out", str(out)]
    environment = {key: value for key, value in os.environ.items() if key != "THETAC_CPU_KERNELS"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "say nothing about a GPU" in done.stdout
    (case,) = json.loads(out.read_text())["cases"]
    assert case["algorithm"] == "AdamW"
    assert case["bytes"] == 4 * 400 * 7
