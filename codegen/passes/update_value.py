"""Give what a rule takes away from the parameter a name, so that it can be looked at before it is applied.

In: the statements of an update, which assign `param`. Out: statements that assign a local instead, the *update*: what
one step subtracts from the parameter. `param = param - a` adds `a` to it; any other assignment makes it the difference
between the parameter as it was and the new value. Where the parameter is read after its assignment, it is the old one
minus the update so far. The decay that a spec declares is no part of its update.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt, assigned, names_of
from thetac.codegen.ir.ops import OF_NAMES, OPS

PARAM = Ref("param")
_ZERO = Call("where", (Call("eq", (PARAM, PARAM)), Const(0), Const(0)))  # of every element


def name_of_update(rule: Rule) -> str:
    """Return the name of the local, which no other value of the rule has: `update` if it is free."""
    declared = (name for h in rule.hyperparameters for name in (h.name, *h.elements))
    taken = {*declared, *names_of(rule.flags, rule.choices, rule.kept), *assigned(rule.body)}
    taken |= {name for feature in rule.features for name in assigned(feature.body)}
    return next(name for i in range(len(taken) + 1) if (name := f"update{i or ''}") not in taken)


def take_out_update(body: tuple[Stmt, ...], name: str) -> tuple[Stmt, ...]:
    """Return the statements without assignments to `param`: afterwards the local `name` is what they would subtract."""
    statements, is_set = _block(body, Ref(name), is_set=False)
    return statements if is_set else (*statements, _nothing(name))


def apply_update(name: str) -> Assign:
    """Return the statement that subtracts the update from the parameter."""
    return Assign("param", Call("sub", (PARAM, Ref(name))))


def _block(body: tuple[Stmt, ...], update: Ref, *, is_set: bool) -> tuple[tuple[Stmt, ...], bool]:
    """Return the statements, and whether the update has a value behind them."""
    statements: list[Stmt] = []
    for statement in body:
        match statement:
            case Assign(target="param", value=value):
                statements.append(
                    replace(statement, target=update.name, value=_subtracted(value, update, is_set=is_set))
                )
                is_set = True
            case Assign(value=value):
                statements.append(replace(statement, value=_read(value, update, is_set=is_set)))
            case If(then=then, orelse=orelse):
                if not is_set and "param" in assigned((statement,)):
                    then, orelse = (_block_that_sets(side, update) for side in (then, orelse))
                    is_set = True
                else:
                    then, orelse = (_block(side, update, is_set=is_set)[0] for side in (then, orelse))
                statements.append(replace(statement, then=then, orelse=orelse))
            case _:
                assert_never(statement)
    return tuple(statements), is_set


def _block_that_sets(body: tuple[Stmt, ...], update: Ref) -> tuple[Stmt, ...]:
    statements, is_set = _block(body, update, is_set=False)
    return statements if is_set else (*statements, _nothing(update.name))


def _nothing(name: str) -> Assign:
    """Return the statement that makes the update 0 for every element."""
    return Assign(name, _ZERO)


def _subtracted(value: Expr, update: Ref, *, is_set: bool) -> Expr:
    """Return the update after `param = value`."""
    terms: list[Expr] = []  # that are subtracted, from the left
    rest = value
    while isinstance(rest, Call) and rest.op in ("add", "sub"):
        left, right = rest.args
        right = _read(right, update, is_set=is_set)
        terms.append(right if rest.op == "sub" else Call("neg", (right,), rest.location))
        rest = left
    if rest != PARAM:
        return Call("sub", (PARAM, _read(value, update, is_set=is_set)), value.location)
    terms = [*([update] if is_set else []), *reversed(terms)]
    total = terms[0] if terms else _ZERO
    for term in terms[1:]:
        match term:
            case Call(op="neg", args=(added,)):
                total = Call("sub", (total, added), value.location)
            case _:
                total = Call("add", (total, term), value.location)
    return total


def _read(expression: Expr, update: Ref, *, is_set: bool) -> Expr:
    """Return an expression in which the parameter is the one before the update."""
    if not is_set:
        return expression
    match expression:
        case Ref(name="param", location=here):
            return Call("sub", (PARAM, update), here)
        case Call(op=op) if OPS[op].shape in OF_NAMES:
            return expression  # the shape is that of the old one
        case Call(args=args):
            return replace(expression, args=tuple(_read(argument, update, is_set=is_set) for argument in args))
        case Ref() | Const():
            return expression
        case _:
            assert_never(expression)
