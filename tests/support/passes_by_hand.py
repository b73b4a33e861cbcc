"""Rules of several passes, written in the form that kernels are made from, and launches of their C++ kernels.

They use every kind of fold, vector and small state, whatever the language has; what they mean is written in NumPy.
"""

from __future__ import annotations

import ast
import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from tests.support.cpp_support import Build, Options, library, openmp
from tests.support.triton_support import rule_of
from thetac.codegen.backends.kernels import cpp
from thetac.codegen.emit import environment
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
    TensorValue,
)
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref
from thetac.codegen.ir.value_kinds import Dim, Dims
from thetac.codegen.passes.analysis.streams import streams
from thetac.runtime.implementations.cpp_interface import ALL_PASSES, Launch
from thetac.runtime.implementations.tables import shape_table

MATRIX: Dims = (Dim.ONE, Dim.ONE)
ROW: Dims = (Dim.ROWS, Dim.ONE)
COLUMN: Dims = (Dim.ONE, Dim.COLUMNS)

_OPS: dict[type[ast.AST], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_OPS |= {ast.Gt: "gt", ast.Lt: "lt"}


def expression(node: ast.expr) -> Expr:
    """The expression that Python's parser has read; `sum(v, -1)` is a reduction along an axis."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return Const(value)
        case ast.Name(id=name):
            return Ref(name)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
            return Const(-value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Call("neg", (expression(operand),))
        case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
            return Call(_OPS[type(op)], (expression(left), expression(right)))
        case ast.BoolOp(op=ast.And(), values=[left, right]):
            return Call("and", (expression(left), expression(right)))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return Call(name, tuple(map(expression, arguments)))
    raise AssertionError(ast.dump(node))


def body(text: str) -> tuple[ElementStmt, ...]:
    """Statements; the condition of every `if` is a specialisation."""
    return _statements(ast.parse(text).body)


def _statements(nodes: Sequence[ast.stmt]) -> tuple[ElementStmt, ...]:
    found: list[ElementStmt] = []
    for node in nodes:
        match node:
            case ast.If(test=test, body=then, orelse=orelse):
                condition = expression(test)
                branches = _statements(then), _statements(orelse)
                found.append(ElementIf(condition, True, *branches, If(condition, (), ())))
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                found.append(ElementAssign(target, expression(value), Assign(target, Const(0))))
            case _:
                raise AssertionError(ast.dump(node))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A pass, as text. Folds are `target: (op, local, dimensions, condition)`."""

    sweep: str
    before: str = ""
    reads: Sequence[str] = ()
    folds: Mapping[str, tuple[Literal["sum", "max"], str, Dims | None, Expr]] = field(default_factory=dict)


def made(
    names: Sequence[str],
    row: Sequence[str],
    sweeps: Sequence[Sweep],
    values: Mapping[str, Dims | None],
    small: Mapping[str, Dims | None] | None = None,
    when: str = "",
) -> Fused:
    """A rule, in which small states exist if the specialisation `when` holds."""
    exists: Expr = Ref(when) if when else Const(True)
    passes = []
    for one in sweeps:
        folds = tuple(Fold(target, op, local, dims, needed) for target, (op, local, dims, needed) in one.folds.items())
        statements = body(one.sweep)
        use = streams(tuple(names), statements)
        passes.append(Pass(use, statements, body(one.before), tuple(one.reads), folds))
    return Fused(
        inputs=(),
        scalars=(),
        host=(),
        row=tuple(Entry(name, name, Ref(name), truth=False) for name in row),
        specialisations=(Specialisation(when, Ref(when)),) if when else (),
        streams=tuple(names),
        passes=tuple(passes),
        small=tuple(SmallState(name, dims, exists, exists) for name, dims in (small or {}).items()),
        tensor_values=tuple(TensorValue(name, dims, truth=False) for name, dims in values.items()),
    )


USUAL = Options()
ALWAYS, TALL = Const(True), Ref("tall")

# A layerwise trust ratio: two norms.
TRUST = made(
    ("param", "grad", "exp_avg", "exp_avg_sq"),
    ("weight1", "beta2", "weight2", "correction1", "correction2", "eps", "decay", "lr"),
    (
        Sweep(
            """
exp_avg = lerp(exp_avg, grad, weight1)
exp_avg_sq = beta2 * exp_avg_sq + weight2 * grad * grad
direction = exp_avg / correction1 / (sqrt(exp_avg_sq / correction2) + eps) + decay * param
square1 = param * param
square2 = direction * direction
""",
            folds={"sum1": ("sum", "square1", None, ALWAYS), "sum2": ("sum", "square2", None, ALWAYS)},
        ),
        Sweep(
            """
direction = exp_avg / correction1 / (sqrt(exp_avg_sq / correction2) + eps) + decay * param
param = param - lr * trust * direction
""",
            "trust = where(sum1 > 0 and sum2 > 0, sqrt(sum1) / sqrt(sum2), 1)",
            ("trust",),
        ),
    ),
    {"sum1": None, "sum2": None, "trust": None},
)

# Factored second moments: folds along both axes, vectors that sweeps read, small states, three passes.
FACTORED = made(
    ("param", "grad", "variance"),
    ("decay", "weight", "rate", "columns", "rows", "size", "eps"),
    (
        Sweep(
            """
square1 = param * param
if tall:
    square2 = grad * grad
""",
            folds={
                "of_param": ("sum", "square1", None, ALWAYS),
                "of_rows": ("sum", "square2", ROW, TALL),
                "of_columns": ("sum", "square2", COLUMN, TALL),
            },
        ),
        Sweep(
            """
if tall:
    estimate = row_var * col_var / mean
else:
    variance = lerp(variance, grad * grad, weight)
    estimate = variance
update = grad / sqrt(maximum(estimate, eps * eps))
square = update * update
""",
            """
scale = maximum(0.001, sqrt(of_param / size)) * rate
if tall:
    row_var = lerp(row_var, of_rows / columns, weight)
    col_var = lerp(col_var, of_columns / rows, weight)
    total = sum(row_var, -2)
    mean = maximum(total / rows, eps)
""",
            ("row_var", "col_var", "mean"),
            {"of_update": ("sum", "square", None, ALWAYS)},
        ),
        Sweep(
            """
if tall:
    estimate = row_var * col_var / mean
else:
    estimate = variance
update = grad / sqrt(maximum(estimate, eps * eps))
param = param * decay - factor * update
""",
            "factor = scale / maximum(1, sqrt(of_update / size))",
            ("row_var", "col_var", "mean", "factor"),
        ),
    ),
    dict.fromkeys(("of_param", "of_update", "scale", "factor"))
    | {"of_rows": ROW, "of_columns": COLUMN, "row_var": ROW, "col_var": COLUMN, "mean": MATRIX},
    {"row_var": ROW, "col_var": COLUMN},
    when="tall",
)

# Maxima and sums of everything, written to the parameter so that each shows; a number that is a state.
EXTREMES = made(
    ("param", "grad"),
    ("lr",),
    (
        Sweep(
            "copy = grad - 0",
            folds={
                "most": ("max", "copy", None, ALWAYS),
                "row_most": ("max", "copy", ROW, ALWAYS),
                "column_most": ("max", "copy", COLUMN, ALWAYS),
                "matrix_most": ("max", "copy", MATRIX, ALWAYS),
                "matrix_sum": ("sum", "copy", MATRIX, ALWAYS),
            },
        ),
        Sweep(
            "param = param + row_most + 2 * column_most + 3 * matrix_most + 4 * most + 5 * matrix_sum - lr * known",
            """
known = maximum(0.5 * known, most)
highest = max(row_most)
known = maximum(known, highest)
""",
            ("row_most", "column_most", "matrix_most", "matrix_sum", "most", "known"),
        ),
    ),
    dict.fromkeys(("most", "known"))
    | {"row_most": ROW, "column_most": COLUMN, "matrix_most": MATRIX, "matrix_sum": MATRIX},
    {"known": None},
)


@cache
def source(fused: Fused) -> str:
    """The text of kernels.cpp."""
    return cpp.render(rule_of("param = param - lr * grad", "ByHand").rule, fused, environment())


def launch(
    fused: Fused,
    members: Sequence[Mapping[str, Tensor]],
    rows: Sequence[Sequence[float]],
    options: Options = USUAL,
    *,
    tall: bool = False,
    first_pass: int = 0,
    end_pass: int = ALL_PASSES,
) -> int:
    """Do a step of all members; return the bytes of memory that it took beside theirs."""
    names = (*fused.streams, *(state.name for state in fused.small))
    param = members[0]["param"]
    dtypes = tuple(members[0].get(name, param).dtype for name in names)
    loaded = library(Build(source(fused), dtypes, options.level, options.headers, options.optimised))
    loaded.thetac_prepare.restype = ctypes.c_int64
    table = torch.tensor(
        [
            [m["param"].numel(), index, 0, *(m[name].data_ptr() if name in m else 0 for name in names)]
            for index, m in enumerate(members)
        ]
    )
    shapes = shape_table([m["param"].shape for m in members], [m["param"].numel() for m in members], of_matrix=False)
    row_table = torch.tensor(rows, dtype=torch.float64 if param.dtype is torch.float64 else torch.float32)
    made_for = Launch(
        tensors=table.data_ptr(),
        rows=row_table.data_ptr(),
        specialisations=int(tall),
        grad_scale=options.grad_scale,
        clip=options.clip,
        write_back=options.write_back,
        threads=options.threads,
        n_tensors=len(members),
        shapes=shapes.data_ptr(),
        first_pass=first_pass,
        end_pass=end_pass,
    )
    if options.threads > 1:
        made_for.parallel, made_for.thread_number = openmp()
    size = int(loaded.thetac_prepare(ctypes.byref(made_for)))
    memory = torch.full((size,), 0xFF, dtype=torch.uint8)  # NaN, if it is read before it is written
    made_for.scratch = memory.data_ptr()
    loaded.thetac_prepare(ctypes.byref(made_for))
    options.call(loaded.thetac_step, made_for)
    return size
