"""Bring a rule into the form that kernels take: elements by themselves, and what they share computed beforehand.

In: a Rule after passes/lift.py. Out: the Rule with the same meaning, in which
- reductions are sums and maxima: a norm is the root of a sum of squares;
- a reduction or mean of blocks stands alone on a right side, over a name that is assigned once; what parameters add to
  a total is such a name, too;
- an axis is -1 or -2, as kernels are told by their launcher what rows and columns are;
- expressions of elements read no part that is the same for a whole parameter, row or column, but a name for it, which
  is assigned once. Kernels compute those per parameter, in float64.
A rule of elements alone is returned as it is. Must not know targets, nor how statements are spread over passes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt, walk_statements
from thetac.codegen.ir.reductions import (
    along,
    axes_in,
    is_of_matrix,
    is_reduction,
    reductions_in,
    split_axis,
    stands_alone,
    written_axis,
)
from thetac.codegen.ir.totals import is_total
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR, EVERY_ELEMENT, ROW_VECTOR, Dims
from thetac.codegen.passes.analysis.kinds import Kinds, infer, kind_of
from thetac.codegen.passes.lift import Lifter, lift
from thetac.shape_numbers import OF_MATRIX, SHAPE_NUMBERS


def kernel_form(rule: Rule) -> Rule:
    """Return the rule in the form that kernels take."""
    kinds = infer(rule)
    of_elements_alone = all(kind.is_on_host or kind.is_sweep for kind in kinds.values())
    if of_elements_alone and not any(map(_has_reductions, walk_statements(rule.body))):
        return rule
    of_matrix = any(map(is_of_matrix, axes_in(rule.body)))
    simplified = tuple(_simplified(statement, kinds, of_matrix=of_matrix) for statement in rule.body)
    rule = lift(replace(rule, body=simplified))
    rule = _name_operands(rule)
    return _name_shared(rule)


def _has_reductions(statement: Stmt) -> bool:
    return isinstance(statement, Assign) and any(reductions_in(statement.value))


def _simplified(statement: Stmt, kinds: Kinds, *, of_matrix: bool) -> Stmt:
    """Return a statement with sums and maxima in place of other reductions.

    Args:
        statement: What to write so.
        kinds: Of the names in it.
        of_matrix: Whether the rule sees parameters as matrices.
    """
    match statement:
        case Assign(value=value):
            return replace(statement, value=_simple(value, kinds, of_matrix=of_matrix))
        case If(then=then, orelse=orelse):
            sides = [tuple(_simplified(inner, kinds, of_matrix=of_matrix) for inner in side) for side in (then, orelse)]
            return replace(statement, then=sides[0], orelse=sides[1])
        case _:
            assert_never(statement)


def _simple(expression: Expr, kinds: Kinds, *, of_matrix: bool) -> Expr:
    match expression:
        case Call(op=op, args=args, location=here) if is_reduction(expression):
            (operand,), axis = split_axis(expression)
            dims = kind_of(operand, kinds).dims
            assert dims is not None, "a reduction is of shaped values"
            operand = _simple(operand, kinds, of_matrix=of_matrix)

            def reduced(op: str, operand: Expr) -> Call:
                return along(Call(op, (operand,), here), None if axis is None else written_axis(axis))

            match op:
                case "sum" | "max":
                    return reduced(op, operand)
                case "norm":
                    return Call("sqrt", (reduced("sum", Call("mul", (operand, operand), here)),), here)
                case "mean":
                    return Call("div", (reduced("sum", operand), _count(dims, axis, of_matrix=of_matrix)), here)
                case "min":
                    return Call("neg", (reduced("max", Call("neg", (operand,), here)),), here)
                case _:
                    raise AssertionError(f"kernels have no reduction {op}")
        case Call(op=op, args=args, location=here):
            return Call(op, tuple(_simple(argument, kinds, of_matrix=of_matrix) for argument in args), here)
        case Const() | Ref():
            return expression
        case _:
            assert_never(expression)


def _count(dims: Dims, axis: int | None, *, of_matrix: bool) -> Expr:
    """Return how many numbers a reduction is of.

    Vectors have no view of their own. Where a rule has both, kernels take parameters of which both views are the same.
    """
    names = [OF_MATRIX[name] if of_matrix else name for name in ("rows", "columns")]
    size, rows, columns = (Ref(SHAPE_NUMBERS[name].variable) for name in ("size", *names))
    match axis if axis is None else written_axis(axis), dims:
        case -1, _:
            return columns
        case -2, _:
            return rows
        case None, dims if dims == EVERY_ELEMENT:
            return size
        case None, dims if dims == ROW_VECTOR:
            return Call("div", (size, columns))
        case None, dims if dims == COLUMN_VECTOR:
            return Call("div", (size, rows))
        case _:
            return Call("div", (size, Call("mul", (rows, columns))))


def _name_operands(rule: Rule) -> Rule:
    """Return the rule in which reductions and totals are over names that are assigned once."""
    once = _assigned_once(rule)

    def takes(part: Expr, statement: Assign) -> bool:
        return (
            (stands_alone(statement.value) or is_total(statement.value))
            and isinstance(statement.value, Call)
            and part is statement.value.args[0]
            and not (isinstance(part, Ref) and part.name in once)
        )

    return Lifter(rule, takes, within=False).run()


def _name_shared(rule: Rule) -> Rule:
    """Return the rule in which elements read names for what is the same for a parameter, row or column."""
    kinds = infer(rule)
    once = _assigned_once(rule)

    def takes(part: Expr, statement: Assign) -> bool:
        kind = kind_of(part, kinds)
        if not kinds[statement.target].is_sweep or kind.is_sweep:
            return False
        return not (isinstance(part, Ref) and part.name in once)

    return Lifter(rule, takes, within=False).run()


def _assigned_once(rule: Rule) -> frozenset[str]:
    """Return the locals that one statement assigns; a state has a value before any."""
    states = {"param", "grad", *(state.name for state in rule.states)}
    times = Counter(s.target for s in walk_statements(rule.body) if isinstance(s, Assign))
    return frozenset(name for name, number in times.items() if number == 1) - states
