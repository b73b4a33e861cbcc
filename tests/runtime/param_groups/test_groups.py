"""What a constructor and a parameter group accept, and what they say to what they do not."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import thetac as ours
from tests.support.every_optimizer import NAMES, class_of, every_class, torchs
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture

NAN = float("nan")

# What torch's constructors reject, of every kind of check; ours must answer with the same type and text.
REJECTED: list[tuple[str, dict[str, object]]] = [
    ("SGD", {"lr": -0.5}),
    ("SGD", {"momentum": -0.5}),
    ("SGD", {"weight_decay": -0.5}),
    ("SGD", {"lr": torch.tensor([0.1, 0.2])}),
    ("SGD", {"lr": torch.tensor(-1.0)}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("SGD", {"fused": True, "differentiable": True}),
    ("SGD", {"fused": True, "foreach": True}),
    ("Adam", {"lr": -1.0}),
    ("Adam", {"lr": NAN}),
    ("Adam", {"eps": -1e-8}),
    ("Adam", {"betas": (1.0, 0.0)}),
    ("Adam", {"betas": (0.0, 1.0)}),
    ("Adam", {"betas": (0.0, NAN)}),
    ("Adam", {"weight_decay": -1}),
    ("Adam", {"lr": torch.tensor(0.001), "foreach": True}),
    ("Adam", {"betas": (0.9, torch.tensor(0.99))}),
    ("Adam", {"betas": (torch.tensor(0.9), 0.99)}),
    ("Adam", {"betas": (torch.tensor(0.9), torch.tensor(0.99)), "foreach": True}),
    ("Adam", {"fused": True, "differentiable": True}),
    ("AdamW", {"weight_decay": -1}),
    ("Adamax", {"betas": (0.0, 1.0)}),
    ("NAdam", {"momentum_decay": -0.2}),
    ("RAdam", {"weight_decay": -1}),
    ("Adagrad", {"lr_decay": -0.5}),
    ("Adagrad", {"initial_accumulator_value": -1.0}),
    ("Adadelta", {"rho": 1.1}),
    ("RMSprop", {"momentum": -1.0}),
    ("RMSprop", {"alpha": -1.0}),
    ("Rprop", {"etas": (1.0, 0.5)}),
    ("ASGD", {"weight_decay": -0.5}),
    ("Adam", {"lr": "fast"}),
]


def _error(make: Callable[[], object]) -> tuple[type[BaseException], str]:
    with pytest.raises(Exception) as raised:  # noqa: PT011  (the text is compared with torch's below)
        make()
    return type(raised.value), str(raised.value)


@pytest.mark.parametrize(("name", "arguments"), REJECTED, ids=str)
def test_constructor_rejects_what_torch_rejects_in_its_words(name: str, arguments: dict[str, object]) -> None:
    theirs = _error(lambda: torchs(name)(parameters(), **arguments))
    mine = _error(lambda: getattr(ours, name)(parameters(), **arguments))
    assert mine == theirs


@pytest.mark.parametrize(
    "params", [torch.ones(3), [], [1], [{"params": {torch.ones(1)}}]], ids=["tensor", "empty", "numbers", "set"]
)
def test_parameters_are_checked_by_torch(params: object) -> None:
    assert _error(lambda: ours.SGD(params)) == _error(lambda: torch.optim.SGD(params))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["lr", "momentum", "dampening", "weight_decay"])
def test_nan_is_no_value_of_anything(key: str) -> None:
    with pytest.raises(ValueError, match="nan"):
        ours.SGD(parameters(), **{key: NAN})


def test_tuples_have_a_length_and_numbers() -> None:
    with pytest.raises(ValueError, match=r"^Tensor betas\[1\] must be 1-element$"):
        ours.Adam(parameters(), betas=(torch.tensor(0.9), torch.tensor([0.99, 0.9])))
    with pytest.raises(ValueError, match=r"^betas must have 2 elements, not 1$"):
        ours.AdamW(parameters(), betas=(0.9,))
    with pytest.raises(TypeError, match=r"^betas must be a tuple of 2 numbers, not float$"):
        ours.AdamW(parameters(), betas=0.9)


@pytest.mark.parametrize(
    "override",
    [
        {"lr": -1.0},
        {"betas": (0.9, 1.5)},
        {"eps": NAN},
        {"fused": True, "foreach": True},
        {"lr": torch.tensor([1.0, 2.0])},
    ],
    ids=str,
)
def test_overrides_of_a_group_are_checked_before_anything_changes(override: dict[str, object]) -> None:
    optimizer = ours.AdamW(parameters())
    more = parameters(seed=1)
    with pytest.raises((ValueError, RuntimeError)):
        optimizer.add_param_group({"params": more, **override})
    assert len(optimizer.param_groups) == 1
    with pytest.raises((ValueError, RuntimeError)):
        ours.AdamW([{"params": parameters()}, {"params": more, **override}])


WITH_CHOICES = [name for name in NAMES if class_of(name).schema.choices]
BLOCKS = 'Invalid blocks value: {}; it must be "tensor", "row", "head" or "element"'
DECAYS = 'Invalid weight_decay_type value: {}; it must be None, "L2", "decoupled" or "stable"'


@pytest.mark.parametrize(
    ("name", "choice", "value", "text"),
    [
        ("AdamMini", "blocks", "heads", BLOCKS.format("heads")),
        ("AdamMini", "blocks", None, BLOCKS.format("None")),
        ("AdamMini", "blocks", 1, BLOCKS.format("1")),
        ("ApolloMa", "weight_decay_type", "none", DECAYS.format("none")),
    ],
)
def test_a_text_that_is_no_choice_is_refused_with_the_choices(name: str, choice: str, value: object, text: str) -> None:
    """In a constructor, a group and an added group, before anything is changed."""
    cls, wrong = class_of(name), {choice: value}
    optimizer = cls(parameters())
    assert _error(lambda: cls(parameters(), **wrong)) == (ValueError, text)  # type: ignore[call-arg]
    assert _error(lambda: cls([{"params": parameters(), **wrong}])) == (ValueError, text)
    assert _error(lambda: optimizer.add_param_group({"params": parameters(), **wrong})) == (ValueError, text)
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"foreach": False}], ids=str)
@pytest.mark.parametrize("name", WITH_CHOICES)
def test_a_step_refuses_a_text_that_is_no_choice(name: str, options: dict[str, bool]) -> None:
    """Whatever wrote it into the group: in the first step, and in a later one that has a plan."""
    params = [torch.nn.Parameter(torch.ones(4, 6))]
    choice = class_of(name).schema.choices[-1]
    optimizer = class_of(name)(params, **options)  # type: ignore[call-arg]
    right = optimizer.param_groups[0][choice.name]
    give_gradients(params, 0)
    for _ in range(2):
        before = picture(optimizer)
        optimizer.param_groups[0][choice.name] = "heads"
        with pytest.raises(ValueError, match=f"^{re.escape(choice.error.format('heads'))}$"):
            optimizer.step()
        optimizer.param_groups[0][choice.name] = right
        assert_unchanged(before, optimizer)
        optimizer.step()


def test_flags_are_no_texts() -> None:
    """A text would be true, whatever it says; torch's own classes take it so."""
    wrong = (TypeError, "bias_correction must be True or False, not 'no'")
    assert _error(lambda: ours.LAMB(parameters(), bias_correction="no")) == wrong  # type: ignore[arg-type]
    assert _error(lambda: ours.LAMB([{"params": parameters(), "bias_correction": "no"}])) == wrong
    ours.AdamW(parameters(), amsgrad="no")  # type: ignore[arg-type]
    torch.optim.AdamW(parameters(), amsgrad="no")  # type: ignore[arg-type]


def test_requirements_hold_in_every_group() -> None:
    with pytest.raises(ValueError, match="Nesterov momentum requires a momentum and zero dampening"):
        ours.SGD([{"params": parameters(), "nesterov": True}])
    ours.SGD([{"params": parameters(), "nesterov": True, "momentum": 0.9}])


MISSPELT = {
    "weight_decay": ("weight_decy", "wieght_decay", "weightdecay", "weight-decay", "Weight_Decay", "wieght_dcay"),
    "maximize": ("maximise", "maxmize"),
    "foreach": ("forech", "foraech", "for_each"),
    "capturable": ("captureable", "capturabel"),
    "betas": ("betsa", "bettas", "Betas", "beta1"),
    "amsgrad": ("amsgard", "asmgrad"),
    "lr": ("Lr", "LR"),
}


@pytest.mark.parametrize(("meant", "key"), [(meant, key) for meant, keys in MISSPELT.items() for key in keys])
def test_keys_that_are_misspelt_are_named(meant: str, key: str) -> None:
    with pytest.warns(UserWarning, match="does not read") as caught:
        ours.AdamW([{"params": parameters(), key: 0.1}])
    assert [str(warning.message) for warning in caught] == [
        f"AdamW does not read `{key}` of a parameter group; did you mean `{meant}`?"
    ]


def test_a_word_with_another_number_is_another_word() -> None:
    cls = ours.AdamNoBiasCorrection
    assert {"beta1", "beta2"} <= {*cls(parameters()).param_groups[0]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cls([{"params": parameters(), "beta3": 0.1}])
    with pytest.warns(UserWarning, match="did you mean `beta1`"):
        cls([{"params": parameters(), "bata1": 0.1}])


# Names that schedulers, layer-wise rates, low-rank projections and trainers put into groups.
OF_USERS = (
    *(
        "initial_lr",
        "swa_lr",
        "max_lr",
        "min_lr",
        "base_momentum",
        "max_momentum",
        "name",
        "names",
        "layer",
        "layer_id",
    ),
    *("lr_scale", "lr_mult", "lrs", "lrd", "base_lr", "lr_max", "lr_init", "lr_group", "layer_decay", "layerwise_lr"),
    *("no_weight_decay", "weight_decay_init", "weight_decays", "initial_weight_decay", "wd", "wd_mult", "decay_mult"),
    *("apply_decay", "weight_decay_scale", "momentums", "momentum_init", "beta", "betas_init", "gamma"),
    *("warmup", "warmup_steps", "schedule", "rank", "update_proj_gap", "proj_type", "scale", "scales", "alphas", "tag"),
    *("use_muon", "is_embedding", "frozen", "max_grad_norm", "clip", "clip_grad", "clip_value", "minimize", "eta_min"),
    *("steps", "t1", "tau", "eps1", "epsilon", "rhos", "fuse", "used", "weight_lr_power", "weight_sum", "train_mode"),
)


@every_class
def test_keys_of_torch_and_of_users_pass(name: str) -> None:
    """In every optimizer, unless it reads such a key itself, or `scaled`; keys that are no texts pass, too."""
    cls = class_of(name)
    read = set(cls(parameters()).param_groups[0])
    near = {"scales"} if "scaled" in read else set()
    added: dict[object, object] = dict.fromkeys((key for key in OF_USERS if key not in read | near), 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer = cls([{"params": parameters(), 3: 0.1, **added}])  # type: ignore[list-item]
    assert added.items() <= optimizer.param_groups[0].items()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RMSprop", "ASGD"])
def test_groups_have_torchs_keys_and_values(name: str) -> None:
    mine = getattr(ours, name)(parameters()).param_groups[0]
    theirs = torchs(name)(parameters()).param_groups[0]
    assert {k: v for k, v in mine.items() if k != "params"} == {k: v for k, v in theirs.items() if k != "params"}


def test_options_that_torch_lacks_appear_where_they_say_something() -> None:
    assert "fused" not in ours.NAdam(parameters()).param_groups[0]
    assert ours.NAdam(parameters(), fused=True).param_groups[0]["fused"] is True


def test_tensor_betas_become_0d_and_tensor_lr_stays() -> None:
    lr = torch.tensor([0.1])
    optimizer = ours.Adam(parameters(), lr=lr, betas=(torch.tensor([0.9]), torch.tensor([[0.99]])))
    group = optimizer.param_groups[0]
    assert group["lr"] is lr
    assert isinstance(group["betas"], tuple)
    assert all(isinstance(beta, Tensor) and beta.dim() == 0 for beta in group["betas"])


def test_names_of_parameters_are_kept() -> None:
    named = list(zip("abcd", parameters(), strict=True))
    assert ours.AdamW(named).param_groups[0]["param_names"] == ["a", "b", "c", "d"]
