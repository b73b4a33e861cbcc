"""Kernels of rules whose parameters wait for each other: against the definition, in any company, on any threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import thetac
from tests.support.comparing import assert_same_bits
from tests.support.runtime_helpers import assert_unchanged, picture, run_kernels_of
from tests.support.sharing import GROUPS, Interpreted, give_gradients, make, params_of, run, sharing
from thetac.runtime.implementations.generated_modules import staged_scalars_of, triton_kernels_of
from thetac.runtime.implementations.launch_cpp import CppLauncher
from thetac.runtime.implementations.launch_triton import TritonLauncher
from thetac.runtime.optimizer import Optimizer

SHARED = ("rate", "gain", "share")
WITH_TOTALS = ("DAdaptAdam", "DAdaptLion", "DAdaptSGD", "DoG", "Prodigy")


def numbers(optimizer: Optimizer) -> list[list[float]]:
    return [[group[name] for name in SHARED] for group in optimizer.param_groups]


def served(optimizer: Optimizer) -> set[str]:
    assert optimizer._stepper is not None
    return {one.choice.implementation.value for one in optimizer._stepper.served}


def plans(optimizer: Optimizer) -> int:
    assert optimizer._stepper is not None
    return sum(optimizer._stepper.plans_made.values())


@pytest.fixture(params=["C++", "Triton"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernels that steps run in."""
    run_kernels_of(request.param, monkeypatch)
    return str(request.param)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("late", [(), (1,), (0, 3)], ids=["all", "one late", "two late"])
@pytest.mark.parametrize("arguments", [{}, {"mode": "fast"}, {"maximize": True}, {"betas": (0.5, 0.25)}], ids=str)
def test_a_step_is_what_the_rule_says(arguments: dict[str, object], late: tuple[int, ...], kernels: str) -> None:
    optimizer = make(fused=True, **arguments)
    wanted = Interpreted(optimizer)
    run(optimizer, 6, late)
    wanted.run(optimizer, 6, late)
    assert served(optimizer) == {kernels}
    for param, expected in zip(params_of(optimizer), wanted.params, strict=True):
        np.testing.assert_allclose(param.detach().numpy(), expected, rtol=1e-13, atol=1e-14)
    for group, of_group in zip(optimizer.param_groups, wanted.groups, strict=True):
        np.testing.assert_allclose([group[n] for n in SHARED], [of_group[n] for n in SHARED], rtol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_bits_do_not_depend_on_threads(dtype: torch.dtype) -> None:
    results = []
    for number in (1, 2, 3):
        with threads(number):
            big = [torch.nn.Parameter(torch.linspace(-1, 1, n, dtype=dtype)) for n in (200_000, 70_001, 3)]
            optimizer = sharing()([{"params": big[:2]}, {"params": big[2:], "lr": 0.05}], fused=True)
            run(optimizer, 3)
            results.append(optimizer)
    for other in results[1:]:
        assert numbers(results[0]) == numbers(other)
        assert_same_bits(results[0], other, "threads")


@pytest.mark.parametrize("company", [{"foreach": False}, {"foreach": True}], ids=["for-loop", "foreach"])
@pytest.mark.usefixtures("kernels")
def test_kernels_wait_together_with_other_implementations(company: dict[str, object]) -> None:
    mixed, alike = make(fused=True), make(foreach=False)
    mixed.param_groups[1].update({"fused": None, **company})
    run(mixed, 6, late=(1,))
    run(alike, 6, late=(1,))
    assert len(served(mixed)) == 2
    for one, other in zip(params_of(mixed), params_of(alike), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(numbers(mixed), numbers(alike), rtol=1e-12)


def test_several_dtypes_are_several_buckets_of_one_group(kernels: str) -> None:
    def made(**options: object) -> Optimizer:
        dtypes = (torch.float64, torch.float32, torch.bfloat16)
        params = [torch.nn.Parameter(torch.linspace(0.5, 2, 6, dtype=dtype)) for dtype in dtypes]
        return sharing()(params, **options)  # type: ignore[call-arg]

    fused, loop = made(fused=True), made(foreach=False)
    run(fused, 4)
    run(loop, 4)
    np.testing.assert_allclose(numbers(fused), numbers(loop), rtol=2e-3)
    assert fused._stepper is not None
    passes = triton_kernels_of(fused.schema.package).PASSES
    of_triton = sum(kernel is not None for one in passes for kernel in (one.program, one.sweep, one.terms))
    of_cpp = 1 + len(staged_scalars_of(fused.schema.package).BARRIERS)
    assert fused._stepper.launches == 3 * (of_cpp if kernels == "C++" else of_triton)
    for one, other in zip(params_of(fused), params_of(loop), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


@pytest.mark.usefixtures("kernels")
def test_a_plan_is_kept_and_reads_new_numbers() -> None:
    optimizer = make(fused=True)
    wanted = Interpreted(optimizer)
    run(optimizer, 4)
    wanted.run(optimizer, 4)
    assert plans(optimizer) == 1
    optimizer.param_groups[0]["share"] = wanted.groups[0]["share"] = 0.125
    for group, of_group in zip(optimizer.param_groups, wanted.groups, strict=True):
        group["rate"] = of_group["rate"] = 0.75
        group["lr"] = of_group["lr"] = 0.02
    for step in range(4, 7):
        give_gradients(optimizer, step)
        wanted.step([param.grad for param in params_of(optimizer)])
        optimizer.step()
    assert plans(optimizer) == 1
    for param, expected in zip(params_of(optimizer), wanted.params, strict=True):
        np.testing.assert_allclose(param.detach().numpy(), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.usefixtures("kernels")
def test_a_step_that_the_scaler_skips_changes_nothing_and_later_ones_go_on() -> None:
    scaled, plain = make(fused=True), make(fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=100)
    for step in range(6):
        give_gradients(scaled, step)
        give_gradients(plain, step)
        scale = scaler.get_scale()
        for param in params_of(scaled):
            param.grad.mul_(scale)
        scaler.scale(torch.ones(()))  # makes the scale
        if step == 3:
            params_of(scaled)[0].grad.fill_(float("inf"))
            before = picture(scaled)
        scaler.step(scaled)
        scaler.update()
        if step == 3:
            assert_unchanged(before, scaled)
            continue
        plain.step()
    assert numbers(scaled) == numbers(plain)
    assert_same_bits(scaled, plain, "scaled")


@pytest.mark.usefixtures("kernels")
def test_gradients_are_unscaled_once_and_clipped_in_every_pass() -> None:
    clipped, scaled = make(fused=True, clip_grad_norm=0.5), make(fused=True, clip_grad_norm=0.5)
    by_hand = make(fused=True)
    for step in range(3):
        for one in (clipped, scaled, by_hand):
            give_gradients(one, step)
        for param in params_of(scaled):
            param.grad.mul_(8)
        scaled.grad_scale, scaled.found_inf = torch.tensor(8.0), torch.tensor(0.0)  # type: ignore[attr-defined]
        torch.nn.utils.clip_grad_norm_(params_of(by_hand), 0.5)
        for one in (clipped, scaled, by_hand):
            one.step()
    assert_same_bits(clipped, scaled, "scaled")
    for one, other in zip(params_of(clipped), params_of(by_hand), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_what_fails_before_a_total_ends_the_step_and_the_next_one_is_whole(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = make(fused=True)
    run(optimizer, 2)
    kept = numbers(optimizer)

    def fails(self: object) -> list[list[float]]:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(CppLauncher if kernels == "C++" else TritonLauncher, "read_terms", fails)
        give_gradients(optimizer, 2)
        with pytest.raises(MemoryError):
            optimizer.step()
    assert numbers(optimizer) == kept, "shared numbers are stored at the end"
    run(optimizer, 1)
    assert plans(optimizer) == 2


@pytest.mark.usefixtures("kernels")
def test_only_one_group_has_gradients() -> None:
    optimizer = make(fused=True)
    wanted = Interpreted(optimizer)
    run(optimizer, 5, late=(0, 1))
    wanted.run(optimizer, 5, late=(0, 1))
    assert len(GROUPS) == 2
    for param, expected in zip(params_of(optimizer), wanted.params, strict=True):
        np.testing.assert_allclose(param.detach().numpy(), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", WITH_TOTALS)
def test_explain_names_the_kernels(name: str, kernels: str) -> None:
    optimizer = getattr(thetac, name)([torch.nn.Parameter(torch.ones(3))], fused=True)
    assert f"{kernels} for 1 parameter of 3 elements (fused=True)" in optimizer.explain()
