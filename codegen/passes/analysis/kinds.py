"""The kind of every expression, inferred: number or truth value on the host, or one per element.

In: a Rule whose names are bound and whose ops are known (passes/check/rule.py reports what is not). Out: kinds by name,
and the two questions that lowering asks of an expression: does it live on the host, and is it fixed for a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from thetac.codegen.ir.nodes import (
    OPTIONS,
    Assign,
    Call,
    Const,
    Expr,
    Kind,
    Ref,
    Rule,
    StateKind,
    walk_expression,
    walk_statements,
)
from thetac.codegen.ir.ops import OPS, Shape

Kinds = Mapping[str, Kind]  # of every name that an update text can read

_ON_ELEMENTS = (Kind.ELEMENT, Kind.MASK)


def kind_of(expression: Expr, kinds: Kinds) -> Kind:
    """The kind of an expression over names of known kinds."""
    match expression:
        case Const(value=bool()):
            return Kind.FLAG
        case Const():
            return Kind.HOST
        case Ref(name=name):
            return kinds[name]
        case Call(op=op, args=args):
            shape = OPS[op].shape
            if shape is Shape.PREDICATE:
                return Kind.FLAG
            of_args = [kind_of(argument, kinds) for argument in args]
            on_elements = Kind.ELEMENT in of_args or Kind.MASK in of_args
            match shape:
                case Shape.ELEMENTWISE | Shape.SELECT:
                    return Kind.ELEMENT if on_elements else Kind.HOST
                case Shape.COMPARISON | Shape.LOGIC:
                    return Kind.MASK if on_elements else Kind.FLAG
                case _:
                    assert_never(shape)
        case _:
            assert_never(expression)


def infer(rule: Rule) -> dict[str, Kind]:
    """The kind of every name of the rule: hyperparameter values, flags, options, states, `param`, `grad`, locals."""
    kinds: dict[str, Kind] = dict.fromkeys(OPTIONS, Kind.FLAG)
    kinds |= {"param": Kind.ELEMENT, "grad": Kind.ELEMENT}
    for hyperparameter in rule.hyperparameters:
        kinds |= dict.fromkeys(hyperparameter.value_names, Kind.HOST)
    kinds |= {flag.name: Kind.FLAG for flag in rule.flags}
    for state in rule.states:
        kinds[state.name] = Kind.ELEMENT if state.kind is StateKind.TENSOR else Kind.HOST
    for statement in walk_statements(rule.body):
        if isinstance(statement, Assign) and statement.target not in kinds:
            kinds[statement.target] = kind_of(statement.value, kinds)
    return kinds


def on_host(expression: Expr, kinds: Kinds) -> bool:
    """Whether the expression is a number or truth value of the host: nothing in it is one per element."""
    parts = [expression]
    while parts:
        part = parts.pop()
        if isinstance(part, Ref):
            if kinds[part.name] in _ON_ELEMENTS:
                return False
        elif isinstance(part, Call) and OPS[part.op].shape is not Shape.PREDICATE:
            parts.extend(reversed(part.args))  # a chain of operations mostly begins with an element
    return True


def is_static(condition: Expr, rule: Rule) -> bool:
    """Whether a condition is fixed by the values in a parameter group, so that implementations can specialise on it.

    A hyperparameter that may be a tensor may change on the device, where the host cannot look: not fixed. The host
    does look at weight_decay, as torch does, to leave the decay out where it is 0.
    """
    fixed = {"maximize", *(flag.name for flag in rule.flags)}
    fixed.update(
        name for h in rule.hyperparameters if not h.tensor or h.name == "weight_decay" for name in h.value_names
    )
    return all(
        (not isinstance(e, Ref) or e.name in fixed) and (not isinstance(e, Call) or e.op != "first")
        for e in walk_expression(condition)
    )
