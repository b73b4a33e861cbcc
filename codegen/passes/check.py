"""Everything that is wrong with what a rule means."""

from __future__ import annotations

from thetac.codegen.ir.nodes import Rule


def check(rule: Rule) -> Rule:
    """The rule itself; raises SpecError with all its mistakes."""
    return rule
