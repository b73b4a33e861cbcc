"""Infer the value kind of every name and expression.

In: a Rule whose names are bound and whose ops are known (passes/check/rule.py reports what is not). Out: kinds by name,
and answers to the two questions that lowering asks of an expression: is it on the host, and is it fixed for a group.
Must not store kinds: they follow from the rule, which passes change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from thetac.codegen.ir.nodes import (
    UPDATE,
    Assign,
    Call,
    Const,
    Expr,
    Ref,
    Rule,
    walk_expression,
    walk_statements,
)
from thetac.codegen.ir.ops import OF_NAMES, OPS, Shape
from thetac.codegen.ir.reductions import split_axis
from thetac.codegen.ir.value_kinds import ELEMENT, HISTORY, HOST_NUMBER, HOST_TRUTH, Kind, join, reduced
from thetac.options import IN_UPDATE, OPTIONS
from thetac.shape_numbers import VARIABLES

Kinds = Mapping[str, Kind]  # of every name that an update text can read


def kind_of(expression: Expr, kinds: Kinds) -> Kind:
    """Return the kind of a checked expression.

    Args:
        expression: Ops have arguments that they take.
        kinds: Of every name that the expression reads, except for the arguments of predicates.
    """
    match expression:
        case Const(value=bool()):
            return HOST_TRUTH
        case Const():
            return HOST_NUMBER
        case Ref(name=name):
            return kinds[name]
        case Call(op=op, args=args):
            shape = OPS[op].shape
            match shape:
                case Shape.PREDICATE:
                    return HOST_TRUTH
                case Shape.OF_PARAM:
                    return HOST_NUMBER
                case Shape.ELEMENTWISE | Shape.SELECT | Shape.BLOCKS:
                    return join((kind_of(argument, kinds) for argument in args), truth=False)
                case Shape.COMPARISON | Shape.LOGIC:
                    return join((kind_of(argument, kinds) for argument in args), truth=True)
                case Shape.REDUCTION:
                    operands, axis = split_axis(expression)
                    return reduced(join((kind_of(operand, kinds) for operand in operands), truth=False), axis)
                case Shape.TOTAL:
                    return HOST_NUMBER
                case Shape.REMEMBER:
                    return HISTORY
                case Shape.OF_HISTORY:
                    return ELEMENT
                case _:
                    assert_never(shape)
        case _:
            assert_never(expression)


def infer(rule: Rule) -> dict[str, Kind]:
    """Return the kind of every name: values, flags, options, states, `param` and its numbers, `grad`, locals."""
    kinds: dict[str, Kind] = dict.fromkeys(OPTIONS, HOST_TRUTH) | dict.fromkeys(VARIABLES, HOST_NUMBER)
    kinds |= {"param": ELEMENT, "grad": ELEMENT}
    kinds |= dict.fromkeys(rule.vectors, ELEMENT) | dict.fromkeys(rule.numbers, HOST_NUMBER)
    if rule.features:
        kinds[UPDATE] = ELEMENT
    for hyperparameter in rule.hyperparameters:
        kinds |= dict.fromkeys(hyperparameter.value_names, HOST_NUMBER)
    kinds |= {flag.name: HOST_TRUTH for flag in rule.flags}
    kinds |= {name: HOST_TRUTH for choice in rule.choices for name, _ in choice.comparisons}
    for state in rule.states:
        kinds[state.name] = state.value_kind
    kinds |= {shared.name: HOST_NUMBER for shared in rule.shared}
    for statement in walk_statements((*rule.body, *(s for feature in rule.features for s in feature.body))):
        if isinstance(statement, Assign) and statement.target not in kinds:
            kinds[statement.target] = kind_of(statement.value, kinds)
    return kinds


def is_on_host(expression: Expr, kinds: Kinds) -> bool:
    """Return whether an expression is a host scalar: nothing that it reads lives on a device."""
    return all(kinds[name].is_on_host for name in _arguments(expression))


def is_number(expression: Expr, kinds: Kinds) -> bool:
    """Return whether an expression is one value, of the host or per parameter: it has no dimensions."""
    if isinstance(expression, Call) and OPS[expression.op].shape is Shape.REDUCTION:
        return kind_of(expression, kinds).dims is None
    return all(kinds[name].dims is None for name in _arguments(expression))


def _arguments(expression: Expr) -> Iterator[str]:
    """Yield the names whose values an expression computes with; those of elements tend to come early."""
    parts = [expression]
    while parts:
        part = parts.pop()
        if isinstance(part, Ref):
            yield part.name
        elif isinstance(part, Call) and OPS[part.op].shape not in (*OF_NAMES, Shape.TOTAL):
            parts.extend(reversed(part.args))  # most chains of operations begin with an element


def is_static(condition: Expr, rule: Rule) -> bool:
    """Return whether a group and the shape of a parameter fix a condition, so that implementations specialise on it.

    A hyperparameter that may be a tensor is not fixed: it may change on the device, where the host cannot see it. An
    exception is weight_decay: like torch, the host reads it to leave the decay out where it is 0.
    """
    fixed = {*IN_UPDATE, *VARIABLES, *(flag.name for flag in rule.flags)}
    fixed.update(
        name for h in rule.hyperparameters if not h.tensor or h.name == "weight_decay" for name in h.value_names
    )
    return all(
        (not isinstance(e, Ref) or e.name in fixed) and (not isinstance(e, Call) or e.op != "first")
        for e in walk_expression(condition)
    )
