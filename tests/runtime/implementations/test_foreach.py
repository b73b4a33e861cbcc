"""How the runtime calls foreach: buckets, chunks of whole tensors, bounded memory, gradients left alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import thetac as ours
from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import one_in
from tests.support.runtime_helpers import give_gradients, parameters, train
from thetac.runtime.implementations import foreach
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups.gather import gather

ALGORITHMS = ("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD")

# Options that decide how many temporaries a rule needs.
VARIANTS: dict[str, list[dict[str, float | bool]]] = {
    "SGD": [
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ],
    "Adam": [{"amsgrad": True}, {"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "RMSprop": [{"momentum": 0.9, "centered": True}, {"centered": True}],
}


@pytest.fixture
def chunks_seen(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The sizes of the tensors in every call of foreach from here on."""
    seen: list[list[int]] = []

    def recording(module: foreach.Foreach) -> SimpleNamespace:
        @wraps(module.step)
        def step(params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None:
            seen.append([param.numel() for param in params])
            module.step(params, grads, **keywords)

        return SimpleNamespace(step=step)

    original = foreach.foreach_of
    monkeypatch.setattr(foreach, "foreach_of", lambda package: recording(original(package)))
    return seen


def test_small_tensors_share_a_call_and_large_ones_do_not(chunks_seen: list[list[int]]) -> None:
    optimizer = ours.AdamW(parameters([(100,)] * 50 + [(1 << 20,)] + [(50_000,)] * 6), foreach=True)
    train(optimizer, 1)
    assert [sum(sizes) for sizes in chunks_seen] == [5_000, 1 << 20, 100_000, 100_000, 100_000]


def test_a_call_holds_equal_dtypes_counters_and_firsts(chunks_seen: list[list[int]]) -> None:
    params = [
        *parameters([(1,), (2,), (3,)]),
        *parameters([(4,), (5,)], dtype=torch.float64),
        *parameters([(6,)], dtype=torch.complex64),
    ]
    optimizer = ours.SGD(params, momentum=0.9, foreach=True)
    give_gradients(params, 0)
    params[1].grad = None
    optimizer.step()
    assert chunks_seen == [[1, 3], [4, 5], [6]]
    chunks_seen.clear()
    train(optimizer, 1)
    assert chunks_seen == [[1, 3], [2], [4, 5], [6]]  # [2] makes its momentum buffer in this step
    chunks_seen.clear()
    train(optimizer, 1)
    assert chunks_seen == [[1, 2, 3], [4, 5], [6]]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_late_gradients_and_several_groups_have_the_bits_of_the_for_loop(name: str) -> None:
    optimizers = []
    for use_foreach in (True, False):
        first, second = parameters(), parameters(seed=1)
        optimizer = getattr(ours, name)([{"params": first}, {"params": second, "lr": 0.3}], foreach=use_foreach)
        for step in range(6):
            give_gradients([*first, *second], step)
            if step % 3 == 1:
                first[0].grad = second[2].grad = None
            optimizer.step()
        optimizers.append(optimizer)
    assert_same_training(*optimizers)


def test_what_shares_memory_runs_one_after_the_other(chunks_seen: list[list[int]]) -> None:
    def tied() -> list[torch.nn.Parameter]:
        memory = torch.arange(12.0)
        return [torch.nn.Parameter(memory[:8]), torch.nn.Parameter(memory[4:]), torch.nn.Parameter(torch.ones(3))]

    optimizers = [ours.AdamW(tied(), foreach=use_foreach) for use_foreach in (True, False)]
    for optimizer in optimizers:
        train(optimizer, 3)
    assert chunks_seen == [[3]] * 3
    assert_same_training(*optimizers)


def _cases() -> list[tuple[str, dict[str, float | bool]]]:
    cases = []
    for name in ALGORITHMS:
        variants: list[dict[str, float | bool]] = [{}, {"maximize": True}, *VARIANTS.get(name, [])]
        if name != "Rprop":
            variants.append({"weight_decay": 0.1})
        cases += [(name, variant) for variant in variants]
    return cases


@pytest.mark.parametrize(("name", "arguments"), one_in(6, _cases()), ids=str)
def test_peak_memory_is_torchs_plus_one_chunk_and_gradients_stay(name: str, arguments: dict[str, float | bool]) -> None:
    # One tensor alone exceeds the budget, so that a chunk is as large as it is.
    sizes = [1 << 16] * 20 + [1 << 18]
    peaks = []
    for module in (torch.optim, ours):
        params = parameters([(size,) for size in sizes])
        optimizer = getattr(module, name)(params, foreach=True, **arguments)
        train(optimizer, 1)
        give_gradients(params, 1)
        gradients = [(param.grad, param.grad.clone()) for param in params if param.grad is not None]
        peaks.append(_peak_of(optimizer.step))
        if module is ours:
            assert all(torch.equal(grad, before) for grad, before in gradients)
            largest = max(sizes) * 4 * optimizer.schema.foreach_temporaries
            chunk = max(foreach.CPU_BUDGET, largest)
    assert peaks[1] <= peaks[0] + chunk
    # One list of temporaries, as a naive implementation keeps alive, would break this bound where torch keeps none.
    assert chunk < sum(sizes) * 4


def test_the_profiler_does_count_what_an_operation_allocates() -> None:
    tensors = [torch.ones(1000) for _ in range(4)]
    assert 16_000 <= _peak_of(lambda: torch._foreach_mul(tensors, 2)) < 20_000


def test_chunks_partition_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters([(size,) for size in (10, 1, 1, 300, 5, 5, 0, 0, 200, 200)])
    optimizer = ours.AdamW(params)
    give_gradients(params, 0)
    members = gather(
        optimizer.schema, optimizer.param_groups, [group["params"] for group in optimizer.param_groups], optimizer.state
    ).members
    per_element = 4 * optimizer.schema.foreach_temporaries
    for budget in (1, 12, 300, 10_000):
        monkeypatch.setattr(foreach, "CPU_BUDGET", budget * per_element)
        chunks = [[member.param.numel() for member in chunk] for chunk in foreach.chunks(optimizer.schema, members)]
        assert [size for chunk in chunks for size in chunk] == [param.numel() for param in params]
        assert all(sum(chunk) <= budget or len([size for size in chunk if size]) == 1 for chunk in chunks)


def _peak_of(function: Callable[[], object]) -> int:
    """The most bytes that were allocated at once on the CPU while a function ran, above what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        function()
    results = recorded.profiler.kineto_results  # type: ignore[union-attr]
    now = peak = 0
    for event in results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def test_foreach_is_what_a_group_asks_for() -> None:
    optimizer = ours.AdamW(
        [{"params": parameters(), "foreach": True}, {"params": parameters(seed=1), "foreach": False}]
    )
    train(optimizer, 1)
    assert _implementations(optimizer) == ["foreach"] * 4 + ["for-loop"] * 4


def _implementations(optimizer: Optimizer) -> list[str]:
    assert optimizer._stepper is not None
    return [served.choice.implementation.value for served in optimizer._stepper.served]
