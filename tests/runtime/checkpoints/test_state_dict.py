"""State dicts are torch's: in form and in size, and a run goes on from one, of ours or torch's, as if never broken."""

from __future__ import annotations

import io
import pickle

import pytest
import torch
from torch.optim import Optimizer

from tests.references.torch_inputs import IN_TORCH
from tests.support.checkpoint_helpers import (
    DTYPES,
    FLOAT32,
    continued,
    in_groups,
    parameters_of,
    rich,
    shape_of,
    through_a_file,
    train,
)
from tests.support.comparing import assert_same_bits
from tests.support.every_optimizer import every_class, of_every_class, ours, torchs
from tests.support.runtime_helpers import FUSED, run_kernels_of
from tests.support.sparse_gradients import served_by
from thetac.runtime.param_groups.groups import written_keys

torchs_own = pytest.mark.parametrize("name", of_every_class(IN_TORCH))
every_mix = pytest.mark.parametrize("mix", DTYPES)
IMPLEMENTATIONS = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "C++": {"fused": True}}


def control(name: str) -> type[Optimizer]:
    cls = torchs(name)
    assert cls is not None
    return cls


@pytest.mark.feature("state_dict", "keys, order, nesting, types and ids are torch's")
@torchs_own
@every_mix
def test_it_has_the_form_of_torchs(name: str, mix: str) -> None:
    """Before the first step, after some, and after it was loaded; with names, too."""
    found = []
    for cls in (control(name), ours(name)):
        params = parameters_of(DTYPES[mix])
        optimizer = cls(in_groups(params), **rich(name))
        pictures = [shape_of(optimizer.state_dict())]
        train(optimizer, range(3))
        pictures.append(shape_of(optimizer.state_dict()))
        named = cls([(str(index), param) for index, param in enumerate(params)], **rich(name))
        pictures.append(shape_of(named.state_dict()))
        if mix == "float32":  # where torch's loader rounds scalar states, ours does not
            pictures.append(shape_of(continued(optimizer, cls).state_dict()))
        found.append(pictures)
    assert found[0] == found[1]


@pytest.mark.feature("state_dict", "torch's goes on in ours, in the middle of a run")
@torchs_own
@every_mix
@pytest.mark.parametrize("options", [{"foreach": False}, {}], ids=["pinned", "default"])
def test_a_checkpoint_of_torch_goes_on_in_ours(name: str, mix: str, options: dict[str, bool]) -> None:
    """By the for-loop the bits are those of torch's run without a break, scalar states of bfloat16 models included."""
    theirs = control(name)(in_groups(parameters_of(DTYPES[mix])), foreach=False, **rich(name))
    train(theirs, range(4))
    mine = continued(theirs, lambda params: ours(name)(params, **options), through_a_file)
    assert mine.param_groups[0]["foreach"] is False, "implementation flags follow the checkpoint"
    train(theirs, range(4, 8))
    train(mine, range(4, 8))
    assert_same_bits(theirs, mine, name)


@pytest.mark.feature("state_dict", "ours goes on in torch's, in the middle of a run")
@torchs_own
@every_mix
def test_a_checkpoint_of_ours_goes_on_in_torchs(name: str, mix: str) -> None:
    """As one of torch's own does, whatever its loader makes of it."""
    results = []
    for cls in (control(name), ours(name)):
        first = cls(in_groups(parameters_of(DTYPES[mix])), foreach=False, **rich(name))
        train(first, range(4))
        second = continued(first, control(name), through_a_file)
        train(second, range(4, 8))
        results.append(second)
    assert_same_bits(*results, name)


@pytest.mark.feature("state_dict", "a run goes on bit for bit, in every implementation")
@every_class
@every_mix
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_run_goes_on_bit_for_bit(name: str, mix: str, implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if implementation in FUSED:
        run_kernels_of(implementation, monkeypatch)
    options = IMPLEMENTATIONS[implementation]
    unbroken = ours(name)(in_groups(parameters_of(DTYPES[mix])), **options, **rich(name))
    train(unbroken, range(3))
    broken = continued(unbroken, ours(name), through_a_file)
    train(unbroken, range(3, 6))
    train(broken, range(3, 6))
    assert_same_bits(unbroken, broken, name)
    assert served_by(name, implementation) in broken.explain()  # type: ignore[attr-defined]


@pytest.mark.feature("state_dict", "a run of kernels goes on in another implementation")
@every_class
@pytest.mark.parametrize("there", ["for-loop", "foreach"])
def test_a_run_of_kernels_goes_on_in_another_implementation(name: str, there: str) -> None:
    """And so back: what each finds is what the other left, to the bit."""
    ways = (IMPLEMENTATIONS["C++"], IMPLEMENTATIONS[there], IMPLEMENTATIONS["C++"])
    broken = switched = ours(name)(in_groups(parameters_of(FLOAT32)), **rich(name))
    switched = continued(broken, ours(name))
    for number, options in enumerate(ways):
        broken = continued(broken, ours(name), through_a_file)
        for optimizer in (broken, switched):
            for group in optimizer.param_groups:
                group |= {"foreach": None, "fused": None, **options}
            train(optimizer, range(3 * number, 3 * number + 3))
        assert_same_bits(switched, broken, name)


def many(name: str, cls: type[Optimizer]) -> Optimizer:
    optimizer = cls([torch.nn.Parameter(torch.randn(10)) for _ in range(200)], **rich(name))
    for _ in range(2):
        for param in optimizer.param_groups[0]["params"]:
            param.grad = torch.randn(10)
        optimizer.step()
    return optimizer


def sizes(optimizer: Optimizer) -> list[int]:
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    return [buffer.tell(), len(pickle.dumps(optimizer)), len(pickle.dumps(optimizer.state_dict()))]


@pytest.mark.feature("state_dict", "at most 1.1 times the size of torch's, pickled too")
@torchs_own
def test_it_is_not_larger_than_torchs(name: str) -> None:
    theirs, mine = many(name, control(name)), many(name, ours(name))
    loaded = continued(mine, ours(name), through_a_file)
    pickled = pickle.loads(pickle.dumps(mine))
    for optimizer in (mine, loaded, pickled):
        for size, limit in zip(sizes(optimizer), sizes(theirs), strict=True):
            assert size <= 1.1 * limit


@every_class
def test_options_of_ours_are_in_it_only_where_they_are_used(name: str) -> None:
    """A key that torch's class does not have stands in a group only if somebody asked for what it does."""
    schema = ours(name).schema
    known = {h.name for h in schema.hyperparameters} | {*schema.flags, *schema.options, *schema.fixed, "params"}
    known |= {*written_keys(schema), *(one.name for one in schema.choices)}
    (plain,) = ours(name)(parameters_of(FLOAT32)).state_dict()["param_groups"]
    assert set(plain) == known
    for used in ({"clip_grad_norm": 1.0}, {"fused": True}):
        (group,) = ours(name)(parameters_of(FLOAT32), **used).state_dict()["param_groups"]
        assert set(group) == known | set(used)


@every_class
def test_a_state_dict_shares_memory_with_the_optimizer_as_torchs_does(name: str) -> None:
    for cls in filter(None, (ours(name), torchs(name))):
        optimizer = cls(parameters_of(FLOAT32), **rich(name))
        train(optimizer, range(3))
        saved = optimizer.state_dict()
        for param, entry in zip(optimizer.param_groups[0]["params"], saved["state"].values(), strict=False):
            assert entry is optimizer.state[param]
