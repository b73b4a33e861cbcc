"""Write out composed operations and small powers of elements, so that no backend needs them.

In: a checked Rule. Out: the Rule with definitions in place of composed operations; of an element x, `x ** 2` is
`x * x`, `x ** 3` is `x * x * x` from the left, `x ** 0.5` is `sqrt(x)`. All other powers are kept, and so is a composed
operation on elements that the targets have a function for. `rank(param)` and its like become names of numbers, which
are known before a step as hyperparameters are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.definitions import expanded
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt
from thetac.codegen.ir.ops import OPS, Shape
from thetac.codegen.passes.analysis.kinds import Kinds, infer, is_on_host
from thetac.shape_numbers import PARAM_FACTS, SHAPE_NUMBERS


def expand(rule: Rule) -> Rule:
    """Return the rule without composed operations and without squares, cubes and square roots of elements as powers."""
    kinds = infer(rule)
    return replace(
        rule,
        hyperparameters=tuple(
            replace(one, none=tuple(None if none is None else _expression(none, kinds) for none in one.none))
            for one in rule.hyperparameters
        ),
        states=tuple(
            replace(
                state,
                init=_expression(state.init, kinds),
                when=None if state.when is None else _expression(state.when, kinds),
            )
            for state in rule.states
        ),
        shared=tuple(replace(one, init=_expression(one.init, kinds)) for one in rule.shared),
        requirements=tuple(
            replace(requirement, condition=_expression(requirement.condition, kinds))
            for requirement in rule.requirements
        ),
        decay=tuple(
            (None if condition is None else _expression(condition, kinds), style) for condition, style in rule.decay
        ),
        body=_block(rule.body, kinds),
        features=tuple(feature.changed(lambda body: _block(body, kinds)) for feature in rule.features),
    )


def _block(body: tuple[Stmt, ...], kinds: Kinds) -> tuple[Stmt, ...]:
    return tuple(_statement(statement, kinds) for statement in body)


def _statement(statement: Stmt, kinds: Kinds) -> Stmt:
    match statement:
        case Assign(value=value):
            return replace(statement, value=_expression(value, kinds))
        case If(condition=condition, then=then, orelse=orelse):
            return replace(
                statement,
                condition=_expression(condition, kinds),
                then=_block(then, kinds),
                orelse=_block(orelse, kinds),
            )
        case _:
            assert_never(statement)


def _expression(expression: Expr, kinds: Kinds) -> Expr:
    match expression:
        case Call(op=op, args=args, location=here):
            row = OPS[op]
            if row.shape is Shape.OF_PARAM:
                return Ref(SHAPE_NUMBERS[op].variable, here)
            if op in PARAM_FACTS:
                return Ref(PARAM_FACTS[op], here)
            if row.defined and not (row.whole_on_elements and not is_on_host(expression, kinds)):
                return _expression(expanded(expression), kinds)
            args = tuple(_expression(argument, kinds) for argument in args)
            if op == "pow" and not is_on_host(args[0], kinds):
                return _power(args[0], args[1], expression)
            return Call(op, args, here)
        case _:
            return expression


def _power(base: Expr, exponent: Expr, whole: Call) -> Expr:
    here = whole.location
    match exponent:
        case Const(value=2):
            return Call("mul", (base, base), here)
        case Const(value=3):
            return Call("mul", (Call("mul", (base, base), here), base), here)
        case Const(value=0.5):
            return Call("sqrt", (base,), here)
        case _:
            return Call("pow", (base, exponent), here)
