"""Give reductions names: afterwards each stands alone on the right side of an assignment.

In: a Rule after passes/features.py. Out: the Rule in which `param - lr * grad / norm(grad)` is two statements; the
first of them assigns `norm(grad)` to a new name. The same reduction of the same values is computed once. What an
expression means, and the order of evaluation, do not change. Must not know targets.

`Lifter` does it for expressions of any kind; passes/kernel_form.py uses it for more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt, assigned, names_read
from thetac.codegen.ir.reductions import stands_alone
from thetac.codegen.ir.value_kinds import Kind
from thetac.codegen.passes.analysis.kinds import infer, is_on_host, kind_of
from thetac.codegen.passes.naming import entry_name, unique

LIFTED = "lifted"  # the origin of statements that only name a part of the author's

Takes = Callable[[Expr, Assign], bool]  # whether a part of the value of a statement gets a name


def lift(rule: Rule) -> Rule:
    """Return the rule with every reduction and every mean of blocks alone on a right side."""
    return Lifter(rule, lambda part, statement: stands_alone(part), within=True).run()


class Lifter:
    """Replaces parts of values by names, which are assigned in front of the statement."""

    def __init__(self, rule: Rule, takes: Takes, *, within: bool) -> None:
        """Take what to replace.

        Args:
            rule: The rule.
            takes: Tells of each part of a value whether it gets a name. A whole right side has one.
            within: Whether parts of a part that gets a name may get names, too.
        """
        self._rule = rule
        self._takes = takes
        self._within = within
        self.kinds: dict[str, Kind] = infer(rule)
        self._taken = set(self.kinds)
        self._known: dict[Expr, str] = {}  # what has been computed, and the name that holds it

    def run(self) -> Rule:
        """Return the rule with the parts replaced."""
        return replace(self._rule, body=self._block(self._rule.body))

    def _block(self, body: Sequence[Stmt]) -> tuple[Stmt, ...]:
        statements: list[Stmt] = []
        for statement in body:
            match statement:
                case Assign():
                    value = self._value(statement, statements)
                    statements.append(replace(statement, value=value))
                    self._forget((statement.target,))
                case If(then=then, orelse=orelse):
                    before = self._known
                    sides = []
                    for side in (then, orelse):
                        self._known = dict(before)
                        sides.append(self._block(side))
                    self._known = before
                    self._forget(assigned((statement,)))
                    statements.append(replace(statement, then=sides[0], orelse=sides[1]))
                case _:
                    assert_never(statement)
        return tuple(statements)

    def _forget(self, names: Sequence[str]) -> None:
        """Forget what was computed from names that get new values."""
        changed = set(names)
        self._known = {e: name for e, name in self._known.items() if changed.isdisjoint((*names_read(e), name))}

    def _value(self, statement: Assign, before: list[Stmt]) -> Expr:
        value = statement.value
        return self._inside(value, statement, before)

    def _part(self, part: Expr, statement: Assign, before: list[Stmt]) -> Expr:
        """Return a part with a name in place of itself, or of parts of it; append the assignments of those names."""
        if is_on_host(part, self.kinds):
            return part
        if not self._takes(part, statement):
            return self._inside(part, statement, before)
        if part in self._known:
            return Ref(self._known[part], part.location)
        value = self._inside(part, statement, before) if self._within else part
        name = unique([entry_name(part, f"{statement.target}_part", self._taken)], self._taken)
        self._taken.add(name)
        self.kinds[name] = kind_of(value, self.kinds)
        before.append(Assign(name, value, location=part.location, origin=LIFTED))
        self._known[part] = name
        return Ref(name, part.location)

    def _inside(self, part: Expr, statement: Assign, before: list[Stmt]) -> Expr:
        match part:
            case Call(op=op, args=args, location=here):
                return Call(op, tuple(self._part(argument, statement, before) for argument in args), here)
            case Const() | Ref():
                return part
            case _:
                assert_never(part)
