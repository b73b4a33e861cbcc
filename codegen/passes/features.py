"""Write the features that every optimizer has into the body, as ordinary statements.

In: a checked Rule. Out: the Rule whose body is complete: maximize, weight decay, states that start from the
gradient. Order, as in torch: negate the gradient, decay, start states, then the spec's own update. A state that starts
from the parameter is copied from it before the step and is no statement of the body.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, DecayStyle, Expr, If, Ref, Rule, Stmt

GRAD, PARAM, LR, DECAY = Ref("grad"), Ref("param"), Ref("lr"), Ref("weight_decay")


def apply(rule: Rule) -> Rule:
    """Return the rule with the features in its body, in which every state starts from a number or the parameter."""
    body = (*_maximize(), *_weight_decay(rule), *_start_states(rule), *rule.body)
    states = tuple(
        replace(state, init=Const(0)) if isinstance(state.init, Ref) and state.init.name == "grad" else state
        for state in rule.states
    )
    return replace(rule, body=body, states=states)


def _maximize() -> tuple[Stmt, ...]:
    negate = Assign("grad", Call("neg", (GRAD,)), origin="maximize")
    return (If(Ref("maximize"), (negate,), origin="maximize"),)


def _weight_decay(rule: Rule) -> tuple[Stmt, ...]:
    """Return the cases inside `if weight_decay != 0`, because adding `0 * param` would change -0.0 and infinities."""
    statement = _decay_cases(rule.decay)
    if not statement:
        return ()
    return (If(Call("ne", (DECAY, Const(0))), statement, origin="weight decay"),)


def _decay_cases(cases: tuple[tuple[Expr | None, DecayStyle], ...]) -> tuple[Stmt, ...]:
    match cases:
        case ():
            return ()
        case ((None, style), *_):
            return _decay(style)
        case ((condition, style), *rest):
            assert condition is not None
            then, otherwise = _decay(style), _decay_cases(tuple(rest))
            if then:
                return (If(condition, then, otherwise, origin="weight decay"),)
            return (If(Call("not", (condition,)), otherwise, origin="weight decay"),) if otherwise else ()
    raise AssertionError(f"unexpected decay cases {cases}")


def _decay(style: DecayStyle) -> tuple[Stmt, ...]:
    def shrink(amount: Expr) -> Assign:
        factor = Call("sub", (Const(1), amount))
        return Assign("param", Call("mul", (PARAM, factor)), origin="weight decay")

    match style:
        case DecayStyle.NONE:
            return ()
        case DecayStyle.L2:
            penalty = Call("mul", (DECAY, PARAM))
            return (Assign("grad", Call("add", (GRAD, penalty)), origin="weight decay"),)
        case DecayStyle.DECOUPLED:
            return (shrink(Call("mul", (LR, DECAY))),)
        case DecayStyle.FULLY_DECOUPLED:
            # A step with lr 0 moves no parameter, whatever max_lr is (0 / 0 would).
            amount = Call("mul", (Call("div", (LR, Ref("max_lr"))), DECAY))
            return (If(Call("ne", (LR, Const(0))), (shrink(amount),), origin="weight decay"),)
        case DecayStyle.ABSOLUTE:
            return (If(Call("ne", (LR, Const(0))), (shrink(DECAY),), origin="weight decay"),)
        case _:
            assert_never(style)


def _start_states(rule: Rule) -> tuple[Stmt, ...]:
    starts: list[Stmt] = []
    for state in rule.states:
        if isinstance(state.init, Ref) and state.init.name == "grad":
            start: Stmt = If(
                Call("first", (Ref(state.name),)),
                (Assign(state.name, state.init, origin="first value"),),
                origin="first value",
            )
            starts.append(If(state.when, (start,), origin="first value") if state.when is not None else start)
    return tuple(starts)
