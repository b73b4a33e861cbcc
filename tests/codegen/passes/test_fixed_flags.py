"""Flags that nobody can set: decided before any implementation is written (codegen/passes/fixed_flags.py)."""

from __future__ import annotations

import re

import pytest

from thetac.codegen.ir.interpret import FLOATS, interpret
from thetac.codegen.ir.listing import listing
from thetac.codegen.ir.nodes import Ref
from thetac.codegen.passes import features
from thetac.codegen.pipeline import Compiled, Source, compile_specs

# The flag `settled` stands everywhere where a flag may stand; `free` is one that users set.
SPEC = """\
optimizer: Kept
summary: A flag is read in every place.
references: [none]
hyperparameters:
  lr:           {{default: 0.1}}
  weight_decay: {{default: 0.5}}
  free:         {{default: false, doc: free}}
  settled:      {{default: {default}, doc: settled{fixed}}}
signature: [lr, weight_decay, free{argument}]
require:
  free or not settled or lr < 100: "lr is {{lr}}"
weight_decay: {{settled and free: decoupled, settled: l2, else: absolute}}
state:
  size: {{scalar: true, init: "where(settled, 2, 3)"}}
  average: {{init: zeros, when: settled}}
  sum:  {{init: zeros, when: not settled}}
  last: {{init: zeros, when: settled and free}}
update: |
  direction = where(settled, grad, -grad)
  size = size + where(settled == free, 1, lr)
  if settled:
    average = lerp(average, grad, 0.5)
    direction = direction + average
  if not settled:
    sum = sum + grad
    direction = direction + sum
  if settled and free:
    last = grad + last
    direction = direction - last
  elif settled != free:
    direction = direction * 2
  param = param - lr * size * where(settled and param > 0, direction, grad)
"""


def compiled(*, default: bool, fixed: bool) -> Compiled:
    text = SPEC.format(
        default=str(default).lower(),
        fixed=", fixed: true" if fixed else "",
        argument="" if fixed else ", settled",
    )
    (one,) = compile_specs([Source("rule.yaml", text)])
    return one


@pytest.mark.parametrize("default", [False, True])
def test_no_implementation_knows_the_flag(default: bool) -> None:
    one = compiled(default=default, fixed=True)
    for name, text in one.files.items():
        if name != "optimizer.py":
            assert not re.search(r"\bsettled\b", text), name
    group = one.files["optimizer.py"]
    assert f'"settled": {default},' in group
    assert 'fixed=("settled",)' in group
    assert 'flags=("free",)' in group


def test_what_is_left_is_what_the_value_reaches() -> None:
    one = compiled(default=True, fixed=True)
    assert listing(one.rule.body[2:]) == [
        "direction = grad",
        "size = size + where(free, 1, lr)",
        "average = lerp(average, grad, 0.5)",
        "direction = direction + average",
        "if free:",
        "  last = grad + last",
        "  direction = direction - last",
        "elif not free:",
        "  direction = direction * 2",
        "param = param - lr * size * where(param > 0, direction, grad)",
    ]
    assert [(state.name, state.when) for state in one.rule.states] == [
        ("size", None),
        ("average", None),
        ("last", Ref("free")),
    ]


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("default", [False, True])
def test_the_rule_means_the_same_as_with_the_flag_set(default: bool, free: bool) -> None:
    decided, chosen = compiled(default=default, fixed=True).rule, compiled(default=default, fixed=False).rule
    state: dict[str, float] = {}
    param = 0.75
    for grad in (0.5, -2.0, 1.25):
        results = [
            interpret(rule, {"free": free, "maximize": False}, state, param, grad, arithmetic=FLOATS)
            for rule in (decided, chosen)
        ]
        assert results[0] == results[1]
        param, state = results[0].param, dict(results[0].state)


def test_a_rule_without_such_flags_is_left_alone() -> None:
    one = compiled(default=True, fixed=False)
    assert features.apply(one.written).flags == one.written.flags == one.rule.flags
