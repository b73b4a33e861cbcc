"""Which tensors a kernel must load and store, and when.

In: the statements on elements (ir/fused.py). Out: for each stream the conditions on specialisations under which its old
value is needed and a new one is kept. What a branch does not touch is neither loaded nor stored.
"""

from __future__ import annotations

from typing import assert_never

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Stream
from thetac.codegen.ir.nodes import Const, names_read
from thetac.codegen.passes import conditions
from thetac.codegen.passes.conditions import ALWAYS, NEVER, Condition


def streams(names: tuple[str, ...], body: tuple[ElementStmt, ...]) -> tuple[Stream, ...]:
    """The use that the body makes of each tensor."""
    usage = _Usage(names)
    usage.walk(body, ALWAYS, frozenset())
    return tuple(
        # The gradient may be rewritten on the way (maximize, weight decay), but the user's is never stored to.
        Stream(
            name,
            conditions.expression(usage.loaded[name]),
            conditions.expression(usage.stored[name]) if name != "grad" else Const(False),
        )
        for name in names
    )


class _Usage:
    """Under which conditions the old value of each stream is read, and a new one written."""

    def __init__(self, streams: tuple[str, ...]) -> None:
        self.loaded: dict[str, Condition] = dict.fromkeys(streams, NEVER)
        self.stored: dict[str, Condition] = dict.fromkeys(streams, NEVER)

    def walk(self, body: tuple[ElementStmt, ...], path: Condition, written: frozenset[str]) -> frozenset[str]:
        """Follow some statements; `written` and the result are the names that certainly have a new value."""
        for statement in body:
            match statement:
                case ElementAssign(target=target, value=value):
                    for name in names_read(value):
                        if name in self.loaded and name not in written:
                            self.loaded[name] = conditions.either(self.loaded[name], path)
                    if target in self.stored:
                        self.stored[target] = conditions.either(self.stored[target], path)
                    written |= {target}
                case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                    holds = conditions.condition(condition) if static else ALWAYS
                    fails = conditions.negation(holds) if static else ALWAYS
                    after_then = self.walk(then, conditions.both(path, holds), written)
                    after_orelse = self.walk(orelse, conditions.both(path, fails), written)
                    if not static:  # what one branch leaves alone keeps its old value
                        for name in self.loaded.keys() & (after_then ^ after_orelse):
                            self.loaded[name] = conditions.either(self.loaded[name], path)
                    written = after_then & after_orelse
                case _:
                    assert_never(statement)
        return written
