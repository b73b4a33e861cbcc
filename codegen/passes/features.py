"""Write the features that every optimizer has, and those that a spec adds, into the body, as ordinary statements.

In: a checked Rule. Out: the Rule whose body is complete. Order, as in torch: negate the gradient (maximize), decay,
start states from the gradient, then the spec's own update, then the decay of styles that come with or after it. What a
spec adds attaches to the gradient before it decays, to the update before it is applied, to the parameter at the end. A
state that starts from the parameter is copied from it before the step and is no statement of the body.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import assert_never

from thetac.codegen.ir.nodes import (
    UPDATE,
    Assign,
    Call,
    Const,
    DecayStyle,
    Expr,
    If,
    Ref,
    Rule,
    Stmt,
    names_in_body,
)
from thetac.codegen.ir.renaming import rename
from thetac.codegen.passes.update_value import apply_update, name_of_update, take_out_update

GRAD, PARAM, LR, DECAY = Ref("grad"), Ref("param"), Ref("lr"), Ref("weight_decay")
DECAYS = "weight decay"  # the origin of its statements


class _Place(Enum):
    """Where in a step a style of decay attaches."""

    BEFORE = "before the update"
    WITH = "where the update is known, but not yet applied"
    AFTER = "after the update"


def apply(rule: Rule) -> Rule:
    """Return the rule with the features in its body, in which every state starts from a number or the parameter."""
    on_grad = (statement for feature in rule.features for statement in feature.gradient)
    on_param = (statement for feature in rule.features for statement in feature.param)
    body = (*on_grad, *_weight_decay(rule, _Place.BEFORE), *_start_states(rule), *_update(rule))
    if "grad" in names_in_body(body) and not rule.vectors:  # a flat gradient is that of what is minimized
        body = (*_maximize(), *body)
    states = tuple(
        replace(state, init=Const(0)) if isinstance(state.init, Ref) and state.init.name == "grad" else state
        for state in rule.states
    )
    return replace(rule, body=(*body, *_weight_decay(rule, _Place.AFTER), *on_param), states=states, features=())


def _update(rule: Rule) -> tuple[Stmt, ...]:
    """Return the spec's own update, with the features and the decay that look at what it takes away."""
    name = name_of_update(rule)
    features = tuple(s for feature in rule.features for s in rename(feature.update, {UPDATE: name}))
    decay = _weight_decay(rule, _Place.WITH)
    if not features and not decay:
        return rule.body
    return (*take_out_update(rule.body, name), *features, *decay, apply_update(name))


def _maximize() -> tuple[Stmt, ...]:
    negate = Assign("grad", Call("neg", (GRAD,)), origin="maximize")
    return (If(Ref("maximize"), (negate,), origin="maximize"),)


def _weight_decay(rule: Rule, place: _Place) -> tuple[Stmt, ...]:
    """Return the cases inside `if weight_decay != 0`, because adding `0 * param` would change -0.0 and infinities."""
    statement = _decay_cases(rule, rule.decay, place)
    if not statement:
        return ()
    return (If(Call("ne", (DECAY, Const(0))), statement, origin=DECAYS),)


def _decay_cases(rule: Rule, cases: tuple[tuple[Expr | None, DecayStyle], ...], place: _Place) -> tuple[Stmt, ...]:
    match cases:
        case ():
            return ()
        case ((None, style), *_):
            return _decay(rule, style) if _place_of(style) is place else ()
        case ((condition, style), *rest):
            assert condition is not None
            then = _decay(rule, style) if _place_of(style) is place else ()
            otherwise = _decay_cases(rule, tuple(rest), place)
            if then:
                return (If(condition, then, otherwise, origin=DECAYS),)
            return (If(Call("not", (condition,)), otherwise, origin=DECAYS),) if otherwise else ()
    raise AssertionError(f"unexpected decay cases {cases}")


def _place_of(style: DecayStyle) -> _Place:
    match style:
        case DecayStyle.CAUTIOUS:
            return _Place.WITH
        case DecayStyle.DECOUPLED_AFTER | DecayStyle.ABSOLUTE_AFTER:
            return _Place.AFTER
        case _:
            return _Place.BEFORE


def _decay(rule: Rule, style: DecayStyle) -> tuple[Stmt, ...]:
    def shrunk(amount: Expr) -> Expr:
        return Call("mul", (PARAM, Call("sub", (Const(1), amount))))

    def shrink(amount: Expr) -> Assign:
        return Assign("param", shrunk(amount), origin=DECAYS)

    def shrink_if_moving(amount: Expr) -> tuple[Stmt, ...]:
        return (If(Call("ne", (LR, Const(0))), (shrink(amount),), origin=DECAYS),)

    match style:
        case DecayStyle.NONE:
            return ()
        case DecayStyle.L2:
            penalty = Call("mul", (DECAY, PARAM))
            return (Assign("grad", Call("add", (GRAD, penalty)), origin=DECAYS),)
        case DecayStyle.DECOUPLED | DecayStyle.DECOUPLED_AFTER:
            return (shrink(Call("mul", (LR, DECAY))),)
        case DecayStyle.FULLY_DECOUPLED:
            # A step with lr 0 moves no parameter, whatever max_lr is (0 / 0 would).
            return shrink_if_moving(Call("mul", (Call("div", (LR, Ref("max_lr"))), DECAY)))
        case DecayStyle.CORRECTED:
            share = Call("div", (Call("pow", (LR, Const(2))), Ref("max_lr")))
            return shrink_if_moving(Call("mul", (share, DECAY)))
        case DecayStyle.ABSOLUTE | DecayStyle.ABSOLUTE_AFTER:
            return shrink_if_moving(DECAY)
        case DecayStyle.CAUTIOUS:
            # The product of both could underflow where they agree.
            agreement = Call("mul", (Call("sign", (Ref(name_of_update(rule)),)), PARAM))
            kept = Call("where", (Call("ge", (agreement, Const(0))), shrunk(Call("mul", (LR, DECAY))), PARAM))
            return (Assign("param", kept, origin=DECAYS),)
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
