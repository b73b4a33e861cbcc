"""Pickles and deep copies go on as their originals do, those of older versions too, and in a process of their own."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import Optimizer

import thetac
from tests.support.checkpoint_helpers import FLOAT32, in_groups, parameters_of, rich, shape_of, through_a_file, train
from tests.support.comparing import assert_identical, assert_same_bits
from tests.support.every_optimizer import both, every_class, ours
from tests.support.runtime_helpers import picture
from tests.support.sparse_gradients import served_by
from thetac.options import OPTIONS

IMPLEMENTATIONS = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "C++": {"fused": True}}


def _through_torch(value: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


WAYS: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "pickle of protocol 2": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "torch.save": _through_torch,
}
every_way = pytest.mark.parametrize("way", WAYS)


def trained(name: str, cls: type[Optimizer] | None = None, **options: Any) -> Optimizer:
    optimizer = (cls or ours(name))(in_groups(parameters_of(FLOAT32)), **rich(name), **options)
    train(optimizer, range(3))
    return optimizer


@pytest.mark.feature("pickling", "pickles and deep copies go on bit for bit, in every implementation")
@every_class
@every_way
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_copy_goes_on_as_the_original_and_apart_from_it(name: str, way: str, implementation: str) -> None:
    original = trained(name, **IMPLEMENTATIONS[implementation])
    other = WAYS[way](original)
    assert type(other) is ours(name)
    assert shape_of(original.state_dict()) == shape_of(other.state_dict())
    before = picture(other)
    train(original, range(3, 6))
    assert_identical(before, picture(other))
    train(other, range(3, 6))
    assert_same_bits(original, other, name)
    assert served_by(name, implementation) in other.explain()


@pytest.mark.feature("pickling", "what is in a pickle is what is in one of torch's: no hooks, no plan")
@every_class
@every_way
def test_a_copy_holds_what_torchs_would(name: str, way: str) -> None:
    found = []
    for cls in both(name):
        original = trained(name, cls)
        original.register_step_pre_hook(lambda *_: pytest.fail("a hook was copied"))
        original.register_state_dict_post_hook(lambda *_: pytest.fail("a hook was copied"))
        other = WAYS[way](original)
        found.append({*vars(other)})
        other.step()
        other.state_dict()
        assert {**other.defaults, "differentiable": 0} == {**original.defaults, "differentiable": 0}, "torch adds it"
    assert found[0] == found[-1]


@every_class
def test_a_model_and_its_optimizer_are_copied_together(name: str) -> None:
    for cls in both(name):
        params = torch.nn.ParameterList(parameters_of(FLOAT32))
        optimizer = cls(params.parameters(), **rich(name))
        train(optimizer, range(3))
        copies, other = copy.deepcopy((params, optimizer))
        assert all(one is two for one, two in zip(copies, other.param_groups[0]["params"], strict=True))
        train(other, range(3, 5))
        train(optimizer, range(3, 5))
        assert_identical([*params], [*copies])


@pytest.mark.feature("pickling", "`torch.load(weights_only=True)` takes state dicts, tensors in groups included")
@every_class
def test_weights_only_takes_every_state_dict(name: str) -> None:
    for cls in both(name):
        names = [(f"layer.{index}", param) for index, param in enumerate(parameters_of(FLOAT32))]
        optimizer = cls(names, lr=torch.tensor(0.01), foreach=False, **rich(name))
        train(optimizer, range(3))
        saved = optimizer.state_dict()
        assert_identical(saved, through_a_file(saved))


# Older versions.


def older(optimizer: Optimizer, lacking: set[str]) -> Optimizer:
    """The optimizer as a pickle of a version would give it that had no such options, and counted in plain numbers."""
    attributes = copy.deepcopy(optimizer.__getstate__())
    for group in (attributes["defaults"], *attributes["param_groups"]):
        for key in lacking:
            group.pop(key, None)
    for entry in attributes["state"].values():
        if "step" in entry:
            entry["step"] = int(entry["step"])
    cls = type(optimizer)
    unpickled = cls.__new__(cls)
    unpickled.__setstate__(attributes)
    return unpickled


@pytest.mark.feature("pickling", "`__setstate__` completes what older versions did not have")
@every_class
def test_a_pickle_of_an_older_version_gets_defaults_for_what_it_lacks(name: str) -> None:
    schema = ours(name).schema
    lacking = {*OPTIONS, *schema.flags, *schema.fixed}
    options = {key: value for key, value in rich(name).items() if key not in lacking}
    for cls in both(name):
        optimizer = cls(in_groups(parameters_of(FLOAT32)), **options)
        train(optimizer, range(3))
        unpickled = older(optimizer, lacking)
        for group, expected in zip(unpickled.param_groups, optimizer.param_groups, strict=True):
            if cls is ours(name):  # torch's classes do not all complete all of it
                assert {*group} == {*expected}
            for key in {*group} - {"params"}:
                assert group[key] == expected[key] or not (group[key] or expected[key]), "torch writes False for None"
        for entry, expected in zip(unpickled.state.values(), optimizer.state.values(), strict=True):
            if "step" in entry:
                assert_identical(expected["step"], entry["step"])
        if cls is ours(name):
            assert {*unpickled.defaults} >= {*optimizer.defaults}
            train(optimizer, range(3, 6))
            train(unpickled, range(3, 6))
            assert_same_bits(optimizer, unpickled, name)
            unpickled.add_param_group({"params": parameters_of(FLOAT32, seed=1)})
            unpickled.load_state_dict(unpickled.state_dict())
            train(unpickled, range(6, 8))


@every_class
def test_hyperparameters_of_today_are_completed_too(name: str) -> None:
    """All but those that have no default: without them nothing could have been pickled."""
    schema = ours(name).schema
    optimizer = ours(name)(parameters_of(FLOAT32))
    unpickled = older(optimizer, {hyperparameter.name for hyperparameter in schema.hyperparameters} - {"lr"})
    assert unpickled.defaults == optimizer.defaults
    assert {**unpickled.param_groups[0], "params": 0} == {**optimizer.param_groups[0], "params": 0}
    train(unpickled, range(2))


def test_a_fixed_value_is_not_taken_from_a_pickle() -> None:
    """As in torch, whose class sets it."""
    for cls in both("AdamW"):
        optimizer = trained("AdamW", cls)
        attributes = copy.deepcopy(optimizer.__getstate__())
        attributes["param_groups"][0]["decoupled_weight_decay"] = False
        unpickled = cls.__new__(cls)
        unpickled.__setstate__(attributes)
        assert unpickled.param_groups[0]["decoupled_weight_decay"] is True


def test_the_pickle_of_a_rule_written_by_hand_is_completed_with_its_own_arguments() -> None:
    class Plain(thetac.runtime.GenericOptimizer):
        def __init__(self, params: Any, lr: float, weight_decay: float = 0.0) -> None:
            super().__init__(params, {"lr": lr}, weight_decay=weight_decay)

        def step_param(self, state: Any, group: dict[str, Any], grad: torch.Tensor, param: torch.Tensor) -> None:
            param.sub_(grad, alpha=group["lr"])

    optimizer = Plain(parameters_of(FLOAT32), lr=0.25)
    unpickled = older(optimizer, {"maximize", "weight_decay", "weight_decay_style"})
    assert unpickled.defaults == optimizer.defaults
    train(optimizer, range(2))
    train(unpickled, range(2))
    assert_same_bits(optimizer, unpickled, "Plain")


# Another process.

_GO_ON = """
import pickle, sys
import torch

with open(sys.argv[1], "rb") as file:
    optimizer = pickle.load(file)
seen = []
optimizer.register_step_pre_hook(lambda *_: seen.append("hook"))
for group in optimizer.param_groups:
    for param in group["params"]:
        param.grad = torch.full_like(param, 0.5)
optimizer.step()
assert seen == ["hook"]
with open(sys.argv[1], "wb") as file:
    pickle.dump(optimizer, file)
"""


def test_a_pickle_goes_on_in_a_process_that_has_made_no_optimizer(tmp_path: Path) -> None:
    """Its class becomes one with hooks there, without a constructor."""
    original = trained("AdamW")
    path = tmp_path / "pickle"
    path.write_bytes(pickle.dumps(original))
    subprocess.run([sys.executable, "-c", _GO_ON, str(path)], check=True)
    unpickled = pickle.loads(path.read_bytes())
    for param in (param for group in original.param_groups for param in group["params"]):
        param.grad = torch.full_like(param, 0.5)
    original.step()
    train(original, range(3, 5))
    train(unpickled, range(3, 5))
    assert_same_bits(original, unpickled, "AdamW")
