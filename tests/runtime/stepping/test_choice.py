"""Which implementation a parameter gets: the fastest that fits it, or the one that was named, or a clear error."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import thetac as ours
from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import MINIMIZERS
from tests.support.paths import ROOT
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, train
from thetac.runtime.building import compiled_objects
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.stepping import requirements
from thetac.runtime.stepping.choice import choose
from thetac.runtime.stepping.implementation import Implementation

NAMES = [name for name in ours.__all__ if isinstance(getattr(ours, name), type) and name not in MINIMIZERS]


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing was built ahead or before, and nothing can be built."""
    monkeypatch.setenv("CXX", "/nowhere/c++")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("THETAC_BUILD_DIR", str(tmp_path / "built"))
    monkeypatch.setattr(compiled_objects, "_known", {})
    monkeypatch.setattr(compiled_objects, "_warned", set())


def served(optimizer: Optimizer) -> list[tuple[str, str]]:
    assert optimizer._stepper is not None
    return [(one.choice.implementation.value, one.choice.reason) for one in optimizer._stepper.served]


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_runs_in_cpp_by_default(name: str) -> None:
    optimizer, forloop = (getattr(ours, name)(parameters(), lr=0.01, **o) for o in ({}, {"foreach": False}))
    train(optimizer, 3)
    train(forloop, 3)
    assert set(served(optimizer)) == {("C++", "the fastest on cpu")}
    assert set(served(forloop)) == {("for-loop", "foreach=False")}
    assert_same_training(optimizer, forloop, rtol=2e-5, atol=2e-6)


class Subclass(torch.Tensor):
    pass


def _plain() -> Tensor:
    return torch.ones(4, 3)


def _double() -> Tensor:
    return torch.ones(4, 3, dtype=torch.float64)


def _half() -> Tensor:
    return torch.ones(4, 3, dtype=torch.float16)


def _complex() -> Tensor:
    return torch.ones(4, 3, dtype=torch.complex64)


def _transposed() -> Tensor:
    return torch.ones(3, 4).t()


def _empty() -> Tensor:
    return torch.ones(0, 3)


def _with_gaps() -> Tensor:
    return torch.ones(4, 6)[:, ::2]


def _of_another_type() -> Tensor:
    return torch.ones(4, 3).as_subclass(Subclass)


DENSE = "the parameter is not dense in memory"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (_plain, ("C++", "the fastest on cpu")),
        (_double, ("C++", "the fastest on cpu")),
        (_half, ("C++", "the fastest on cpu")),
        (_complex, ("C++", "the fastest on cpu")),
        (_transposed, ("C++", "the fastest on cpu")),
        (_empty, ("C++", "the fastest on cpu")),
        (_with_gaps, ("foreach", DENSE)),
        (_of_another_type, ("for-loop", "takes every tensor")),
    ],
    ids=lambda value: value.__name__[1:] if callable(value) else "",
)
def test_each_parameter_gets_the_fastest_that_fits_it(make: Callable[[], Tensor], expected: tuple[str, str]) -> None:
    neighbour = torch.ones(3, requires_grad=True)
    optimizer = ours.AdamW([make().requires_grad_(), neighbour])
    for param in optimizer.param_groups[0]["params"]:
        param.grad = torch.ones_like(param)
    optimizer.step()
    assert served(optimizer) == [expected, ("C++", "the fastest on cpu")]


def test_gradients_decide_too() -> None:
    params = [torch.nn.Parameter(torch.ones(4, 3)) for _ in range(3)]
    optimizer = ours.SGD(params, lr=0.1)
    params[0].grad = torch.ones(3, 4).t()
    params[1].grad = torch.sparse_coo_tensor([[1]], torch.ones(1, 3), (4, 3), check_invariants=True)
    params[2].grad = torch.ones(4, 3)
    optimizer.step()
    assert served(optimizer) == [
        ("foreach", "parameter, gradient and state lie in memory in different orders"),
        ("for-loop", "the gradient is sparse"),
        ("C++", "the fastest on cpu"),
    ]
    assert all(torch.equal(param[1], torch.full((3,), 0.9)) for param in params)


def test_explain_names_choice_and_reason() -> None:
    params = [torch.ones(12, requires_grad=True), torch.ones(4, 6)[:, ::2].requires_grad_()]
    optimizer = ours.AdamW([{"params": params}, {"params": parameters([(5,)]), "foreach": False}])
    for param in (*params, *optimizer.param_groups[1]["params"]):
        param.grad = torch.ones_like(param)
    optimizer.step()
    lines = optimizer.explain().splitlines()
    assert lines[1] == "group 0: C++ for 1 parameter of 12 elements (the fastest on cpu), 336 bytes per step"
    assert lines[2] == f"group 0: foreach for 1 parameter of 12 elements ({DENSE}), 336 bytes per step"
    assert lines[3] == "group 1: for-loop for 1 parameter of 5 elements (foreach=False), 140 bytes per step"


def test_a_package_without_cpp_kernels_runs_foreach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "kernel_source", lambda package: None)
    optimizer = ours.AdamW(parameters())
    train(optimizer, 2)
    assert set(served(optimizer)) == {("foreach", "the fastest on cpu without kernels for torch.float32")}
    asked = ours.AdamW(parameters(), fused=True)
    with pytest.raises(RuntimeError, match=r"^`fused=True` requires the C\+\+ kernels of .*\.adamw, which has none$"):
        train(asked, 1)


# Kernels that cannot be built


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_there_is_one_warning_and_foreach() -> None:
    first, second = ours.AdamW(parameters()), ours.Lion(parameters(dtype=torch.float64))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        train(first, 2)
        train(second, 2)
    assert [str(one.message) for one in warned] == [
        "optimizers run without their C++ kernels, and slower: the compiler that CXX names, `/nowhere/c++`, is not "
        "installed; install one, or set CXX to the command of yours"
    ]
    assert Path(warned[0].filename).name == "runtime_helpers.py", "where step() is called"
    for optimizer in (first, second):
        assert set(served(optimizer)) == {("foreach", "C++ kernels cannot be built here")}
    forloop = ours.AdamW(parameters(), foreach=False)
    train(forloop, 2)
    assert_same_training(first, forloop)


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_what_was_asked_for_is_an_error_before_anything_is_written() -> None:
    optimizer = ours.AdamW([{"params": parameters(), "foreach": False}, {"params": parameters(seed=1), "fused": True}])
    for group in optimizer.param_groups:
        give_gradients(group["params"], 0)
    before = picture(optimizer)
    with pytest.raises(
        RuntimeError,
        match=r"^`fused=True` cannot run: the compiler that CXX names, `/nowhere/c\+\+`, is not installed",
    ):
        optimizer.step()
    assert_unchanged(before, optimizer)
    for group in optimizer.param_groups:
        group["fused"] = False
    optimizer.step()


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_nobody_else_is_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in ({"foreach": False}, {"foreach": True}, {"fused": False}):
            train(ours.AdamW(parameters(), **options), 1)


def test_a_failing_compilers_message_reaches_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    failing.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "cannot find -lsense" >&2\nexit 1\n')
    failing.chmod(0o755)
    environment = {
        **os.environ,
        "CXX": str(failing),
        "XDG_CACHE_HOME": str(tmp_path),
        "THETAC_BUILD_DIR": str(tmp_path),
    }
    code = (
        "import torch, thetac\n"
        "for name in ('AdamW', 'SGD'):\n"
        "    param = torch.nn.Parameter(torch.ones(3)); param.grad = torch.ones(3)\n"
        "    optimizer = getattr(thetac, name)([param], lr=0.5)\n"
        "    for _ in range(3): optimizer.step()\n"
        "    assert 'foreach for 1 parameter of 3 elements (C++ kernels cannot be built here)' in optimizer.explain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("RuntimeWarning: optimizers run without their C++ kernels, and slower: `") == 1
    assert done.stderr.count("cannot find -lsense") == 1


# What is asked for and cannot be met


@pytest.mark.parametrize(
    "param",
    [torch.ones(3, dtype=torch.float8_e5m2), torch.ones(3, device="meta")],
    ids=lambda param: f"{param.dtype} {param.device}",
)
def test_fused_takes_floating_point_and_complex_on_cpu_and_cuda(param: Tensor) -> None:
    optimizer = ours.SGD([param], lr=0.1, fused=True)
    param.grad = torch.empty_like(param)
    with pytest.raises(
        RuntimeError,
        match=r"^`fused=True` requires all the params to be floating point or complex Tensors of supported devices: "
        rf"\['cpu', 'cuda'\] but {param.dtype} and {param.device.type}$",
    ):
        optimizer.step()
    assert len(optimizer.state) == 0


# Triton on the CPU


def test_triton_interprets_kernels_on_the_cpu_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    optimizer = ours.AdamW(parameters(), fused=True)
    group, param = optimizer.param_groups[0], optimizer.param_groups[0]["params"][0]
    for value, expected in (("", Implementation.CPP), ("cpp", Implementation.CPP), ("triton", Implementation.TRITON)):
        monkeypatch.setenv("THETAC_CPU_KERNELS", value)
        assert choose(optimizer.schema, group, param).implementation is expected
    group["fused"] = None
    assert choose(optimizer.schema, group, param).implementation is Implementation.FOREACH, "it is slow"


def test_triton_compiles_nothing_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_CPU_KERNELS", "triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(
        RuntimeError,
        match=r"^`fused=True` with THETAC_CPU_KERNELS=triton requires TRITON_INTERPRET=1: Triton compiles no kernels",
    ):
        train(ours.AdamW(parameters(), fused=True), 1)
    train(ours.AdamW(parameters()), 1)


def test_without_triton_its_kernels_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_CPU_KERNELS", "triton")
    monkeypatch.setattr(requirements, "has_triton_kernels", lambda package: False)
    with pytest.raises(
        RuntimeError, match=r"^`fused=True` requires triton and the kernels of .*adamw, of which one is not installed$"
    ):
        train(ours.AdamW(parameters(), fused=True), 1)


def test_kernels_have_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_CPU_KERNELS", "Triton")
    with pytest.raises(
        RuntimeError,
        match=r"^THETAC_CPU_KERNELS is 'Triton'; it can be 'cpp', or 'triton' for Triton's interpreter$",
    ):
        train(ours.AdamW(parameters()), 1)
