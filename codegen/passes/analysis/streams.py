"""Find which tensors a kernel must load and store, and when.

In: the statements on elements (ir/fused.py). Out: for each stream the conditions on specialisations under which its old
value is needed and a new one is kept. A stream that a branch does not use is neither loaded nor stored, nor is one
loaded of which nothing comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import assert_never

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Stream
from thetac.codegen.ir.nodes import names_read
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.boolean_algebra import ALWAYS, NEVER, Condition
from thetac.codegen.passes.analysis.liveness import When, needed_before

MOST_COMPARED = 12  # names in two conditions, up to which they are compared by trying all values


def streams(names: tuple[str, ...], body: tuple[ElementStmt, ...]) -> tuple[Stream, ...]:
    """Return the use that a body makes of each tensor, in the order of the names."""
    use = _use(body, frozenset(names), frozenset())
    found = []
    for name in names:
        # The gradient may get another value (maximize, weight decay), but the user's tensor is never written.
        stored = use.stored.get(name, NEVER) if name != "grad" else NEVER
        # What only one side of a branch writes keeps its old value on the other.
        kept = boolean_algebra.both(stored, boolean_algebra.negation(use.certain.get(name, NEVER)))
        loaded = boolean_algebra.either(use.loaded.get(name, NEVER), kept)
        found.append(Stream(name, boolean_algebra.expression(loaded), boolean_algebra.expression(stored)))
    return tuple(found)


def loaded_where_needed(uses: Sequence[Stream], body: Sequence[ElementStmt], values: When) -> tuple[Stream, ...]:
    """Return the use of streams without the loads of which nothing comes.

    Args:
        uses: As `streams` gives them, whatever the statements compute.
        body: The statements, some of which compute nothing that is kept under some conditions.
        values: The locals that are read behind the statements, and when.
    """
    stored = {use.name: boolean_algebra.condition(use.stored) for use in uses}
    needed = needed_before(body, {**stored, **values})
    something = boolean_algebra.either(*stored.values(), *values.values())
    found = []
    for use in uses:
        exact = needed.get(use.name, NEVER)
        if not _are_same(exact, NEVER):  # otherwise the statements still need a value, which backends have from a load
            # The same condition may have several forms: what is read, and that something is computed, are short ones.
            forms = (boolean_algebra.condition(use.loaded), something, exact)
            shortest = next(form for form in forms if _are_same(form, exact))
            use = replace(use, loaded=boolean_algebra.expression(shortest))
        found.append(use)
    return tuple(found)


def _are_same(one: Condition, other: Condition) -> bool:
    names = sorted(boolean_algebra.names_in(one) | boolean_algebra.names_in(other))
    if one == other or len(names) > MOST_COMPARED:
        return one == other
    values = (dict(zip(names, truths, strict=True)) for truths in product((False, True), repeat=len(names)))
    return all(boolean_algebra.holds(one, each) == boolean_algebra.holds(other, each) for each in values)


@dataclass(frozen=True, slots=True)
class _Use:
    """The streams that some statements use, if they are reached."""

    loaded: When  # the old value is read
    stored: When  # a new one is written
    certain: When  # a new one is written on every path
    written: frozenset[str]  # certainly have a new value afterwards, whatever a group decides


def _use(body: tuple[ElementStmt, ...], names: frozenset[str], written: frozenset[str]) -> _Use:
    """Return the use that statements make of streams, of which some certainly have a new value already."""
    loaded: list[When] = []
    stored: list[When] = []
    certain: list[When] = []
    for statement in body:
        match statement:
            case ElementAssign(target=target, value=value):
                loaded.append(dict.fromkeys(names.intersection(names_read(value)) - written, ALWAYS))
                stored.append(dict.fromkeys(names & {target}, ALWAYS))
                certain.append(dict.fromkeys(names & {target}, ALWAYS))
                written |= {target}
            case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                first, second = _use(then, names, written), _use(orelse, names, written)
                if static:
                    holds = boolean_algebra.condition(condition)
                    loaded.append(_choose(holds, first.loaded, second.loaded))
                    stored.append(_choose(holds, first.stored, second.stored))
                    certain.append(_choose(holds, first.certain, second.certain))
                else:
                    loaded += (first.loaded, second.loaded)
                    stored += (first.stored, second.stored)
                    certain.append(_both(first.certain, second.certain))
                written = first.written & second.written
            case _:
                assert_never(statement)
    return _Use(_any(loaded), _any(stored), _any(certain), written)


def _choose(holds: Condition, then: When, orelse: When) -> When:
    return {
        name: boolean_algebra.choice(holds, then.get(name, NEVER), orelse.get(name, NEVER))
        for name in {**then, **orelse}
    }


def _both(first: When, second: When) -> When:
    return {name: boolean_algebra.both(when, second[name]) for name, when in first.items() if name in second}


def _any(found: list[When]) -> When:
    terms: dict[str, dict[Condition, None]] = {}
    for when in found:
        for name, condition in when.items():
            terms.setdefault(name, {})[condition] = None
    return {name: boolean_algebra.either(*these) for name, these in terms.items()}
