"""The step plan of fused implementations: one launch per bucket, and sound whatever happens between two steps.

Every scenario trains a fused optimizer beside a for-loop one, does the same to both, and expects the same training.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import thetac as ours
from tests.support.comparing import assert_same_training
from tests.support.runtime_helpers import (
    FUSED,
    assert_unchanged,
    give_gradients,
    parameters,
    picture,
    run_kernels_of,
    states,
    train,
)
from thetac.runtime.implementations.launch_cpp import CppLauncher
from thetac.runtime.implementations.launch_triton import TritonLauncher
from thetac.runtime.implementations.launcher import Launcher
from thetac.runtime.implementations.tables import chunk_table
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups.grad_scaling import Scaling
from thetac.runtime.tensor_facts.memory import MemoryRanges, find_overlapping_owners, is_dense, significant_strides


@pytest.fixture(params=FUSED)
def launches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The address table of every launch from here on, of either fused implementation in turn."""
    run_kernels_of(request.param, monkeypatch)
    launcher = TritonLauncher if request.param == "Triton" else CppLauncher
    seen: list[Tensor] = []
    launch = launcher.launch

    def counting(self: Launcher, tensors: Tensor, rows: Tensor, scaling: Scaling) -> None:
        seen.append(tensors.clone())
        launch(self, tensors, rows, scaling)  # type: ignore[arg-type]  # the launcher's own method

    monkeypatch.setattr(launcher, "launch", counting)
    return seen


def causes(optimizer: Optimizer) -> Counter[str]:
    assert optimizer._stepper is not None
    return optimizer._stepper.plans_made


def params_of(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


FIRST = "the first step"


# One launch per bucket


def test_one_launch_per_step_for_all_groups_and_shapes(launches: list[Tensor]) -> None:
    optimizer = ours.AdamW(
        [{"params": parameters()}, {"params": parameters(seed=1), "lr": 0.1, "betas": (0.8, 0.9)}], fused=True
    )
    train(optimizer, 5)
    assert len(launches) == 5
    assert [len(table) for table in launches] == [8] * 5
    assert causes(optimizer) == {FIRST: 1}


def test_buckets_differ_in_dtype_and_in_what_kernels_are_specialised_on(launches: list[Tensor]) -> None:
    optimizer = ours.AdamW(
        [
            {"params": parameters()},
            {"params": parameters(dtype=torch.bfloat16)},
            {"params": parameters(seed=2), "amsgrad": True},
            {"params": parameters(seed=3), "weight_decay": 0.5},
        ],
        fused=True,
    )
    twin = ours.AdamW(
        [
            {**g, "params": [torch.nn.Parameter(p.detach().clone()) for p in g["params"]], "fused": False}
            for g in optimizer.param_groups
        ]
    )
    train(optimizer, 3)
    train(twin, 3)
    assert len(launches) == 3 * 3
    assert sorted(len(table) for table in launches[:3]) == [4, 4, 8]
    assert_same_training(optimizer, twin, rtol=0.05, atol=0.02)  # bfloat16; the other dtypes are compared below


def test_rows_are_shared_by_what_has_the_same_numbers(launches: list[Tensor]) -> None:
    optimizer = ours.AdamW([{"params": parameters()}, {"params": parameters(seed=1), "lr": 0.1}], fused=True)
    train(optimizer, 1)
    assert launches[-1][:, 1].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    optimizer.state[params_of(optimizer)[1]]["step"].fill_(7)
    train(optimizer, 1)
    assert launches[-1][:, 1].tolist() == [0, 1, 0, 0, 2, 2, 2, 2]
    assert causes(optimizer) == {FIRST: 1}


def test_the_table_says_how_long_and_how_aligned_tensors_are(launches: list[Tensor]) -> None:
    storage = torch.zeros(64)
    aligned, shifted = storage[:12], storage[17:29]
    optimizer = ours.AdamW([torch.nn.Parameter(aligned), torch.nn.Parameter(shifted)], fused=True)
    train(optimizer, 1)
    assert launches[0][:, 0].tolist() == [12, 12]
    assert launches[0][:, 2].tolist() == [1, 0]
    assert launches[0][0, 3] == aligned.data_ptr()
    assert launches[0][0, -1] == 0  # max_exp_avg_sq does not exist


def test_complex_tensors_are_twice_as_many_reals(launches: list[Tensor]) -> None:
    optimizer, twin = (
        ours.AdamW(parameters(dtype=torch.complex64), **o) for o in ({"fused": True}, {"foreach": False})
    )
    train(optimizer, 3)
    train(twin, 3)
    assert launches[0][:, 0].tolist() == [30, 14, 2, 48]
    assert_same_training(optimizer, twin, rtol=1e-5, atol=1e-6)


def test_chunks_cover_every_element_once() -> None:
    assert chunk_table([5, 0, 4, 9], 4).tolist() == [[0, 0], [0, 1], [2, 0], [3, 0], [3, 1], [3, 2]]
    assert chunk_table([0], 4).shape == (0, 2)


# What may happen between two steps


def _nothing(optimizer: Optimizer) -> None:
    pass


def _another_learning_rate(optimizer: Optimizer) -> None:
    optimizer.param_groups[0]["lr"] = 0.5


def _weight_decay_off(optimizer: Optimizer) -> None:
    optimizer.param_groups[0]["weight_decay"] = 0


def _parameter_moved(optimizer: Optimizer) -> None:
    for param in params_of(optimizer):
        param.data = param.data.clone()


def _parameter_transposed_in_place(optimizer: Optimizer) -> None:
    square = params_of(optimizer)[3]
    square.data = square.data.transpose(0, 1)  # the same memory, another order
    for name in ("exp_avg", "exp_avg_sq"):
        optimizer.state[square][name] = optimizer.state[square][name].transpose(0, 1).contiguous()


def _state_transposed_in_place(optimizer: Optimizer) -> None:
    state = optimizer.state[params_of(optimizer)[3]]["exp_avg"]
    state.transpose_(0, 1)


def _state_entry_replaced(optimizer: Optimizer) -> None:
    for param in params_of(optimizer):
        optimizer.state[param]["exp_avg"] = torch.full_like(param, 0.25)


def _state_dict_replaced(optimizer: Optimizer) -> None:
    for param in params_of(optimizer)[:2]:
        optimizer.state[param] = {name: value.clone() + 1 for name, value in optimizer.state[param].items()}


def _state_moved(optimizer: Optimizer) -> None:
    for param in params_of(optimizer):
        value = optimizer.state[param]["exp_avg"]
        value.data = value.data.clone() * 2


def _state_overwritten(optimizer: Optimizer) -> None:
    for param in params_of(optimizer):
        optimizer.state[param]["exp_avg"].fill_(0.125)


def _state_forgotten(optimizer: Optimizer) -> None:
    del optimizer.state[params_of(optimizer)[0]]


def _state_emptied(optimizer: Optimizer) -> None:
    optimizer.state[params_of(optimizer)[0]].clear()


def _counter_replaced(optimizer: Optimizer) -> None:
    optimizer.state[params_of(optimizer)[2]]["step"] = torch.tensor(40.0)


def _counter_overwritten(optimizer: Optimizer) -> None:
    optimizer.state[params_of(optimizer)[2]]["step"].fill_(40.0)


def _state_loaded(optimizer: Optimizer) -> None:
    optimizer.load_state_dict(optimizer.state_dict())


def _group_added(optimizer: Optimizer) -> None:
    optimizer.add_param_group({"params": parameters([(4, 4)], seed=7), "lr": 0.2})


def _parameter_frozen(optimizer: Optimizer) -> None:
    params_of(optimizer)[1].requires_grad_(False)


def _parameter_exchanged(optimizer: Optimizer) -> None:
    """A replacement takes over the state, as when a layer is pruned or tied anew."""
    group = optimizer.param_groups[0]
    old = group["params"][0]
    new = torch.nn.Parameter(old.detach().clone() * 0.5)
    group["params"][0] = new
    optimizer.state[new] = optimizer.state.pop(old)


def _parameter_shrunk(optimizer: Optimizer) -> None:
    param = params_of(optimizer)[0]
    param.data = param.data[:3]
    for name in ("exp_avg", "exp_avg_sq"):
        optimizer.state[param][name] = optimizer.state[param][name][:3].clone()


def _parameter_with_gaps(optimizer: Optimizer) -> None:
    param = params_of(optimizer)[0]
    wide = torch.zeros(5, 6)
    wide[:, ::2] = param.data
    param.data = wide[:, ::2]


def _parameters_overlap(optimizer: Optimizer) -> None:
    first, second = params_of(optimizer)[0], params_of(optimizer)[1]
    first.data = torch.arange(15.0).reshape(5, 3)
    second.data = first.data.view(-1)[4:11]


def _gradient_mode(optimizer: Optimizer) -> None:
    optimizer.param_groups[0]["maximize"] = True


Change = Callable[[Optimizer], None]
# What happens, and why a new plan is needed then; empty where the old one serves.
CHANGES: list[tuple[Change, str]] = [
    (_nothing, ""),
    (_another_learning_rate, ""),
    (_parameter_moved, ""),
    (_state_moved, ""),
    (_state_overwritten, ""),
    (_counter_overwritten, ""),
    (_parameter_frozen, ""),  # as in torch, a gradient counts, not requires_grad
    (_weight_decay_off, "an option or a condition on hyperparameters changed"),
    (_gradient_mode, "an option or a condition on hyperparameters changed"),
    (_parameter_transposed_in_place, "the strides of a parameter or state changed"),
    (_state_transposed_in_place, "the strides of a parameter or state changed"),
    (_state_entry_replaced, ""),
    (_state_dict_replaced, ""),
    (_state_forgotten, "the state of a parameter lies elsewhere in `optimizer.state`"),
    (_state_emptied, "a state is missing"),
    (_counter_replaced, ""),
    (_state_loaded, ""),
    (_group_added, "there are other parameters"),
    (_parameter_exchanged, "the state of a parameter lies elsewhere in `optimizer.state`"),
    (_parameter_shrunk, "the shape of a parameter or state changed"),
    (_parameter_with_gaps, "the strides of a parameter or state changed"),
    (_parameters_overlap, "parameters or states came to share memory"),
]


@pytest.mark.parametrize(("change", "cause"), CHANGES, ids=[change.__name__[1:] for change, _ in CHANGES])
def test_training_is_right_whatever_happens_between_steps(change: Change, cause: str, launches: list[Tensor]) -> None:
    optimizer, twin = (
        ours.AdamW(parameters([(5, 3), (7,), (), (4, 4)]), lr=0.05, **o) for o in ({"fused": True}, {"foreach": False})
    )
    for one in (optimizer, twin):
        train(one, 2)
        change(one)
        for param in params_of(one):
            param.grad = None
        train(one, 2, seed=2)
    assert_same_training(optimizer, twin, rtol=1e-5, atol=1e-6)
    assert len(launches) >= 4
    assert set(causes(optimizer)) == ({FIRST, cause} if cause else {FIRST})
    assert sum(causes(optimizer).values()) == len(causes(optimizer))


def test_gradients_that_come_late_or_not_at_all(launches: list[Tensor]) -> None:
    optimizer, twin = (ours.AdamW(parameters(), **o) for o in ({"fused": True}, {"foreach": False}))
    for one in (optimizer, twin):
        for step, present in enumerate([(0, 1, 3), (0, 1, 3), (0, 2), (), (0, 1, 2, 3)]):
            give_gradients(params_of(one), step)
            for index, param in enumerate(params_of(one)):
                if index not in present:
                    param.grad = None
            one.step()
    assert_same_training(optimizer, twin, rtol=1e-5, atol=1e-6)
    assert [len(table) for table in launches] == [3, 3, 2, 4]


def _contiguous(grad: Tensor) -> Tensor:
    return grad


def _same_address_other_strides(grad: Tensor) -> Tensor:
    return grad.t()


def _expanded(grad: Tensor) -> Tensor:
    return grad[:1].expand(4, 4)


def _with_gaps(grad: Tensor) -> Tensor:
    return torch.stack((grad, grad), dim=-1)[..., 0]


def _negated(grad: Tensor) -> Tensor:
    return torch._neg_view(grad)


def _of_another_type(grad: Tensor) -> Tensor:
    return grad.as_subclass(_Subclass)


class _Subclass(Tensor):
    pass


@pytest.mark.parametrize(
    "form",
    [_contiguous, _same_address_other_strides, _expanded, _with_gaps, _negated, _of_another_type],
    ids=lambda f: f.__name__[1:],
)
def test_gradients_of_any_form(form: Callable[[Tensor], Tensor], launches: list[Tensor]) -> None:
    """The gradient lies at one address throughout; only its form changes, and changes back."""
    optimizer, twin = (ours.AdamW(parameters([(4, 4), (7,)]), **o) for o in ({"fused": True}, {"foreach": False}))
    for one in (optimizer, twin):
        square, other = params_of(one)
        memory = torch.arange(16.0).reshape(4, 4).sin()
        for step in range(4):
            other.grad = torch.ones(7)
            square.grad = memory if step in (0, 3) else form(memory)
            one.step()
    assert_same_training(optimizer, twin, rtol=1e-5, atol=1e-6)
    assert [len(table) for table in launches] == ([2] * 4 if form in (_contiguous, _negated) else [2, 1, 1, 2])


def test_a_conjugated_gradient_is_conjugated(launches: list[Tensor]) -> None:
    optimizer, twin = (
        ours.AdamW(parameters([(4, 4)], dtype=torch.complex64), **o) for o in ({"fused": True}, {"foreach": False})
    )
    for one in (optimizer, twin):
        memory = torch.randn(4, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
        for grad in (memory, memory.conj(), memory):
            params_of(one)[0].grad = grad
            assert params_of(one)[0].grad.is_conj() == (grad is not memory)
            one.step()
    assert_same_training(optimizer, twin, rtol=1e-5, atol=1e-6)
    assert len(launches) == 3


def test_a_gradient_that_is_the_parameter_itself() -> None:
    optimizer, twin = (
        ours.SGD(parameters([(4,), (3,)]), lr=0.1, momentum=0.9, **o) for o in ({"fused": True}, {"foreach": False})
    )
    for one in (optimizer, twin):
        train(one, 2)
        params_of(one)[0].grad = params_of(one)[1].data.new_zeros(4).copy_(torch.arange(4.0))
        params_of(one)[0].data = params_of(one)[0].grad  # one memory, two names
        one.step()
    assert_same_training(optimizer, twin, rtol=1e-6, atol=1e-7)
    assert "a gradient shares memory with a parameter or state" in causes(
        optimizer
    ) or "parameters or states came to share memory" in causes(optimizer)


def test_gradients_at_new_addresses_do_not_make_new_plans(launches: list[Tensor]) -> None:
    optimizer = ours.AdamW(parameters(), fused=True)
    kept = []
    for step in range(4):
        give_gradients(params_of(optimizer), step)
        kept += [param.grad for param in params_of(optimizer)]
        optimizer.step()
    assert len({table[0, 4].item() for table in launches}) == 4
    assert causes(optimizer) == {FIRST: 1}


def test_strides_of_dimensions_of_one_do_not_count(launches: list[Tensor]) -> None:
    param = torch.nn.Parameter(torch.randn(6, 3, 1, 1))
    optimizer = ours.AdamW([param], fused=True)
    param.grad = torch.ones(6, 3, 1, 1).to(memory_format=torch.channels_last)
    assert param.grad.stride() != param.stride()
    optimizer.step()
    assert len(launches) == 1


def test_any_dense_order_of_memory_is_taken(launches: list[Tensor]) -> None:
    tensors = [torch.randn(3, 5).t(), torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)]
    optimizer, twin = (
        ours.AdamW([torch.nn.Parameter(t.clone()) for t in tensors], **o) for o in ({"fused": True}, {"foreach": False})
    )
    for one in (optimizer, twin):
        for step in range(3):
            for param in params_of(one):
                param.grad = torch.sin(param.detach() + step)
            one.step()
    assert len(launches) == 3
    assert_same_training(optimizer, twin, rtol=1e-5, atol=1e-6)


def test_parameters_that_cannot_run_fused_fall_back_one_by_one(launches: list[Tensor]) -> None:
    shared = torch.zeros(20)
    gaps = torch.nn.Parameter(torch.zeros(8)[::2])
    tensors = [
        torch.nn.Parameter(shared[:12]),
        torch.nn.Parameter(shared[8:]),
        gaps,
        torch.nn.Parameter(torch.zeros(5)),
    ]
    optimizer = ours.AdamW(tensors, fused=True)
    train(optimizer, 3)
    assert [len(table) for table in launches] == [1, 1, 1]
    assert causes(optimizer) == {FIRST: 1}
    text = optimizer.explain()
    assert "for-loop for 2 parameters of 24 elements (shares memory with another tensor of this step)" in text
    assert "for-loop for 1 parameter of 4 elements (the parameter is not dense in memory)" in text
    assert re.search(r"(Triton|C\+\+) for 1 parameter of 5 elements \(fused=True\)", text)


def test_neighbours_in_one_storage_run_fused(launches: list[Tensor]) -> None:
    flat = torch.randn(20)
    optimizer, twin = (
        ours.AdamW([torch.nn.Parameter(p) for p in flat.clone().split((8, 12))], **o)
        for o in ({"fused": True}, {"foreach": False})
    )
    train(optimizer, 2)
    train(twin, 2)
    assert [len(table) for table in launches] == [2, 2]
    assert_same_training(optimizer, twin, rtol=1e-5, atol=1e-6)


# What a step leaves behind


def test_autograd_is_told_what_was_written() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = ours.AdamW([param], fused=True)
    for _ in range(2):
        product = (param * param).sum()
        param.grad = torch.ones(3)
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            product.backward()
    before = optimizer.state[param]["exp_avg"]._version
    optimizer.step()
    assert optimizer.state[param]["exp_avg"]._version > before


def test_counters_count_as_their_dtype_does() -> None:
    optimizer, twin = (ours.AdamW(parameters(), **o) for o in ({"fused": True}, {"foreach": False}))
    for one in (optimizer, twin):
        train(one, 1)
        one.state[params_of(one)[0]]["step"].fill_(2.0**24)
        one.state[params_of(one)[1]]["step"] = torch.tensor(256.0, dtype=torch.bfloat16)
        train(one, 1)
    assert [entry["step"] for entry in states(optimizer)] == [entry["step"] for entry in states(twin)]


def test_counters_are_independent_tensors() -> None:
    optimizer = ours.AdamW(parameters(), fused=True)
    train(optimizer, 2)
    storages = [entry["step"].untyped_storage() for entry in optimizer.state.values()]
    assert len({storage.data_ptr() for storage in storages}) == 4
    assert all(storage.nbytes() == 4 for storage in storages)


@pytest.mark.parametrize("name", ["NAdam", "ASGD", "Adagrad", "RMSprop", "Rprop", "SGD"])
def test_scalar_states_and_first_steps(name: str) -> None:
    arguments = {"momentum": 0.9} if name == "SGD" else {}
    optimizer, twin = (
        getattr(ours, name)(parameters(), **arguments, **o) for o in ({"fused": True}, {"foreach": False})
    )
    for one in (optimizer, twin):
        give_gradients(params_of(one), 0)
        params_of(one)[1].grad = None
        one.step()
        train(one, 4, seed=1)
    assert_same_training(optimizer, twin, rtol=2e-5, atol=1e-6)


def test_arithmetic_that_fails_on_a_users_numbers_changes_nothing(launches: list[Tensor]) -> None:
    optimizer = ours.AdamW(parameters(), fused=True)
    train(optimizer, 2)
    optimizer.param_groups[0]["lr"] = "fast"
    before = picture(optimizer)
    with pytest.raises(TypeError):
        optimizer.step()
    assert_unchanged(before, optimizer)
    assert len(launches) == 2


# Facts about memory


def test_density_and_order() -> None:
    base = torch.zeros(4, 6)
    assert is_dense(base)
    assert is_dense(base.t())
    assert is_dense(torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last))
    assert is_dense(torch.zeros(0, 3).t())
    assert not is_dense(base[:, ::2])
    assert not is_dense(base[:, :3])
    assert not is_dense(torch.zeros(3).expand(2, 3))
    assert significant_strides(torch.zeros(6, 3, 1, 1)) == significant_strides(
        torch.zeros(6, 3, 1, 1).to(memory_format=torch.channels_last)
    )


def test_sharing_names_all_owners_that_meet_where_something_is_written() -> None:
    memory = torch.zeros(100)
    parts = [memory[:10], memory[10:20], memory[15:30], memory[28:40], memory[50:60]]
    written = list(enumerate(parts))
    assert find_overlapping_owners(written, []) == {1, 2, 3}
    assert find_overlapping_owners([], written) == set()
    assert find_overlapping_owners([(0, parts[0])], [(1, memory[5:]), (2, memory[7:8])]) == {0, 1, 2}
    assert find_overlapping_owners([(0, parts[0]), (0, memory[:1])], []) == {0}
    assert find_overlapping_owners([(0, memory[:0]), (1, memory[:5])], []) == set()
    array = memory.numpy()
    assert find_overlapping_owners([(0, torch.from_numpy(array)), (1, memory)], []) == {
        0,
        1,
    }  # two storages, one memory


def test_stretches_are_touched_by_what_reaches_into_them() -> None:
    memory = torch.zeros(100)
    ranges = MemoryRanges([memory[10:20], memory[40:60]])
    assert not ranges.overlap([memory[:10], memory[20:40], memory[60:]])
    for start, end in ((0, 11), (19, 21), (12, 13), (0, 100), (59, 60), (30, 45)):
        assert ranges.overlap([memory[:10], memory[start:end]])
    assert not MemoryRanges([]).overlap([memory])
    assert not ranges.overlap([])
