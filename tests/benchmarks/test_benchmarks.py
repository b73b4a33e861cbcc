"""The benchmark measures what it says: on tiny sizes, without a look at any time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import thetac
from tests.support.paths import ROOT
from tests.support.runtime_helpers import train

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from benchmarks import cases, costs, gpu
from benchmarks.__main__ import with_cases_of_others
from benchmarks.contestants import (
    AUTHORS,
    COMPILED,
    UnavailableError,
    algorithms,
    contestant,
    evaluates_again,
    gradients,
    parameters,
    share_state,
    takes_rows_alone,
)
from benchmarks.floor import CHUNK, PER_THREAD, floor
from benchmarks.minimization import minimization
from benchmarks.perturbation import perturbation
from benchmarks.plan import FUSED, OF_SEVERAL_PASSES, Plan, full, quick
from benchmarks.plots import plot
from benchmarks.report import markdown
from benchmarks.run import measure
from benchmarks.shapes import ALL, MODELS, equal, size
from benchmarks.targets import Target, targets
from benchmarks.timing import MOST_CALLS, Spread, Timed, take_turns

RESULTS = ROOT / "benchmarks" / "results" / "cpu.json"
TINY = "4 x 100"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    labels = ("ours for-loop", "ours foreach", "ours fused", "torch for-loop", "torch fused")
    plan = Plan(
        0.01,
        steady=[(name, TINY, labels) for name in ("AdamW", "Lion")],
        fresh=[("AdamW", TINY, FUSED)],
        memory=["AdamW"],
        python=["AdamW"],
    )
    found: dict[str, Any] = json.loads(json.dumps(measure(plan, progress=False)))
    return found


def test_shapes_are_those_of_the_models() -> None:
    assert {name: round(size(shapes) / 1e6, 1) for name, shapes in MODELS.items()} == {
        "ResNet-50": 25.6,
        "GPT-2 124M": 124.4,
        "Llama layer": 218.1,
    }
    assert len(ALL["160 ResNet-like"]) == 160
    assert round(size(ALL["160 ResNet-like"]) / 1e6, 1) == 4.7


def test_every_algorithm_and_every_size_is_measured() -> None:
    everything = full()
    assert set(algorithms()) == {name for name in vars(thetac)["__all__"] if isinstance(getattr(thetac, name), type)}
    by_rows = {name for name in algorithms() if takes_rows_alone(name)}
    again = {name for name in algorithms() if evaluates_again(name)}
    dense = set(algorithms()) - by_rows - again
    assert set(everything.rows) == set(quick().rows) == by_rows
    assert {name for name, _ in (*everything.perturbation, *everything.minimization)} < again
    of_their_kind = {name for name in dense if hasattr(torch.optim, name)} | set(OF_SEVERAL_PASSES)
    assert of_their_kind < set(algorithms())
    for names in (everything.memory, everything.denormal, everything.python):
        assert set(names) == of_their_kind
    measured = {shapes: {name for name, of, _ in everything.steady if of == shapes} for shapes in ALL}
    assert measured["GPT-2 124M"] == dense
    for shapes in ("500 x 1,000", "160 ResNet-like"):
        assert of_their_kind <= measured[shapes]
    assert {shapes for shapes in ALL if not measured[shapes]} == {TINY}
    assert {name for name, _, _ in quick().steady} == dense
    assert {name for name, _, _ in full(["Lion"]).steady} == {"Lion"}


def test_contestants_are_who_they_say_they_are() -> None:
    params = parameters(gradients(equal(3, 5)))
    for label, wanted in (("ours fused", {"fused": True}), ("torch foreach", {"foreach": True})):
        one = contestant("AdamW", label, params)
        assert {key: one.optimizer.param_groups[0][key] for key in wanted} == wanted
    assert isinstance(contestant("GradientDescent", "torch fused", params).optimizer, torch.optim.SGD)
    assert isinstance(contestant("AdamW", COMPILED, params).optimizer.param_groups[0]["lr"], torch.Tensor)
    with pytest.raises(UnavailableError, match="torch does not have it"):
        contestant("Lion", "torch fused", params)
    with pytest.raises(UnavailableError, match="no fused implementation"):
        contestant("NAdam", "torch fused", params)


def test_other_libraries_are_asked_for_the_same_algorithm() -> None:
    pytest.importorskip("optimi")
    library = pytest.importorskip("pytorch_optimizer")
    params = parameters(gradients(equal(3, 5)))
    assert contestant("AdamW", "optimi", params).optimizer.param_groups[0]["foreach"] is True
    assert type(contestant("Signum", "pytorch_optimizer", params).optimizer) is library.SignSGD
    with pytest.raises(UnavailableError, match="gives torch's"):
        contestant("AdamW", "pytorch_optimizer", params)
    with pytest.raises(UnavailableError, match="does not have it"):  # its ASGD is not averaged
        contestant("ASGD", "pytorch_optimizer", params)


def test_authors_are_asked_for_their_own_algorithm() -> None:
    library = pytest.importorskip("prodigyopt")
    params = parameters(gradients(equal(3, 5)))
    assert type(contestant("Prodigy", AUTHORS, params).optimizer) is library.Prodigy
    library = pytest.importorskip("schedulefree")
    theirs = contestant("ScheduleFreeAdamW", AUTHORS, params)
    assert type(theirs.optimizer) is library.AdamWScheduleFree
    for one in (theirs, contestant("ScheduleFreeAdamW", "ours fused", params)):
        one.step()  # in training mode
    with pytest.raises(UnavailableError, match="no package of its authors"):
        contestant("AdamW", AUTHORS, params)


def test_contestants_take_turns() -> None:
    calls: list[str] = []
    functions = {name: Timed(lambda name=name: calls.append(name)) for name in "ab"}  # type: ignore[misc]
    rounds = take_turns(functions, budget=0.0)
    assert "".join(calls).startswith("aaabbb" + "a" * MOST_CALLS + "b" * 2 * MOST_CALLS + "a" * MOST_CALLS)
    assert len(rounds.seconds["a"]) == len(rounds.seconds["b"]) >= 2
    calls.clear()
    Timed(lambda: calls.append("step"), lambda: calls.append("renew")).seconds(2)
    assert calls == ["renew", "step"] * 2


def test_spread() -> None:
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3.0, 2.0, 4.0)


def test_large_contestants_share_parameters_and_state() -> None:
    params = parameters(gradients(equal(2, 5)))
    one, other = contestant("AdamW", "ours fused", params), contestant("AdamW", "torch fused", params)
    for each in (one, other, one):
        each.step()
    share_state(other, one)
    mine, theirs = one.optimizer.state[params[0]], other.optimizer.state[params[0]]
    assert mine["exp_avg"] is theirs["exp_avg"]
    assert mine["step"] is not theirs["step"]
    before = mine["exp_avg"].clone()
    for each in (one, other):
        each.step()
    assert not torch.equal(mine["exp_avg"], before)
    assert mine["exp_avg"] is theirs["exp_avg"]


def test_fresh_gradients_are_at_other_addresses() -> None:
    sets = [gradients(equal(2, 5)) for _ in range(2)]
    one = contestant("AdamW", "ours fused", parameters(sets[0]))
    renew = cases._renewal(one, sets)
    seen = []
    for _ in range(3):
        renew()
        grad = one.params[0].grad
        assert grad is not None
        seen.append(grad.data_ptr())
    assert seen[0] == seen[2] != seen[1]


def test_what_does_not_fit_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "_free", lambda: 1_000)
    case = cases.steady("AdamW", TINY, ("ours fused", "torch fused"), 0.01)
    assert case["missing"] == dict.fromkeys(("ours fused", "torch fused"), "not enough memory")
    assert case["times"] == {}


def test_the_floor_moves_everything_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (5, 3 * CHUNK + 1, PER_THREAD)
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        params = [torch.nn.Parameter(torch.randn(n)) for n in sizes]
        optimizer = thetac.AdamW(params)
        train(optimizer, 2)
        streams = [*params, *(p.grad for p in params), *(optimizer.state[p]["exp_avg"] for p in params)]
        before = [stream.detach().clone() for stream in streams if stream is not None]
        move, moved = floor(optimizer, params)
        move()
        assert moved == 4 * sum(sizes) * 7  # a parameter and two moments both ways, a gradient one way
        after = [stream.detach() for stream in streams if stream is not None]
        assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_kernels_are_left_out_and_come_back() -> None:
    one = contestant("AdamW", "ours fused", parameters(gradients(equal(2, 3))))
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


def test_a_first_step_is_made_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert costs.cold_start("SGD", "torch fused", 3, tmp_path) > 0
    with pytest.raises(costs.FailedError, match="torch does not have it"):
        costs.cold_start("Lion", "torch fused", 3, tmp_path)


@pytest.mark.thorough("20 s of drawing; the tests of the report read the same page")
def test_results_become_the_same_page_every_time(results: dict[str, object], tmp_path: Path) -> None:
    page = markdown(results, "results.json")
    assert page == markdown(json.loads(json.dumps(results)), "results.json")
    for text in (
        "| AdamW |",
        "\n## 4 x 100\n",
        "\n## 4 x 100, fresh gradients\n",
        "| torch for-loop | 4 x 100 | Lion |",
    ):
        assert text in page
    found = results["cases"]
    assert isinstance(found, list)
    assert {"AdamW, microseconds of Python per parameter"} <= {target.case for target in targets(found)}
    drawn = [path.name for path in plot(results, tmp_path / "tiny")]
    assert drawn == ["sizes.png"]
    for case in found:
        case["shapes"] = "500 x 1,000"
    cold = {"kind": "cold", "algorithm": "AdamW", "tensors": 10, "seconds": {"ours fused": 0.5}, "missing": {}}
    drawn = [path.name for path in plot({**results, "cases": [*found, cold]}, tmp_path / "all")]
    assert drawn == ["ratios.png", "sizes.png", "compile.png"]


def test_the_page_is_that_of_the_results() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert page == markdown(json.loads(RESULTS.read_text()), "../benchmarks/results/cpu.json")


def test_the_page_about_a_gpu_is_that_of_its_results() -> None:
    assert gpu.PAGE.read_text() == gpu.page(json.loads(gpu.RESULTS.read_text()))


def test_targets_know_what_is_met() -> None:
    ratios = {"torch fused / ours fused": {"median": 5.0, "low": 4.0, "high": 6.0}}
    case = {"kind": "steady", "algorithm": "AdamW", "shapes": "500 x 1,000", "tensors": 500, "ratios": ratios}
    found = {target.case: target for target in targets([case])}
    assert found["AdamW, 500 x 1,000"].met is True
    assert found["AdamW, 500 x 10"].met is None
    ratios["torch fused / ours fused"]["median"] = 4.0
    (target,) = (target for target in targets([case]) if target.value is not None)
    assert target.line == "AdamW, 500 x 1,000: 4.00 against torch fused, at least 4.50: NOT MET"
    slow = {"kind": "python", "algorithm": "AdamW", "tensors": 500, "seconds": 400e-6}
    (target,) = (target for target in targets([slow]) if target.value is not None)
    assert target == Target("AdamW, microseconds of Python per parameter", "", 0.7, 0.8, is_limit=True)
    assert target.met is False


def test_targets_of_rules_of_several_passes_are_others() -> None:
    """Their sweeps read what others have written, and they keep partial sums."""
    moved = {"kind": "steady", "shapes": "GPT-2 124M", "ratios": {"floor / ours fused": {"median": 0.9}}}
    used = {"kind": "memory", "tensors": 500, "elements": 1_000_000, "bytes": {"ours fused": {"step": 1, "kept": 2}}}
    for passes, bound, limit in ((1, 0.95, (1 << 20) + 128 * 500), (2, 0.85, (1 << 20) + 160_000)):
        cases = [{**case, "algorithm": "LAMB", "passes": passes} for case in (moved, used)]
        found = [target for target in targets(cases) if target.value is not None]
        assert [(target.bound, target.value) for target in found] == [(bound, 0.9), (limit, 3)]


def test_every_target_has_its_case_in_a_full_run() -> None:
    """A run of which every number is 1."""
    spread = {"median": 1.0, "low": 1.0, "high": 1.0}
    plan = full()
    found: list[dict[str, object]] = []
    for kind, planned in (("steady", plan.steady), ("compiled", plan.compiled)):
        for algorithm, shapes, labels in planned:
            ratios = {f"{label} / ours fused": spread for label in (*labels, "floor")}
            found.append({"kind": kind, "algorithm": algorithm, "shapes": shapes, "passes": 1, "ratios": ratios})
    seconds = {"ours fused, nothing built": 1.0, COMPILED: 1.0}
    found += [
        {"kind": "cold", "algorithm": name, "tensors": tensors, "seconds": seconds} for name, tensors in plan.cold
    ]
    every = targets(found)
    assert len(every) >= 10 + len(algorithms()) + 2 + 4
    assert all(target.value == 1.0 for target in every)


def measured_in_the_interpreter(folder: Path, missing: Sequence[str], *arguments: str) -> dict[str, Any]:
    """The only case of the program for GPUs, where these packages are not installed."""
    out, program = folder / "gpu.json", ROOT / "benchmarks" / "gpu.py"
    code = (
        "import runpy, sys\n"
        f"sys.modules.update(dict.fromkeys({missing!r}))\n"
        f"sys.argv = ['gpu.py', '--interpret', *{arguments!r}, '--out', {str(out)!r}]\n"
        f"runpy.run_path({str(program)!r}, run_name='__main__')"
    )
    environment = {key: value for key, value in os.environ.items() if key != "THETAC_CPU_KERNELS"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "say nothing about a GPU" in done.stdout
    (case,) = json.loads(out.read_text())["cases"]
    assert isinstance(case, dict)
    return case


def test_the_program_for_gpus_runs_to_its_end_in_the_interpreter(tmp_path: Path) -> None:
    """Without a package that torch and triton do not need."""
    case = measured_in_the_interpreter(tmp_path, ["jinja2", "matplotlib", "pytest", "tqdm", "yaml"], "--quick")
    assert (case["algorithm"], case["missing"]) == ("AdamW", {"by hand": "it is not written by hand"})
    assert set(case["ratios on the device"]) == {"torch foreach", "torch fused", "floor"}
    assert case["bytes"] == 4 * 400 * 7


def test_the_program_for_gpus_counts_what_every_pass_moves(tmp_path: Path) -> None:
    """LAMB: parameter, gradient and two states, of which it writes two; then these two, and the parameter, written."""
    case = measured_in_the_interpreter(tmp_path, [], "--only", "LAMB")
    assert set(case["ratios on the device"]) == {"by hand", "floor"}
    assert case["bytes"] == 4 * 400 * (2 + 2 * 2) + 4 * 400 * (2 + 2)
    assert case["planned launches"] == 3, "a sweep, the sums of each tensor, and a sweep"


def test_results_of_others_are_kept(results: dict[str, Any]) -> None:
    def of(name: str) -> list[Any]:
        return [case for case in results["cases"] if case["algorithm"] == name]

    new = {**results, "cases": of("Lion")}
    together = with_cases_of_others(new, {**results, "cases": [*of("AdamW"), {"algorithm": "Lion", "kind": "old"}]})
    assert together["cases"] == [*of("AdamW"), *of("Lion")]
    elsewhere = {**results, "machine": {**results["machine"], "processor": "another", "load at the start": 99}}
    with pytest.raises(ValueError, match="differ in processor: measure everything"):
        with_cases_of_others(new, elsewhere)


def test_rows_are_measured_on_the_same_gradients() -> None:
    for coalesced in (False, True):
        case: Any = cases.rows("SparseAdam", 0.05, coalesced=coalesced, table=(50, 4), touched=20)
        assert case["times"].keys() == {"ours fused", "torch for-loop"}
        (target,) = [one for one in targets([case]) if "rows" in one.case]
        assert target.bound == 3.0
        assert target.value is not None


def test_a_perturbation_is_measured_beside_its_streams() -> None:
    case: Any = perturbation("SAM", "500 x 10", 0.05)
    assert case["times"].keys() == {"ours fused", "floor"}
    (target,) = [one for one in targets([case]) if "and back" in one.case]
    assert target.is_limit
    assert target.bound == 1.2
    assert target.value is not None
    assert target.value > 0.5


def test_minimizations_are_compared_with_torchs() -> None:
    case = json.loads(json.dumps(minimization("LBFGS", 50, 0.01)))
    assert case["shapes"] == "50 elements"
    assert case["ratios"].keys() == {"ours for-loop / ours fused", "torch for-loop / ours fused"}
    (target,) = [one for one in targets([case]) if one.case == "LBFGS, 50 elements"]
    assert target.value == case["ratios"]["torch for-loop / ours fused"]["median"]
