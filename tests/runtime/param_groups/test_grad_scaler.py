"""torch's GradScaler around steps of all optimizers, torch's classes beside them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.support.comparing import assert_identical, assert_same_training
from tests.support.every_optimizer import remembering, torchs
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, run_kernels_of
from tests.support.runtime_helpers import train as train_unscaled
from tests.support.scaler_helpers import (
    SCALE,
    SHAPES,
    TORCH_FUSED,
    backward,
    gradients,
    make,
    options,
    params_of,
    pretending_to_unscale,
    scaler,
    train,
    triton,
)
from tests.support.stepping import every_class_that_evaluates_once

__all__ = ["options", "triton"]  # fixtures

# What a scaled step does.


@pytest.mark.feature("modes", "GradScaler: bit for bit as torch's class with the for-loop, skipped steps included")
@pytest.mark.parametrize("overflows", [(), (2,), (0, 1, 3)], ids=str)
@every_class_that_evaluates_once
def test_the_for_loop_is_torchs(
    name: str, overflows: tuple[int, ...], record_property: Callable[[str, object], None]
) -> None:
    control = torchs(name)
    if control is None:
        record_property("why not", "torch has none for it")
        return
    mine = make(name, foreach=False)
    theirs = control(parameters(SHAPES), **remembering(name), foreach=False)
    assert train(mine, scaler(), overflows) == train(theirs, scaler(), overflows)
    assert_identical(gradients(mine), gradients(theirs))
    assert_same_training(mine, theirs)


@pytest.mark.feature("modes", "GradScaler: fused steps unscale on the fly, and write the quotients back")
@every_class_that_evaluates_once
@pytest.mark.parametrize("kernels", ["C++", "Triton"])
def test_fused_steps_unscale(name: str, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of(kernels, monkeypatch)
    scaled, plain, by = make(name, fused=True), make(name, fused=True), scaler()
    for step in range(5):
        scale = by.get_scale() if step else SCALE
        for optimizer in (scaled, plain):
            backward(optimizer, step, by)
        pretending_to_unscale(plain, scale)
        by.step(scaled)
        by.update()
        plain.step()
        assert_identical(gradients(scaled), gradients(plain))
    assert by.get_scale() > SCALE
    if kernels == "C++":
        assert_same_training(scaled, plain)
    else:  # where a step may be skipped its numbers are computed on the device
        assert_same_training(scaled, plain, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("name", TORCH_FUSED)
def test_torchs_fused_steps_do_the_same(name: str, options: dict[str, bool]) -> None:
    """The same gradients after the step, the same scales, and the same training to rounding."""
    if not options.get("fused"):
        return
    control = torchs(name)
    assert control is not None
    mine, theirs = make(name, fused=True), control(parameters(SHAPES), **remembering(name), fused=True)
    by = scaler(), scaler()
    for step in range(5):
        for optimizer, one in zip((mine, theirs), by, strict=True):
            backward(optimizer, step, one, overflow=step == 2)
            before = gradients(optimizer)
            one.step(optimizer)
            one.update()
            if step == 2:
                assert_identical(before, gradients(optimizer))
        torch.testing.assert_close(gradients(mine), gradients(theirs), rtol=2e-7, atol=0)
        assert by[0].get_scale() == by[1].get_scale()
    assert_same_training(mine, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.feature("modes", "GradScaler: a skipped step leaves parameters, state, counters and gradients alone")
@every_class_that_evaluates_once
def test_a_skipped_step_leaves_everything(name: str, options: dict[str, bool]) -> None:
    optimizer, by = make(name, **options), scaler()
    for step in range(3):
        backward(optimizer, step, by)
        by.step(optimizer)
        by.update()
    backward(optimizer, 3, by, overflow=True)
    before, grads = picture(optimizer), gradients(optimizer)
    by.step(optimizer)
    assert_identical(before, picture(optimizer))
    if options.get("fused"):  # torch's scaler has unscaled them where the step does not
        assert_identical(grads, gradients(optimizer))


@pytest.mark.feature("modes", "GradScaler: skipped first steps do not count")
@every_class_that_evaluates_once
def test_skipped_first_steps_do_not_count(name: str, options: dict[str, bool]) -> None:
    """Even where a rule does something else in the step that makes its state, as momentum with dampening does."""
    arguments = {"dampening": 0.5} if name == "SGD" else {}
    skipping, plain = make(name, **arguments, **options), make(name, **arguments, **options)
    by = scaler(4096.0), scaler(1024.0)
    for step in range(2):
        backward(skipping, step, by[0], overflow=True)
        by[0].step(skipping)
        by[0].update()
    by[1].scale(torch.ones(()))
    assert by[0].get_scale() == by[1].get_scale()
    for step in range(3):
        for optimizer, one in zip((skipping, plain), by, strict=True):
            backward(optimizer, step, one)
            one.step(optimizer)
            one.update()
    assert_same_training(skipping, plain)


# Unscaled by hand.


@pytest.mark.feature("modes", "GradScaler: unscale_ and clip_grad_norm_ before the step, as torch's class")
@every_class_that_evaluates_once
def test_unscaled_and_clipped_before_the_step(name: str, options: dict[str, bool]) -> None:
    control = torchs(name)
    optimizers: list[torch.optim.Optimizer] = [make(name, **options)]
    if control is not None:
        optimizers.append(control(parameters(SHAPES), **remembering(name), foreach=False))
    by = [scaler() for _ in optimizers]
    for step in range(5):
        for optimizer, one in zip(optimizers, by, strict=True):
            backward(optimizer, step, one, overflow=step == 3)
            one.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(params_of(optimizer), 0.5)
            before, clipped = picture(optimizer), gradients(optimizer)
            one.step(optimizer)
            one.update()
            assert_identical(clipped, gradients(optimizer))
            if step == 3:
                assert_identical(before, picture(optimizer))
    if control is not None:
        exact = options == {"foreach": False} or options == {"foreach": True}
        assert_same_training(*optimizers, **({} if exact else {"rtol": 1e-5, "atol": 1e-6}))


@pytest.mark.feature("modes", "GradScaler: an infinity in one of several optimizers skips that one alone")
@every_class_that_evaluates_once
def test_one_of_several_optimizers_overflows(name: str, options: dict[str, bool]) -> None:
    fine, overflown, by = make(name, **options), make(name, **options), scaler()
    alone, by_itself = make(name, **options), scaler()
    for step in range(4):
        for optimizer in (fine, overflown):
            backward(optimizer, step, by, overflow=step == 2 and optimizer is overflown)
        before = picture(overflown)
        for optimizer in (fine, overflown):
            by.step(optimizer)
        if step == 2:
            assert_identical(before, picture(overflown))
        by.update()
        backward(alone, step, by_itself)
        by_itself.step(alone)
        by_itself.update(by.get_scale())
    assert by.get_scale() == SCALE  # grown by two after two steps, halved after the third
    assert_same_training(fine, alone)


# The norm.


@pytest.mark.feature("modes", "GradScaler with clip_grad_norm: the norm is that of unscaled gradients")
@pytest.mark.parametrize("kernels", ["C++", "Triton"])
@every_class_that_evaluates_once
def test_the_norm_of_scaled_gradients(name: str, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of(kernels, monkeypatch)
    scaled, plain = (make(name, fused=True, clip_grad_norm=0.5) for _ in range(2))
    by = scaler()
    for step in range(3):
        for optimizer in (scaled, plain):
            backward(optimizer, step, by)
        pretending_to_unscale(plain, SCALE)
        by.step(scaled)
        plain.step()
        assert isinstance(scaled.grad_norm, Tensor)
        torch.testing.assert_close(scaled.grad_norm, plain.grad_norm)
        by.update(SCALE)
    assert_same_training(scaled, plain, rtol=1e-6, atol=1e-7)
    backward(scaled, 3, by, overflow=True)
    before = picture(scaled)
    by.step(scaled)
    assert_identical(before, picture(scaled))
    assert scaled.grad_norm.isinf(), "that of the gradients for which the step was skipped"


@pytest.mark.feature("modes", "GradScaler: unscaled steps, and steps that are skipped")
@every_class_that_evaluates_once
def test_powers_of_two_as_scales_leave_the_bits_alone(name: str, options: dict[str, bool]) -> None:
    """And a step with an infinity in it leaves everything alone."""
    scaled, plain = make(name, **options), make(name, **options)
    supports = getattr(scaled, "_step_supports_amp_scaling", False)
    assert supports == (options.get("fused") is True)
    by = scaler(1024.0)
    for step in range(5):
        params = scaled.param_groups[0]["params"]
        give_gradients(params, step)
        held = [param.grad.clone() for param in params]
        by.scale(torch.tensor(1.0))  # makes the scale
        for param in params:
            param.grad.mul_(by.get_scale())
        if step == 2:
            params[1].grad[3] = float("inf")
            before = picture(scaled)
            by.step(scaled)
            assert_unchanged(before, scaled)
        else:
            by.step(scaled)
            for param, grad in zip(params, held, strict=True):
                assert torch.equal(param.grad, grad), "gradients are unscaled, as torch leaves them"
            train_unscaled(plain, 1, seed=step)
        by.update()
    assert_same_training(scaled, plain)
