"""When something happens, as a condition on specialisations, kept in its shortest form.

In: conditions over names of truth values, joined with and, or, not. Out: the same as an expression without
repetition. A condition is held as a sum of products: a set of alternatives, each a set of names that must be true
or false. Must not know what the names mean.
"""

from __future__ import annotations

from thetac.codegen.ir.nodes import Call, Const, Expr, Ref

Product = frozenset[tuple[str, bool]]
Condition = frozenset[Product]

ALWAYS: Condition = frozenset({frozenset()})
NEVER: Condition = frozenset()


def condition(expression: Expr) -> Condition:
    """A condition from an expression over truth values."""
    match expression:
        case Const(value=value):
            return ALWAYS if value else NEVER
        case Ref(name=name):
            return frozenset({frozenset({(name, True)})})
        case Call(op="not", args=(inner,)):
            return negation(condition(inner))
        case Call(op="and", args=(left, right)):
            return both(condition(left), condition(right))
        case Call(op="or", args=(left, right)):
            return either(condition(left), condition(right))
        case Call():
            raise AssertionError(f"{expression} is no condition on specialisations")


def both(left: Condition, right: Condition) -> Condition:
    products = {a | b for a in left for b in right}
    return _shortest({p for p in products if not any((name, not value) in p for name, value in p)})


def either(left: Condition, right: Condition) -> Condition:
    return _shortest({*left, *right})


def negation(of: Condition) -> Condition:
    result = ALWAYS
    for product in of:
        result = both(result, frozenset(frozenset({(name, not value)}) for name, value in product))
    return result


def _shortest(products: set[Product]) -> Condition:
    """Without alternatives that others cover; `a and b or a and not b` is `a`."""
    while True:
        merged = {
            first - {(name, value)}
            for first in products
            for name, value in first
            for second in products
            if (name, not value) in second and second - {(name, not value)} <= first - {(name, value)}
        }
        products |= merged
        kept = {p for p in products if not any(other < p for other in products)}
        if kept == products:
            return frozenset(kept)
        products = kept


def expression(of: Condition) -> Expr:
    """The condition as an expression, the same one for the same condition."""
    if of == NEVER:
        return Const(False)
    alternatives = sorted(sorted(product) for product in of)
    sums: list[Expr] = []
    for product in alternatives:
        factors: list[Expr] = [Ref(name) if value else Call("not", (Ref(name),)) for name, value in product]
        sums.append(_join("and", factors) if factors else Const(True))
    return _join("or", sums)


def _join(op: str, terms: list[Expr]) -> Expr:
    joined = terms[0]
    for term in terms[1:]:
        joined = Call(op, (joined, term))
    return joined
