"""Mistakes in rules written by hand and in their use are errors, where possible before anything is written."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.generic_rules import HeavyBall, Plain
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, train
from thetac.runtime import GenericOptimizer

pytestmark = pytest.mark.feature(
    "rules written by hand", "mistakes are errors, where possible before anything is written"
)


def test_a_rule_without_its_method() -> None:
    class Nothing(GenericOptimizer):
        pass

    with pytest.raises(TypeError, match=r"abstract class (GenericOptimizer|Nothing) .*step_param"):
        Nothing(parameters(), {"lr": 0.1})
    with pytest.raises(TypeError, match=r"abstract class GenericOptimizer .*step_param"):
        GenericOptimizer(parameters(), {"lr": 0.1})


def test_a_method_that_takes_other_arguments_is_found_when_the_class_is_defined() -> None:
    with pytest.raises(
        TypeError,
        match=r"^Short.step_param must take \(self, state, group, grad, param\): too many positional arguments$",
    ):

        class Short(GenericOptimizer):
            def step_param(self, state: object, param: object) -> None: ...  # type: ignore[override]

    with pytest.raises(
        TypeError, match=r"^Long.init_state must take \(self, state, group, param\): missing a required"
    ):

        class Long(Plain):
            def init_state(self, state: object, group: object, grad: object, param: object) -> None: ...  # type: ignore[override]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"weight_decay": -0.1}, ValueError, r"^Invalid weight_decay value: -0.1$"),
        ({"weight_decay": float("nan")}, ValueError, r"^Invalid weight_decay value: nan$"),
        ({"weight_decay_style": "L2"}, ValueError, r"^weight_decay_style must be one of l2, decoupled, absolute$"),
        ({"defaults": {"weight_decay": 0.1}}, TypeError, "^weight_decay is an argument of GenericOptimizer; leave it"),
        (
            {"defaults": {}, "weight_decay_style": "decoupled"},
            ValueError,
            r"^weight_decay_style 'decoupled' decays by lr \* weight_decay, but there is no lr among the defaults$",
        ),
        ({"params": []}, ValueError, r"^optimizer got an empty parameter list$"),
        ({"params": torch.ones(2)}, TypeError, "^params argument given to the optimizer should be an iterable of"),
        ({"params": [torch.ones(2, requires_grad=True) * 2]}, ValueError, r"^can't optimize a non-leaf Tensor$"),
    ],
    ids=str,
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Plain(**{"params": parameters(), "defaults": {"lr": 0.1}, **arguments})


def test_wrong_values_in_groups_are_found_before_anything_is_written() -> None:
    params = parameters()
    optimizer = Plain([{"params": params[:2]}, {"params": params[2:]}], {"lr": 0.1})
    give_gradients(params, 0)
    before = picture(optimizer)
    with pytest.raises(ValueError, match=r"^Invalid weight_decay value: -1$"):
        optimizer.add_param_group({"params": parameters([(2,)]), "weight_decay": -1})
    optimizer.param_groups[1]["weight_decay_style"] = "none"
    with pytest.raises(ValueError, match=r"^weight_decay_style must be one of l2, decoupled, absolute$"):
        optimizer.step()
    optimizer.param_groups[1]["weight_decay_style"] = "l2"
    assert_unchanged(before, optimizer)


def test_a_wrong_gradient_is_found_before_anything_is_written() -> None:
    params = parameters()
    optimizer = HeavyBall(params)
    give_gradients(params, 0)
    params[-1].data = torch.ones(2)
    before = picture(optimizer)
    with pytest.raises(RuntimeError, match=r"^the gradient of parameter 3 of group 0 has the shape \(2, 3, 4\), not"):
        optimizer.step()
    assert_unchanged(before, optimizer)


def test_an_error_while_state_is_made_changes_nothing_and_says_where() -> None:
    class Picky(HeavyBall):
        def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
            state["velocity"] = torch.zeros(5, 3) + param  # of one shape only

    names = ("first", "second", "third", "fourth")
    optimizer = Picky(list(zip(names, parameters(), strict=True)), weight_decay=0.1)
    give_gradients(optimizer.param_groups[0]["params"], 0)
    before = picture(optimizer)
    with pytest.raises(RuntimeError, match="must match the size") as caught:
        optimizer.step()
    assert caught.value.__notes__ == [
        "in Picky.init_state for parameter 1 of group 0 (second), of shape (7,) and torch.float32"
    ]
    assert_unchanged(before, optimizer)


def test_an_error_of_a_rule_keeps_its_type_and_says_where() -> None:
    optimizer = HeavyBall([{"params": parameters([(2,)])}, {"params": parameters([(2,), (4,)])}])
    train(optimizer, 1)
    optimizer.state[optimizer.param_groups[1]["params"][1]]["velocity"] = torch.zeros(3)
    with pytest.raises(RuntimeError, match="must match the size") as caught:
        train(optimizer, 1)
    assert caught.value.__notes__ == [
        "in HeavyBall.step_param for parameter 1 of group 1, of shape (4,) and torch.float32"
    ]


def test_a_rule_must_not_return_what_it_should_have_written() -> None:
    class Pure(GenericOptimizer):
        def step_param(self, state: object, group: dict[str, Any], grad: Tensor, param: Tensor) -> Tensor:  # type: ignore[override]
            return param - grad

    optimizer = Pure(parameters(), {"lr": 0.1})
    give_gradients(optimizer.param_groups[0]["params"], 0)
    with pytest.raises(
        TypeError, match=r"^step_param must change .* in place and return None, but it returned Tensor\nin Pure"
    ):
        optimizer.step()
