"""What a step does besides the algorithm: closures, hooks, state, errors before the first write, serialization."""

from __future__ import annotations

import copy
import io
import pickle
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

import thetac as ours
from tests.support.comparing import assert_same_training
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, states, train

IMPLEMENTATIONS: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
every_implementation = pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())


@pytest.fixture
def float64_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# Closures, hooks, profiling


def test_closure_runs_with_gradients_enabled_and_its_value_is_returned() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = ours.SGD([param], lr=0.5)

    def closure() -> float:
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = (param * 2).sum()
        loss.backward()
        return loss.item()

    with torch.no_grad():
        assert optimizer.step(closure) == 6.0
    assert param.tolist() == [0.0, 0.0, 0.0]
    assert optimizer.step() is None


@every_implementation
def test_a_closure_that_raises_changes_nothing(options: dict[str, bool]) -> None:
    optimizer = ours.AdamW(parameters(), **options)
    train(optimizer, 2)
    before = picture(optimizer)

    def closure() -> float:
        raise KeyError("no data")

    with pytest.raises(KeyError):
        optimizer.step(closure)
    assert_unchanged(before, optimizer)


def test_hooks_run_around_a_step_in_torchs_order() -> None:
    seen: list[str] = []
    optimizer = ours.AdamW(parameters())
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    everywhere = register_optimizer_step_post_hook(lambda *_: seen.append("everywhere"))
    try:
        train(optimizer, 1)
    finally:
        everywhere.remove()
    assert seen == ["before", "after", "everywhere"]


def test_profiler_sees_each_class_under_its_own_name() -> None:
    optimizers = [ours.AdamW(parameters()), ours.SGD(parameters())]
    with torch.autograd.profiler.profile() as profile:
        for optimizer in optimizers:
            train(optimizer, 1)
    names = {event.name for event in profile.function_events}
    assert {"Optimizer.step#AdamW.step", "Optimizer.step#SGD.step"} <= names


def test_a_scheduler_drives_the_learning_rate() -> None:
    pairs = []
    for module in (torch.optim, ours):
        optimizer = module.AdamW(parameters(), foreach=False)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=6)
        for step in range(5):
            give_gradients(optimizer.param_groups[0]["params"], step)
            optimizer.step()
            scheduler.step()
        pairs.append(optimizer)
    assert_same_training(*pairs)


def test_grad_mode_is_left_as_it_was() -> None:
    optimizer = ours.SGD(parameters())
    train(optimizer, 1)
    assert torch.is_grad_enabled()
    assert all(param.requires_grad for param in optimizer.param_groups[0]["params"])


# State


@every_implementation
def test_nothing_is_made_for_parameters_without_gradients(options: dict[str, bool]) -> None:
    params = parameters()
    optimizer = ours.AdamW(params, **options)
    optimizer.step()
    assert len(optimizer.state) == 0
    params[1].grad = torch.ones_like(params[1])
    optimizer.step()
    assert list(optimizer.state) == [params[1]]


@every_implementation
def test_state_has_torchs_order_dtypes_devices_and_strides(options: dict[str, bool]) -> None:
    params = [
        torch.nn.Parameter(torch.randn(4, 6).t()),
        torch.nn.Parameter(torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)),
    ]
    twins = [torch.nn.Parameter(param.detach().clone()) for param in params]
    mine, theirs = ours.NAdam(params, **options), torch.optim.NAdam(twins)
    for optimizer in (mine, theirs):
        for param in optimizer.param_groups[0]["params"]:
            param.grad = torch.ones_like(param)
        optimizer.step()
    for a, b in zip(states(mine), states(theirs), strict=True):
        assert list(a) == list(b)
        for name, value in a.items():
            other = b[name]
            assert isinstance(value, Tensor)
            assert isinstance(other, Tensor)
            assert (value.dtype, value.shape, value.stride()) == (other.dtype, other.shape, other.stride()), name


@pytest.mark.usefixtures("float64_by_default")
def test_counters_take_the_default_dtype_when_it_is_float64() -> None:
    optimizer = ours.AdamW(parameters())
    train(optimizer, 1)
    assert all(
        isinstance(entry["step"], Tensor) and entry["step"].dtype == torch.float64 for entry in states(optimizer)
    )


def test_complex_state_starts_with_both_parts() -> None:
    params = parameters(dtype=torch.complex64)
    optimizer = ours.Adagrad(params, initial_accumulator_value=0.25)
    assert all(torch.all(optimizer.state[param]["sum"] == complex(0.25, 0.25)) for param in params)


def test_state_made_at_construction_is_there_at_once_and_later_groups_follow_at_their_first_step() -> None:
    params, more = parameters(), parameters(seed=1)
    optimizer = ours.Adagrad(params, initial_accumulator_value=0.5)
    assert [list(entry) for entry in states(optimizer)] == [["step", "sum"]] * 4
    optimizer.add_param_group({"params": more})
    assert more[0] not in optimizer.state
    train(optimizer, 1)
    assert torch.all(optimizer.state[more[0]]["sum"] >= 0.5)


def test_what_users_keep_in_state_stays() -> None:
    params = parameters()
    optimizer = ours.AdamW(params)
    optimizer.state[params[0]]["note"] = "mine"
    train(optimizer, 2)
    assert list(optimizer.state[params[0]]) == ["note", "step", "exp_avg", "exp_avg_sq"]


# Nothing is written if anything is wrong


def _wrong_shape(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    params[-1].data = torch.zeros(2)


def _wrong_dtype(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    params[-1].data = params[-1].data.double()


def _sparse_gradient(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    params[-1].grad = torch.ones(params[-1].shape).to_sparse()


def _expanded_parameter(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    params[0].data = torch.zeros(3).expand(5, 3)


def _incomplete_state(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    del optimizer.state[params[-1]]["exp_avg_sq"]


def _state_of_another_shape(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.state[params[-1]]["exp_avg"] = torch.zeros(3)


def _state_of_another_kind(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.state[params[-1]]["exp_avg"] = torch.zeros(params[-1].shape, dtype=torch.int64)


def _state_that_is_no_tensor(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.state[params[-1]]["step"] = 3


def _expanded_state(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.state[params[-1]]["exp_avg"] = torch.zeros(()).expand(params[-1].shape)


def _several_counters(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.state[params[-1]]["step"] = torch.zeros(2)


def _state_elsewhere(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.state[params[-1]]["exp_avg"] = torch.zeros(params[-1].shape, device="meta")


def _too_few_betas(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.param_groups[-1]["betas"] = (0.9,)


def _missing_key(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    del optimizer.param_groups[-1]["eps"]


def _capturable(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.param_groups[-1].update(capturable=True, fused=None)


def _differentiable(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> None:
    optimizer.param_groups[-1].update(differentiable=True, fused=None, foreach=None)


Spoil = Callable[[torch.optim.Optimizer, list[Tensor]], None]
MISTAKES: list[tuple[Spoil, type[Exception], str]] = [
    (_wrong_shape, RuntimeError, r"^the gradient of parameter 1 of group 1 has the shape \(2, 3, 4\), not \(2,\)$"),
    (_wrong_dtype, RuntimeError, "^the gradient of parameter 1 of group 1 is torch.float32, not torch.float64$"),
    (_sparse_gradient, RuntimeError, "^Adam does not support sparse gradients, please consider SparseAdam instead$"),
    (_expanded_parameter, RuntimeError, "^unsupported operation: more than one element of the written-to tensor"),
    (
        _incomplete_state,
        RuntimeError,
        r"^the state of parameter 1 of group 1 is incomplete: it has `step`, `exp_avg` but not `exp_avg_sq`; "
        "give it all of them, or none to start anew$",
    ),
    (_state_of_another_shape, RuntimeError, r"^`exp_avg` of .* has the shape \(3,\), its parameter \(2, 3, 4\)$"),
    (_state_of_another_kind, RuntimeError, "^`exp_avg` of .* is torch.int64, its parameter torch.float32$"),
    (_state_that_is_no_tensor, TypeError, "^`step` of parameter 1 of group 1 must be a tensor, not int$"),
    (_expanded_state, RuntimeError, "^unsupported operation: more than one element of the written-to tensor"),
    (_several_counters, RuntimeError, "^`step` of .* must be one real number, not a torch.float32 tensor of shape"),
    (_state_elsewhere, RuntimeError, "^`exp_avg` of .* is on meta, its parameter on cpu$"),
    (_too_few_betas, ValueError, "^betas must have 2 elements, not 1$"),
    (_missing_key, KeyError, "eps"),
    (_capturable, AssertionError, "^If capturable=True, params and state_steps must be on supported devices: "),
    (_differentiable, RuntimeError, "^a leaf Variable that requires grad is being used in an in-place operation"),
]


@every_implementation
@pytest.mark.parametrize(("spoil", "error", "text"), MISTAKES, ids=[m[0].__name__[1:] for m in MISTAKES])
@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_mistake_is_found_before_the_first_write(
    options: dict[str, bool], spoil: Spoil, error: type[Exception], text: str, steps_before: int
) -> None:
    params: list[Tensor] = [*parameters()]
    optimizer = ours.Adam([{"params": params[:2]}, {"params": params[2:]}], **options)
    train(optimizer, steps_before)
    give_gradients(params, 9)
    if (steps_before == 0 and "state" in spoil.__name__) or spoil is _several_counters:
        # A state that a user has filled in for one parameter, by hand.
        for param in params[3:]:
            optimizer.state[param].update(
                step=torch.zeros(()), exp_avg=torch.zeros_like(param), exp_avg_sq=torch.zeros_like(param)
            )
    spoil(optimizer, params)
    before = _picture_of(optimizer, params)
    with pytest.raises(error, match=text):
        optimizer.step()
    assert _picture_of(optimizer, params) == before


def _picture_of(optimizer: torch.optim.Optimizer, params: list[Tensor]) -> list[object]:
    """Values as lists: a broken optimizer holds things that cannot be copied."""

    def plain(value: object) -> object:
        return value.tolist() if isinstance(value, Tensor) and value.device.type == "cpu" else repr(value)

    entries = [
        (id(param), [(name, plain(value)) for name, value in entry.items()]) for param, entry in optimizer.state.items()
    ]
    groups = [
        sorted((key, repr(value)) for key, value in group.items() if key != "params")
        for group in optimizer.param_groups
    ]
    return [[plain(param) for param in params], entries, groups]


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_compressed_gradients_are_refused() -> None:
    param = torch.ones(5, 3).to_sparse_csr().requires_grad_()
    optimizer = ours.SGD([param])
    param.grad = torch.ones(5, 3).to_sparse_csr()
    with pytest.raises(
        RuntimeError, match=r"^the gradient of parameter 0 of group 0 is torch.sparse_csr, which no implement"
    ):
        optimizer.step()


def test_options_that_exclude_each_other_are_found_at_the_step_too() -> None:
    optimizer = ours.AdamW(parameters(), fused=True)
    optimizer.param_groups[0]["differentiable"] = True
    give_gradients(optimizer.param_groups[0]["params"], 0)
    for param in optimizer.param_groups[0]["params"]:
        param.requires_grad_(False)
    with pytest.raises(RuntimeError, match=r"^`fused` does not support `differentiable`$"):
        optimizer.step()
    optimizer.param_groups[0].update(fused=None, foreach=True)
    with pytest.raises(AssertionError, match=r"^_foreach ops don't support autograd$"):
        optimizer.step()
    assert len(optimizer.state) == 0


def test_mixed_dtypes_of_state_need_a_fused_implementation() -> None:
    for options in ({"foreach": False}, {"foreach": True}):
        optimizer = ours.AdamW(parameters(dtype=torch.bfloat16), **options)
        train(optimizer, 1)
        for entry in optimizer.state.values():
            entry["exp_avg"] = entry["exp_avg"].float()
        before = picture(optimizer)
        with pytest.raises(
            RuntimeError,
            match=r"^`exp_avg` of a parameter of group 0 is torch.float32, its parameter torch.bfloat16; only",
        ):
            optimizer.step()
        assert_unchanged(before, optimizer)
    fused = ours.AdamW(parameters(dtype=torch.bfloat16), fused=True)
    train(fused, 1)
    for entry in fused.state.values():
        entry["exp_avg"] = entry["exp_avg"].float()
    train(fused, 1)
    assert all(entry["exp_avg"].dtype == torch.float32 for entry in fused.state.values())


# Parameters that are unusual but right


@every_implementation
def test_a_parameter_given_twice_is_stepped_twice_as_in_torch(options: dict[str, bool]) -> None:
    results = []
    for module, chosen in ((torch.optim, {"foreach": False}), (ours, options)):
        params = parameters()
        with pytest.warns(UserWarning, match="duplicate parameters"):
            optimizer = module.SGD([*params, params[0]], momentum=0.9, **chosen)
        train(optimizer, 3)
        results.append(optimizer)
    assert_same_training(*results, rtol=1e-6, atol=1e-6)


@every_implementation
def test_empty_parameters_only_count(options: dict[str, bool]) -> None:
    optimizer = ours.AdamW([torch.nn.Parameter(torch.zeros(0, 3)), *parameters()], **options)
    train(optimizer, 2)
    assert [entry["step"] for entry in states(optimizer)] == [2.0] * 5


def test_a_tensor_lr_is_read_at_every_step() -> None:
    lr = torch.tensor([0.1])
    optimizer, twin = ours.AdamW(parameters(), lr=lr), ours.AdamW(parameters(), lr=lr.item())
    train(optimizer, 1)
    train(twin, 1)
    lr.fill_(0.01)
    twin.param_groups[0]["lr"] = lr.item()
    train(optimizer, 1)
    train(twin, 1)
    assert_same_training(optimizer, twin)


# differentiable


@pytest.mark.usefixtures("float64_by_default")  # torch computes 1 - beta ** step in the dtype of its counter
def test_gradients_flow_through_a_differentiable_step_as_in_torch() -> None:
    results = []
    for module in (torch.optim, ours):
        lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        leaf = torch.linspace(-1, 1, 6, dtype=torch.float64, requires_grad=True)
        param = leaf.clone()
        optimizer = module.Adam([param], lr=lr, differentiable=True, weight_decay=0.1)
        for _ in range(3):
            param.grad = (leaf * leaf * 0.5).sin()
            optimizer.step()
        param.square().sum().backward(inputs=[lr, leaf])
        results.append((param.detach(), lr.grad, leaf.grad))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_counter_that_requires_grad_is_an_error_as_in_torch() -> None:
    param = torch.ones(3, requires_grad=True).clone()
    optimizer = ours.Adam([param], differentiable=True)
    optimizer.state[param].update(
        step=torch.zeros((), requires_grad=True), exp_avg=torch.zeros(3), exp_avg_sq=torch.zeros(3)
    )
    param.grad = torch.ones(3)
    with pytest.raises(RuntimeError, match=r"^`requires_grad` is not supported for `step` in differentiable mode$"):
        optimizer.step()


# Sparse gradients


def _sparse(rows: list[int], width: int, seed: int, coalesced: bool) -> Tensor:
    values = torch.randn(len(rows), width, generator=torch.Generator().manual_seed(seed))
    grad = torch.sparse_coo_tensor(torch.tensor([rows]), values, (10, width), check_invariants=True)
    return grad.coalesce() if coalesced else grad


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's Adagrad makes such tensors
@pytest.mark.parametrize("coalesced", [True, False])
@every_implementation
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "nesterov": True, "maximize": True}),
        ("Adagrad", {}),
        ("Adagrad", {"lr_decay": 0.1, "maximize": True, "initial_accumulator_value": 0.1}),
    ],
    ids=str,
)
def test_sparse_gradients_as_in_torch(
    name: str, arguments: dict[str, float], options: dict[str, bool], coalesced: bool
) -> None:
    results = []
    for module in (torch.optim, ours):
        params = parameters([(10, 4), (10, 4), (3,)])
        optimizer = getattr(module, name)(params, **arguments, **(options if module is ours else {}))
        for step in range(4):
            params[0].grad = _sparse([1, 7, 1, 3], 4, step, coalesced)
            params[1].grad = _sparse([] if step % 2 else [2], 4, step, coalesced)
            params[2].grad = torch.ones(3)
            optimizer.step()
        results.append([param.detach() for param in params])
        results[-1] += [v.to_dense() for entry in states(optimizer) for v in entry.values() if isinstance(v, Tensor)]
    # SGD runs torch's own operations; Adagrad runs on dense copies of the rows, whose operations round elsewhere.
    exact = {"rtol": 0.0, "atol": 0.0} if name == "SGD" and "fused" not in options else {"rtol": 1e-5, "atol": 1e-6}
    for theirs, mine in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, **exact)


@pytest.mark.parametrize("name", ["SGD", "Adagrad"])
def test_sparse_gradients_in_a_differentiable_step(name: str) -> None:
    """torch has no such thing; the dense gradient says what is right."""
    results = []
    for dense in (False, True):
        lr = torch.tensor(0.1, requires_grad=True)
        leaf = torch.linspace(0, 1, 40).reshape(10, 4).requires_grad_()
        param = leaf.clone()
        optimizer = getattr(ours, name)([param], lr=lr, differentiable=True)
        for step in range(3):
            grad = _sparse([1, 7, 1, 3], 4, step, coalesced=False)
            param.grad = grad.to_dense() if dense else grad
            optimizer.step()
        param.square().sum().backward(inputs=[lr, leaf])
        results.append((param.detach(), lr.grad, leaf.grad))
    for sparse, right in zip(*results, strict=True):
        torch.testing.assert_close(sparse, right)


@pytest.mark.parametrize("name", ["SGD", "Adagrad"])
def test_sparse_gradients_exclude_weight_decay_as_in_torch(name: str) -> None:
    texts = []
    for module in (torch.optim, ours):
        param = torch.nn.Parameter(torch.randn(10, 4))
        dense = torch.nn.Parameter(torch.randn(3))
        optimizer = getattr(module, name)([dense, param], weight_decay=0.1)
        dense.grad, param.grad = torch.ones(3), _sparse([1], 4, 0, True)
        before = dense.detach().clone()
        with pytest.raises(RuntimeError) as raised:
            optimizer.step()
        texts.append(str(raised.value))
        assert module is torch.optim or torch.equal(dense, before)
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adadelta", "RMSprop", "Rprop", "ASGD"])
def test_sparse_gradients_are_refused_in_torchs_words(name: str) -> None:
    texts = []
    for module in (torch.optim, ours):
        param = torch.nn.Parameter(torch.randn(10, 4))
        optimizer = getattr(module, name)([param])
        param.grad = _sparse([1], 4, 0, True)
        with pytest.raises(RuntimeError) as raised:
            optimizer.step()
        texts.append(str(raised.value))
    assert texts[0] == texts[1]


# Serialization, as inherited


@every_implementation
@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD", "ASGD"])
@pytest.mark.parametrize("way", ["state_dict", "torch.save", "pickle", "deepcopy"])
def test_training_goes_on_after_a_round_trip(name: str, options: dict[str, bool], way: str) -> None:
    arguments = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(ours, name)(parameters(), **arguments, **options)
    train(optimizer, 3)
    if way in ("pickle", "deepcopy"):
        restored = copy.deepcopy(optimizer) if way == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
    else:
        params = [torch.nn.Parameter(param.detach().clone()) for param in optimizer.param_groups[0]["params"]]
        restored = getattr(ours, name)(params)
        saved = copy.deepcopy(optimizer.state_dict())
        if way == "torch.save":
            buffer = io.BytesIO()
            torch.save(saved, buffer)
            buffer.seek(0)
            saved = torch.load(buffer, weights_only=True)
        restored.load_state_dict(saved)
    train(optimizer, 2, seed=3)
    train(restored, 2, seed=3)
    assert_same_training(optimizer, restored)
    memory = [value.data_ptr() for entry in states(restored) for value in entry.values() if isinstance(value, Tensor)]
    assert len(set(memory)) == len(memory)


def test_what_an_old_pickle_lacks_gets_the_constructors_values() -> None:
    optimizer = ours.AdamW(parameters(), maximize=True)
    train(optimizer, 1)
    for group in optimizer.param_groups:
        del group["maximize"], group["fused"]
    for entry in optimizer.state.values():
        entry["step"] = entry["step"].item()
    restored = pickle.loads(pickle.dumps(optimizer))
    assert restored.param_groups[0]["maximize"] is True
    assert restored.param_groups[0]["fused"] is None
    assert all(isinstance(entry["step"], Tensor) for entry in restored.state.values())
    train(restored, 1)


def test_a_checkpoint_does_not_change_what_is_no_argument() -> None:
    """AdamW's `decoupled_weight_decay` is in its groups, as in torch, but another optimizer's does not replace it."""
    for module in (torch.optim, ours):
        source, target = module.Adam(parameters(), weight_decay=0.5), module.AdamW(parameters())
        target.load_state_dict(source.state_dict())
        assert target.param_groups[0]["weight_decay"] == 0.5
        assert target.param_groups[0]["decoupled_weight_decay"] is True


@every_implementation
def test_gradients_are_not_kept_alive(options: dict[str, bool]) -> None:
    params = parameters()
    optimizer = ours.AdamW(params, **options)
    for _ in range(2):
        give_gradients(params, 0)
        gradients = [weakref.ref(param.grad) for param in params if param.grad is not None]
        optimizer.step()
        optimizer.zero_grad()
        assert all(gradient() is None for gradient in gradients)
