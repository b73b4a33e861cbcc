"""Every way to construct an optimizer, and every mistake in it: all optimizers, torch's classes beside them."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.optimizer import required

import thetac
from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import NAMES, both, error_of, every_class, moving, ours, torchs, without_params
from tests.support.runtime_helpers import give_gradients, train

Make = Callable[[torch.nn.Module], object]

FORMS: dict[str, Make] = {
    "a list of tensors": lambda model: list(model.parameters()),
    "a tuple of tensors": lambda model: tuple(model.parameters()),
    "a generator of tensors": lambda model: model.parameters(),
    "named parameters": lambda model: model.named_parameters(),
    "a list of named parameters": lambda model: list(model.named_parameters()),
    "groups": lambda model: [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.5}],
    "groups of generators": lambda model: [{"params": (p for p in [model.weight])}, {"params": iter([model.bias])}],
    "groups that are a single tensor": lambda model: [{"params": model.weight, "lr": 0.25}, {"params": model.bias}],
    "groups of named parameters": lambda model: [
        {"params": [("w", model.weight)], "lr": 0.5},
        {"params": [("b", model.bias)]},
    ],
    "a generator of groups": lambda model: ({"params": [p], "mine": 3} for p in model.parameters()),
    "an empty group": lambda model: [{"params": []}, {"params": model.parameters()}],
    "tensors that do not require grad": lambda model: [p.detach() for p in model.parameters()],
}


def _model(seed: int = 0) -> torch.nn.Linear:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return torch.nn.Linear(3, 2)


def control_of(name: str, mine: torch.optim.Optimizer) -> Callable[..., torch.optim.Optimizer]:
    """Torch's class, or its base class with the same defaults; some values start as others of their group."""
    if (cls := torchs(name)) is not None:
        return cls

    def base(params: Any) -> torch.optim.Optimizer:
        control = torch.optim.Optimizer(params, defaults=dict(mine.defaults))
        for group in control.param_groups:
            start(name, group)
        return control

    return base


def start(name: str, group: dict[str, Any]) -> None:
    group.update({one.name: group[one.starts_as] for one in ours(name).schema.hyperparameters if one.starts_as})


@pytest.mark.feature("construction", "tensors, dicts, `named_parameters()`, generators; overrides per group")
@pytest.mark.parametrize("form", FORMS)
@every_class
def test_forms(name: str, form: str) -> None:
    """Groups hold what torch's class puts into them, or, where there is none, its base class with the same defaults."""
    params = FORMS[form](_model())
    mine = ours(name)(params)
    theirs = control_of(name, mine)(FORMS[form](_model()))
    for group, wanted in zip(mine.param_groups, theirs.param_groups, strict=True):
        assert without_params(group) == without_params(wanted)
        torch.testing.assert_close(group["params"], wanted["params"], rtol=0, atol=0)


@pytest.mark.feature("construction", "tensors, dicts, `named_parameters()`, generators; overrides per group")
@pytest.mark.parametrize("form", FORMS)
@every_class
def test_what_is_constructed_trains(name: str, form: str) -> None:
    """Every form gives the parameters of the plain one, and with an override the values of torch's class."""
    makes = [partial(cls, foreach=False, **moving(name)) for cls in both(name)]
    optimizers = [make(FORMS[form](_model())) for make in makes]
    for optimizer in optimizers:
        train(optimizer, 3)
    if len(optimizers) == 2:
        assert_same_training(*optimizers)
    moved = [p for group in optimizers[0].param_groups for p in group["params"]]
    starts = list(_model().parameters())
    assert len(moved) == len(starts)
    assert not any(torch.equal(now, start) for now, start in zip(moved, starts, strict=True))


@pytest.mark.feature("construction", "`defaults`, `state`, `param_groups` and `repr` are torch's")
@every_class
def test_attributes(name: str) -> None:
    groups = [{"params": [_model().weight]}, {"params": [_model().bias], "lr": 0.5, "weight_decay": 0.25}]
    mine = ours(name)([dict(group) for group in groups])
    theirs = control_of(name, mine)([dict(group) for group in groups])
    assert mine.defaults == theirs.defaults
    assert type(mine.state) is type(theirs.state)
    if torchs(name) is None and ours(name).schema.state_at_construction:
        assert len(mine.state) == 2
    else:
        assert list(mine.state) == list(theirs.state)
    assert repr(mine) == repr(theirs).replace("Optimizer (", f"{name} (")


# Mistakes. Those in the parameters are found by torch's base class, which is the control of every optimizer.

WRONG_PARAMS: dict[str, Callable[[], object]] = {
    "a bare tensor": lambda: Parameter(torch.ones(2)),
    "an empty list": list,
    "an exhausted generator": lambda: iter(()),
    "a number": lambda: 3,
    "None": lambda: None,
    "a list of numbers": lambda: [1.0],
    "a set in a group": lambda: [{"params": {Parameter(torch.ones(2))}}],
    "a duplicate within a group": lambda: [Parameter(torch.ones(2))] * 2,
    "a duplicate across groups": lambda: [{"params": [p]} for p in [Parameter(torch.ones(2))] * 2],
    "a tensor that is no leaf": lambda: [Parameter(torch.ones(2)) * 2],
    "a group without params": lambda: [{"lr": 0.1}],
    "a group that is no dict": lambda: [{"params": [Parameter(torch.ones(2))]}, [Parameter(torch.ones(2))]],
    "numbers in a group": lambda: [{"params": [1.0, 2.0]}],
    "some parameters without names": lambda: [("a", Parameter(torch.ones(2))), Parameter(torch.ones(2))],
    "some groups without names": lambda: [
        {"params": [Parameter(torch.ones(2))]},
        {"params": [("a", Parameter(torch.ones(2)))]},
    ],
}


@pytest.mark.feature("construction", "torch's errors for wrong parameters, in its words")
@pytest.mark.parametrize("mistake", WRONG_PARAMS)
@every_class
def test_wrong_params(name: str, mistake: str) -> None:
    make = WRONG_PARAMS[mistake]
    wanted = error_of(lambda: torch.optim.Optimizer(make(), {}))  # type: ignore[arg-type]
    for cls in both(name):
        assert error_of(lambda cls=cls: cls(make())) == wanted


@pytest.mark.feature("construction", "torch's errors for wrong parameters, in its words")
@every_class
def test_a_tensor_that_is_no_leaf_may_be_stepped_differentiably(name: str) -> None:
    for cls in both(name):
        if "differentiable" in inspect.signature(cls).parameters:  # torch's Adafactor has no such option
            cls([Parameter(torch.ones(2)) * 2], differentiable=True)


@pytest.mark.feature("construction", "a required value that is missing is torch's error")
@every_class
def test_a_missing_required_value(name: str) -> None:
    for cls in both(name):
        optimizer = cls([Parameter(torch.ones(2))])
        optimizer.defaults["lr"] = required
        with pytest.raises(
            ValueError, match=r"^parameter group didn't specify a value of required optimization parameter lr$"
        ):
            optimizer.add_param_group({"params": [Parameter(torch.ones(3))]})
        assert len(optimizer.param_groups) == 1
        optimizer.add_param_group({"params": [Parameter(torch.ones(3))], "lr": 0.5})
        assert optimizer.param_groups[1]["lr"] == 0.5


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("weight_decy", "weight_decay"), ("wieght_decay", "weight_decay"), ("beta", "betas"), ("Lr", "lr"), ("lrs", "lr")],
)
def test_a_misspelt_keyword_is_told_which_was_meant(wrong: str, meant: str) -> None:
    """As Python does it by itself from 3.13 on."""

    class Named(ours("AdamW")):  # type: ignore[misc]
        """Without a constructor of its own."""

    for cls in (ours("AdamW"), Named):
        with pytest.raises(TypeError) as raised:
            cls([Parameter(torch.ones(2))], **{wrong: 0.1})
        text = f"AdamW.__init__() got an unexpected keyword argument '{wrong}'"
        assert str(raised.value) == f"{text}. Did you mean '{meant}'?"
        if sys.version_info < (3, 13):
            with pytest.raises(TypeError) as raised:
                torch.optim.AdamW([Parameter(torch.ones(2))], **{wrong: 0.1})
            assert str(raised.value) == text


@every_class
def test_a_keyword_like_no_other_is_pythons_error(name: str) -> None:
    for cls in both(name):
        for keyword in ("learning_rate", "no_such_thing"):
            with pytest.raises(TypeError) as raised:
                cls([Parameter(torch.ones(2))], **{keyword: 0.1})
            assert str(raised.value) == f"{name}.__init__() got an unexpected keyword argument '{keyword}'"


@every_class
def test_the_signature_is_that_of_the_constructor(name: str) -> None:
    """However one asks for it. A subclass has its own, and decides which keywords there are."""
    cls = ours(name)
    arguments = inspect.signature(cls.__init__).parameters
    assert [*inspect.signature(cls).parameters.values()] == [*arguments.values()][1:]
    assert inspect.getfullargspec(cls).args + inspect.getfullargspec(cls).kwonlyargs == [*arguments]
    assert inspect.getfullargspec(cls).varkw is None

    class Mine(cls):  # type: ignore[misc, valid-type]
        def __init__(self, params: object, *, rate: float, **rest: object) -> None:
            super().__init__(params, lr=rate, **rest)

    assert str(inspect.signature(Mine)) == "(params: 'object', *, rate: 'float', **rest: 'object') -> 'None'"
    optimizer = Mine([Parameter(torch.ones(2))], rate=0.25, maximize=True)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["maximize"]) == (0.25, True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'maximise'"):
        Mine([Parameter(torch.ones(2))], rate=0.25, maximise=True)


def _hyperparameters_with_a_range() -> list[tuple[str, str]]:
    return [
        (name, hyperparameter.name)
        for name in NAMES
        for hyperparameter in ours(name).schema.hyperparameters
        if any(interval is not None for interval in hyperparameter.intervals)
    ]


@pytest.mark.feature("construction", "values outside of their range are errors, torch's where it checks them")
@pytest.mark.parametrize(("name", "key"), _hyperparameters_with_a_range())
def test_values_out_of_range(name: str, key: str) -> None:
    """One element below and above its interval; where torch's class rejects it too, the texts are equal."""
    (hyperparameter,) = (h for h in ours(name).schema.hyperparameters if h.name == key)
    plain = ours(name)([Parameter(torch.ones(2))]).defaults[key]
    tried = 0
    for index, interval in enumerate(hyperparameter.intervals):
        assert interval is not None
        for outside in (interval.low - 0.5, interval.high + 0.5):
            if hyperparameter.integer and math.isfinite(outside):
                outside = math.floor(outside) if outside < interval.low else math.ceil(outside)
            if outside in interval or (hyperparameter.integer and not math.isfinite(outside)):
                continue
            value = (
                tuple(outside if i == index else x for i, x in enumerate(plain))
                if isinstance(plain, tuple)
                else outside
            )
            call = partial(ours(name), [Parameter(torch.ones(2))], **{key: value})
            kind, text = error_of(call)
            assert kind is ValueError
            tried += 1
            if (control := torchs(name)) is not None:
                theirs = error_of(partial(control, [Parameter(torch.ones(2))], **{key: value}))
                assert theirs == (kind, text)
            before = ours(name)([Parameter(torch.ones(2))])
            assert (
                error_of(partial(before.add_param_group, {"params": [Parameter(torch.ones(2))], key: value}))[1] == text
            )
            assert len(before.param_groups) == 1
    assert tried


# Groups that are added later, and gradients that are reset.

ADDED: dict[str, Callable[[], object]] = {
    "a tensor": lambda: {"params": Parameter(torch.ones(2))},
    "a list": lambda: {"params": [Parameter(torch.ones(2)), Parameter(torch.ones(3))]},
    "a generator": lambda: {"params": _model().parameters()},
    "overrides": lambda: {"params": [Parameter(torch.ones(2))], "lr": 0.5, "mine": "kept"},
    "a set": lambda: {"params": {Parameter(torch.ones(2))}},
    "no dict": lambda: [Parameter(torch.ones(2))],
    "a number": lambda: {"params": [1.0]},
    "names where there were none": lambda: {"params": [("a", Parameter(torch.ones(2)))]},
    "no params": lambda: {"lr": 0.1},
}


@pytest.mark.feature("construction", "`add_param_group`, its errors included")
@pytest.mark.parametrize("what", ADDED)
@every_class
def test_add_param_group(name: str, what: str) -> None:
    optimizer = ours(name)([Parameter(torch.ones(4))], foreach=False)
    control = control_of(name, optimizer)([Parameter(torch.ones(4))], **({"foreach": False} if torchs(name) else {}))
    outcomes = []
    for one in (optimizer, control):
        try:
            one.add_param_group(ADDED[what]())  # type: ignore[arg-type]
            outcomes.append([without_params(group) for group in one.param_groups])
        except (TypeError, ValueError, KeyError) as error:
            outcomes.append([{"error": (type(error), str(error))}])
            assert len(one.param_groups) == 1
    if "error" not in outcomes[1][-1] and not torchs(name):
        start(name, outcomes[1][-1])
    assert outcomes[0] == outcomes[1]


@pytest.mark.feature("construction", "`add_param_group`, its errors included")
@every_class
def test_a_group_that_is_added_in_the_middle_trains(name: str) -> None:
    runs = []
    for cls in both(name):
        first, second = Parameter(torch.linspace(-1, 1, 6)), Parameter(torch.linspace(1, 2, 4))
        optimizer = cls([first], foreach=False, **moving(name))
        train(optimizer, 2)
        optimizer.add_param_group({"params": [second], "lr": 0.125})
        again = error_of(partial(optimizer.add_param_group, {"params": [first]}))
        assert again == (ValueError, "some parameters appear in more than one parameter group")
        train(optimizer, 3, seed=2)
        assert not torch.equal(second.detach(), torch.linspace(1, 2, 4))
        runs.append(optimizer)
    if len(runs) == 2:
        assert_same_training(*runs)


@pytest.mark.feature("construction", "`zero_grad`, both ways")
@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}, {}], ids=str)
@every_class
def test_zero_grad(name: str, options: dict[str, bool]) -> None:
    for cls in both(name):
        params = [Parameter(torch.ones(2)), Parameter(torch.ones(2, dtype=torch.bfloat16)), Parameter(torch.ones(1))]
        optimizer = cls(params, **options)
        give_gradients(params[:2], 0)
        held: list[Tensor] = [param.grad for param in params[:2] if param.grad is not None]
        optimizer.zero_grad(set_to_none=False)
        assert [param.grad is grad for param, grad in zip(params, held, strict=False)] == [True, True]
        assert all(not grad.any() for grad in held)
        assert params[2].grad is None
        give_gradients(params[:1], 0)
        held = [(params[0] * 3).sum() * torch.ones(2)]
        params[0].grad = held[0]  # a gradient that remembers where it came from is detached
        optimizer.zero_grad(set_to_none=False)
        assert held[0].grad_fn is None
        assert held[0].tolist() == [0, 0]
        optimizer.zero_grad()
        assert all(param.grad is None for param in params)


KEEPS_LR = """
optimizer: KeepsLr
summary: Gradient descent by lr over the lr of the constructor.
hyperparameters:
  lr:    {default: 0.1, range: "[0, inf)", tensor: true}
  start: {default: lr, fixed: true}
update: |
  param = param - lr / start * grad
"""


@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}, {"fused": True}], ids=str)
@pytest.mark.parametrize("make", [float, torch.tensor], ids=["float", "tensor"])
def test_a_number_that_starts_as_an_argument_is_what_the_constructor_was_given(
    make: Callable[[float], float | Tensor], options: dict[str, bool]
) -> None:
    first, second = Parameter(torch.ones(2)), Parameter(torch.ones(2))
    optimizer = thetac.load(KEEPS_LR)([first], lr=make(0.5), **options)
    optimizer.add_param_group({"params": [second], "lr": 0.25})
    torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda step: 0.5, lambda step: 2.0])
    for parameter in (first, second):
        parameter.grad = torch.ones(2)
    optimizer.step()
    assert [group["start"] for group in optimizer.param_groups] == [0.5, 0.25]
    assert not any(isinstance(group["start"], Tensor) for group in optimizer.param_groups)
    assert (first.tolist(), second.tolist()) == ([0.5, 0.5], [-1.0, -1.0])


def test_a_run_goes_on_with_a_number_that_starts_as_an_argument() -> None:
    cls = thetac.load(KEEPS_LR)
    saved = cls([Parameter(torch.ones(2))], lr=0.5).state_dict()
    optimizer = cls([Parameter(torch.ones(2))], lr=0.25)
    optimizer.load_state_dict(saved)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["start"]) == (0.5, 0.5)


def test_a_wrong_lr_is_refused_where_a_number_starts_as_it() -> None:
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        thetac.load(KEEPS_LR)([Parameter(torch.ones(2))], lr=torch.ones(2))
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        thetac.load(KEEPS_LR)([Parameter(torch.ones(2))], lr=-1)
