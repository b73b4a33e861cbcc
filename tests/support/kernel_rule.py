"""The program of kernels as a rule: what they do with memory, as statements that the interpreter knows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from tests.support.views import sees_matrix
from thetac.codegen.frontend.views import View
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fold, Fused, Stream
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt
from thetac.codegen.ir.totals import is_total
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR, ROW_VECTOR


def as_rule(rule: Rule, fused: Fused) -> Rule:
    """Return a rule that does what kernels do: host programs up to totals, and passes on what is in memory."""
    firsts = [s.name for s in rule.states if f"first_{s.name}" in fused.inputs]
    body: list[Stmt] = [Assign(f"first_{name}", Call("first", (Ref(name),))) for name in firsts]
    body += [Assign(f"{one.name} of the group", one.condition) for one in fused.specialisations]
    in_kernels = {entry.name: f"{entry.name} of the row" for entry in fused.row}
    in_kernels |= {one.name: f"{one.name} of the group" for one in fused.specialisations}
    body += [s for name in fused.streams for s in _where_it_exists(rule, name, Assign(f"{name} in memory", Ref(name)))]
    host = list(fused.host)
    known = 0  # totals
    body += _stage(host, fused, known)
    for index, one in enumerate(fused.passes):
        body += [_statement(statement, in_kernels) for statement in one.before]
        body += [s for stream in one.streams for s in _loads(stream, in_kernels)]
        # What a branch that is not taken leaves unset is NaN, so that nothing can read what is made of it unseen.
        nan = Call("mul", (Const(math.nan), Ref("grad in memory")))
        body += [Assign(fold.value, nan) for fold in one.folds]
        body += [_statement(statement, in_kernels) for statement in one.body]
        body += [s for stream in one.streams for s in _stores(stream, in_kernels)]
        body += [s for fold in one.folds for s in _complete(fold, in_kernels)]
        while known < len(fused.totals) and fused.totals[known].passes <= index + 1:
            known += 1
            body += [host.pop(0), *_stage(host, fused, known)]
    body += [s for name in fused.streams for s in _where_it_exists(rule, name, Assign(name, Ref(f"{name} in memory")))]
    # Kernels know one sort of rows and columns: those that their launcher tells them of.
    view = View.MATRIX if sees_matrix(rule) else View.LAST_AXES
    return replace(rule, body=view.body(tuple(body)))


def _stage(host: list[Stmt], fused: Fused, known: int) -> Iterator[Stmt]:
    """Take the host's statements up to the next total, and write the numbers of the row that need so many totals."""
    while host and not (isinstance(host[0], Assign) and is_total(host[0].value)):
        yield host.pop(0)
    yield from (Assign(f"{one.name} of the row", Ref(one.variable)) for one in fused.row if one.after == known)


def _where_it_exists(rule: Rule, name: str, statement: Stmt) -> Iterator[Stmt]:
    state = rule.state(name)
    yield statement if state is None or state.when is None else If(state.when, (statement,))


def _loads(stream: Stream, names: dict[str, str]) -> Iterator[Stmt]:
    """What is not loaded is NaN, so that nothing can read it unseen."""
    load = Assign(stream.name, Ref(f"{stream.name} in memory"))
    yield If(_renamed(stream.loaded, names), (load,), (Assign(stream.name, Const(math.nan)),))


def _stores(stream: Stream, names: dict[str, str]) -> Iterator[Stmt]:
    yield If(_renamed(stream.stored, names), (Assign(f"{stream.name} in memory", Ref(stream.name)),))


def _complete(fold: Fold, names: dict[str, str]) -> Iterator[Stmt]:
    """What is not needed is NaN, so that nothing can read it unseen."""
    axis = () if fold.dims is None else (Const({ROW_VECTOR: -1, COLUMN_VECTOR: -2}[fold.dims]),)
    reduction = Assign(fold.target, Call(fold.op, (Ref(fold.value), *axis)))
    yield If(_renamed(fold.needed, names), (reduction,), (Assign(fold.target, Const(math.nan)),))


def _statement(statement: ElementStmt, names: dict[str, str]) -> Stmt:
    match statement:
        case ElementAssign(target=target, value=value):
            return Assign(target, _renamed(value, names))
        case ElementIf(condition=condition, then=then, orelse=orelse):
            sides = [tuple(_statement(inner, names) for inner in side) for side in (then, orelse)]
            return If(_renamed(condition, names), sides[0], sides[1])


def _renamed(expression: Expr, names: dict[str, str]) -> Expr:
    match expression:
        case Ref(name=name):
            return Ref(names.get(name, name))
        case Call(op=op, args=args):
            return Call(op, tuple(_renamed(argument, names) for argument in args))
        case Const():
            return expression
