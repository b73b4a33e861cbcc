"""Fused rules written by hand: passes with folds and tensor programs that no spec has to lead to.

A program is lines of `name = expression` and `if condition:` with an indented block, in Python's syntax. Names that a
condition reads decide whether it is static: those of specialisations are.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType, SimpleNamespace

from thetac.codegen.backends.kernels.triton import render
from thetac.codegen.emit import environment
from thetac.codegen.ir.definitions import BINARY, COMPARE
from thetac.codegen.ir.fused import (
    ElementAssign,
    ElementIf,
    ElementStmt,
    Entry,
    Fold,
    Fused,
    Pass,
    SmallState,
    Specialisation,
    Stream,
    TensorValue,
)
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, names_read
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR, ROW_VECTOR, Dim, Dims

DIMS: Mapping[str, Dims | None] = {
    "number": None,
    "rows": ROW_VECTOR,
    "columns": COLUMN_VECTOR,
    "matrix": (Dim.ONE, Dim.ONE),
}


def expression(text: str) -> Expr:
    return _expression(ast.parse(text.strip(), mode="eval").body)


def _expression(node: ast.expr) -> Expr:
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return Const(value)
        case ast.Name(id=name):
            return Ref(name)
        case ast.BinOp(left=left, op=op, right=right):
            return Call(BINARY[type(op)], (_expression(left), _expression(right)))
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
            return Const(-value)
        case ast.UnaryOp(op=op, operand=operand):
            return Call("neg" if isinstance(op, ast.USub) else "not", (_expression(operand),))
        case ast.BoolOp(op=op, values=[left, right]):
            return Call("and" if isinstance(op, ast.And) else "or", (_expression(left), _expression(right)))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return Call(COMPARE[type(op)], (_expression(left), _expression(right)))
        case ast.Call(func=ast.Name(id=name), args=args):
            return Call(name, tuple(map(_expression, args)))
        case _:
            raise AssertionError(ast.unparse(node))


def statements(text: str, static: Sequence[str]) -> tuple[ElementStmt, ...]:
    lines = text.splitlines()
    depth = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return _statements(ast.parse("\n".join(line[depth:] for line in lines)).body, frozenset(static))


def _statements(body: Sequence[ast.stmt], static: frozenset[str]) -> tuple[ElementStmt, ...]:
    found: list[ElementStmt] = []
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                assigned = _expression(value)
                found.append(ElementAssign(target, assigned, Assign(target, assigned)))
            case ast.If(test=test, body=then, orelse=orelse):
                condition = _expression(test)
                is_static = set(names_read(condition)) <= static
                branches = _statements(then, static), _statements(orelse, static)
                found.append(ElementIf(condition, is_static, *branches, If(condition, (), ())))
            case _:
                raise AssertionError(ast.unparse(statement))
    return tuple(found)


@dataclass(frozen=True)
class Sweep:
    """One pass: texts, and the conditions under which streams are loaded and stored."""

    before: str = ""
    loaded: Mapping[str, str] = field(default_factory=dict)  # by stream; "True" if always
    stored: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    reads: tuple[str, ...] = ()
    folds: tuple[tuple[str, str, str, str, str], ...] = ()  # target, op, value, dims, needed


def fused_rule(
    sweeps: Sequence[Sweep],
    *,
    row: Sequence[str],
    values: Mapping[str, str],  # of tensor programs and folds: the dims, "truth" for a number that is one
    states: Sequence[str] = (),
    small: Mapping[str, tuple[str, str, str]] = {},  # dims, loaded, stored
    specialisations: Sequence[str] = (),
    row_truths: Sequence[str] = (),
    truths: Sequence[str] = (),
) -> Fused:
    streams = ("param", "grad", *states)
    return Fused(
        inputs=(),
        scalars=(),
        host=(),
        row=tuple(Entry(name, name, Ref(name), name in row_truths) for name in row),
        specialisations=tuple(Specialisation(name, Ref(name)) for name in specialisations),
        streams=streams,
        passes=tuple(
            Pass(
                streams=tuple(
                    Stream(name, *(expression(how.get(name, "False")) for how in (one.loaded, one.stored)))
                    for name in streams
                ),
                body=statements(one.body, specialisations),
                before=statements(one.before, specialisations),
                reads=one.reads,
                folds=tuple(
                    Fold(target, op, value, DIMS[dims], expression(needed))  # type: ignore[arg-type]
                    for target, op, value, dims, needed in one.folds
                ),
            )
            for one in sweeps
        ),
        truths=frozenset(truths),
        small=tuple(
            SmallState(name, DIMS[dims], expression(loaded), expression(stored))
            for name, (dims, loaded, stored) in small.items()
        ),
        tensor_values=tuple(
            TensorValue(name, None if dims == "truth" else DIMS[dims], dims == "truth") for name, dims in values.items()
        ),
    )


ALWAYS = "True"

LAMB = fused_rule(
    [
        Sweep(
            loaded=dict.fromkeys(("param", "grad", "exp_avg", "exp_avg_sq"), ALWAYS),
            stored=dict.fromkeys(("exp_avg", "exp_avg_sq"), ALWAYS),
            body="""
            exp_avg = lerp(exp_avg, grad, one_minus_beta1)
            exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
            direction = exp_avg / bias1 / (sqrt(exp_avg_sq / bias2) + eps)
            if decays:
                direction = direction + weight_decay * param
            param_sq = param * param
            direction_sq = direction * direction
            """,
            folds=(
                ("sum_param", "sum", "param_sq", "number", ALWAYS),
                ("sum_direction", "sum", "direction_sq", "number", ALWAYS),
            ),
        ),
        Sweep(
            before="""
            norm_param = sqrt(sum_param)
            norm_direction = sqrt(sum_direction)
            trust = where(norm_param > 0 and norm_direction > 0, norm_param / norm_direction, 1)
            """,
            loaded={"param": ALWAYS, "exp_avg": ALWAYS, "exp_avg_sq": ALWAYS},
            stored={"param": ALWAYS},
            reads=("trust",),
            body="""
            direction = exp_avg / bias1 / (sqrt(exp_avg_sq / bias2) + eps)
            if decays:
                direction = direction + weight_decay * param
            param = param - lr * trust * direction
            """,
        ),
    ],
    row=("one_minus_beta1", "beta2", "one_minus_beta2", "bias1", "bias2", "eps", "weight_decay", "lr"),
    values={"sum_param": "number", "sum_direction": "number", "trust": "number"},
    states=("exp_avg", "exp_avg_sq"),
    specialisations=("decays",),
)

ADAFACTOR = fused_rule(
    [
        Sweep(
            loaded={"param": ALWAYS, "grad": ALWAYS, "variance": "not matrix"},
            stored={"variance": "not matrix"},
            body="""
            param_sq = param * param
            grad_sq = grad * grad
            if not matrix:
                variance = lerp(variance, grad_sq, weight)
            """,
            folds=(
                ("sum_param", "sum", "param_sq", "number", ALWAYS),
                ("sum_rows", "sum", "grad_sq", "rows", "matrix"),
                ("sum_columns", "sum", "grad_sq", "columns", "matrix"),
            ),
        ),
        Sweep(
            before="""
            scale = maximum(eps2, sqrt(sum_param) / root_size)
            alpha = scale * rho
            if matrix:
                row_var = lerp(row_var, sum_rows / columns_of_param, weight)
                col_var = lerp(col_var, sum_columns / rows_of_param, weight)
                row_total = sum(row_var, -2)
                bound = maximum(row_total / rows_of_param, eps1)
                row_factor = row_var / bound
                column_factor = col_var
            """,
            loaded={"grad": ALWAYS, "variance": "not matrix"},
            reads=("row_factor", "column_factor"),
            body="""
            if matrix:
                estimate = row_factor * column_factor
            else:
                estimate = variance
            update = grad / sqrt(maximum(estimate, eps1_squared))
            update_sq = update * update
            """,
            folds=(("sum_update", "sum", "update_sq", "number", ALWAYS),),
        ),
        Sweep(
            before="rate = alpha / maximum(1, sqrt(sum_update) / root_size_times_d)",
            loaded={"param": ALWAYS, "grad": ALWAYS, "variance": "not matrix"},
            stored={"param": ALWAYS},
            reads=("rate", "row_factor", "column_factor"),
            body="""
            if matrix:
                estimate = row_factor * column_factor
            else:
                estimate = variance
            update = grad / sqrt(maximum(estimate, eps1_squared))
            param = param * keep - rate * update
            """,
        ),
    ],
    row=(
        *("weight", "eps1", "eps1_squared", "eps2", "root_size", "root_size_times_d", "rho"),
        *("columns_of_param", "rows_of_param", "keep"),
    ),
    values={
        "sum_param": "number",
        "sum_rows": "rows",
        "sum_columns": "columns",
        "alpha": "number",
        "row_factor": "rows",
        "column_factor": "columns",
        "sum_update": "number",
        "rate": "number",
    },
    states=("variance",),
    small={"row_var": ("rows", "matrix", "matrix"), "col_var": ("columns", "matrix", "matrix")},
    specialisations=("matrix",),
)

# What the two above have not: maxima, numbers of matrices, truth values, conditions of the row, states that are read
# before the first sweep or are numbers, a gradient that only the last sweep loads, a last pass without a sweep.
UNUSUAL = fused_rule(
    [
        Sweep(
            before="""
            old_peaks = peaks
            if warm:
                old_peaks = peaks * 2
            threshold = total + floor
            is_old = threshold > 1
            """,
            loaded={"param": ALWAYS},
            reads=("old_peaks", "is_old", "threshold"),
            body="""
            scaled = where(is_old, param, param * 2) + old_peaks * 0.1
            absolute = abs(scaled)
            """,
            folds=(
                ("column_peaks", "max", "absolute", "columns", ALWAYS),
                ("biggest", "max", "absolute", "number", ALWAYS),
                ("row_sums", "sum", "scaled", "rows", ALWAYS),
                ("matrix_sums", "sum", "scaled", "matrix", "fancy"),
                ("row_peaks", "max", "scaled", "rows", ALWAYS),
            ),
        ),
        Sweep(
            before="""
            peaks = maximum(peaks, column_peaks)
            total = 0.5 * total + biggest
            means = lerp(means, row_sums + row_peaks, 0.3)
            peak = max(peaks, -1)
            same = sum(means, -1)
            share = same / maximum(peak, 1)
            if fancy:
                share = share + matrix_sums * 0.01
            if warm:
                share = share * 0.5
            else:
                if fancy:
                    share = share * 0.25
            grand = sum(means)
            best = max(peaks)
            level = 1
            if warm:
                level = best
            """,
            loaded={"param": ALWAYS, "grad": ALWAYS},
            stored={"param": ALWAYS},
            reads=("share", "grand", "peak", "level"),
            body="param = param - lr * (grad * share + grand * 0.01 + peak * 0.001 + level * 0.002)",
        ),
        Sweep(before="total = total + sqrt(abs(grand))"),
    ],
    row=("lr", "warm", "floor"),
    row_truths=("warm",),
    values={
        "old_peaks": "columns",
        "threshold": "number",
        "is_old": "truth",
        "column_peaks": "columns",
        "biggest": "number",
        "row_sums": "rows",
        "row_peaks": "rows",
        "matrix_sums": "matrix",
        "share": "rows",
        "peak": "matrix",
        "grand": "number",
        "level": "number",
    },
    small={
        "peaks": ("columns", ALWAYS, ALWAYS),
        "total": ("number", ALWAYS, ALWAYS),
        "means": ("rows", ALWAYS, ALWAYS),
    },
    specialisations=("fancy",),
)

BY_HAND = {"Lamb": LAMB, "Adafactor": ADAFACTOR, "Unusual": UNUSUAL}


@cache
def written_by_hand(name: str) -> Path:
    """The Triton kernels of one of the rules above, on disk: Triton reads their source there."""
    rule = SimpleNamespace(source="made.yaml", name=name)
    path = Path(mkdtemp(prefix="thetac-kernels-")) / f"{name.lower()}.py"
    path.write_text(render(rule, BY_HAND[name], environment()), encoding="utf-8")  # type: ignore[arg-type]
    return path


@cache
def kernels_by_hand(name: str) -> ModuleType:
    """Return the same, imported."""
    path = written_by_hand(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
