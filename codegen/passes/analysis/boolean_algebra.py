"""Combine conditions on specialisations.

In: conditions over names of truth values, joined with and, or, not. Out: the same condition, simplified, and an
expression for it that is always the same for the same condition. A condition keeps the form in which it is written,
with every `not` at a name, so that it is never longer than its parts together: a normal form may be exponentially
longer. What follows from a single name is applied: `a or not a and b` is `a or b`. Must not know what the names mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from thetac.codegen.ir.nodes import Call, Const, Expr, Ref, chain


@dataclass(frozen=True, slots=True)
class Literal:
    """A name is true, or is false."""

    name: str
    value: bool


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; no part is an `All` itself."""

    parts: frozenset[Condition]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A part holds; no part is an `AnyOf` itself."""

    parts: frozenset[Condition]


Condition = Literal | All | AnyOf

ALWAYS: Condition = All(frozenset())
NEVER: Condition = AnyOf(frozenset())


def condition(expression: Expr) -> Condition:
    """Return an expression over truth values as a condition."""
    match expression:
        case Const(value=value):
            return ALWAYS if value else NEVER
        case Ref(name=name):
            return Literal(name, value=True)
        case Call(op="not", args=(inner,)):
            return negation(condition(inner))
        case Call(op="and", args=(left, right)):
            return both(condition(left), condition(right))
        case Call(op="or", args=(left, right)):
            return either(condition(left), condition(right))
        case Call():
            raise AssertionError(f"{expression} is no condition on specialisations")


def both(*parts: Condition) -> Condition:
    """Return the condition that all of the conditions hold."""
    return _join(All, AnyOf, parts)


def either(*parts: Condition) -> Condition:
    """Return the condition that at least one of the conditions holds."""
    return _join(AnyOf, All, parts)


def choice(holds: Condition, then: Condition, orelse: Condition) -> Condition:
    """Return the condition that is `then` where `holds` is true and `orelse` where it is false."""
    if then == orelse:
        return then
    return either(both(holds, then), both(negation(holds), orelse))


def negation(of: Condition) -> Condition:
    """Return the condition that this one does not hold."""
    match of:
        case Literal(name=name, value=value):
            return Literal(name, value=not value)
        case All(parts=parts):
            return either(*map(negation, parts))
        case AnyOf(parts=parts):
            return both(*map(negation, parts))
        case _:
            assert_never(of)


def _join(kind: type[All | AnyOf], dual: type[All | AnyOf], parts: tuple[Condition, ...]) -> Condition:
    """Return the parts joined by `kind`, simplified by those of them that are names.

    A part that a name makes superfluous is left out, and a name whose value is known is removed from the other parts.
    """
    nothing, decided = kind(frozenset()), dual(frozenset())
    terms: set[Condition] = set()
    new = set(parts)
    while new:
        for part in new:
            terms.update(part.parts if isinstance(part, kind) else (part,))
        if decided in terms:
            return decided
        literals = {term for term in terms if isinstance(term, Literal)}
        opposites = {negation(literal) for literal in literals}
        if literals & opposites:
            return decided
        new = set()
        for term in terms - literals:
            assert isinstance(term, dual)
            if not term.parts.isdisjoint(literals):
                terms.remove(term)
            elif not term.parts.isdisjoint(opposites):
                terms.remove(term)
                new.add(_join(dual, kind, tuple(term.parts - opposites)))
    return next(iter(terms)) if len(terms) == 1 else kind(frozenset(terms)) if terms else nothing


def holds(of: Condition, values: Mapping[str, bool]) -> bool:
    """Return whether the condition holds for these values of the names."""
    match of:
        case Literal(name=name, value=value):
            return values[name] is value
        case All(parts=parts):
            return all(holds(part, values) for part in parts)
        case AnyOf(parts=parts):
            return any(holds(part, values) for part in parts)
        case _:
            assert_never(of)


def expression(of: Condition) -> Expr:
    """Return the condition as an expression, its parts in the order of their names."""
    match of:
        case Literal(name=name, value=value):
            return Ref(name) if value else Call("not", (Ref(name),))
        case All(parts=parts) | AnyOf(parts=parts):
            if not parts:
                return Const(of == ALWAYS)
            op = "and" if isinstance(of, All) else "or"
            return chain(op, tuple(expression(part) for part in sorted(parts, key=_names)))
        case _:
            assert_never(of)


def names_in(of: Condition) -> frozenset[str]:
    """Return the names in a condition."""
    return frozenset(name for name, _ in _names(of))


def _names(of: Condition) -> tuple[tuple[str, bool], ...]:
    """Return the names in a condition, each with the value that it must have, in order."""
    match of:
        case Literal(name=name, value=value):
            return ((name, value),)
        case All(parts=parts) | AnyOf(parts=parts):
            return tuple(sorted(literal for part in parts for literal in _names(part)))
        case _:
            assert_never(of)
