"""Optimizers that minimize: LBFGS is torch's to the bit, and what holds of all of them."""

from __future__ import annotations

import copy
import inspect
import io
import itertools
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.testing._internal.common_optimizers import optim_db

import thetac
from tests.support.every_optimizer import MINIMIZERS, error_of, one_in, ours
from tests.support.minimizing import COMPLEX, REAL, Arguments, Run, differences, identical, rosenbrock
from thetac.runtime.drivers.minimize import Minimize

FOR_LOOP = {"foreach": False}
STEPS = 5
_AXES: dict[str, list[Any]] = {
    "lr": [1, 0.1],
    "line_search_fn": [None, "strong_wolfe"],
    "max_iter": [20, 7, 1],
    "max_eval": [None, 4],
    "history_size": [100, 3],
}
GRID: list[Arguments] = [
    *(dict(zip(_AXES, values, strict=True)) for values in itertools.product(*_AXES.values())),
    {"lr": torch.tensor(0.5), "line_search_fn": "strong_wolfe"},
    {"lr": torch.tensor([0.5])},
    {"max_iter": 0},
    {"history_size": 0},
    {"history_size": 2},
    {"max_eval": 1, "line_search_fn": "strong_wolfe"},
    {"line_search_fn": "unknown"},
    {"lr": 0},
    {"tolerance_change": 1e-2},
    {"tolerance_grad": 1e-1},
]
REAL_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
COMPLEX_DTYPES = (torch.complex64, torch.complex128)
CASES = [
    *((name, dtype) for name in REAL for dtype in REAL_DTYPES),
    *((name, dtype) for name in COMPLEX for dtype in COMPLEX_DTYPES),
]
every_minimizer = pytest.mark.parametrize("name", MINIMIZERS)


def database_inputs() -> list[Arguments]:
    (info,) = [info for info in optim_db if info.optim_cls is torch.optim.LBFGS]
    return [case.kwargs for case in info.optim_inputs_func(device="cpu")]


def compare(problem: str, dtype: torch.dtype, arguments: Arguments, exchanged_before: tuple[int, ...] = ()) -> None:
    """Step side by side, until both raise the same; exchange the checkpoints of both before some steps."""
    make = {**REAL, **COMPLEX}[problem]
    mine = Run(thetac.LBFGS, make, dtype, {**arguments, **FOR_LOOP})
    theirs = Run(torch.optim.LBFGS, make, dtype, arguments)
    for step in range(STEPS):
        if step in exchanged_before:
            saved, of_torch = mine.saved(), theirs.saved()
            for group in saved["param_groups"]:
                group.pop("foreach")
            mine.go_on_from(of_torch)
            theirs.go_on_from(saved)
        error = mine.step()
        assert error is theirs.step(), (step, arguments)
        if error is not None:
            return
        assert not differences(mine, theirs), (step, arguments)


@pytest.mark.parametrize("arguments", database_inputs(), ids=str)
@pytest.mark.parametrize(("problem", "dtype"), CASES)
def test_inputs_of_torchs_tests_to_the_bit(problem: str, dtype: torch.dtype, arguments: Arguments) -> None:
    compare(problem, dtype, arguments)


@pytest.mark.parametrize(("problem", "dtype"), CASES)
def test_a_grid_to_the_bit(problem: str, dtype: torch.dtype) -> None:
    """Under `pytest --all` every case of it with every problem and dtype."""
    number = CASES.index((problem, dtype))
    for arguments in one_in(7, GRID[number % 7 :] + GRID[: number % 7]):
        compare(problem, dtype, arguments)


@pytest.mark.parametrize("before", [(1,), (2,), (1, 3)], ids=str)
@pytest.mark.parametrize("problem", ["affine", "rosenbrock 2", "complex"])
def test_checkpoints_are_exchanged_with_torch(problem: str, before: tuple[int, ...]) -> None:
    for dtype in COMPLEX_DTYPES if problem == "complex" else REAL_DTYPES:
        for arguments in one_in(9, [*database_inputs(), *GRID]):
            compare(problem, dtype, arguments, before)


def test_signature_and_groups_are_torchs() -> None:
    mine, theirs = (inspect.signature(cls).parameters for cls in (thetac.LBFGS, torch.optim.LBFGS))
    assert {name: value.default for name, value in theirs.items()} == {name: mine[name].default for name in theirs}
    assert all(mine[name].kind is inspect.Parameter.KEYWORD_ONLY for name in mine.keys() - theirs.keys())
    (group,), (of_torch,) = (
        cls([Parameter(torch.ones(2))], max_iter=7).param_groups for cls in (thetac.LBFGS, torch.optim.LBFGS)
    )
    assert list(group) == list(of_torch)
    assert {k: v for k, v in group.items() if k != "params"} == {k: v for k, v in of_torch.items() if k != "params"}


def test_errors_of_torchs_tests() -> None:
    (info,) = [info for info in optim_db if info.optim_cls is torch.optim.LBFGS]
    cases = info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
    assert len(cases) == 6
    for case in cases:
        given = case.optimizer_error_input
        mine, theirs = (
            error_of(partial(cls, given.params, **given.kwargs)) for cls in (thetac.LBFGS, torch.optim.LBFGS)
        )
        assert mine == theirs


def test_one_group() -> None:
    groups = [{"params": [Parameter(torch.ones(1))]} for _ in range(2)]
    found = [error_of(partial(cls, groups)) for cls in (thetac.LBFGS, torch.optim.LBFGS)]
    text = "LBFGS doesn't support per-parameter options (parameter groups)"
    assert found == [(ValueError, text)] * 2
    optimizer = thetac.LBFGS(groups[:1])
    assert error_of(lambda: optimizer.add_param_group(groups[1])) == (ValueError, text)
    assert len(optimizer.param_groups) == 1


@every_minimizer
def test_a_step_needs_a_closure(name: str) -> None:
    optimizer: Any = ours(name)([Parameter(torch.ones(2))])
    text = f"{name}.step() missing 1 required positional argument: 'closure'"
    assert error_of(optimizer.step) == (TypeError, text)
    assert error_of(torch.optim.LBFGS([Parameter(torch.ones(2))]).step) == (  # type: ignore[arg-type]
        TypeError,
        text.replace(name, "LBFGS"),
    )


def test_an_unknown_search() -> None:
    run = Run(thetac.LBFGS, rosenbrock(2), torch.float32, {"line_search_fn": "exact"})
    with pytest.raises(RuntimeError, match=r"^only 'strong_wolfe' is supported, and 'nonmonotone', not 'exact'$"):
        run.optimizer.step(run.closure)  # type: ignore[arg-type]
    assert run.evaluations == 0
    assert not run.optimizer.state


@every_minimizer
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"capturable": True}, "capturable: the host decides after every evaluation how to go on"),
        ({"differentiable": True}, "differentiable: it calls backward itself"),
        ({"clip_grad_norm": 1.0}, "clip_grad_norm: its searches need the gradient of the loss that they see"),
    ],
    ids=["capturable", "differentiable", "clip_grad_norm"],
)
def test_options_that_no_minimization_can_follow(name: str, options: Arguments, reason: str) -> None:
    text = f"{name} does not support {reason}"
    assert error_of(lambda: ours(name)([Parameter(torch.ones(2))], **options)) == (RuntimeError, text)
    run = Run(ours(name), rosenbrock(2), torch.float32, {})
    run.optimizer.param_groups[0].update(options)
    assert error_of(lambda: run.optimizer.step(run.closure)) == (RuntimeError, text)  # type: ignore[arg-type]


class Interrupt(BaseException):
    """What no `except Exception` catches."""


@every_minimizer
@pytest.mark.parametrize("search", [None, "strong_wolfe", "nonmonotone"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupt])
def test_an_error_in_any_evaluation_changes_nothing(name: str, search: str | None, error: type[BaseException]) -> None:
    """The step after it is the one that there would have been."""
    arguments = {"line_search_fn": search, "max_iter": 5, "lr": 1e-3 if search is None else 1}
    steady = Run(ours(name), rosenbrock(4), torch.float64, arguments)
    assert steady.step() is None
    first = steady.evaluations
    assert steady.step() is None
    assert steady.evaluations > first + 2
    for failing in range(1, steady.evaluations - first + 1):
        run = Run(ours(name), rosenbrock(4), torch.float64, arguments)
        assert run.step() is None
        before = [param.detach().clone() for param in run.params], copy.deepcopy(run.optimizer.state_dict())
        calls = 0

        def closure(run: Run = run, failing: int = failing) -> Tensor:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise error
            return run.closure()

        with pytest.raises(error):
            run.optimizer.step(closure)  # type: ignore[arg-type]
        assert identical(before[0], [param.detach() for param in run.params])
        after = run.optimizer.state_dict()
        assert list(after["state"][0]) == list(before[1]["state"][0])
        assert all(identical(after["state"][0][key], value) for key, value in before[1]["state"][0].items())
        assert run.step() is None
        assert identical([param.detach() for param in run.params], [param.detach() for param in steady.params])


@every_minimizer
@pytest.mark.parametrize("copied", ["deepcopy", "pickle", "checkpoint"])
def test_a_copy_goes_on_to_the_bit(name: str, copied: str) -> None:
    """torch's LBFGS loses its parameters when it is pickled."""
    steady, run = (Run(ours(name), rosenbrock(6), torch.float64, {"max_iter": 6}) for _ in range(2))
    for _ in range(2):
        steady.step()
        run.step()
    if copied == "checkpoint":
        run.go_on_from(run.saved())
    else:
        whole = run.optimizer, run.params
        run.optimizer, params = copy.deepcopy(whole) if copied == "deepcopy" else pickle.loads(pickle.dumps(whole))
        with torch.no_grad():
            for group in run.optimizer.param_groups:
                assert all(one is other for one, other in zip(group["params"], params, strict=True))
        for old, new in zip(run.params, params, strict=True):
            new.data = old.data  # the loss is that of the old ones
            run.optimizer.param_groups[0]["params"] = run.params
            run.optimizer.state[old] = run.optimizer.state.pop(new)
    for _ in range(2):
        steady.step()
        run.step()
    assert not differences(run, steady)


@every_minimizer
def test_a_state_dict_stays_as_it_was(name: str) -> None:
    run = Run(ours(name), rosenbrock(6), torch.float64, {"max_iter": 4})
    run.step()
    live = run.optimizer.state_dict()
    before = copy.deepcopy(live)
    run.step()
    assert all(identical(live["state"][0][key], value) for key, value in before["state"][0].items())


@every_minimizer
def test_hooks_run_once_per_step(name: str) -> None:
    run = Run(ours(name), rosenbrock(4), torch.float64, {})
    calls: list[str] = []
    run.optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    run.optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    run.step()
    assert run.evaluations > 2
    assert calls == ["before", "after"]


@every_minimizer
def test_maximize_is_the_minimization_of_the_negated_loss(name: str) -> None:
    down = Run(ours(name), rosenbrock(4), torch.float64, {})

    def negated(dtype: torch.dtype) -> tuple[list[Parameter], Callable[[], Tensor]]:
        params, loss = rosenbrock(4)(dtype)
        return params, lambda: -loss()

    up = Run(ours(name), negated, torch.float64, {"maximize": True})
    for _ in range(3):
        down.step()
        up.step()
    assert identical(down.params, up.params)
    assert identical(down.returned, [-loss for loss in up.returned])


def test_no_evaluations_left_for_a_search() -> None:
    """torch raises UnboundLocalError."""
    run = Run(thetac.LBFGS, rosenbrock(2), torch.float64, {"max_eval": 0, "line_search_fn": "strong_wolfe"})
    assert run.step() is None
    assert run.evaluations == 2


def test_gradients_of_any_layout() -> None:
    """Sparse ones, and those whose strides no view as a vector allows; torch refuses the latter."""
    table = Parameter(torch.ones(6, 2, dtype=torch.float64))
    image = Parameter(torch.ones(2, 3, 4, 5, dtype=torch.float64).to(memory_format=torch.channels_last))
    optimizer = thetac.LBFGS([table, image], line_search_fn="strong_wolfe")
    aim = torch.linspace(-1, 1, 120, dtype=torch.float64).view(2, 3, 4, 5)

    def closure() -> Tensor:
        optimizer.zero_grad()
        rows = torch.nn.functional.embedding(torch.tensor([1, 3, 1]), table, sparse=True)
        loss = (rows - 3).pow(2).sum() + (image - aim).pow(2).sum()
        loss.backward()
        assert table.grad is not None
        assert table.grad.is_sparse
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert (image - aim).abs().max() < 1e-5
    assert (table[[1, 3]] - 3).abs().max() < 1e-5
    assert (table[[0, 2, 4, 5]] == 1).all()
    assert image.is_contiguous(memory_format=torch.channels_last)


def test_a_checkpoint_that_does_not_fit() -> None:
    run = Run(thetac.LBFGS, rosenbrock(6), torch.float64, {})
    run.step()
    other = Run(thetac.LBFGS, rosenbrock(4), torch.float64, {})
    other.step()
    before = other.saved()
    text = "loaded `d` has the shape (6,), and the parameters have 4 real numbers"
    assert error_of(lambda: other.optimizer.load_state_dict(run.saved())) == (ValueError, text)
    torn = other.saved()
    torn["state"][0]["ro"].pop()
    pairs = len(torn["state"][0]["old_dirs"])
    found = f"the loaded history has {pairs} in `old_dirs`, {pairs} in `old_stps`, {pairs - 1} in `ro`"
    assert error_of(lambda: other.optimizer.load_state_dict(torn)) == (
        ValueError,
        f"{found}: every pair has one of each",
    )
    torn["state"][0]["d"] = [1.0]
    assert error_of(lambda: other.optimizer.load_state_dict(torn))[0] is TypeError
    assert all(identical(other.entry()[key], value) for key, value in before["state"][0].items())


def test_a_history_that_is_made_smaller() -> None:
    run = Run(thetac.LBFGS, rosenbrock(6), torch.float64, {"max_iter": 10})
    run.step()
    assert len(run.entry()["old_dirs"]) > 3
    run.optimizer.param_groups[0]["history_size"] = 3
    run.step()
    assert [len(run.entry()[key]) for key in ("old_dirs", "old_stps", "ro")] == [3, 3, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_the_default_is_close_to_torch(dtype: torch.dtype, search: str | None) -> None:
    """One step of 8 directions, in which rounding is amplified by the condition of the problem alone."""
    arguments = {"line_search_fn": search, "max_iter": 8, "lr": 1 if search else 1e-3}
    mine, theirs = (Run(cls, REAL["rosenbrock 6"], dtype, arguments) for cls in (thetac.LBFGS, torch.optim.LBFGS))
    exact = Run(torch.optim.LBFGS, REAL["rosenbrock 6"], torch.float64, arguments)
    for run in (mine, theirs, exact):
        run.step()
    assert mine.evaluations == theirs.evaluations
    (ours_,), (torchs,), (wanted,) = (
        [param.detach().double() for param in run.params] for run in (mine, theirs, exact)
    )
    moved = (wanted - rosenbrock(6)(torch.float64)[0][0].detach()).norm()
    bound = 2e4 * torch.finfo(dtype).eps * moved
    assert (ours_ - torchs).norm() < bound
    assert (ours_ - wanted).norm() < bound


def test_what_runs() -> None:
    params = [Parameter(torch.ones(3, 4)), Parameter(torch.ones(5))]
    assert thetac.LBFGS(params).explain() == (
        "LBFGS: C++ for the history, torch operations for the rest (the fastest that fits), "
        "on one vector of 17 float32 numbers"
    )
    assert thetac.LBFGS(params, foreach=False).explain() == (
        "LBFGS: torch operations (foreach=False), on one vector of 17 float32 numbers"
    )
    half = [Parameter(torch.ones(3, dtype=torch.bfloat16))]
    assert "compiled products take float32 and float64 on the CPU, not bfloat16 on cpu" in thetac.LBFGS(half).explain()
    assert error_of(lambda: thetac.LBFGS(half, fused=True).explain()) == (
        RuntimeError,
        "`fused=True` of LBFGS takes float32 and float64 on the CPU, not bfloat16 on cpu",
    )
    assert "its directions are torch operations" in thetac.PolakRibiere(params).explain()
    assert error_of(lambda: thetac.PolakRibiere(params, fused=True).explain())[0] is RuntimeError


def test_compiled_callers_break_their_graph() -> None:
    run = Run(thetac.LBFGS, rosenbrock(4), torch.float64, {"max_iter": 3})
    plain = Run(thetac.LBFGS, rosenbrock(4), torch.float64, {"max_iter": 3})

    @torch.compile(backend="eager")
    def step() -> None:
        run.optimizer.step(run.closure)  # type: ignore[arg-type]

    for _ in range(2):
        step()
        plain.step()
    assert identical(run.params, plain.params)


def test_a_grad_scaler_refuses_closures() -> None:
    run = Run(thetac.LBFGS, rosenbrock(2), torch.float32, {"fused": True})
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(run._loss()).backward()
    text = "Closure use is not currently supported if GradScaler is enabled."
    assert error_of(lambda: scaler.step(run.optimizer, closure=run.closure)) == (RuntimeError, text)


@every_minimizer
def test_schedulers_change_the_length(name: str) -> None:
    run = Run(ours(name), rosenbrock(2), torch.float64, {"line_search_fn": None, "lr": 1e-3, "max_iter": 2})
    schedule = torch.optim.lr_scheduler.ExponentialLR(run.optimizer, 0.5)
    run.step()
    schedule.step()
    run.step()
    assert run.entry()["t"] == 5e-4


@every_minimizer
def test_steps_are_those_of_a_class(name: str) -> None:
    assert issubclass(ours(name), Minimize)
    assert ours(name).schema.pieces == ("direction",)


def test_state_dicts_are_files() -> None:
    run = Run(thetac.LBFGS, rosenbrock(4), torch.float64, {"lr": torch.tensor(0.5)})
    run.step()
    file = io.BytesIO()
    torch.save(run.optimizer.state_dict(), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert all(identical(loaded["state"][0][key], value) for key, value in run.entry().items())
