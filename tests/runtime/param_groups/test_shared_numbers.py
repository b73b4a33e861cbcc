"""Numbers that parameters share: every implementation computes what the interpreter says, and groups keep them."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from tests.support.comparing import assert_identical, assert_same_bits, assert_same_training
from tests.support.host_reads import no_host_reads
from tests.support.runtime_helpers import assert_unchanged, picture
from tests.support.sharing import Interpreted, give_gradients, make, params_of, run, sharing
from thetac.runtime.param_groups import checks

SHARED = ("rate", "gain", "share")
EAGER: dict[str, dict[str, Any]] = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "chosen": {}}
every_eager = pytest.mark.parametrize("options", EAGER.values(), ids=EAGER)


def numbers(optimizer: torch.optim.Optimizer) -> list[list[float]]:
    return [[float(group[name]) for name in SHARED] for group in optimizer.param_groups]


def assert_as_interpreted(optimizer: torch.optim.Optimizer, truth: Interpreted, rtol: float) -> None:
    for param, expected in zip(params_of(optimizer), truth.params, strict=True):
        np.testing.assert_allclose(param.detach().numpy(), expected, rtol=rtol, atol=rtol)
    expected_numbers = [[group.get(name) for name in SHARED] for group in truth.groups]
    np.testing.assert_allclose(numbers(optimizer), expected_numbers, rtol=rtol)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the CPU supported capturable."""
    monkeypatch.setattr(checks, "_get_capturable_supported_devices", lambda: ["cpu"])


# What is computed.


@pytest.mark.parametrize("mode", ["plain", "fast"])
@pytest.mark.parametrize("late", [(), (1, 3)], ids=str)
@every_eager
def test_groups_share_what_the_interpreter_computes(options: dict[str, Any], late: tuple[int, ...], mode: str) -> None:
    optimizer = make(mode=mode, betas=(0.8, None), **options)
    truth = Interpreted(optimizer)
    truth.run(optimizer, 12, late)
    run(optimizer, 12, late)
    assert_as_interpreted(optimizer, truth, 1e-13)
    assert numbers(optimizer)[0][0] != 0.5
    assert numbers(optimizer)[0][:2] == numbers(optimizer)[1][:2]
    assert numbers(optimizer)[0][2] != numbers(optimizer)[1][2]


@pytest.mark.parametrize("late", [(), (1, 3)], ids=str)
def test_kernels_of_a_gpu_share_what_the_interpreter_computes(
    late: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THETAC_CPU_KERNELS", "triton")
    optimizer = make(betas=(0.8, None), fused=True)
    truth = Interpreted(optimizer)
    truth.run(optimizer, 6, late)
    run(optimizer, 6, late)
    assert "group 0: Triton for 2 parameters of 13 elements (fused=True)" in optimizer.explain()
    assert_as_interpreted(optimizer, truth, 1e-13)


def test_the_for_loop_takes_the_place_of_kernels_where_numbers_stay_on_the_device(
    on_cpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THETAC_CPU_KERNELS", "triton")
    optimizer, plain = make(fused=True, capturable=True), make(foreach=False)
    run(optimizer, 2)
    run(plain, 2)
    assert "(the host adds up over all parameters between launches of its kernels)" in optimizer.explain()
    assert_same_training(optimizer, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_foreach_has_the_bits_of_the_for_loop(dtype: torch.dtype) -> None:
    one, other = make(dtype, foreach=False), make(dtype, foreach=True)
    run(one, 8, (1,))
    run(other, 8, (1,))
    assert_same_bits(one, other, "foreach")
    assert numbers(one) == numbers(other)


def test_groups_of_different_implementations_share_numbers() -> None:
    mixed, alike = make(foreach=True), make(foreach=False)
    mixed.param_groups[1]["foreach"] = False
    run(mixed, 6)
    run(alike, 6)
    assert numbers(mixed) == numbers(alike)
    assert_same_bits(mixed, alike, "mixed")


def test_a_capturable_step_reads_nothing(on_cpu: None) -> None:
    optimizer, plain = make(capturable=True), make(foreach=False)
    run(plain, 10)
    run(optimizer, 1)
    kept = {name: optimizer.param_groups[0][name] for name in SHARED}
    assert all(isinstance(value, Tensor) for value in kept.values())
    for step in range(1, 10):
        give_gradients(optimizer, step)
        with no_host_reads():
            optimizer.step()
    for name, value in kept.items():
        assert optimizer.param_groups[0][name] is value, "a graph would go on to read it"
        assert (optimizer.param_groups[1][name] is value) is (name != "share")
    assert_same_training(optimizer, plain, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(numbers(optimizer), numbers(plain), rtol=1e-12)


def test_a_checkpoint_of_a_capturable_optimizer(on_cpu: None) -> None:
    """One that is capturable goes on with tensors of its own, and one that is not with floats."""
    optimizer = make(capturable=True)
    run(optimizer, 3)
    saved = optimizer.state_dict()
    on_host = copy.deepcopy(saved)
    for group in on_host["param_groups"]:
        group["capturable"] = False
    loaded = [make(capturable=True), make()]
    for other, state in zip(loaded, (saved, on_host), strict=True):
        other.load_state_dict(copy.deepcopy(state))
        with torch.no_grad():
            for mine, theirs in zip(params_of(other), params_of(optimizer), strict=True):
                mine.copy_(theirs)
    first, second = (other.param_groups[0]["rate"] for other in loaded)
    assert first is loaded[0].param_groups[1]["rate"]
    assert first is not optimizer.param_groups[0]["rate"]
    assert type(second) is float
    for other in (optimizer, *loaded):
        run(other, 2, begin=3)
    for other in loaded:
        assert_same_training(other, optimizer, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(numbers(other), numbers(optimizer), rtol=1e-12)


@pytest.mark.parametrize("capturable", [0, 1])
def test_one_group_is_capturable_and_the_other_is_not(on_cpu: None, capturable: int) -> None:
    """Each is sent the sums as it computes with them."""
    mixed, plain = make(foreach=False), make(foreach=False)
    mixed.param_groups[capturable]["capturable"] = True
    run(mixed, 6)
    run(plain, 6)
    assert_same_training(mixed, plain, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(numbers(mixed), numbers(plain), rtol=1e-12)
    of_optimizer, of_group = mixed.param_groups[0]["rate"], [group["share"] for group in mixed.param_groups]
    assert isinstance(of_optimizer, Tensor), "one tensor, which a graph reads"
    assert mixed.param_groups[1]["rate"] is of_optimizer
    assert [isinstance(number, Tensor) for number in of_group] == [capturable == 0, capturable == 1]


def test_gradients_flow_from_one_parameter_to_another() -> None:
    leaves = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    optimizer = sharing()([leaf.clone() for leaf in leaves], weight_decay=0.1, differentiable=True)
    for step in range(3):
        give_gradients(optimizer, step)
        optimizer.step()
    (own, other) = torch.autograd.grad(params_of(optimizer)[0].sum(), leaves, allow_unused=True)
    assert own.abs().sum() > 0
    assert other is not None
    assert other.abs().sum() > 0, "through the total that both are in"


def test_a_clipped_step_shares_what_the_clipped_gradients_give() -> None:
    clipped, scaled = make(clip_grad_norm=0.5), make(foreach=False)
    for step in range(4):
        give_gradients(clipped, step)
        give_gradients(scaled, step)
        torch.nn.utils.clip_grad_norm_(params_of(scaled), 0.5)
        clipped.step()
        scaled.step()
    assert_same_training(clipped, scaled, rtol=1e-6, atol=1e-6)


# What is kept.


def test_groups_begin_with_the_first_values_in_the_order_of_the_spec() -> None:
    optimizer = make(start=2.0)
    assert list(optimizer.param_groups[0])[:3] == ["params", "lr", "rate"]
    assert list(optimizer.param_groups[0])[-2:] == ["gain", "share"]
    assert numbers(optimizer) == [[2.0, 0.0, 0.2], [2.0, 0.0, 0.1]]
    assert {name: optimizer.defaults[name] for name in SHARED} == {"rate": 2.0, "gain": 0.0, "share": 0.2}
    assert "rate: 2.0" in repr(optimizer)


def test_a_new_group_joins_the_optimizer() -> None:
    optimizer = make()
    run(optimizer, 3)
    before = numbers(optimizer)[0]
    param = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer.add_param_group({"params": [param], "lr": 0.3})
    assert numbers(optimizer)[2] == [before[0], before[1], 0.6]
    run(optimizer, 1)
    assert len({tuple(row[:2]) for row in numbers(optimizer)}) == 1


@pytest.mark.parametrize("options", [{}, {"foreach": False}], ids=str)
def test_a_loaded_optimizer_goes_on_bit_for_bit(options: dict[str, Any]) -> None:
    optimizer = make(**options)
    run(optimizer, 3)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    resumed = make(**options)
    resumed.load_state_dict(torch.load(file))
    with torch.no_grad():
        for mine, theirs in zip(params_of(resumed), params_of(optimizer), strict=True):
            mine.copy_(theirs)
    run(optimizer, 3, begin=3)
    run(resumed, 3, begin=3)
    assert_same_bits(optimizer, resumed, "resumed")
    assert numbers(optimizer) == numbers(resumed)


def _copied(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    return copy.deepcopy(optimizer)


def _distributed(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The state in the form of torch.distributed.checkpoint, with groups flattened."""
    options = StateDictOptions(flatten_optimizer_state_dict=True)
    module = torch.nn.ParameterList(params_of(optimizer))
    saved = get_optimizer_state_dict(module, optimizer, options=options)
    other = make()
    with torch.no_grad():
        for mine, theirs in zip(params_of(other), params_of(optimizer), strict=True):
            mine.copy_(theirs)
    set_optimizer_state_dict(torch.nn.ParameterList(params_of(other)), other, copy.deepcopy(saved), options=options)
    return other


@pytest.mark.parametrize("copied", [_copied, _distributed])
def test_copies_go_on_alike(copied: Callable[[torch.optim.Optimizer], torch.optim.Optimizer]) -> None:
    optimizer = make()
    run(optimizer, 3)
    other = copied(optimizer)
    assert numbers(other) == numbers(optimizer)
    for one in (optimizer, other):
        run(one, 2, begin=3)
    assert_same_training(optimizer, other)
    assert numbers(other) == numbers(optimizer)


def test_a_pickled_optimizer_keeps_its_numbers() -> None:
    optimizer = make()
    run(optimizer, 2)
    state = pickle.loads(pickle.dumps(optimizer.state_dict()))
    assert_identical(state["param_groups"], optimizer.state_dict()["param_groups"])


def test_a_skipped_step_shares_nothing() -> None:
    for options in EAGER.values():
        optimizer = make(torch.float32, **options)
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        run(optimizer, 2)
        give_gradients(optimizer, 2)
        scaler.scale(torch.ones(()))
        params_of(optimizer)[0].grad[0, 0] = torch.inf
        before = picture(optimizer)
        scaler.step(optimizer)
        assert_unchanged(before, optimizer)


def test_a_step_that_fails_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = make(foreach=False)
    run(optimizer, 2)
    before = numbers(optimizer)
    give_gradients(optimizer, 2)
    real, calls = torch.Tensor.abs, 0

    def fail(self: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("no memory")
        return real(self)

    monkeypatch.setattr(torch.Tensor, "abs", fail)
    with pytest.raises(RuntimeError, match=r"^no memory$"):
        optimizer.step()
    monkeypatch.undo()
    assert numbers(optimizer) == before
    run(optimizer, 1)
    assert numbers(optimizer) != before


def test_new_numbers_invalidate_no_plan() -> None:
    optimizer = make()
    run(optimizer, 6)
    assert "plan made 1 time: the first step" in optimizer.explain()
    assert optimizer.explain().count("plan made") == 1
    optimizer.param_groups[0]["rate"] = optimizer.param_groups[1]["rate"] = 0.25
    truth = numbers(optimizer)
    run(optimizer, 1)
    assert numbers(optimizer) != truth
    assert optimizer.explain().count("plan made") == 1


def test_a_step_without_gradients_shares_nothing() -> None:
    optimizer = make()
    before = picture(optimizer)
    optimizer.step()
    assert_unchanged(before, optimizer)


# Mistakes.


def test_what_the_optimizer_shares_must_follow_from_equal_values() -> None:
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    groups: list[dict[str, Any]] = [{"params": params[:1]}, {"params": params[1:], "start": 2.0}]
    with pytest.raises(
        ValueError,
        match=(
            r"^start must be the same in all parameter groups, since Sharing computes numbers of the whole optimizer "
            r"from it; it is 0\.5, 2\.0$"
        ),
    ):
        sharing()(groups)
    groups[1] = {"params": params[1:], "mode": "fast"}
    with pytest.raises(ValueError, match=r"^mode must be the same .* it is plain, fast$"):
        sharing()(groups)


def test_groups_that_came_to_differ_are_refused_before_anything_changes() -> None:
    optimizer = make()
    run(optimizer, 2)
    give_gradients(optimizer, 2)
    optimizer.param_groups[1]["betas"] = (0.5, None)
    before = picture(optimizer)
    with pytest.raises(ValueError, match=r"^betas must be .*; it is \(0\.9, None\), \(0\.5, None\)$"):
        optimizer.step()
    assert_unchanged(before, optimizer)
    optimizer.param_groups[1]["betas"] = (0.9, None)
    optimizer.param_groups[1]["rate"] = 3.0
    with pytest.raises(ValueError, match=r"^rate must be the same .*Sharing keeps one number of this name; it is"):
        optimizer.step()


@pytest.mark.parametrize(("value", "error"), [("x", TypeError), (torch.ones(2), ValueError), (True, TypeError)])
def test_a_shared_number_that_is_none_is_refused(value: object, error: type[Exception]) -> None:
    optimizer = make()
    run(optimizer, 1)
    give_gradients(optimizer, 1)
    optimizer.param_groups[0]["share"] = value
    before = picture(optimizer)
    with pytest.raises(error, match="share must be"):
        optimizer.step()
    assert_unchanged(before, optimizer)


def test_a_checkpoint_whose_groups_differ_is_refused() -> None:
    optimizer = make()
    run(optimizer, 2)
    saved = optimizer.state_dict()
    saved["param_groups"] = copy.deepcopy(saved["param_groups"])
    saved["param_groups"][1]["gain"] = 7.0
    other = make()
    before = picture(other)
    with pytest.raises(ValueError, match=r"^gain must be the same in all parameter groups"):
        other.load_state_dict(saved)
    saved["param_groups"][1]["gain"] = "7"
    with pytest.raises(TypeError, match=r"^group 1 of the loaded state dict: gain must be a number, not str$"):
        other.load_state_dict(saved)
    assert_unchanged(before, other)


def test_a_checkpoint_without_the_numbers_keeps_those_of_the_optimizer() -> None:
    optimizer, other = make(), make(start=0.7)
    run(optimizer, 2)
    saved = optimizer.state_dict()
    saved["param_groups"] = [
        {key: value for key, value in group.items() if key not in (*SHARED, "start")} for group in saved["param_groups"]
    ]
    other.load_state_dict(saved)
    assert [row[0] for row in numbers(other)] == [0.7, 0.7]
