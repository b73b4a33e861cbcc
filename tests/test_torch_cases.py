"""torch's own test cases (`torch.testing._internal.common_optimizers.optim_db`) on every optimizer.

An optimizer that torch has gets the cases of its class, and is compared with it. Any other gets those cases of torch's
classes whose arguments it takes too.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from every_optimizer import both, every_optimizer, ours, torchs
from references.torch_inputs import ELEVEN, optimizer_info
from references.training import values
from runtime_helpers import assert_same_training, picture
from torch import Tensor
from torch.nn import Parameter
from torch.testing._internal.common_optimizers import (
    ErrorOptimizerInput,
    OptimizerErrorEnum,
    get_error_inputs_for_all_optims,
    optim_db,
)

Arguments = dict[str, object]
Record = Callable[[str, object], None]

IMPLEMENTATIONS: dict[str, Arguments] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
every_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
STEPS = 7  # as in torch's comparisons of implementations


def inputs_of(name: str) -> list[Arguments]:
    """What torch's tests construct it with on the CPU; each a copy, because some of it are tensors."""
    infos = [optimizer_info(name)] if name in ELEVEN else [optimizer_info(each) for each in ELEVEN]
    found = [dict(case.kwargs) for info in infos for case in info.optim_inputs_func(device="cpu")]
    distinct = {str(sorted(arguments.items())): arguments for arguments in found}
    return [arguments for arguments in distinct.values() if _takes(name, arguments)]


def errors_of(name: str) -> Iterator[ErrorOptimizerInput]:
    if name in ELEVEN:
        yield from optimizer_info(name).optim_error_inputs_func(device="cpu", dtype=torch.float32)
        return
    yield from get_error_inputs_for_all_optims("cpu", torch.float32)
    common = {case.optimizer_error_input.desc for case in get_error_inputs_for_all_optims("cpu", torch.float32)}
    for each in ELEVEN:
        for case in optimizer_info(each).optim_error_inputs_func(device="cpu", dtype=torch.float32):
            given = case.optimizer_error_input
            # What is a mistake in Nesterov's momentum, say, is one only where there is that flag.
            if given.desc not in common and _takes(name, given.kwargs) and _has_ranges(name, given.kwargs):
                yield case


def _takes(name: str, arguments: Arguments) -> bool:
    """Whether its constructor has these arguments, tuples of the same length included."""
    signature = inspect.signature(ours(name)).parameters
    return all(
        key in signature
        and (not isinstance(value, tuple) or len(value) == len(signature[key].default))
        and (not _has_tensors(value) or key == "lr" or name in ELEVEN)
        for key, value in arguments.items()
    )


def _has_tensors(value: object) -> bool:
    return any(isinstance(each, Tensor) for each in (value if isinstance(value, tuple) else (value,)))


def _has_ranges(name: str, arguments: Arguments) -> bool:
    hyperparameters = {h.name: h for h in ours(name).schema.hyperparameters}
    return all(key in hyperparameters and all(hyperparameters[key].intervals) for key in arguments)


def copied(arguments: Arguments) -> Arguments:
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in arguments.items()}


def make_problem(dtype: torch.dtype = torch.float32, seed: int = 5) -> tuple[list[Parameter], Tensor]:
    """torch's: a matrix and a vector, and the point at which their affine map shall vanish."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((10, 5), (10,), (5,))
    weight, bias, point = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return [Parameter(weight), Parameter(bias)], point


def loss_of(params: list[Parameter], point: Tensor) -> Tensor:
    return (params[0].mv(point) + params[1]).abs().square().sum()


def train(optimizer: torch.optim.Optimizer, params: list[Parameter], point: Tensor, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(params, point)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    return [*losses, loss_of(params, point).item()]


def _unfit(implementation: str, arguments: Arguments) -> bool:
    """Combinations that torch refuses: a tensor lr and foreach without capturable."""
    return implementation == "foreach" and any(isinstance(value, Tensor) for value in arguments.values())


@pytest.mark.feature("torch's own cases", "inputs: the loss goes in the right direction")
@every_implementation
@every_optimizer
def test_goes_in_the_right_direction(name: str, implementation: str, record_property: Record) -> None:
    for arguments in inputs_of(name):
        if _unfit(implementation, arguments):
            continue
        params, point = make_problem()
        optimizer = ours(name)(params, **copied(arguments), **IMPLEMENTATIONS[implementation])
        losses = train(optimizer, params, point, steps=20)
        better = losses[-1] > losses[0] if arguments.get("maximize") else losses[-1] < losses[0]
        assert better, f"{arguments}: {losses[0]} -> {losses[-1]}"
    record_property("cases", len(inputs_of(name)))


@pytest.mark.feature("torch's own cases", "inputs: all implementations end where torch's for-loop ends")
@every_implementation
@every_optimizer
def test_ends_where_torchs_for_loop_ends(name: str, implementation: str, record_property: Record) -> None:
    """The for-loop bit for bit, foreach as our for-loop, kernels to rounding: torch's own tolerances."""
    for arguments in inputs_of(name):
        if _unfit(implementation, arguments):
            continue
        runs = []
        for cls, options in (
            (ours(name), IMPLEMENTATIONS[implementation]),
            (torchs(name) or ours(name), IMPLEMENTATIONS["for-loop"]),
        ):
            params, point = make_problem()
            optimizer = cls(params, **copied(arguments), **options)
            train(optimizer, params, point, STEPS)
            runs.append(optimizer)
        exact = implementation in ("for-loop", "foreach") and not any(map(_has_tensors, arguments.values()))
        assert_same_training(*runs, rtol=0 if exact else 1.3e-6, atol=0 if exact else 1e-5)
    record_property("cases", len(inputs_of(name)))


@pytest.mark.feature("torch's own cases", "inputs: all implementations end where torch's for-loop ends")
@pytest.mark.parametrize("implementation", ["for-loop", "fused"])
@every_optimizer
def test_complex_parameters(name: str, implementation: str) -> None:
    for arguments in inputs_of(name):
        runs = []
        for cls, options in (
            (ours(name), IMPLEMENTATIONS[implementation]),
            (torchs(name) or ours(name), IMPLEMENTATIONS["for-loop"]),
        ):
            params, point = make_problem(torch.complex64)
            optimizer = cls(params, **copied(arguments), **options)
            train(optimizer, params, point, STEPS)
            runs.append(optimizer)
        exact = implementation == "for-loop" and not any(map(_has_tensors, arguments.values()))
        assert_same_training(*runs, rtol=0 if exact else 1.3e-6, atol=0 if exact else 1e-5)


@pytest.mark.feature("torch's own cases", "inputs: a tensor lr of 0 or 1 dimension is the same as a number")
@every_implementation
@every_optimizer
def test_a_tensor_lr_is_the_same_as_a_number(name: str, implementation: str, record_property: Record) -> None:
    """To rounding, as in torch: there are fewer digits in float32."""
    cases = [arguments for arguments in inputs_of(name) if "lr" not in arguments]
    for arguments in cases:
        runs = []
        for lr in (0.01, torch.tensor(0.01), torch.tensor([0.01])):
            if _unfit(implementation, {"lr": lr}) and name in ELEVEN:
                continue
            params, point = make_problem()
            optimizer = ours(name)(params, lr=lr, **arguments, **IMPLEMENTATIONS[implementation])
            train(optimizer, params, point, STEPS)
            runs.append(optimizer)
        for other in runs[1:]:
            assert_same_training(other, runs[0], rtol=1.3e-6, atol=1e-5)
    record_property("cases", len(cases))


@pytest.mark.feature("torch's own cases", "inputs: no gradients, or none but zeros, move nothing")
@every_implementation
@every_optimizer
def test_without_gradients_nothing_moves(name: str, implementation: str, record_property: Record) -> None:
    """Zeros are gradients: they count steps, and do not move parameters beyond what decays them."""
    for arguments in inputs_of(name):
        if _unfit(implementation, arguments):
            continue
        moved = []
        for cls in both(name):
            param = Parameter(torch.linspace(-1, 1, 5)[:, None])
            options = IMPLEMENTATIONS[implementation] if cls is ours(name) else IMPLEMENTATIONS["for-loop"]
            optimizer = cls([param], **copied(arguments), **options)
            before = picture(optimizer)
            loss = torch.tensor(1.0)
            assert optimizer.step(lambda loss=loss: loss) is loss
            assert str(picture(optimizer)) == str(before)
            held = param.detach().clone()
            param.grad = torch.zeros_like(param)
            optimizer.step()
            moved.append(param.detach() - held)
        if not optimizer.defaults.get("weight_decay") and moved[-1].abs().max() > 1e-5:
            assert len(moved) == 2, f"{arguments}: {moved}"
            record_property("why not", "zeros move it, and torch's as far: it decays parameters by a number of its own")
        elif not optimizer.defaults.get("weight_decay"):
            assert moved[0].abs().max() <= 1e-5, f"{arguments}: {moved}"
        torch.testing.assert_close(moved[0], moved[-1])


@pytest.mark.feature("torch's own cases", "inputs: lr and weight decay of groups")
@every_implementation
@every_optimizer
def test_groups_have_their_own_numbers(name: str, implementation: str) -> None:
    """Two groups end where two optimizers end; all inputs."""
    if "weight_decay" in inspect.signature(ours(name)).parameters:
        override: Arguments = {"lr": 0.03, "weight_decay": 0.2}
    else:
        override = {"lr": 0.03}
    for arguments in inputs_of(name):
        if _unfit(implementation, arguments):
            continue
        options = {**arguments, **IMPLEMENTATIONS[implementation]}
        together, point = make_problem()
        optimizer = ours(name)([{"params": together[:1]}, {"params": together[1:], **override}], **copied(options))
        alone, _ = make_problem()
        optimizers = [
            ours(name)(alone[:1], **copied(options)),
            ours(name)(alone[1:], **copied({**options, **override})),
        ]
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(together, point).backward()
            for param, other in zip(alone, together, strict=True):
                assert other.grad is not None
                param.grad = other.grad.clone()
            for each in (optimizer, *optimizers):
                each.step()
        torch.testing.assert_close(together, alone, rtol=0, atol=0)


@pytest.mark.feature("torch's own cases", "errors: type and text")
@every_optimizer
def test_errors(name: str, record_property: Record) -> None:
    count = 0
    for case in errors_of(name):
        given = case.optimizer_error_input
        assert case.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR, "there is none in a step so far"
        messages = []
        for cls in both(name):
            params = [Parameter(torch.randn(2, 3))] if given.params is None else given.params
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(case.error_type, match=case.error_regex) as caught:
                    cls(params, **given.kwargs)
            messages.append(str(caught.value))
        assert len(set(messages)) == 1, f"{given.desc}: {messages}"
        count += 1
    assert count >= 6, "those of all optimizers were not found"
    record_property("cases", count)


@pytest.mark.feature("torch's own cases", "errors: type and text")
@every_optimizer
def test_errors_of_a_gpu(name: str) -> None:
    """The cases that torch has for GPUs need none: options that exclude each other are errors of constructors."""
    for arguments, text in (
        ({"foreach": True, "fused": True}, "`fused` and `foreach` cannot be `True` together."),
        ({"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ):
        for cls in both(name):
            if "fused" not in inspect.signature(cls).parameters:
                continue  # torch's class does not have it; ours does
            with pytest.raises(RuntimeError) as caught:
                cls([torch.empty(())], **arguments)
            assert str(caught.value) == text


def test_the_eleven_are_all_that_torch_has_and_we_have() -> None:
    in_database = {info.optim_cls.__name__ for info in optim_db}
    assert in_database - set(ELEVEN) == {"Adafactor", "LBFGS", "Muon", "SparseAdam"}, "torch has another one"
    assert all(torchs(name) is not None for name in ELEVEN)


@pytest.mark.feature("torch's own cases", "sparse gradients")
@every_optimizer
def test_sparse_gradients(name: str, record_property: Record) -> None:
    """Where torch's class takes them, the same bits; elsewhere its error, or one that says the same."""

    def step(cls: Callable[..., torch.optim.Optimizer]) -> torch.optim.Optimizer:
        param = Parameter(values((5, 3), torch.float32, torch.Generator().manual_seed(1)).clone())
        optimizer = cls([param], lr=0.1)
        for rows in ([0, 3, 0], [1, 1, 4], [2, 2, 2]):
            numbers = torch.linspace(-1, 1, 9).reshape(3, 3) * (1 + rows[0])
            param.grad = torch.sparse_coo_tensor(torch.tensor([rows]), numbers, (5, 3), check_invariants=True)
            optimizer.step()
        return optimizer

    makes = [partial(cls, foreach=False) for cls in both(name)]
    if ours(name).schema.sparse != "unsupported":
        assert_same_training(*(step(make) for make in makes))
        return
    texts = []
    for make in makes:
        with pytest.raises(RuntimeError) as caught:
            step(make)
        texts.append(str(caught.value))
    assert len(set(texts)) == 1
    assert "sparse gradients" in texts[0]
    record_property("why not", "refused" + (", as by torch, in its words" if len(texts) == 2 else ""))
