"""Make rules of the pieces of a rule, so that everything that compiles rules compiles pieces.

In: a checked Rule. Out: for one of its pieces the Rule whose update it is. A piece has the hyperparameters of its rule
and those states that it reads or writes. It has no weight decay, features or requirements, and does not count steps. A
flat one is about real vectors in their own dtype, and knows what its driver puts in scope.
"""

from __future__ import annotations

from dataclasses import replace

from thetac.codegen.ir.nodes import ComplexMode, HalfPrecision, Piece, Rule, assigned, names_in_body
from thetac.drivers import PIECES


def rule_of(rule: Rule, piece: Piece) -> Rule:
    """Return the rule whose update is a piece of another one."""
    used, kind = {*names_in_body(piece.body), *assigned(piece.body)}, PIECES[piece.name]
    return replace(
        rule,
        body=piece.body,
        states=tuple(state for state in rule.states if state.name in used),
        shared=(),
        requirements=(),
        decay=(),
        features=(),
        pieces=(),
        driver="",
        entry="",
        state_at_construction=False,
        symbols=(),
        vectors=kind.vectors,
        numbers=kind.numbers,
        given_symbols=kind.symbols,
        complex_mode=ComplexMode.UNSUPPORTED if kind.is_flat else rule.complex_mode,
        half_precision=HalfPrecision.NATIVE if kind.is_flat else rule.half_precision,
        dense_error=rule.dense_error if "grad" in used else "",
    )
