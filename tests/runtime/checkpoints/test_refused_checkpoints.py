"""A checkpoint that does not fit is refused in words that help, before anything changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

import thetac
from tests.support.checkpoint_helpers import FLOAT32, in_groups, parameters_of, rich, shape_of, train, trained
from tests.support.comparing import assert_same_bits
from tests.support.every_optimizer import both, every_class, ours
from tests.support.runtime_helpers import assert_unchanged, picture

StateDict = dict[str, Any]
NAMED = ("embed", "bias", "scale", "head")


def named(**options: object) -> thetac.AdamW:
    """Two groups of two parameters with names."""
    pairs = list(zip(NAMED, parameters_of(FLOAT32), strict=True))
    optimizer = thetac.AdamW([{"params": pairs[:2]}, {"params": pairs[2:]}], **options)  # type: ignore[arg-type]
    train(optimizer, range(3))
    return optimizer


def _no_groups(saved: StateDict) -> None:
    del saved["param_groups"]


def _a_models(saved: StateDict) -> None:
    saved.clear()
    saved.update({"weight": torch.ones(2), "bias": torch.ones(2)})


def _no_params(saved: StateDict) -> None:
    saved["param_groups"][1] = {"lr": 0.5}


def _a_list_for_state(saved: StateDict) -> None:
    saved["state"] = [*saved["state"].values()]


def _a_dict_for_groups(saved: StateDict) -> None:
    saved["param_groups"] = dict(enumerate(saved["param_groups"]))


def _a_list_for_a_group(saved: StateDict) -> None:
    saved["param_groups"][1] = [2, 3]


def _a_number_for_params(saved: StateDict) -> None:
    saved["param_groups"][1]["params"] = 2


def _a_list_for_an_id(saved: StateDict) -> None:
    saved["param_groups"][1]["params"] = [2, [3]]


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


def _a_count_that_is_too_large(saved: StateDict) -> None:
    saved["state"][2]["step"] = 10**400


def _an_lr_that_is_too_large(saved: StateDict) -> None:
    saved["param_groups"][1]["lr"] = 10**400


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
        "\"'param_groups' is not in the loaded state dict, which has `state`: this is not an optimizer state dict\"",
    ),
    (
        _a_models,
        KeyError,
        "\"'param_groups' is not in the loaded state dict, which has `weight`, `bias`: "
        'this is not an optimizer state dict"',
    ),
    (
        _no_params,
        KeyError,
        "\"group 1 of the loaded state dict has no 'params', only `lr`\"",
    ),
    (
        _a_list_for_state,
        TypeError,
        "'state' of the loaded state dict must be a dict, not list",
    ),
    (
        _a_dict_for_groups,
        TypeError,
        "'param_groups' of the loaded state dict must be a list, not dict",
    ),
    (
        _a_list_for_a_group,
        TypeError,
        "group 1 of the loaded state dict must be a dict, not list",
    ),
    (
        _a_number_for_params,
        TypeError,
        "'params' of group 1 of the loaded state dict must be a list, not int",
    ),
    (
        _a_list_for_an_id,
        TypeError,
        "'params' of group 1 of the loaded state dict must hold ids, such as numbers, not list",
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
        _a_count_that_is_too_large,
        ValueError,
        "loaded `step` of parameter 0 of group 1 (scale) is a number that no float can hold",
    ),
    (
        _an_lr_that_is_too_large,
        ValueError,
        "group 1 of the loaded state dict: lr is a number that no float can hold",
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


@pytest.mark.parametrize(
    ("name", "key", "value", "kind", "text"),
    [
        ("AdamMini", "blocks", "heads", ValueError, "Invalid blocks value: heads; it must be "),
        ("AdamMini", "blocks", 1, ValueError, "Invalid blocks value: 1; it must be "),
        (
            "ApolloMa",
            "weight_decay_type",
            "none",
            ValueError,
            "Invalid weight_decay_type value: none; it must be None, ",
        ),
        ("LAMB", "bias_correction", "no", TypeError, "bias_correction must be True or False, not 'no'"),
    ],
)
def test_a_value_that_a_constructor_refuses_by_its_text_is_refused(
    name: str, key: str, value: object, kind: type[Exception], text: str
) -> None:
    optimizer, saved = trained(name), copy.deepcopy(trained(name).state_dict())
    saved["param_groups"][-1][key] = value
    before = picture(optimizer)
    number = len(saved["param_groups"]) - 1
    with pytest.raises(kind, match=f"^group {number} of the loaded state dict: {text}"):
        optimizer.load_state_dict(saved)
    assert_unchanged(before, optimizer)


@pytest.mark.difference(
    "torch compares only the sizes of groups when it loads a checkpoint; other mismatches cause an error in a later "
    "step, or none. Here the whole checkpoint is validated before anything changes."
)
def test_torchs_loader_takes_what_does_not_fit() -> None:
    for spoil in (_an_entry_missing, _an_entry_unknown, _an_unknown_parameter, _a_wrong_shape, _a_number_for_a_tensor):
        saved = copy.deepcopy(named().state_dict())
        spoil(saved)
        torch.optim.AdamW(in_groups(parameters_of(FLOAT32))).load_state_dict(copy.deepcopy(saved))
        with pytest.raises((ValueError, TypeError), match="loaded"):
            named().load_state_dict(saved)


@every_class
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
@every_class
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
        value_differs = "group 0 .*: (betas must have . elements, not .|eps must be a tuple of 2 numbers, not float)$"
        with pytest.raises((ValueError, TypeError), match=f"{state_differs}|{value_differs}"):
            target.load_state_dict(saved)
        assert_unchanged(before, target)


def test_names_in_the_checkpoint_serve_where_the_optimizer_has_none() -> None:
    saved = copy.deepcopy(named().state_dict())
    _a_wrong_shape(saved)
    optimizer = thetac.AdamW(in_groups(parameters_of(FLOAT32)))
    with pytest.raises(ValueError, match=r"parameter 1 of group 1 \(head\)"):
        optimizer.load_state_dict(saved)
