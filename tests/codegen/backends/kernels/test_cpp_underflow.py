"""Gradients so small that their squares are below float32's normal numbers: results, and which operations they meet."""

from __future__ import annotations

import ctypes
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from torch import Tensor

from tests.support.accuracy import ELEMENTS_COMPARED, complaints, gradients, numbers, parameters
from tests.support.cpp_support import CppTraining, Launch, Options, compiler, launch_cpp
from tests.support.triton_support import Values, combinations, described, every_spec, everything, rule_of
from thetac.codegen.passes.analysis.homogeneity import degrees, powers_of_two
from thetac.codegen.pipeline import Compiled

DENORMAL, UNDERFLOW = 0x02, 0x10  # bits of MXCSR: an operand was denormal; a result was, and was rounded
DEFAULT = 0x1F80

WATCH = r"""
extern "C" unsigned watch(void (*step)(const void*), const void* launch, unsigned mode, unsigned* after) {
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(mode);
    step(launch);
    *after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before);
    return *after & 0x3F;
}
"""


@cache
def watch() -> ctypes.CDLL:
    """Calls a kernel in a floating-point mode and tells what was raised."""
    folder = Path(mkdtemp(prefix="thetac-watch-"))
    (folder / "watch.cpp").write_text(WATCH)
    command = [compiler(), "-O1", "-shared", "-fPIC", "-o", str(folder / "watch.so"), str(folder / "watch.cpp")]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(folder / "watch.so"))


class Raised:
    """As `Options.call`: what steps raise, and the mode that they leave behind."""

    def __init__(self, mode: int = DEFAULT) -> None:
        self.mode, self.flags, self.after = mode, 0, 0

    def __call__(self, step: object, launch: Launch) -> None:
        after = ctypes.c_uint()
        self.flags |= watch().watch(step, ctypes.byref(launch), self.mode, ctypes.byref(after))
        self.after = after.value


def scalable() -> list[str]:
    return [name for name, compiled in every_spec().items() if powers_of_two(compiled.fused) is not None]


def tiny(size: float, seed: int = 1) -> Tensor:
    """Gradients about as large as this, of both signs."""
    return (numbers(seed, -2, 2, torch.float64) * size).float()


def fixed_values(compiled: Compiled) -> list[Values]:
    """The combinations, without those that only negate or put the parameter into the gradient."""
    return [v for v in combinations(compiled) if not v["maximize"]]


def test_every_rule_of_ours_can_change_its_scale() -> None:
    assert scalable() == list(every_spec())


@pytest.mark.parametrize("name", every_spec())
def test_second_moments_that_are_denormal_keep_the_bound(name: str) -> None:
    """From gradients whose squares vanish to ones whose squares are just normal."""
    compiled = every_spec()[name]
    found: list[str] = []
    for values in fixed_values(compiled):
        for size in (1e-22, 1e-20, 1e-18):
            grads = [tiny(size, seed) for seed in range(10)]
            found += [
                f"{size}: {line}"
                for line in complaints(compiled, values, torch.float32, CppTraining.step_cpp, CppTraining.start, grads)
            ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", every_spec())
def test_no_operation_meets_a_denormal_number(name: str) -> None:
    """What makes a step slow is an operation that has one as operand or result. Processors note it when it happens.

    The first step starts from states that are 0: not counted, some take it at their own scale.
    """
    compiled = every_spec()[name]
    for values in fixed_values(compiled):
        for size in (1e-24, 1e-22, 1e-20, 1e-18, 0.0):
            training = CppTraining.start(compiled, values, parameters(torch.float32))
            training.step_cpp(tiny(1e-20, 0))
            raised = Raised()
            for seed in range(1, 4):
                training.step_cpp(tiny(size, seed), Options(call=raised))
            assert not raised.flags & (DENORMAL | UNDERFLOW), (
                f"{described(compiled.rule, values)}, gradients of {size}: flags {raised.flags:#x}"
            )


def test_the_watch_sees_what_an_unprotected_rule_does() -> None:
    """A rule that compares a gradient with 1 has no other scale."""
    update = ["seen = beta * seen + (1 - beta) * grad * grad"]
    update.append("param = param - where(abs(grad) > 1, lr, lr / 2) * grad / (sqrt(seen) + 1e-8)")
    compiled = rule_of("\n".join(update), "Compares")
    assert degrees(compiled.fused) is None
    training = CppTraining.start(compiled, {"lr": 0.1, "beta": 0.5, "maximize": False}, parameters(torch.float32))
    raised = Raised()
    training.step_cpp(tiny(1e-20), Options(call=raised))
    assert raised.flags & UNDERFLOW
    assert powers_of_two(everything().fused) is None


def test_the_callers_mode_does_not_change_a_bit_and_comes_back() -> None:
    """`torch.set_flush_denormal(True)` is a mode of one thread; results are those of the default mode on all."""
    compiled = every_spec()["AdamW"]
    values = next(combinations(compiled))
    for size in (1e-20, 1.0):
        usual = CppTraining.start(compiled, values, parameters(torch.float32))
        usual.step_cpp(tiny(size))
        for mode in (DEFAULT | 0x8040, DEFAULT | 0x6000):  # flush to zero; round towards zero
            training = CppTraining.start(compiled, values, parameters(torch.float32))
            raised = Raised(mode)
            training.step_cpp(tiny(size), Options(call=raised))
            assert raised.after & ~0x3F == mode
            assert torch.equal(training.param, usual.param)
            assert all(torch.equal(training.states[key], state) for key, state in usual.states.items())


@pytest.mark.parametrize("name", every_spec())
def test_another_scale_gives_the_same_bits(name: str) -> None:
    """Streams and row times their powers of two: results are times theirs, to the last bit."""
    compiled = every_spec()[name]
    exponents = powers_of_two(compiled.fused)
    assert exponents is not None
    of_streams = dict(zip(compiled.fused.streams, exponents.streams, strict=True))
    largest = max(of_streams.values())
    for values in combinations(compiled):
        usual = CppTraining.start(compiled, values, parameters(torch.float64))
        for step, state in enumerate(s for s in usual.states.values() if s.dim()):
            state.copy_(numbers(step + 20, -2, 1, torch.float64).abs())
        usual.created = False
        grad = gradients(torch.float64)[0]
        row, _ = usual.row()
        other = {key: state * 2.0 ** of_streams[key] for key, state in usual.states.items() if key in of_streams}
        scaled_row = [number * 2.0**exponent for number, exponent in zip(row, exponents.row, strict=True)]
        param, scaled_grad = usual.param.clone(), grad * 2.0 ** of_streams["grad"]
        launch_cpp(compiled, values, [(usual.param, grad, usual.states)], [row])
        launch_cpp(compiled, values, [(param, scaled_grad, other)], [scaled_row])
        assert largest > 0
        assert torch.equal(param.nan_to_num(), usual.param.nan_to_num()), described(compiled.rule, values)
        for key, state in other.items():
            expected = usual.states[key] * 2.0 ** of_streams[key]
            assert torch.equal(state.nan_to_num(), expected.nan_to_num()), f"{key} ({described(compiled.rule, values)})"


def test_a_block_may_hold_numbers_of_every_size() -> None:
    """Elements that fit no other scale keep theirs, beside ones that change it: each within the bound."""
    compiled = every_spec()["Adam"]
    values = next(combinations(compiled))
    size = torch.exp2(torch.linspace(-140, 60, ELEMENTS_COMPARED, dtype=torch.float64))
    shuffled = size[torch.randperm(len(size), generator=torch.Generator().manual_seed(0))]
    shuffled.view(-1, 512)[:, 0] = 1e-20  # every block looks small
    grads = [(numbers(seed, -1, 1, torch.float64) * shuffled).float() for seed in range(10)]
    found = complaints(compiled, values, torch.float32, CppTraining.step_cpp, CppTraining.start, grads)
    assert not found, "\n".join(found)
    infinite = [torch.where(shuffled > 2.0**55, float("inf"), grad) for grad in grads]
    infinite = [torch.where(shuffled < 2.0**-135, float("nan"), grad) for grad in infinite]
    training = CppTraining.start(compiled, values, parameters(torch.float32))
    alone = CppTraining.start(compiled, values, parameters(torch.float32))
    for grad, clean in zip(infinite, grads, strict=True):
        training.step_cpp(grad)
        alone.step_cpp(clean)
    kept = (shuffled <= 2.0**55) & (shuffled >= 2.0**-135)
    assert torch.equal(training.param[kept], alone.param[kept])
    assert training.param[~kept].isnan().all()


def test_parameters_near_zero_are_not_flushed() -> None:
    """A denormal parameter keeps its value under a step that does not reach it."""
    compiled = every_spec()["SGD"]
    values = next(v for v in combinations(compiled) if not v["maximize"] and not v["momentum"])
    param = tiny(1e-40)
    training = CppTraining.start(compiled, {**values, "lr": 0.5}, param)
    grad = tiny(1e-40, 2)
    training.step_cpp(grad)
    expected = (param.double() - 0.5 * grad.double()).float()
    assert torch.equal(training.param, expected) or (training.param - expected).abs().max() <= 2.0**-149
    assert (training.param != 0).sum() > ELEMENTS_COMPARED / 2


def test_degrees_of_a_rule() -> None:
    found = degrees(every_spec()["Adam"].fused)
    assert found is not None
    assert {key: int(value) for key, value in found.streams.items()} == {
        "param": 0,
        "grad": 1,
        "exp_avg": 1,
        "exp_avg_sq": 2,
        "max_exp_avg_sq": 2,
    }
    assert {key: int(value) for key, value in found.row.items() if value} == {"weight_decay": 1, "eps": 1}
    assert degrees(rule_of("param = param - lr * (grad + 1)").fused) is None
    assert degrees(rule_of("param = param - where(grad > 0, lr, 0)").fused) is not None
    assert degrees(rule_of("param = param - where(grad > 0.5, lr, 0)").fused) is None
    cubes = rule_of("seen = seen + grad * grad * grad\nparam = param - seen / lr").fused
    assert degrees(cubes) is not None
    assert powers_of_two(cubes) is None, "2**63 for the cubes leaves too little for denormal gradients"
