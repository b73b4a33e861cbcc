"""Bodies of rules that reduce: elements, vectors and numbers per parameter, in branches within each other."""

from __future__ import annotations

from random import Random

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt
from thetac.codegen.pipeline import Source, front_end

TEXT = """
optimizer: Shaped
summary: Has states of every shape.
hyperparameters:
  lr: {default: 0.1}
  flag: {default: false, doc: a flag}
require:
  rank(param) > 1: "a parameter has rows and columns"
state:
  step:    counter
  slow: {init: zeros}
  fast: {init: zeros}
  per_row: {init: zeros, shape: rows}
  per_column: {init: zeros, shape: columns}
  whole: {init: zeros, shape: number}
update: |
  slow = slow + grad
  fast = fast + grad
  per_row = per_row + whole
  per_column = per_column + whole
  whole = whole + norm(grad)
  if flag:
    param = param - per_row * per_column * step
  param = param - lr * slow * fast
"""

# By kind: the names that statements assign. The last of each is a local, the others states.
NAMES = {
    "element": ("param", "slow", "fast", "e"),
    "row": ("per_row", "r"),
    "column": ("per_column", "c"),
    "number": ("whole", "n"),
}
KIND = {name: kind for kind, names in NAMES.items() for name in names}
WIDENS = {  # what a value of a kind may be made of without a reduction
    "element": ("element", "row", "column", "number"),
    "row": ("row", "number"),
    "column": ("column", "number"),
    "number": ("number",),
}
REDUCED = {"row": ("element", -1), "column": ("element", -2), "number": (None, None)}


def shaped_rule() -> Rule:
    (only,) = front_end([Source("shaped.yaml", TEXT)])
    return only


class _Bodies:
    """Makes statements that read only what has a value."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def body(self, depth: int, defined: frozenset[str], length: int) -> tuple[tuple[Stmt, ...], frozenset[str]]:
        statements: list[Stmt] = []
        for _ in range(self.random.randint(1, length)):
            if depth and self.random.random() < 0.4:
                condition = self.random.choice([Ref("flag"), Call("gt", (Ref("step"), Const(2)))])
                then, after_then = self.body(depth - 1, defined, 3)
                orelse, after_orelse = ((), defined) if self.random.random() < 0.5 else self.body(depth - 1, defined, 3)
                statements.append(If(condition, then, orelse))
                defined = after_then & after_orelse
            else:
                target = self.random.choice(list(KIND))
                statements.append(Assign(target, self.value(KIND[target], defined)))
                defined |= {target}
        return tuple(statements), defined

    def value(self, kind: str, defined: frozenset[str]) -> Expr:
        first = self.operand(kind, defined, exactly=True)
        second = self.operand(kind, defined, exactly=False)
        return Call(self.random.choice(["add", "sub", "mul", "maximum"]), (first, second))

    def operand(self, kind: str, defined: frozenset[str], *, exactly: bool) -> Expr:
        """Return a value of a kind, or of one that it takes in."""
        if not exactly:
            kind = self.random.choice(WIDENS[kind])
        if kind in REDUCED and self.random.random() < 0.5:
            of, axis = REDUCED[kind]
            of = of or self.random.choice(["element", "row", "column"])
            op = self.random.choice(["sum", "max", "norm", "min"])
            inner = Call("mul", (Const(0.25), self.operand(of, defined, exactly=True)))
            return Call(op, (inner,) if axis is None else (inner, Const(axis)))
        names = [name for name in (*NAMES[kind], *(("grad",) if kind == "element" else ())) if name in defined]
        return Call("mul", (Ref(self.random.choice(names)), Const(self.random.choice([0.5, -0.75, 0.25]))))


def shaped_body(random: Random, depth: int) -> tuple[Stmt, ...]:
    """Return statements, and branches within each other to a depth, that may stand in the body of `shaped_rule()`."""
    defined = frozenset(KIND) - {"e", "r", "c", "n"} | {"grad"}
    return _Bodies(random).body(depth, defined, 6)[0]
