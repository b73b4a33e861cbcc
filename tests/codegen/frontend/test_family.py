"""`extends`: what an heir inherits, changes and drops, and what `super()` stands for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.front_end import front_end
from thetac.codegen.ir.interpret import FLOATS, interpret
from thetac.codegen.ir.listing import listing
from thetac.codegen.ir.nodes import Assign, Flag, Hyperparameter, Rule, StateKind

PARENT = """\
optimizer: Parent
summary: Every section has an entry to inherit.
hyperparameters:
  lr:       {default: 0.1, range: "[0, 1]", symbol: "\\\\gamma", tensor: true, doc: "the rate"}
  betas:    {default: [0.9, 0.99], names: [beta1, beta2], range: "[0, 1)", doc: "two decays"}
  momentum: {default: 0.5}
  extra:    {default: false, doc: "a second buffer"}
signature: [lr, betas, momentum, extra, "*", maximize]
group_keys: [extra, maximize, momentum]
require:
  not extra or momentum > 0: extra needs momentum
  beta1 < beta2: the betas are in order
state:
  step:   counter
  average:   {init: zeros, symbol: m, doc: "running mean"}
  second: {init: zeros, symbol: s, when: extra}
update: |
  average = lerp(average, grad, 1 - beta1) + beta2 * momentum
  direction = average
  if extra:
    second = second + grad
    direction = direction + second
  param = param - lr * direction
"""


def heir(text: str, *others: str, parent: str = PARENT) -> Rule:
    """Return the rule of a spec that extends the parent, with its head left out."""
    texts = {f"{i}.yaml": other for i, other in enumerate((*others, parent))}
    head = "optimizer: Heir\nextends: Parent\nsummary: What differs.\n"
    return front_end({"heir.yaml": (head if "extends" not in text else "") + text, **texts})[0]


def hyperparameter(rule: Rule, name: str) -> Hyperparameter:
    return next(h for h in rule.hyperparameters if h.name == name)


def parent() -> Rule:
    return front_end({"parent.yaml": PARENT})[0]


def test_one_key_of_a_hyperparameter_changes_alone() -> None:
    rule = heir("hyperparameters:\n  lr: {default: 0.5}\n")
    assert hyperparameter(rule, "lr") == replace(hyperparameter(parent(), "lr"), default=0.5)
    assert [h.name for h in rule.hyperparameters] == ["lr", "betas", "momentum"], "in its place"


def test_one_key_of_a_tuple_and_of_a_flag_changes_alone() -> None:
    rule = heir('hyperparameters:\n  betas: {range: "[0, 1]"}\n  extra: {default: true}\n')
    assert hyperparameter(rule, "betas").default == (0.9, 0.99)
    assert [str(one) for one in hyperparameter(rule, "betas").ranges] == ["[0, 1]"] * 2
    assert rule.flags == (Flag("extra", True, doc="a second buffer"),)


def test_a_key_is_dropped() -> None:
    rule = heir("hyperparameters:\n  lr: {range: null, symbol: null}\n")
    lr = hyperparameter(rule, "lr")
    assert (lr.ranges, lr.symbols, lr.doc) == ((None,), ("",), "the rate")


def test_a_default_of_another_form_begins_the_entry_anew() -> None:
    rule = heir(
        "hyperparameters:\n  lr: {default: false}\nupdate: |\n  average = average * momentum * beta1 + beta2\n"
        "  if extra:\n    second = second + average\n    param = param - second\n"
        "  if lr:\n    param = param - average\n"
    )
    (flag,) = (flag for flag in rule.flags if flag.name == "lr")
    assert flag.doc == ""


def test_one_key_of_a_state_changes_alone() -> None:
    rule = heir('state:\n  average: {init: "lr * 0"}\n  second: {symbol: t}\n')
    average, second = rule.state("average"), rule.state("second")
    assert average is not None
    assert second is not None
    assert (average.symbol, average.doc, average.kind) == ("m", "running mean", StateKind.TENSOR)
    assert (second.symbol, second.when) == ("t", parent().states[2].when)


def test_a_state_of_another_kind_keeps_the_keys_that_still_mean_something() -> None:
    rule = heir(
        "state:\n  average: {scalar: true}\n  step: {device: parameter}\n  second: {counter: true}\nupdate: |\n"
        "  average = beta1 * average + beta2 * momentum\n  param = param - lr * average * grad\n"
        "  if extra:\n    param = param / second\n"
    )
    found = {state.name: (state.kind, state.symbol, state.on_param_device) for state in rule.states}
    assert found == {
        "step": (StateKind.COUNTER, "", True),
        "average": (StateKind.SCALAR, "m", False),
        "second": (StateKind.COUNTER, "s", False),
    }


def test_a_dropped_flag_is_false_wherever_it_was_read() -> None:
    rule = heir("hyperparameters:\n  extra: null\n")
    assert not rule.flags
    assert [state.name for state in rule.states] == ["step", "average"]
    assert rule.positional == ("lr", "betas", "momentum")
    assert rule.group_keys[:2] == ("maximize", "momentum")
    assert [one.message for one in rule.requirements] == ["the betas are in order"]
    without = [s for s in parent().body if isinstance(s, Assign)]
    assert rule.body == tuple(without)


def test_a_requirement_of_what_is_dropped_is_dropped_too() -> None:
    rule = heir(
        "hyperparameters:\n  betas: null\nupdate: |\n  average = average + grad\n"
        "  param = param - lr * momentum * average\n"
        "  if extra:\n    second = second + grad\n    param = param - second\n"
    )
    assert [one.message for one in rule.requirements] == ["extra needs momentum"]
    assert rule.positional == ("lr", "momentum", "extra")


def test_requirements_are_dropped_and_reworded() -> None:
    rule = heir("require:\n  beta1 < beta2: null\n  not extra or momentum > 0: no momentum\n")
    assert [one.message for one in rule.requirements] == ["no momentum"]


def test_what_a_spec_drops_its_heirs_do_not_have() -> None:
    middle = "optimizer: Middle\nextends: Parent\nsummary: One.\nhyperparameters:\n  extra: null\n"
    rule = heir("optimizer: Heir\nextends: Middle\nsummary: Two.\nhyperparameters: {lr: {default: 0.3}}\n", middle)
    assert rule.family == ("Middle", "Parent")
    assert not rule.flags
    assert hyperparameter(rule, "lr").doc == "the rate"


def test_what_is_dropped_can_be_declared_anew() -> None:
    middle = "optimizer: Middle\nextends: Parent\nsummary: One.\nhyperparameters:\n  extra: null\n"
    rule = heir(
        "optimizer: Heir\nextends: Middle\nsummary: Two.\nhyperparameters: {extra: {default: true, doc: other}}\n"
        "signature: [lr, betas, momentum, extra]\nupdate: |\n  super()\n  if extra:\n    param = param - grad\n",
        middle,
    )
    assert listing(rule.body)[-2:] == ["if extra:", "  param = param - grad"], "of the heir's own flag"
    assert sum("if extra" in line for line in listing(rule.body)) == 1, "the inherited one is of the dropped flag"


def test_super_is_the_inherited_update() -> None:
    rule = heir("update: |\n  before = grad * 2\n  super()\n  param = param - before * direction\n")
    assert rule.body[1:-1] == parent().body, "its locals are read behind it"


def test_super_within_a_branch_and_in_a_family_of_three() -> None:
    middle = "optimizer: Middle\nextends: Parent\nsummary: One.\nupdate: |\n  super()\n  param = param * 0.5\n"
    rule = heir(
        "optimizer: Heir\nextends: Middle\nsummary: Two.\nupdate: |\n"
        "  if step > 1:\n    super()\n  else:\n    param = param - grad\n",
        middle,
    )
    values = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "momentum": 0.5, "extra": False, "maximize": False}
    first = interpret(rule, values, {}, 1.0, 0.25, arithmetic=FLOATS)
    assert first.param == 0.75
    average = 0.1 * 0.25 + 0.99 * 0.5
    second = interpret(rule, values, first.state, first.param, 0.25, arithmetic=FLOATS)
    assert second.param == pytest.approx((0.75 - 0.1 * average) * 0.5, rel=1e-15)


def test_a_dropped_choice_is_none_of_its_texts() -> None:
    parent = (
        "optimizer: Parent\nsummary: One.\nhyperparameters:\n  lr: {default: 1}\n"
        "  mode: {default: sum, choices: [sum, mean], doc: one}\nupdate: |\n  direction = grad\n"
        '  if mode == "mean":\n    direction = grad / 2\n  param = param - lr * direction\n'
    )
    rule = heir("hyperparameters:\n  mode: null\n", parent=parent)
    assert not rule.choices
    assert listing(rule.body) == ["direction = grad", "param = param - lr * direction"]


def test_features_are_inherited_changed_and_dropped() -> None:
    middle = (
        "optimizer: Middle\nextends: Parent\nsummary: One.\n"
        "features:\n  ema: {decay: 0.5}\n  lookahead: {k: 3, alpha: 0.5}\n  cautious: true\n"
    )
    rule = heir(
        "optimizer: Heir\nextends: Middle\nsummary: Two.\nfeatures:\n  lookahead: {k: 7}\n  cautious: null\n", middle
    )
    assert [feature.name for feature in rule.features] == ["lookahead", "ema"], "in the order in which they attach"
    values = {h.name: h.default for h in rule.hyperparameters if "_" in h.name}
    assert values == {"lookahead_k": 7, "lookahead_alpha": 0.5, "ema_decay": 0.5}
    assert rule.keyword_only[-3:] == ("lookahead_k", "lookahead_alpha", "ema_decay")
    assert [state.name for state in rule.states[-3:]] == ["lookahead_step", "lookahead_slow", "ema_average"]
