"""What loading takes over: flags, counters and names where they belong, and what is absent anew."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

import thetac
from tests.references.torch_inputs import IN_TORCH
from tests.support.checkpoint_helpers import FLOAT32, in_groups, parameters_of, rich, through_a_file, train, trained
from tests.support.comparing import assert_identical, assert_same_bits
from tests.support.every_optimizer import both, every_class, of_every_class, ours, torchs


@pytest.mark.feature("state_dict", "flags and numbers follow the checkpoint")
@every_class
def test_flags_and_numbers_follow_the_checkpoint(name: str) -> None:
    for cls in both(name):
        saved = cls(parameters_of(FLOAT32), lr=0.25, foreach=False, maximize=True, **rich(name))
        optimizer = cls(parameters_of(FLOAT32), lr=0.5, foreach=True)
        optimizer.load_state_dict(saved.state_dict())
        (group,), (expected,) = optimizer.param_groups, saved.param_groups
        assert {**group, "params": 0} == {**expected, "params": 0}


@pytest.mark.feature("state_dict", "what the checkpoint lacks keeps its value")
@every_class
def test_what_an_older_checkpoint_lacks_keeps_its_value(name: str) -> None:
    optimizer = trained(name, foreach=False, maximize=True)
    optimizer.param_groups[1]["maximize"] = False
    saved = copy.deepcopy(optimizer.state_dict())
    for group in saved["param_groups"]:
        for key in ("foreach", "maximize", "fused", "capturable", "differentiable"):
            group.pop(key, None)
    optimizer.load_state_dict(saved)
    assert [group["maximize"] for group in optimizer.param_groups] == [True, False]
    assert [group["foreach"] for group in optimizer.param_groups] == [False, False]
    assert [group.get("clip_grad_norm") for group in optimizer.param_groups] == [None, None]
    train(optimizer, range(3, 5))


@pytest.mark.parametrize("name", of_every_class(IN_TORCH))
def test_options_that_torch_does_not_have_are_kept_where_torchs_checkpoint_is_loaded(name: str) -> None:
    cls = torchs(name)
    assert cls is not None
    theirs = cls(in_groups(parameters_of(FLOAT32)), **rich(name))
    train(theirs, range(3))
    mine = ours(name)(in_groups(parameters_of(FLOAT32)), clip_grad_norm=0.5)
    mine.load_state_dict(theirs.state_dict())
    assert [group["clip_grad_norm"] for group in mine.param_groups] == [0.5, 0.5]
    if "fused" not in ours(name).schema.options:
        fused = ours(name)(in_groups(parameters_of(FLOAT32)), fused=True)
        fused.load_state_dict(theirs.state_dict())
        train(fused, range(3, 4))
        assert "C++" in fused.explain()


@pytest.mark.feature("state_dict", "parameters without state start anew")
@every_class
def test_parameters_without_state_start_anew(name: str) -> None:
    """Some parameters' state only, none at all, and what older versions of torch wrote for none."""
    for keep, empty in (((0, 2), "left out"), ((), "left out"), ((1,), "{}"), ((3,), "None")):
        optimizer = trained(name)
        saved = copy.deepcopy(optimizer.state_dict())
        for number in [number for number in saved["state"] if number not in keep]:
            entry = saved["state"].pop(number)
            if empty == "{}":
                saved["state"][number] = {}
            if empty == "None":
                saved["state"][number] = dict.fromkeys(entry)
        fresh = ours(name)(in_groups(parameters_of(FLOAT32)), **rich(name))
        fresh.load_state_dict(saved)
        params = [param for group in fresh.param_groups for param in group["params"]]
        lacking = [param for number, param in enumerate(params) if number not in keep]
        assert all(value is None for param in lacking for value in fresh.state.get(param, {}).values())
        train(fresh, range(3, 5))
        for number, param in enumerate(params):
            counted = fresh.state.get(param, {}).get("step")
            if counted is not None:
                before = {3: 1}.get(number, 3) if number in keep else 0
                assert (counted if isinstance(counted, int) else counted.item()) == before + 2


@every_class
def test_counts_and_scalars_of_older_versions_become_tensors(name: str) -> None:
    optimizer, expected = trained(name), trained(name)
    saved = copy.deepcopy(optimizer.state_dict())
    numbers = [state for state in ours(name).schema.states if state.kind != "tensor"]
    scalars = {state.name: state.float64 for state in numbers if not state.integer}
    for entry in saved["state"].values():
        for scalar in entry.keys() & scalars.keys():
            entry[scalar] = entry[scalar].item()
        for state in numbers:
            if state.integer and state.name in entry:
                entry[state.name] = float(entry[state.name])
    optimizer.load_state_dict(saved)
    for entry in optimizer.state.values():
        for scalar in entry.keys() & scalars.keys():
            dtype = torch.float64 if scalars[scalar] else torch.float32
            assert (entry[scalar].dtype, entry[scalar].shape) == (dtype, ())
    train(optimizer, range(3, 6))
    train(expected, range(3, 6))
    assert_same_bits(expected, optimizer, name)


def test_what_belongs_to_no_parameter_is_carried_along_as_in_torch() -> None:
    for cls in (thetac.AdamW, torch.optim.AdamW):
        optimizer = cls(parameters_of(FLOAT32))
        optimizer.state["seen"] = 17  # type: ignore[index]
        optimizer.param_groups[0]["depth"] = 3
        saved = through_a_file(optimizer.state_dict())
        other = cls(parameters_of(FLOAT32))
        other.load_state_dict(saved)  # type: ignore[arg-type]
        assert other.state["seen"] == 17  # type: ignore[index]
        assert other.param_groups[0]["depth"] == 3


@every_class
def test_the_plan_of_the_last_step_is_not_trusted_after_a_load(name: str) -> None:
    """The state that a kernel wrote before is another one's now."""
    optimizer = trained(name, steps=4, fused=True)
    early = trained(name, steps=2, fused=True)
    expected = trained(name, steps=2, fused=True)
    for source, target in zip(_params(early), _params(optimizer), strict=True):
        target.data.copy_(source.data)
    kept = [dict(entry) for entry in optimizer.state.values()]
    values = copy.deepcopy(kept)
    optimizer.load_state_dict(copy.deepcopy(early.state_dict()))
    for each in (optimizer, expected):
        train(each, range(2, 5))
    assert_same_bits(expected, optimizer, name)
    assert_identical(values, kept)


def _params(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]
