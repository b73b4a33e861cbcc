"""Find when the value that a name has before statements makes a difference behind them.

In: the statements on elements of a sweep (ir/fused.py), and the names whose values matter behind them. Out: for each
name the condition on specialisations under which its value before the statements matters. Must not know what is done
with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fold
from thetac.codegen.ir.nodes import names_read
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.boolean_algebra import NEVER, All, Condition

When = Mapping[str, Condition]  # of names; never for those that are not in it


def needed_by_folds(folds: Sequence[Fold]) -> When:
    """Return when the value that folds add up or compare is needed, for each such value in the order of the folds."""
    found: dict[str, Condition] = {}
    for fold in folds:
        needed = boolean_algebra.condition(fold.needed)
        found[fold.value] = boolean_algebra.either(found.get(fold.value, NEVER), needed)
    return found


def needed_before(body: Sequence[ElementStmt], after: When) -> When:
    """Return when the value of each name before statements matters, if those of `after` matter behind them."""
    now = dict(after)
    for statement in reversed(body):
        match statement:
            case ElementAssign(target=target, value=value):
                when = now.pop(target, NEVER)
                if when != NEVER:
                    now |= {name: _either(now.get(name, NEVER), when) for name in names_read(value)}
            case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                first, second = needed_before(then, now), needed_before(orelse, now)
                holds = boolean_algebra.condition(condition) if static else None
                now = {
                    name: _joined(holds, first.get(name, NEVER), second.get(name, NEVER))
                    for name in {**first, **second}
                }
            case _:
                assert_never(statement)
    return now


def _joined(holds: Condition | None, then: Condition, orelse: Condition) -> Condition:
    """Return a condition from those of both sides of a branch, which all kernels may take if nothing decides it."""
    if holds is None:
        return _either(then, orelse)
    if then == orelse:
        return then
    return _either(boolean_algebra.both(holds, then), boolean_algebra.both(boolean_algebra.negation(holds), orelse))


def _either(first: Condition, second: Condition) -> Condition:
    """Return the condition that one of two holds; branches that meet again leave nothing behind.

    Without that, conditions would become twice as long with every branch on the way of a value.
    """
    parts = [set(one.parts) if isinstance(one, All) else {one} for one in (first, second)]
    if parts[0] <= parts[1] or parts[1] <= parts[0]:
        return first if parts[0] <= parts[1] else second
    ours, theirs = parts[0] - parts[1], parts[1] - parts[0]
    if len(ours) == len(theirs) == 1 and boolean_algebra.negation(*ours) == next(iter(theirs)):
        return boolean_algebra.both(*parts[0] & parts[1])
    return boolean_algebra.either(first, second)
