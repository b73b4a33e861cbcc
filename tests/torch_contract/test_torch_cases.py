"""torch's own inputs on every optimizer; one that torch has is compared with torch's class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.testing._internal.common_optimizers import optim_db

from tests.references.torch_inputs import IN_TORCH
from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import both, every_class, every_optimizer, ours, torchs
from tests.support.runtime_helpers import picture
from tests.support.torch_cases import (
    IMPLEMENTATIONS,
    STEPS,
    Arguments,
    Record,
    copied,
    every_implementation,
    has_tensors,
    inputs_of,
    loss_of,
    make_problem,
    refuses_tensors,
    train,
)

# Their default rates are for gradients that are small, or scaled to norms: here they are too large.
RATES = {"LARS": 0.1, "PNM": 0.01, "QHM": 0.01, "SGDP": 0.01}


def _losses(name: str, arguments: Mapping[str, object], implementation: str) -> list[float]:
    """The losses of 20 steps, in float64 where float32 does not show that anything moves."""
    losses: list[float] = []
    rate = {"lr": RATES[name]} if name in RATES else {}
    for dtype in (torch.float32, torch.float64):
        params, point = make_problem(dtype)
        optimizer = ours(name)(params, **{**rate, **copied(arguments)}, **IMPLEMENTATIONS[implementation])
        losses = train(optimizer, params, point, steps=20)
        if losses[-1] != losses[0]:
            break
    return losses


@pytest.mark.feature("torch's own cases", "inputs: the loss goes in the right direction")
@every_implementation
@every_class
def test_goes_in_the_right_direction(name: str, implementation: str, record_property: Record) -> None:
    """In 20 steps; or at first, where all groups share an estimate of the rate, which may grow beyond the best.

    Upwards, it ends above where it ends downwards: decay may be faster than the steps.
    """
    has_estimates = any(shared.scope == "optimizer" for shared in ours(name).schema.shared)
    for arguments in inputs_of(name):
        losses = _losses(name, arguments, implementation)
        if arguments.get("maximize"):
            lowest = _losses(name, {**arguments, "maximize": False}, implementation)[-1]
            assert (max(losses[1:]) if has_estimates else losses[-1]) > lowest, (
                f"{arguments}: {losses[-1]}, not above {lowest}"
            )
        else:
            last = min(losses[1:]) if has_estimates else losses[-1]
            assert last < losses[0], f"{arguments}: {losses[0]} -> {last}"
    record_property("cases", len(inputs_of(name)))


@pytest.mark.feature("torch's own cases", "inputs: all implementations end where torch's for-loop ends")
@every_implementation
@every_optimizer
def test_ends_where_torchs_for_loop_ends(name: str, implementation: str, record_property: Record) -> None:
    """The for-loop bit for bit, foreach as our for-loop, kernels to rounding: torch's own tolerances."""
    for arguments in inputs_of(name):
        runs = []
        for cls, options in (
            (ours(name), IMPLEMENTATIONS[implementation]),
            (torchs(name) or ours(name), IMPLEMENTATIONS["for-loop"]),
        ):
            params, point = make_problem()
            optimizer = cls(params, **copied(arguments), **options)
            train(optimizer, params, point, STEPS)
            runs.append(optimizer)
        exact = implementation in ("for-loop", "foreach") and not any(map(has_tensors, arguments.values()))
        assert_same_training(*runs, rtol=0 if exact else 1.3e-6, atol=0 if exact else 1e-5)
    record_property("cases", len(inputs_of(name)))


@pytest.mark.feature("torch's own cases", "inputs: all implementations end where torch's for-loop ends")
@pytest.mark.parametrize("implementation", ["for-loop", "fused"])
@every_optimizer
def test_complex_parameters(name: str, implementation: str) -> None:
    if text := ours(name).schema.complex_error:
        for cls in both(name):
            params, point = make_problem(torch.complex64)
            with pytest.raises((RuntimeError, ValueError), match=f"{text}$"):
                train(cls(params), params, point, 1)
        return
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
        exact = implementation == "for-loop" and not any(map(has_tensors, arguments.values()))
        assert_same_training(*runs, rtol=0 if exact else 1.3e-6, atol=0 if exact else 1e-5)


@pytest.mark.feature("torch's own cases", "inputs: a tensor lr of 0 or 1 dimension is the same as a number")
@every_implementation
@every_class
def test_a_tensor_lr_is_the_same_as_a_number(name: str, implementation: str, record_property: Record) -> None:
    """To rounding, as in torch: there are fewer digits in float32."""
    cases = [arguments for arguments in inputs_of(name) if "lr" not in arguments]
    for arguments in cases:
        runs = []
        for lr in (0.01, torch.tensor(0.01), torch.tensor([0.01])):
            params, point = make_problem()
            if implementation == "foreach" and isinstance(lr, Tensor) and refuses_tensors(name):
                for cls in both(name):
                    with pytest.raises(ValueError, match=r"^lr as a Tensor is not supported for capturable=False and"):
                        cls(params, lr=lr, **arguments, foreach=True)
                record_property("why not", "`foreach=True` refuses tensors without `capturable=True`, as in torch")
                continue
            optimizer = ours(name)(params, lr=lr, **arguments, **IMPLEMENTATIONS[implementation])
            train(optimizer, params, point, STEPS)
            runs.append(optimizer)
        for other in runs[1:]:
            assert_same_training(other, runs[0], rtol=1.3e-6, atol=1e-5)
    record_property("cases", len(cases))


@pytest.mark.feature("torch's own cases", "inputs: no gradients, or none but zeros, move nothing")
@every_implementation
@every_class
def test_without_gradients_nothing_moves(name: str, implementation: str, record_property: Record) -> None:
    """Zeros are gradients: they count steps, and do not move parameters beyond what decays them."""
    for arguments in inputs_of(name):
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
            assert len(moved) == 2 or name == "Fromage", f"{arguments}: {moved}"
            as_far = ", and torch's as far" if len(moved) == 2 else ""
            record_property("why not", f"zeros move it{as_far}: it decays parameters by a number of its own")
        elif not optimizer.defaults.get("weight_decay"):
            assert moved[0].abs().max() <= 1e-5, f"{arguments}: {moved}"
        torch.testing.assert_close(moved[0], moved[-1])


@pytest.mark.feature("torch's own cases", "inputs: lr and weight decay of groups")
@every_implementation
@every_class
def test_groups_have_their_own_numbers(name: str, implementation: str) -> None:
    """Two groups end where two optimizers end; where a rule has numbers of all groups, where one group ends.

    All inputs. The latter to rounding: sums are over the same numbers, in another order.
    """
    if any(shared.scope == "optimizer" for shared in ours(name).schema.shared):
        for arguments in inputs_of(name):
            runs = []
            for count in (1, 2):
                params, point = make_problem()
                groups = [{"params": params}] if count == 1 else [{"params": [param]} for param in params]
                train(ours(name)(groups, **copied(arguments), **IMPLEMENTATIONS[implementation]), params, point, STEPS)
                runs.append(params)
            torch.testing.assert_close(*runs, rtol=1.3e-6, atol=1e-5)
        return
    if "weight_decay" in inspect.signature(ours(name)).parameters:
        override: Arguments = {"lr": 0.03, "weight_decay": 0.2}
    else:
        override = {"lr": 0.03}
    for arguments in inputs_of(name):
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


@pytest.mark.feature("torch's own cases", "inputs for GPUs, on the CPU: torch's error for `capturable`, else as its")
@every_class
def test_inputs_for_gpus(name: str, record_property: Record) -> None:
    """Tensors of every number of dimensions for lr and betas are among them."""
    on_the_cpu = {str(sorted(arguments.items())) for arguments in inputs_of(name)}
    cases = [
        a for device in ("cuda", "mps") for a in inputs_of(name, device) if str(sorted(a.items())) not in on_the_cpu
    ]
    for arguments in cases:
        if arguments.get("capturable"):
            for cls in both(name):
                params, point = make_problem()
                with pytest.raises(
                    AssertionError, match=r"^If capturable=True, params.* must be on supported devices: "
                ):
                    train(cls(params, **copied(arguments)), params, point, steps=1)
        for implementation in ("for-loop", "fused", "default"):
            runs = []
            for cls, options in (
                (ours(name), IMPLEMENTATIONS[implementation]),
                (torchs(name) or ours(name), IMPLEMENTATIONS["for-loop"]),
            ):
                params, point = make_problem()
                optimizer = cls(params, **copied({**arguments, **options, "capturable": False}))
                train(optimizer, params, point, STEPS)
                runs.append(optimizer)
            assert_same_training(*runs, rtol=1.3e-6, atol=1e-5)
    if cases:
        record_property("cases", len(cases))
    else:
        record_property("why not", "torch has none for it")


def test_these_are_all_that_torch_has_and_we_have() -> None:
    in_database = {info.optim_cls.__name__ for info in optim_db}
    assert in_database - set(IN_TORCH) == {"LBFGS", "Muon"}, "torch has another one"
    assert all(torchs(name) is not None for name in IN_TORCH)
