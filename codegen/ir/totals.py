"""Totals in the IR: calls whose operand is a number of each parameter, and whose value is one number for all of them.

In: expressions and Rules. Out: the totals in them. Must not know what totals mean (`ir/ops.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from thetac.codegen.ir.nodes import Assign, Call, Expr, Rule, Scope, walk_expression, walk_statements
from thetac.codegen.ir.ops import OPS, Shape


def is_total(expression: Expr) -> bool:
    """Return whether an expression is a total."""
    return isinstance(expression, Call) and OPS[expression.op].shape is Shape.TOTAL


def totals_in(expression: Expr) -> Iterator[Call]:
    """Yield the totals in an expression, outermost first, left to right."""
    return (part for part in walk_expression(expression) if isinstance(part, Call) and is_total(part))


def scope_of(call: Call) -> Scope:
    """Return which parameters a total is over."""
    return Scope.GROUP if call.op == "group_total" else Scope.OPTIMIZER


def has_totals(rule: Rule) -> bool:
    """Return whether parameters of a rule wait for each other, or share a number."""
    return bool(rule.shared) or has_barriers(rule)


def has_barriers(rule: Rule) -> bool:
    """Return whether parameters of a rule wait for each other."""
    assignments = (one for one in walk_statements(rule.body) if isinstance(one, Assign))
    return any(any(totals_in(one.value)) for one in assignments)
