"""Bodies of rules that nest deeper, and mix more, than those that specs are drawn with."""

from __future__ import annotations

from random import Random

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt
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

ELEMENTS = ("param", "buffer", "extra", "e")  # `e` and `h` are locals, `late` and `small` truth values
NUMBERS = ("weight", "h")
TRUTHS = ("late", "small")


def rule() -> Rule:
    (only,) = front_end([Source("within.yaml", TEXT)])
    return only


class _Bodies:
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
                orelse: tuple[Stmt, ...] = ()
                after_orelse = defined
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


def body_of(random: Random, depth: int) -> tuple[Stmt, ...]:
    """Return statements, and branches within each other to a depth, that may stand first in the body of `rule()`."""
    defined = frozenset(["param", "buffer", "weight", "step"])
    return _Bodies(random).body(depth, defined)[0]
