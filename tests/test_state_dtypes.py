"""Which dtype loaded state has: what is wider than its parameter stays so wherever steps can go on with it."""

from __future__ import annotations

import copy

import pytest
import torch
from checkpoint_helpers import BFLOAT16, FLOAT32, in_groups, parameters_of, rich, through_a_file, train
from every_optimizer import NAMES, ours, torchs
from references.torch_inputs import ELEVEN
from references.training import assert_same_bits
from runtime_helpers import assert_identical
from torch import Tensor
from torch.optim import Optimizer


def wide(name: str, **options: object) -> Optimizer:
    """A run of bfloat16 parameters whose state is float32, as somebody may want it who has the memory."""
    optimizer = ours(name)(in_groups(parameters_of(BFLOAT16)), fused=True, **rich(name), **options)
    train(optimizer, range(3))
    for entry in optimizer.state.values():
        for key, value in entry.items():
            entry[key] = value.float()
    train(optimizer, range(3, 5))
    return optimizer


def dtypes(optimizer: Optimizer, name: str) -> set[torch.dtype]:
    tensors = [state.name for state in ours(name).schema.states if state.kind == "tensor"]
    return {entry[key].dtype for entry in optimizer.state.values() for key in tensors if key in entry}


@pytest.mark.difference(
    "torch's loader rounds all state to the dtype of its parameter. Here state that is wider keeps its dtype where "
    "kernels, which take it, are the group's choice; counters and scalar states always do."
)
@pytest.mark.parametrize("name", ["AdamW", "SGD", "NAdam", "ASGD"])
def test_a_run_with_wider_state_goes_on_with_it(name: str) -> None:
    unbroken = wide(name)
    broken = ours(name)(in_groups([torch.nn.Parameter(param.detach().clone()) for param in _params(unbroken)]))
    broken.load_state_dict(through_a_file(unbroken.state_dict()))  # type: ignore[arg-type]
    assert dtypes(broken, name) == {torch.float32}
    for optimizer in (unbroken, broken):
        train(optimizer, range(5, 8))
    assert_same_bits(unbroken, broken, name)
    assert "1 launch per step for 3 parameters" in broken.explain()
    cls = torchs(name)
    assert cls is not None
    theirs = cls(in_groups(parameters_of(BFLOAT16)))
    theirs.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    assert dtypes(theirs, name) == {torch.bfloat16}


@pytest.mark.parametrize("name", [n for n in NAMES if any(s.kind == "tensor" for s in ours(n).schema.states)])
def test_what_kernels_cannot_take_computes_in_the_wider_dtype_too(name: str) -> None:
    """The last parameter's gradient lies in memory in another order. In float32, then rounded, like in a kernel."""
    optimizer = wide(name)
    copies = [torch.nn.Parameter(param.detach().float()) for param in _params(optimizer)]
    expected = ours(name)(in_groups(copies), foreach=False, **rich(name))
    expected.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in expected.param_groups:
        group |= {"fused": None, "foreach": False}
    train(optimizer, range(5, 6))
    for param, other in zip(_params(optimizer), copies, strict=True):
        assert param.grad is not None
        other.grad = param.grad.float()
    expected.step()
    narrow, wider = _params(optimizer)[-1], copies[-1]
    assert_identical(wider.bfloat16(), narrow)
    assert_identical(expected.state.get(wider, {}), optimizer.state.get(narrow, {}))
    assert "for-loop" in optimizer.explain()


@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}], ids=["for-loop", "foreach"])
@pytest.mark.parametrize("name", ["AdamW", "SGD", "NAdam", "ASGD"])
def test_where_an_implementation_takes_one_dtype_state_has_the_parameters(name: str, options: dict[str, bool]) -> None:
    saved = copy.deepcopy(wide(name).state_dict())
    for group in saved["param_groups"]:
        group |= {"fused": None, **options}
    optimizer = ours(name)(in_groups(parameters_of(BFLOAT16)))
    optimizer.load_state_dict(saved)
    assert dtypes(optimizer, name) == {torch.bfloat16}
    train(optimizer, range(5, 7))


@pytest.mark.feature("state_dict", "from float32 to bfloat16 parameters, and back")
@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}, {"fused": True}, {}])
@pytest.mark.parametrize("name", ELEVEN)
def test_a_checkpoint_of_a_float32_model_goes_on_in_a_bfloat16_model(name: str, options: dict[str, bool]) -> None:
    """And the other way round; kernels go on with the precision that is there, and none loses what it needs."""
    cls = torchs(name)
    assert cls is not None
    for source, target in ((FLOAT32, BFLOAT16), (BFLOAT16, FLOAT32)):
        theirs = cls(in_groups(parameters_of(source)), **rich(name))
        train(theirs, range(3))
        saved = copy.deepcopy(theirs.state_dict())
        for group in saved["param_groups"]:
            group |= {"foreach": None, "fused": None, **options}
        mine = ours(name)(in_groups(parameters_of(target)))
        mine.load_state_dict(saved)
        keeps = target is FLOAT32 or "foreach" not in options
        assert dtypes(mine, name) == {torch.float32 if keeps else torch.bfloat16}
        for number, param in enumerate(_params(mine)):
            for key, value in mine.state[param].items():
                assert_identical(saved["state"][number][key].to(value.dtype), value)
        train(mine, range(3, 6))


@pytest.mark.parametrize("name", ["NAdam", "ASGD"])
def test_scalar_states_are_not_rounded_to_the_parameters_dtype(name: str) -> None:
    """As torch's loader does; what has come through it is float32 again, so that it is not rounded at every step."""
    optimizer = ours(name)(in_groups(parameters_of(BFLOAT16)), **rich(name))
    train(optimizer, range(3))
    scalars = [state.name for state in ours(name).schema.states if state.kind != "tensor"]
    cls = torchs(name)
    assert cls is not None
    theirs = cls(in_groups(parameters_of(BFLOAT16)))
    theirs.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert torch.bfloat16 in {entry[key].dtype for entry in theirs.state.values() for key in scalars}
    for saved in (optimizer.state_dict(), theirs.state_dict()):
        other = ours(name)(in_groups(parameters_of(BFLOAT16)))
        other.load_state_dict(copy.deepcopy(saved))
        assert {entry[key].dtype for entry in other.state.values() for key in scalars} == {torch.float32}
        train(other, range(3, 5))


def _params(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]
