"""Documentation of an optimizer (first form)."""

from __future__ import annotations

from thetac.codegen.ir.nodes import Rule


def docstring(rule: Rule) -> str:
    """The class's documentation, unescaped."""
    return rule.summary
