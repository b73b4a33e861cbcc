"""Selections within each other: they mean what the branches meant, and each name is chosen as often as it is assigned.

The bodies are made of statements, not of text, so that they nest deeper and mix more than specs do.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codegen.passes.test_lowered_meaning import expect_same, selected
from thetac.codegen.ir.interpret import exact
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Stmt, walk_statements
from thetac.codegen.passes.select import SELECTION
from thetac.codegen.pipeline import Source, front_end

TEXT = """
optimizer: Within
summary: Has every kind of name that a branch may assign.
hyperparameters:
  lr: {default: 0.1}
  flag: {default: false, doc: a flag}
state:
  step: counter
  buffer: {init: zeros}
  weight: {scalar: true, init: 1}
  extra: {init: zeros, when: flag}
update: |
  buffer = buffer + grad
  weight = weight + lr
  if flag:
    extra = extra + step
  param = param - lr * buffer * weight
"""
(RULE,) = front_end([Source("within.yaml", TEXT)])
ELEMENTS = ("param", "buffer", "extra", "e")  # `e` and `h` are locals, `late` and `small` truth values
NUMBERS = ("weight", "h")
TRUTHS = ("late", "small")


class Bodies:
    """Make statements that read only what has a value, and assign `extra` only where it exists."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def body(self, depth: int, defined: frozenset[str]) -> tuple[tuple[Stmt, ...], frozenset[str]]:
        statements: list[Stmt] = []
        for _ in range(self.random.randint(1, 3)):
            if depth and self.random.random() < 0.7:
                condition, inside = self.condition(defined), defined
                if self.random.random() < 0.3:
                    condition, inside = Ref("flag"), defined | {"extra"}
                then, after_then = self.body(depth - 1, inside)
                orelse, after_orelse = ((), defined)
                if self.random.random() < 0.5:
                    orelse, after_orelse = self.body(depth - 1, defined)
                statements.append(If(condition, then, orelse))
                defined |= (after_then & after_orelse) - {"extra"}
            else:
                target = self.random.choice([n for n in (*ELEMENTS, *NUMBERS, *TRUTHS) if n != "extra" or n in defined])
                statements.append(Assign(target, self.value(target, defined)))
                defined |= {target}
        return tuple(statements), defined

    def condition(self, defined: frozenset[str]) -> Expr:
        name = self.random.choice([n for n in ("step", *NUMBERS, *TRUTHS) if n in defined])
        if name in TRUTHS:
            return Ref(name) if self.random.random() < 0.5 else Call("not", (Ref(name),))
        return Call(self.random.choice(["gt", "le"]), (Ref(name), Const(self.random.choice([0.5, 1, 2, 3]))))

    def value(self, target: str, defined: frozenset[str]) -> Expr:
        if target in TRUTHS:
            return self.condition(defined)
        names = [n for n in (*ELEMENTS, *NUMBERS) if n in defined and (target in ELEMENTS or n in NUMBERS)]
        parts = (Ref(self.random.choice(names)), Const(self.random.choice([0.25, 0.5, -1, 1.5])))
        return Call(self.random.choice(["add", "sub", "mul"]), parts)


def made(random: Random, depth: int) -> tuple[Stmt, ...]:
    defined = frozenset(["param", "buffer", "weight", "step"])
    return Bodies(random).body(depth, defined)[0]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 5), st.booleans())
def test_selections_within_each_other_mean_the_same(seed: int, depth: int, flag: bool) -> None:
    rule = replace(RULE, body=(*made(Random(seed), depth), *RULE.body))
    expect_same(rule, selected(rule), {"lr": 0.1, "flag": flag}, exact)


def test_a_name_is_chosen_as_often_as_it_is_assigned() -> None:
    for seed in range(200):
        body = made(Random(seed), 6)
        lowered = selected(replace(RULE, body=body)).body
        count = sum(isinstance(s, Assign) for s in walk_statements(body))
        branches = sum(isinstance(s, If) for s in walk_statements(body))
        added = sum(isinstance(s, Assign) and s.origin == SELECTION for s in walk_statements(lowered))
        assert added <= 2 * count + 4 * branches
