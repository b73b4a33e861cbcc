"""Numbers below float32's smallest normal one, in C++ kernels: results, and the floating-point mode of the caller."""

from __future__ import annotations

import ctypes
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from torch import Tensor

from tests.support.accuracy import ELEMENTS_COMPARED, complaints, numbers, parameters
from tests.support.cpp_support import CppTraining, Launch, Options, compiler
from tests.support.every_optimizer import REPRESENTATIVES, of_every_class
from tests.support.triton_support import Values, combinations, every_spec
from thetac.codegen.pipeline import Compiled

DEFAULT, FLUSH_TO_ZERO, TOWARDS_ZERO = 0x1F80, 0x8040, 0x6000  # modes, as the processor's MXCSR has them
NOTED = 0x3F  # bits of it that say what has happened

CALL_IN_MODE = r"""
extern "C" unsigned call_in_mode(void (*step)(const void*), const void* launch, unsigned mode) {
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(mode);
    step(launch);
    const unsigned after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before);
    return after;
}
"""


@cache
def call_in_mode() -> ctypes._NamedFuncPointer:
    """Return a function that calls a kernel in a floating-point mode and returns the mode that is left behind."""
    folder = Path(mkdtemp(prefix="thetac-mode-"))
    (folder / "mode.cpp").write_text(CALL_IN_MODE)
    command = [compiler(), "-O1", "-shared", "-fPIC", "-o", str(folder / "mode.so"), str(folder / "mode.cpp")]
    subprocess.run(command, check=True)
    function = ctypes.CDLL(str(folder / "mode.so")).call_in_mode
    function.restype = ctypes.c_uint
    return function


class InMode:
    """As `Options.call`: calls kernels in a mode, and keeps the one that they leave behind."""

    def __init__(self, mode: int) -> None:
        self.mode, self.after = mode, 0

    def __call__(self, step: object, launch: Launch) -> None:
        self.after = call_in_mode()(step, ctypes.byref(launch), self.mode)


def tiny(size: float, seed: int = 1) -> Tensor:
    """Return float32 gradients about as large as `size`, of both signs."""
    return (numbers(seed, -2, 2, torch.float64) * size).float()


def fixed_values(compiled: Compiled) -> list[Values]:
    """Return the combinations without those that only negate the gradient."""
    return [v for v in combinations(compiled) if not v["maximize"]]


@pytest.mark.parametrize("name", of_every_class(every_spec()))
def test_second_moments_that_are_denormal_keep_the_bound(name: str) -> None:
    """From gradients whose squares vanish to ones whose squares are just normal."""
    compiled = every_spec()[name]
    found: list[str] = []
    sizes = (1e-22, 1e-20, 1e-18)
    for number, values in enumerate(fixed_values(compiled)):
        # Representatives try all sizes under all values, others one each, in turn.
        for size in sizes if name in REPRESENTATIVES else sizes[number % 3 :][:1]:
            grads = [tiny(size, seed) for seed in range(10)]
            found += [
                f"{size}: {line}"
                for line in complaints(compiled, values, torch.float32, CppTraining.step_cpp, CppTraining.start, grads)
            ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", of_every_class(every_spec()))
def test_states_that_decay_into_denormal_numbers_keep_the_bound(name: str) -> None:
    """Rows of an embedding that a batch does not touch: gradients are small once, and zero from then on."""
    compiled = every_spec()[name]
    found: list[str] = []
    for values in fixed_values(compiled):
        grads = [tiny(1e-37), *(torch.zeros(ELEMENTS_COMPARED) for _ in range(9))]
        found += complaints(compiled, values, torch.float32, CppTraining.step_cpp, CppTraining.start, grads)
    assert not found, "\n".join(found)


def test_the_callers_mode_does_not_change_a_bit_and_comes_back() -> None:
    """`torch.set_flush_denormal(True)` is a mode of one thread; results are those of the default mode on all."""
    compiled = every_spec()["AdamW"]
    values = next(combinations(compiled))
    for size in (1e-20, 1.0):
        usual = CppTraining.start(compiled, values, parameters(torch.float32))
        usual.step_cpp(tiny(size))
        for mode in (DEFAULT | FLUSH_TO_ZERO, DEFAULT | TOWARDS_ZERO):
            training = CppTraining.start(compiled, values, parameters(torch.float32))
            call = InMode(mode)
            training.step_cpp(tiny(size), Options(call=call))
            assert call.after & ~NOTED == mode
            assert torch.equal(training.param, usual.param)
            assert all(torch.equal(training.states[key], state) for key, state in usual.states.items())


def test_what_a_kernel_has_noted_stays_noted() -> None:
    """As for any arithmetic: a caller who asks whether a result was denormal gets the answer."""
    compiled = every_spec()["AdamW"]
    values = {**next(combinations(compiled)), "weight_decay": 0.0}
    training = CppTraining.start(compiled, values, parameters(torch.float32))
    call = InMode(DEFAULT)
    training.step_cpp(tiny(1e-20), Options(call=call))
    assert call.after & 0x10, "an underflow was not noted"


def test_a_block_may_hold_numbers_of_every_size() -> None:
    """Numbers from denormal ones to large ones, side by side: each within the bound, and none disturbs another."""
    compiled = every_spec()["Adam"]
    values = next(combinations(compiled))
    size = torch.exp2(torch.linspace(-140, 60, ELEMENTS_COMPARED, dtype=torch.float64))
    shuffled = size[torch.randperm(len(size), generator=torch.Generator().manual_seed(0))]
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
    finite = (shuffled <= 2.0**55) & (shuffled >= 2.0**-135)
    assert torch.equal(training.param[finite], alone.param[finite])
    assert training.param[~finite].isnan().all()


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
