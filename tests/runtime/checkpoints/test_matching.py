"""State goes to the parameter of its name where both sides have names; where one lacks them, by position, as in torch.

A run whose parameters come in one order, and one that goes on from it with parameters in another, end with the same
bits under each name.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

import thetac
from tests.support.checkpoint_helpers import rich, shape_of
from tests.support.comparing import assert_identical
from tests.support.every_optimizer import every_class, ours
from tests.support.runtime_helpers import assert_unchanged, picture

Groups = Sequence[str]  # the names of each group, in order: "ab" and "cd"
StateDict = dict[str, Any]


def parameters(names: Iterable[str], seed: int = 0) -> dict[str, torch.nn.Parameter]:
    """All of one shape, so that no shape betrays a state at a wrong place; values depend on names alone."""
    return {
        name: torch.nn.Parameter(torch.randn(3, generator=torch.Generator().manual_seed(seed + ord(name[-1]))))
        for name in names
    }


def optimizer_of(
    groups: Groups, *, cls: type[Optimizer] = thetac.AdamW, prefix: str = "", seed: int = 0, **options: object
) -> Optimizer:
    """With an lr for each group that its names tell, so that it shows where each group's values went."""
    params = parameters("".join(groups), seed)
    return cls(
        [
            {"params": [(prefix + name, params[name]) for name in names], "lr": 0.01 * sum(map(ord, names))}
            for names in groups
        ],
        **options,
    )


def train(optimizer: Optimizer, steps: Iterable[int]) -> None:
    for step in steps:
        for name, param in params_of(optimizer).items():
            generator = torch.Generator().manual_seed(100 * step + ord(name[-1]))
            param.grad = torch.randn(3, generator=generator)
        optimizer.step()


def params_of(optimizer: Optimizer) -> dict[str, Tensor]:
    return {
        name: param
        for group in optimizer.param_groups
        for name, param in zip(group["param_names"], group["params"], strict=True)
    }


def by_name(optimizer: Optimizer) -> dict[str, object]:
    """What belongs to each name: its numbers, its state, and its group's values."""
    options = {name: group for group in optimizer.param_groups for name in group["param_names"]}
    return {
        name[-1]: (
            param.detach(),
            dict(optimizer.state.get(param, {})),
            {key: value for key, value in options[name].items() if key not in ("params", "param_names")},
        )
        for name, param in sorted(params_of(optimizer).items(), key=lambda item: item[0][-1])
    }


def carried(source: Optimizer, target: Optimizer) -> None:
    """Everything of a run: the numbers of parameters under their names, and the state dict."""
    numbers = {name[-1]: param for name, param in params_of(source).items()}
    with torch.no_grad():
        for name, param in params_of(target).items():
            param.copy_(numbers[name[-1]])
    target.load_state_dict(copy.deepcopy(source.state_dict()))


ORDERS: dict[str, tuple[Groups, Groups]] = {
    "as saved": (("abc", "de"), ("abc", "de")),
    "within a group": (("abcd",), ("cadb",)),
    "within both groups": (("abc", "de"), ("cba", "ed")),
    "groups the other way round": (("abc", "de"), ("de", "abc")),
    "groups of equal size": (("ab", "cd", "ef"), ("fe", "ab", "dc")),
}


@pytest.mark.difference(
    "If the optimizer and the checkpoint both have names of parameters, state goes to the parameter of the same name,"
    " and a group's values to the group of the same names. Names that do not match are an error, and `param_names` "
    "stay the optimizer's. torch uses positions, which swaps state if the order differs, and loads the names."
)
@pytest.mark.parametrize("order", ORDERS)
def test_state_goes_to_the_parameter_of_its_name(order: str) -> None:
    saved, here = ORDERS[order]
    unbroken, broken = optimizer_of(saved), optimizer_of(here, seed=7, lr=0.5)
    train(unbroken, range(3))
    carried(unbroken, broken)
    assert ["".join(group["param_names"]) for group in broken.param_groups] == [*here]
    assert_identical(by_name(unbroken), by_name(broken))
    for optimizer in (unbroken, broken):
        train(optimizer, range(3, 5))
    assert_identical(by_name(unbroken), by_name(broken))
    theirs, swapped = (optimizer_of(groups, cls=torch.optim.AdamW) for groups in (saved, here))
    train(theirs, range(3))
    if [*map(len, saved)] != [*map(len, here)]:
        with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
            carried(theirs, swapped)
        return
    there, params = params_of(theirs), params_of(swapped)
    carried(theirs, swapped)
    assert ["".join(group["param_names"]) for group in swapped.param_groups] == [*saved]
    wrong = [
        n for n in params if not torch.equal(swapped.state[params[n]]["exp_avg"], theirs.state[there[n]]["exp_avg"])
    ]
    assert bool(wrong) == (saved != here)


@every_class
def test_every_optimizer_goes_on_bit_for_bit_in_another_order(name: str, tmp_path: Path) -> None:
    """Through a file of safetensors, too."""
    for through_file in (False, True):
        unbroken, broken = (
            optimizer_of(groups, cls=ours(name), **rich(name)) for groups in (("abc", "de"), ("ed", "bca"))
        )
        train(unbroken, range(3))
        carried(unbroken, broken)
        if through_file:
            thetac.save_optimizer(unbroken, tmp_path / "file")
            thetac.load_optimizer(broken, tmp_path / "file")
        for optimizer in (unbroken, broken):
            train(optimizer, range(3, 5))
        assert_identical(by_name(unbroken), by_name(broken))


WRAPPERS = ("module.", "_orig_mod.", "module._orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")


@pytest.mark.parametrize("prefix", WRAPPERS)
def test_wrappers_of_torch_add_nothing_to_a_name(prefix: str) -> None:
    for there, here in ((prefix, ""), ("", prefix), (prefix, "module._orig_mod."), (f"layer.{prefix}", "layer.")):
        unbroken = optimizer_of(("abc", "de"), prefix=there)
        broken = optimizer_of(("ed", "cab"), prefix=here)
        train(unbroken, range(3))
        carried(unbroken, broken)
        assert_identical(by_name(unbroken), by_name(broken))
        assert broken.param_groups[0]["param_names"] == [f"{here}e", f"{here}d"]


def test_the_wrappers_are_those_of_torch() -> None:
    """Each wraps a layer here, and shows what it makes of the names."""
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
    from torch.distributed.fsdp._common_utils import FSDP_WRAPPED_MODULE

    def names(module: torch.nn.Module) -> list[str]:
        return [name for name, _ in module.named_parameters()]

    layer = torch.nn.Linear(2, 2, bias=False)
    assert names(torch.nn.DataParallel(layer)) == ["module.weight"]
    assert names(torch.compile(layer)) == ["_orig_mod.weight"]  # type: ignore[arg-type]
    assert f"{FSDP_WRAPPED_MODULE}." in WRAPPERS
    wrapped = checkpoint_wrapper(layer)
    assert [*wrapped._modules] == ["_checkpoint_wrapped_module"]


def without_names(saved: StateDict) -> StateDict:
    return {**saved, "param_groups": [{**group} for group in saved["param_groups"] if [group.pop("param_names")]]}


def test_where_only_one_side_has_names_positions_decide_as_in_torch() -> None:
    for cls in (thetac.AdamW, torch.optim.AdamW):
        named = optimizer_of(("abc", "de"), cls=cls)
        train(named, range(3))
        saved = copy.deepcopy(named.state_dict())
        params = parameters("cbaed")
        unnamed = cls([{"params": [params[n] for n in "cba"]}, {"params": [params[n] for n in "ed"]}])
        unnamed.load_state_dict(copy.deepcopy(saved))
        assert ["".join(group["param_names"]) for group in unnamed.param_groups] == ["abc", "de"], "the checkpoint's"
        other = optimizer_of(("cba", "ed"), cls=cls)
        other.load_state_dict(without_names(copy.deepcopy(saved)))
        assert ["".join(group["param_names"]) for group in other.param_groups] == ["cba", "ed"], "the optimizer's"
        for optimizer in (unnamed, other):
            found = [optimizer.state[param] for group in optimizer.param_groups for param in group["params"]]
            assert_identical([*saved["state"].values()], found)


def test_names_that_tell_no_parameter_from_another_are_not_asked() -> None:
    """Two of one name in a group, or fewer names than parameters: positions decide. Two models may share names."""
    twice = thetac.AdamW([("a", param) for param in parameters("abc").values()])
    train_in_order(twice, 3)
    saved = copy.deepcopy(twice.state_dict())
    fresh = thetac.AdamW([("a", param) for param in parameters("abc").values()])
    fresh.load_state_dict(saved)
    assert_identical([*saved["state"].values()], [*fresh.state.values()])
    assert fresh.param_groups[0]["param_names"] == ["a", "a", "a"]

    short = copy.deepcopy(optimizer_of(("abc",)).state_dict())
    short["param_groups"][0]["param_names"] = ["c", "b"]
    optimizer_of(("cba",)).load_state_dict(short)

    models = [[(name, param) for name, param in parameters("ab", seed).items()] for seed in (0, 50)]
    first = thetac.AdamW([{"params": model, "lr": lr} for model, lr in zip(models, (0.1, 0.2), strict=True)])
    train_in_order(first, 3)
    models = [[*reversed([*parameters("ab", seed).items()])] for seed in (0, 50)]
    second = thetac.AdamW([{"params": model} for model in models])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for here, there in zip(second.param_groups, first.param_groups, strict=True):
        assert here["lr"] == there["lr"]
        for param, other in zip(here["params"], reversed(there["params"]), strict=True):
            assert_identical(second.state[param], first.state[other])


def train_in_order(optimizer: Optimizer, steps: int) -> None:
    for step in range(steps):
        for number, param in enumerate(param for group in optimizer.param_groups for param in group["params"]):
            param.grad = torch.full_like(param, number + 0.1 * step)
        optimizer.step()


# What does not fit.

SIZE = "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
NAMES = "loaded state dict contains a parameter group that doesn't match the names of optimizer's group: "
RENAME = "; rename them there, or delete all `param_names` to go by position"


def _renamed(saved: StateDict) -> None:
    saved["param_groups"][0]["param_names"] = ["a", "x", "y"]


def _all_renamed(saved: StateDict) -> None:
    for number, group in enumerate(saved["param_groups"]):
        group["param_names"] = [f"{number}.{name}" for name in group["param_names"]]


def _regrouped(saved: StateDict) -> None:
    first, second = saved["param_groups"]
    for key in ("params", "param_names"):
        first[key][0], second[key][0] = second[key][0], first[key][0]


def _one_moved(saved: StateDict) -> None:
    first, second = saved["param_groups"]
    for key in ("params", "param_names"):
        second[key].append(first[key].pop())


def _other_way_round_and_renamed(saved: StateDict) -> None:
    saved["param_groups"].reverse()
    saved["param_groups"][1]["param_names"] = ["a", "b", "x"]


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_renamed, f"{NAMES}group 0 has other names (without `b`, `c`) (with `x`, `y`){RENAME}"),
        (
            _all_renamed,
            f"{NAMES}group 0 has other names (without `a`, `b`, `c`) (with `0.a`, `0.b`, `0.c`){RENAME}",
        ),
        (_regrouped, f"{NAMES}group 0 has other names (without `a`) (with `d`); `a` is in group 1 of it"),
        (_one_moved, f"{SIZE}group 0 has 2 parameters (without `c`), the optimizer's 3"),
        (_other_way_round_and_renamed, f"{NAMES}group 1 has other names (without `c`) (with `x`){RENAME}"),
    ],
    ids=lambda value: value.__name__[1:] if callable(value) else "",
)
def test_names_that_do_not_fit_are_listed(spoil: Callable[[StateDict], None], text: str) -> None:
    """Before anything has changed; without names the same checkpoint goes by position where sizes agree."""
    optimizer = optimizer_of(("abc", "de"))
    train(optimizer, range(3))
    saved = copy.deepcopy(optimizer.state_dict())
    spoil(saved)
    before, spoilt = picture(optimizer), shape_of(saved)
    with pytest.raises(ValueError, match="loaded state dict") as raised:
        optimizer.load_state_dict(saved)
    assert str(raised.value) == text
    assert_unchanged(before, optimizer)
    assert shape_of(saved) == spoilt
    if [len(group["params"]) for group in saved["param_groups"]] == [3, 2]:
        optimizer.load_state_dict(without_names(saved))


# torch.distributed.checkpoint


@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
@pytest.mark.parametrize("prefix", ["", "of.this.run."], ids=["names of the model", "names of the user's"])
def test_torchs_distributed_checkpoint_brings_state_to_its_name(flat: bool, prefix: str, tmp_path: Path) -> None:
    """It knows parameters by the model's names. The optimizer's are left as they are, whatever the user calls them."""

    def model_of(names: str) -> torch.nn.Module:
        model = torch.nn.Module()
        for name, param in parameters(names).items():
            model.register_parameter(name, param)
        return model

    def optimizer_on(model: torch.nn.Module) -> thetac.AdamW:
        return thetac.AdamW([(prefix + name, param) for name, param in model.named_parameters()])

    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    model, other = model_of("abcd"), model_of("cbda")
    unbroken, broken = optimizer_on(model), optimizer_on(other)
    train(unbroken, range(3))
    saving = {"optimizer": get_optimizer_state_dict(model, unbroken, options=options)}
    dcp.save(saving, checkpoint_id=tmp_path, no_dist=True)
    saved = {"optimizer": get_optimizer_state_dict(other, broken, options=options)}
    dcp.load(saved, checkpoint_id=tmp_path, no_dist=True)
    set_optimizer_state_dict(other, broken, saved["optimizer"], options=options)
    other.load_state_dict(model.state_dict())
    assert broken.param_groups[0]["param_names"] == [prefix + name for name in "cbda"]
    for optimizer in (unbroken, broken):
        train(optimizer, range(3, 5))
    assert_identical(by_name(unbroken), by_name(broken))

    if not flat and not prefix:  # the same state dict, which has names as ids, without torch's help
        direct = optimizer_on(model_of("dacb"))
        direct.load_state_dict(get_optimizer_state_dict(model, unbroken))
        assert_identical(
            {name: unbroken.state[param] for name, param in sorted(params_of(unbroken).items())},
            {name: direct.state[param] for name, param in sorted(params_of(direct).items())},
        )
