"""Find where the numbers of counters, scalar states and states with one number per parameter are read from tensors.

In: the body of a Rule after features. Out: the states whose number a step needs at its start, and the assignments
after which the number has to be read again. An update `s = s op h` of a scalar state works on the tensor itself and
needs no number. Must not know how a read is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    Const,
    Expr,
    If,
    Ref,
    Rule,
    StateKind,
    Stmt,
    names_read,
)


@dataclass(frozen=True, slots=True)
class SelfUpdate:
    """An operation that a 0-d tensor does on itself."""

    op: str  # the torch operation
    operand: Expr  # a host expression that does not read the state


@dataclass(frozen=True, slots=True)
class NumberReads:
    """The reads that a body needs."""

    at_start: frozenset[str]  # states that are one number
    assignments: tuple[Assign, ...]  # of such states that are read afterwards: statements of the body, by identity

    def is_needed_after(self, assignment: Assign) -> bool:
        """Return whether a later statement, on some path, reads the number that was assigned."""
        return any(one is assignment for one in self.assignments)


def find_number_reads(rule: Rule) -> NumberReads:
    """Return the reads that the body of a rule needs."""
    vectors = (StateKind.TENSOR, StateKind.HISTORY)
    states = frozenset(state.name for state in rule.states if state.kind not in vectors)
    assignments: list[Assign] = []
    at_start = _needed_before(rule.body, rule, states, frozenset(), assignments)
    return NumberReads(at_start, tuple(assignments))


def match_self_update(statement: Assign, rule: Rule) -> SelfUpdate | None:
    """Return a statement `s = s op h` of a scalar state as an in-place operation, or None if it is none."""
    match statement.value:
        case Call(op="add" | "sub" | "mul" | "div" as op, args=(Ref(name=name), operand)) if (
            name == statement.target and name not in names_read(operand) and name in rule.names_of(StateKind.SCALAR)
        ):
            return SelfUpdate(op, operand)
        case _:
            return None


def _needed_before(
    body: tuple[Stmt, ...], rule: Rule, states: frozenset[str], needed: frozenset[str], assignments: list[Assign]
) -> frozenset[str]:
    """Return the states whose number is needed before a body, given those whose number is needed after it.

    Append to `assignments` those of states that are needed right after them.
    """
    for statement in reversed(body):
        match statement:
            case Assign(target=target, value=value):
                if target not in states:
                    needed |= states & _numbers_in(value)
                    continue
                if target in needed:
                    assignments.append(statement)
                update = match_self_update(statement, rule)
                needed = needed - {target} | states & _numbers_in(value if update is None else update.operand)
            case If(condition=condition, then=then, orelse=orelse):
                sides = (_needed_before(side, rule, states, needed, assignments) for side in (then, orelse))
                needed = frozenset().union(*sides) | states & _numbers_in(condition)
            case _:
                assert_never(statement)
    return needed


def _numbers_in(expression: Expr) -> frozenset[str]:
    """Return the names whose values an expression reads: `first(s)` asks about s and reads no number."""
    match expression:
        case Ref(name=name):
            return frozenset((name,))
        case Call(op="first") | Const():
            return frozenset()
        case Call(args=args):
            return frozenset().union(*map(_numbers_in, args))
        case _:
            assert_never(expression)
