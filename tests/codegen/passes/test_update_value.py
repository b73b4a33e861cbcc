"""What a rule takes away from the parameter, as a value (codegen/passes/update_value.py): it computes the same step."""

from __future__ import annotations

from dataclasses import replace
from textwrap import indent

import pytest

from tests.references.rules import rules
from tests.references.settings import settings_of, values_of
from tests.support.front_end import front_end
from thetac.codegen.ir.interpret import FLOATS, Step, interpret
from thetac.codegen.ir.listing import listing
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.ir.totals import has_totals
from thetac.codegen.passes.update_value import apply_update, name_of_update, take_out_update

GRADS = (0.5, -1.25, 3.0, 0.0, -0.75, 2.0, 1e-3, -40.0)


def with_value(one: Rule) -> Rule:
    """Return the rule with its update as a value that is applied at the end."""
    name = name_of_update(one)
    return replace(one, body=(*take_out_update(one.body, name), apply_update(name)))


def expect_close(one: Rule, values: dict[str, float | bool]) -> None:
    other = with_value(one)
    steps = [Step(0.75, {}), Step(0.75, {})]
    for grad in GRADS:
        steps = [
            interpret(each, values, step.state, step.param, grad, arithmetic=FLOATS)
            for each, step in zip((one, other), steps, strict=True)
        ]
        expected, got = ([step.param, *step.state.values()] for step in steps)
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)


# One parameter alone, computed in floats, has no totals.
@pytest.mark.parametrize("name", [name for name, rule in rules().items() if rule.body and not has_totals(rule)])
def test_every_rule_takes_the_same_steps(name: str) -> None:
    for setting in settings_of(name):
        expect_close(rules()[name], {"maximize": False, **values_of(name, setting)})


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ("param = param - lr * grad", ["update = lr * grad"]),
        ("param = param + lr * grad", ["update = -(lr * grad)"]),
        ("param = param - lr * grad - lr * lr", ["update = lr * grad + lr * lr"]),
        ("param = param - lr * grad + lr", ["update = lr * grad - lr"]),
        ("param = lr * grad", ["update = param - lr * grad"]),
        (
            "param = param - lr * grad\nparam = param - lr * size(param)",
            ["update = lr * grad", "update = update + lr * size(param)"],
        ),
        ("param = param - lr\nparam = param - grad", ["update = lr", "update = update + grad"]),
        (
            "param = param - lr * grad\nparam = param * 2",
            ["update = lr * grad", "update = param - (param - update) * 2"],
        ),
        (
            "if lr > 1:\n  param = param - grad\nparam = param - lr * param",
            [
                "if lr > 1:",
                "  update = grad",
                "else:",
                "  update = where(param == param, 0, 0)",
                "update = update + lr * (param - update)",
            ],
        ),
    ],
    ids=str,
)
def test_the_update_of_a_text(update: str, expected: list[str]) -> None:
    text = (
        f"optimizer: One\nsummary: One.\nhyperparameters: {{lr: {{default: 1}}}}\nupdate: |\n{indent(update, '  ')}\n"
    )
    (one,) = front_end({"one.yaml": text})
    assert listing(take_out_update(one.body, "update")) == expected


def test_the_name_is_free() -> None:
    text = "optimizer: One\nsummary: One.\nhyperparameters: {update: {default: 1, doc: one}}\nupdate: |\n"
    (one,) = front_end({"one.yaml": f"{text}  update1 = grad\n  param = param - update * update1\n"})
    assert name_of_update(one) == "update2"
