"""Find how many kernels there would be if each were compiled for constant conditions.

In: the statements on elements (ir/fused.py), and the names of their conditions. Out: where the value of each
condition is relevant, and whether few enough combinations of them differ for one object to hold them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import assert_never

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass, walk_elements
from thetac.codegen.ir.nodes import Call, Expr, Ref, walk_expression
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.boolean_algebra import ALWAYS, NEVER, Condition

MOST_IN_OBJECT = 8_000  # operations, names and numbers in all kernels together: a compiler takes two seconds
MOST_EXAMINED = 64_000  # the same, counting all combinations: above it they are not compared, to save time here

Relevance = dict[str, Condition]


def kernels_are_few(fused: Fused) -> bool:
    """Return whether one object can hold the kernels for all combinations of conditions that differ."""
    names = [one.name for one in fused.specialisations] + [entry.name for entry in fused.row if entry.truth]
    size = sum(_size(body) for one in fused.passes for body in (one.before, one.body))
    if size << len(names) > MOST_EXAMINED:
        return False
    relevant = relevant_conditions(fused.passes, names)
    different = set()
    for truths in product((False, True), repeat=len(names)):
        values = dict(zip(names, truths, strict=True))
        different.add(tuple(values[name] and boolean_algebra.holds(relevant[name], values) for name in names))
    return size * len(different) <= MOST_IN_OBJECT


def _size(body: Sequence[ElementStmt]) -> int:
    """Return the number of assignments, operations, names and numbers."""
    total = 0
    for statement in walk_elements(body):
        match statement:
            case ElementAssign(value=expression):
                total += 1
            case ElementIf(condition=expression):
                pass
            case _:
                assert_never(statement)
        total += sum(1 for _ in walk_expression(expression))
    return total


def relevant_conditions(passes: Sequence[Pass], names: Sequence[str]) -> Mapping[str, Condition]:
    """Return for each condition when its value is relevant: when a statement that reads it is reached.

    Args:
        passes: The statements on elements, and those of tensor programs.
        names: The names of the conditions.
    """
    known = frozenset(names)
    relevance = _any([_of_block(body, known) for one in passes for body in (one.before, one.body)])
    return {name: relevance.get(name, NEVER) for name in names}


def _of_block(body: Sequence[ElementStmt], names: frozenset[str]) -> Relevance:
    return _any([_of_statement(statement, names) for statement in body])


def _of_statement(statement: ElementStmt, names: frozenset[str]) -> Relevance:
    match statement:
        case ElementAssign(value=value):
            return _everywhere(value, names)
        case ElementIf(condition=condition, then=then, orelse=orelse):
            holds = boolean_algebra.condition(condition)
            first, second = _of_block(then, names), _of_block(orelse, names)
            within = {
                name: boolean_algebra.choice(holds, first.get(name, NEVER), second.get(name, NEVER))
                for name in {**first, **second}
            }
            return _any([_of_condition(condition, names), within])
        case _:
            assert_never(statement)


def _of_condition(condition: Expr, names: frozenset[str]) -> Relevance:
    """Return when the names in a condition are relevant.

    The right side of `and` is evaluated only if the left one holds, that of `or` only if it does not.
    """
    match condition:
        case Call(op="and" | "or" as op, args=(left, right)):
            holds = boolean_algebra.condition(left)
            reached = holds if op == "and" else boolean_algebra.negation(holds)
            behind = {name: boolean_algebra.both(reached, when) for name, when in _of_condition(right, names).items()}
            return _any([_of_condition(left, names), behind])
        case Call(op="not", args=(inner,)):
            return _of_condition(inner, names)
        case _:
            return _everywhere(condition, names)


def _everywhere(expression: Expr, names: frozenset[str]) -> Relevance:
    return {part.name: ALWAYS for part in walk_expression(expression) if isinstance(part, Ref) and part.name in names}


def _any(found: Sequence[Relevance]) -> Relevance:
    terms: dict[str, list[Condition]] = {}
    for relevance in found:
        for name, condition in relevance.items():
            terms.setdefault(name, []).append(condition)
    return {name: boolean_algebra.either(*these) for name, these in terms.items()}
