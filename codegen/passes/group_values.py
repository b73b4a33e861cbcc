"""Turn what a group may hold beside numbers and truth values into flags: texts of choices, and None.

In: a Rule after features. Out: the Rule with a derived flag for each comparison of a choice with a text that it reads,
and for each value that may be None. Where such a value is read, it is what None stands for if the flag holds. No later
pass knows of choices or None; groups and checkpoints hold them as written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile
from typing import assert_never

from thetac.codegen.ir.nodes import (
    Asks,
    Assign,
    Call,
    Expr,
    Flag,
    If,
    Ref,
    Requirement,
    Rule,
    State,
    Stmt,
    expression_of,
    names_of,
    names_read,
    walk_expression,
    walk_statements,
)
from thetac.codegen.ir.ops import OF_NAMES, OPS
from thetac.codegen.passes.naming import unique

Meanings = Mapping[str, Expr]  # by name, what is read in its place
ORIGIN = "what None stands for"  # of the statements that this pass invents
EARLY = ("maximize", "weight decay")  # origins of the statements that stay the first ones


def resolve(rule: Rule) -> Rule:
    """Return the rule without choices, and with numbers for values that are None in a group."""
    optional = {
        n: m for h in rule.hyperparameters for n, m in zip(h.value_names, h.none, strict=False) if m is not None
    }
    if not rule.choices and not optional:
        return rule
    taken = _names_in(rule)
    flags: dict[str, Flag] = {}

    def derive(name: str, asks: Asks, *, holds: bool, fixed: bool) -> Ref:
        """Return the name of a new flag."""
        found = unique([name], taken)
        taken.add(found)
        flags[found] = Flag(found, holds, fixed, asks=asks)
        return Ref(found)

    read = _read_in(rule)
    early = tuple(takewhile(lambda statement: statement.origin in EARLY, rule.body))
    late = rule.body[len(early) :]
    meanings: dict[str, Expr] = {}
    for choice in rule.choices:
        for name, text in choice.comparisons:
            if name in read:
                holds = choice.default == text
                asks = Asks(choice.name, text)
                meanings[name] = derive(f"{choice.name}_is_{text}", asks, holds=holds, fixed=choice.fixed)
    locals_: list[Stmt] = []
    in_values: dict[str, Expr] = {}  # of statements, which read a local that has the value
    for h in rule.hyperparameters:
        defaults = h.default if isinstance(h.default, tuple) else (h.default,) * len(h.value_names)
        for name, default in zip(h.value_names, defaults, strict=True):
            if name in optional:
                holds = default is None and not h.required
                flag = derive(f"{name}_is_none", Asks(name, None), holds=holds, fixed=False)
                meanings[name] = Call("where", (flag, _replaced(optional[name], meanings), Ref(name)))
                if any(name in names_read(s.value) for s in walk_statements(late) if isinstance(s, Assign)):
                    local = unique([f"{name}_or_default"], taken)
                    taken.add(local)
                    locals_.append(Assign(local, meanings[name], origin=ORIGIN))
                    in_values[name] = Ref(local)
    return replace(
        rule,
        hyperparameters=tuple(replace(h, none=()) for h in rule.hyperparameters),
        choices=(),
        flags=(*rule.flags, *flags.values()),
        states=tuple(_state(state, meanings) for state in rule.states),
        shared=tuple(replace(one, init=_replaced(one.init, meanings)) for one in rule.shared),
        requirements=tuple(_requirement(one, meanings) for one in rule.requirements),
        decay=tuple((None if c is None else _replaced(c, meanings), style) for c, style in rule.decay),
        body=(
            *_statements(early, meanings, meanings),
            *locals_,
            *_statements(late, meanings, {**meanings, **in_values}),
        ),
    )


def _names_in(rule: Rule) -> set[str]:
    """Return every name that has a meaning in the rule."""
    names = {name for h in rule.hyperparameters for name in (h.name, *h.value_names)}
    names |= set(names_of(rule.flags, rule.choices, rule.kept))
    return names | {s.target for s in walk_statements(rule.body) if isinstance(s, Assign)}


def _read_in(rule: Rule) -> set[str]:
    """Return every name that an expression of the rule reads."""
    expressions = list(map(expression_of, walk_statements(rule.body)))
    expressions += [state.when for state in rule.states if state.when is not None]
    expressions += [state.init for state in rule.kept]
    expressions += [requirement.condition for requirement in rule.requirements]
    expressions += [condition for condition, _ in rule.decay if condition is not None]
    expressions += [none for h in rule.hyperparameters for none in h.none if none is not None]
    return {part.name for one in expressions for part in walk_expression(one) if isinstance(part, Ref)}


def _state(state: State, meanings: Meanings) -> State:
    when = None if state.when is None else _replaced(state.when, meanings)
    return replace(state, init=_replaced(state.init, meanings), when=when)


def _requirement(requirement: Requirement, meanings: Meanings) -> Requirement:
    return replace(requirement, condition=_replaced(requirement.condition, meanings))


def _statements(body: tuple[Stmt, ...], conditions: Meanings, values: Meanings) -> tuple[Stmt, ...]:
    """Return statements whose conditions read flags where they can, so that they stay decided by the group."""
    return tuple(_statement(statement, conditions, values) for statement in body)


def _statement(statement: Stmt, conditions: Meanings, values: Meanings) -> Stmt:
    match statement:
        case Assign(value=value):
            return replace(statement, value=_replaced(value, values))
        case If(condition=condition, then=then, orelse=orelse):
            return replace(
                statement,
                condition=_replaced(condition, conditions),
                then=_statements(then, conditions, values),
                orelse=_statements(orelse, conditions, values),
            )
        case _:
            assert_never(statement)


def _replaced(expression: Expr, meanings: Meanings) -> Expr:
    """Return an expression with meanings in place of names, predicates as they are."""
    match expression:
        case Ref(name=name):
            return meanings.get(name, expression)
        case Call(op=op, args=args) if OPS[op].shape not in OF_NAMES:
            return replace(expression, args=tuple(_replaced(argument, meanings) for argument in args))
        case _:
            return expression
