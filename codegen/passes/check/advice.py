"""Warn about what the author of a valid rule probably did not mean. Compilation goes on.

In: a checked Rule. Out: one Diagnostic for each doubt, in the order of the text.
"""

from __future__ import annotations

from collections.abc import Iterator

from thetac.codegen.errors import Diagnostic, join_names
from thetac.codegen.ir.nodes import Assign, DecayStyle, Ref, Rule, walk_expression, walk_statements


def advice(rule: Rule) -> tuple[Diagnostic, ...]:
    """Return all warnings about a rule."""
    return tuple(_decay_twice(rule))


def _decay_twice(rule: Rule) -> Iterator[Diagnostic]:
    """Yield a warning if an update computes a weight decay besides the one that the rule declares."""
    styles = [style for _, style in rule.decay]
    if not styles or DecayStyle.NONE in styles:  # the update may decay where the declaration does not
        return
    for statement in walk_statements(rule.body):
        if not isinstance(statement, Assign):
            continue
        for part in walk_expression(statement.value):
            if isinstance(part, Ref) and part.name == "weight_decay":
                declared = join_names(dict.fromkeys(style.value for style in styles))
                cause = f"warning: parameters decay twice, here and by {declared} under `weight_decay`"
                remedy = "delete one of them: what is declared happens before the update"
                yield Diagnostic(part.location, cause, remedy)
                return
