"""What loading does: flags, counters and dtypes where they belong, and an error that helps before anything changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checkpoint_helpers import BFLOAT16, FLOAT32, in_groups, parameters_of, rich, shape_of, through_a_file, train
from every_optimizer import NAMES, both, every_optimizer, ours, torchs
from references.torch_inputs import ELEVEN
from references.training import assert_same_bits
from runtime_helpers import assert_identical, assert_unchanged, picture
from torch import Tensor
from torch.optim import Optimizer

import thetac

StateDict = dict[str, Any]
NAMED = ("embed", "bias", "scale", "head")


def trained(name: str, steps: int = 3, **options: object) -> Optimizer:
    cls = ours(name)
    optimizer = cls(in_groups(parameters_of(FLOAT32)), **rich(name), **options)
    train(optimizer, range(steps))
    return optimizer


def named(**options: object) -> thetac.AdamW:
    """Two groups of two parameters with names."""
    pairs = list(zip(NAMED, parameters_of(FLOAT32), strict=True))
    optimizer = thetac.AdamW([{"params": pairs[:2]}, {"params": pairs[2:]}], **options)  # type: ignore[arg-type]
    train(optimizer, range(3))
    return optimizer


# What does not fit.


def _no_groups(saved: StateDict) -> None:
    del saved["param_groups"]


def _a_models(saved: StateDict) -> None:
    saved.clear()
    saved.update({"weight": torch.ones(2), "bias": torch.ones(2)})


def _no_params(saved: StateDict) -> None:
    saved["param_groups"][1] = {"lr": 0.5}


def _a_group_too_many(saved: StateDict) -> None:
    saved["param_groups"].append({"params": []})


def _a_parameter_too_many(saved: StateDict) -> None:
    saved["param_groups"][1]["params"].append(4)


def _other_names(saved: StateDict) -> None:
    saved["param_groups"][0] |= {"params": [0], "param_names": ["embedding"]}


def _an_unknown_parameter(saved: StateDict) -> None:
    saved["state"][9] = saved["state"][0]


def _one_id_for_two(saved: StateDict) -> None:
    saved["param_groups"][1]["params"][0] = 0


def _an_entry_missing(saved: StateDict) -> None:
    del saved["state"][1]["exp_avg_sq"]


def _an_entry_unknown(saved: StateDict) -> None:
    saved["state"][1]["ema"] = torch.ones(7)


def _of_another_optimizer(saved: StateDict) -> None:
    for number, entry in saved["state"].items():
        saved["state"][number] = {"momentum_buffer": entry["exp_avg"]}


def _no_entry(saved: StateDict) -> None:
    saved["state"][2] = torch.ones(2)


def _a_wrong_shape(saved: StateDict) -> None:
    saved["state"][3]["exp_avg"] = torch.ones(4, 6)


def _a_number_for_a_tensor(saved: StateDict) -> None:
    saved["state"][0]["exp_avg"] = 0.5


def _integers(saved: StateDict) -> None:
    saved["state"][0]["exp_avg"] = torch.ones(5, 3, dtype=torch.int64)


def _complex_numbers(saved: StateDict) -> None:
    saved["state"][0]["exp_avg"] = torch.ones(5, 3, dtype=torch.complex64)


def _a_sparse_tensor(saved: StateDict) -> None:
    saved["state"][0]["exp_avg"] = torch.ones(5, 3).to_sparse()


def _many_counts(saved: StateDict) -> None:
    saved["state"][2]["step"] = torch.ones(3)


def _a_count_of_no_number(saved: StateDict) -> None:
    saved["state"][2]["step"] = "three"


def _betas_of_another_length(saved: StateDict) -> None:
    saved["param_groups"][1]["betas"] = (0.9,)


def _an_lr_of_no_number(saved: StateDict) -> None:
    saved["param_groups"][0]["lr"] = "high"


def _an_lr_of_many(saved: StateDict) -> None:
    saved["param_groups"][0]["lr"] = torch.ones(2)


def _options_that_exclude_each_other(saved: StateDict) -> None:
    saved["param_groups"][0] |= {"foreach": True, "fused": True}


def _norms_that_differ(saved: StateDict) -> None:
    saved["param_groups"][0]["clip_grad_norm"] = 1.0


FAULTS: list[tuple[Callable[[StateDict], None], type[Exception], str]] = [
    (
        _no_groups,
        KeyError,
        "\"'param_groups' is not in the loaded state dict, which has `state`: it is none of an optimizer\"",
    ),
    (
        _a_models,
        KeyError,
        "\"'param_groups' is not in the loaded state dict, which has `weight`, `bias`: it is none of an optimizer\"",
    ),
    (
        _no_params,
        KeyError,
        "\"group 1 of the loaded state dict has no 'params', only `lr`\"",
    ),
    (
        _a_group_too_many,
        ValueError,
        "loaded state dict has a different number of parameter groups: 3, the optimizer 2",
    ),
    (
        _a_parameter_too_many,
        ValueError,
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
        "group 1 has 3 parameters, the optimizer's 2",
    ),
    (
        _other_names,
        ValueError,
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
        "group 0 has 1 parameter (without `embed`, `bias`) (with `embedding`), the optimizer's 2",
    ),
    (
        _an_unknown_parameter,
        ValueError,
        "loaded state dict has the state of a parameter 9, which is in none of its groups: "
        "group 0 has 0, 1; group 1 has 2, 3",
    ),
    (
        _one_id_for_two,
        ValueError,
        "loaded state dict has one id, 0, for parameter 0 of group 0 (embed) and for parameter 0 of group 1 (scale)",
    ),
    (
        _an_entry_missing,
        ValueError,
        "loaded state dict does not fit parameter 1 of group 0 (bias): the state of AdamW consists of "
        "`step`, `exp_avg`, `exp_avg_sq` there, the loaded one of `step`, `exp_avg`",
    ),
    (
        _an_entry_unknown,
        ValueError,
        "loaded state dict does not fit parameter 1 of group 0 (bias): the state of AdamW consists of "
        "`step`, `exp_avg`, `exp_avg_sq` there, the loaded one of `step`, `exp_avg`, `exp_avg_sq`, `ema`",
    ),
    (
        _of_another_optimizer,
        ValueError,
        "loaded state dict does not fit parameter 0 of group 0 (embed): the state of AdamW consists of "
        "`step`, `exp_avg`, `exp_avg_sq` there, the loaded one of `momentum_buffer`",
    ),
    (
        _no_entry,
        TypeError,
        "the loaded state of parameter 0 of group 1 (scale) must be a dict, not Tensor",
    ),
    (
        _a_wrong_shape,
        ValueError,
        "loaded `exp_avg` of parameter 1 of group 1 (head) has the shape (4, 6), its parameter (6, 4)",
    ),
    (
        _a_number_for_a_tensor,
        TypeError,
        "loaded `exp_avg` of parameter 0 of group 0 (embed) must be a tensor, not float",
    ),
    (
        _integers,
        ValueError,
        "loaded `exp_avg` of parameter 0 of group 0 (embed) is torch.int64, its parameter torch.float32",
    ),
    (
        _complex_numbers,
        ValueError,
        "loaded `exp_avg` of parameter 0 of group 0 (embed) is torch.complex64, its parameter torch.float32",
    ),
    (
        _a_sparse_tensor,
        ValueError,
        "loaded `exp_avg` of parameter 0 of group 0 (embed) is torch.sparse_coo, its parameter torch.strided",
    ),
    (
        _many_counts,
        ValueError,
        "loaded `step` of parameter 0 of group 1 (scale) must be one real number, "
        "not a torch.float32 tensor of shape (3,)",
    ),
    (
        _a_count_of_no_number,
        TypeError,
        "loaded `step` of parameter 0 of group 1 (scale) must be a number or a tensor of one, not str",
    ),
    (
        _betas_of_another_length,
        ValueError,
        "group 1 of the loaded state dict: betas must have 2 elements, not 1",
    ),
    (
        _an_lr_of_no_number,
        TypeError,
        "group 0 of the loaded state dict: lr must be a number, not str",
    ),
    (
        _an_lr_of_many,
        ValueError,
        "group 0 of the loaded state dict: Tensor lr must be 1-element",
    ),
    (
        _options_that_exclude_each_other,
        RuntimeError,
        "`fused` and `foreach` cannot be `True` together.",
    ),
    (
        _norms_that_differ,
        ValueError,
        "clip_grad_norm limits one norm over all parameters, so all groups must have the same, not 1.0, None",
    ),
]


@pytest.mark.parametrize(("spoil", "kind", "text"), FAULTS, ids=[spoil.__name__[1:] for spoil, _, _ in FAULTS])
def test_a_checkpoint_that_does_not_fit_is_refused_in_words(
    spoil: Callable[[StateDict], None], kind: type[Exception], text: str
) -> None:
    """With the place, what belongs there and what was found, and nothing changed; the run goes on as if not asked."""
    optimizer, untouched = named(), named()
    saved = copy.deepcopy(named(lr=0.5).state_dict())
    spoil(saved)
    before, spoilt = picture(optimizer), shape_of(saved)
    with pytest.raises(kind) as raised:
        optimizer.load_state_dict(saved)
    assert str(raised.value) == text
    assert_unchanged(before, optimizer)
    assert shape_of(saved) == spoilt
    train(optimizer, range(3, 5))
    train(untouched, range(3, 5))
    assert_same_bits(untouched, optimizer, "after the error")


@pytest.mark.difference(
    "torch compares the sizes of groups and takes everything else as it comes; what does not fit is then an error in a "
    "step, or none. Here a checkpoint is compared as a whole before anything changes."
)
def test_torchs_loader_takes_what_does_not_fit() -> None:
    for spoil in (_an_entry_missing, _an_entry_unknown, _an_unknown_parameter, _a_wrong_shape, _a_number_for_a_tensor):
        saved = copy.deepcopy(named().state_dict())
        spoil(saved)
        torch.optim.AdamW(in_groups(parameters_of(FLOAT32))).load_state_dict(copy.deepcopy(saved))
        with pytest.raises((ValueError, TypeError), match="loaded"):
            named().load_state_dict(saved)


@every_optimizer
def test_sizes_of_groups_are_compared_in_torchs_words(name: str) -> None:
    for spoil in (_a_group_too_many, _a_parameter_too_many):
        texts = []
        for cls in both(name):
            optimizer = cls(in_groups(parameters_of(FLOAT32)), **rich(name))
            saved = copy.deepcopy(optimizer.state_dict())
            spoil(saved)
            with pytest.raises(ValueError, match="loaded state dict") as raised:
                optimizer.load_state_dict(saved)
            texts.append(str(raised.value))
        assert texts[0].startswith(texts[-1]), "torch's sentence, then what differs"


@pytest.mark.feature("state_dict", "one that does not fit is an error, before anything changes")
@every_optimizer
@pytest.mark.parametrize("other", ["Adam", "SGD", "ASGD", "Lion", "AdEMAMix"])
def test_the_checkpoint_of_another_optimizer_fits_only_if_all_it_remembers_does(name: str, other: str) -> None:
    """A rule that keeps the same under the same names takes it, as Adam and AdamW take each other's."""
    source = trained(other)
    target = ours(name)(in_groups(parameters_of(FLOAT32, seed=1)), **rich(name))
    there, here = ({*trained(each).state_dict()["state"].get(0, {})} for each in (other, name))
    saved = copy.deepcopy(source.state_dict())
    before = picture(target)
    if here <= there <= {state.name for state in ours(name).schema.states}:
        target.load_state_dict(saved)
        train(target, range(3, 5))
    else:
        state_differs = f"does not fit parameter 0 of group 0: the state of {name} consists of"
        with pytest.raises(ValueError, match=f"{state_differs}|group 0 .*: betas must have . elements, not .$"):
            target.load_state_dict(saved)
        assert_unchanged(before, target)


# What is taken over.


@pytest.mark.feature("state_dict", "flags and numbers follow the checkpoint")
@every_optimizer
def test_flags_and_numbers_follow_the_checkpoint(name: str) -> None:
    for cls in both(name):
        saved = cls(parameters_of(FLOAT32), lr=0.25, foreach=False, maximize=True, **rich(name))
        optimizer = cls(parameters_of(FLOAT32), lr=0.5, foreach=True)
        optimizer.load_state_dict(saved.state_dict())
        (group,), (expected,) = optimizer.param_groups, saved.param_groups
        assert {**group, "params": 0} == {**expected, "params": 0}


@pytest.mark.feature("state_dict", "what the checkpoint lacks keeps its value")
@every_optimizer
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


@pytest.mark.parametrize("name", ELEVEN)
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
@every_optimizer
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
                assert counted.item() == before + 2


@every_optimizer
def test_counts_and_scalars_of_older_versions_become_tensors(name: str) -> None:
    optimizer, expected = trained(name), trained(name)
    saved = copy.deepcopy(optimizer.state_dict())
    scalars = [state.name for state in ours(name).schema.states if state.kind != "tensor"]
    for entry in saved["state"].values():
        for scalar in scalars:
            entry[scalar] = entry[scalar].item()
    optimizer.load_state_dict(saved)
    for entry in optimizer.state.values():
        for scalar in scalars:
            assert (entry[scalar].dtype, entry[scalar].shape) == (torch.float32, ())
    train(optimizer, range(3, 6))
    train(expected, range(3, 6))
    assert_same_bits(expected, optimizer, name)


@pytest.mark.parametrize("cls", [thetac.AdamW, torch.optim.AdamW], ids=["ours", "torch's"])
def test_names_of_parameters_follow_the_checkpoint(cls: type[Optimizer]) -> None:
    """Those of the optimizer are kept where the checkpoint has none, and never compared."""
    unnamed = cls(parameters_of(FLOAT32))
    here, there = (
        cls([(f"{prefix}.{number}", param) for number, param in enumerate(parameters_of(FLOAT32))])
        for prefix in ("here", "there")
    )
    here.load_state_dict(unnamed.state_dict())
    assert here.param_groups[0]["param_names"] == ["here.0", "here.1", "here.2", "here.3"]
    for optimizer in (here, unnamed):
        optimizer.load_state_dict(there.state_dict())
        assert optimizer.param_groups[0]["param_names"] == ["there.0", "there.1", "there.2", "there.3"]


def test_names_in_the_checkpoint_serve_where_the_optimizer_has_none() -> None:
    saved = copy.deepcopy(named().state_dict())
    _a_wrong_shape(saved)
    optimizer = thetac.AdamW(in_groups(parameters_of(FLOAT32)))
    with pytest.raises(ValueError, match=r"parameter 1 of group 1 \(head\)"):
        optimizer.load_state_dict(saved)


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


@every_optimizer
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


# Which dtype a state has.


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
