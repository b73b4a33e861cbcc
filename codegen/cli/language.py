"""`thetac language`: print the reference of the spec language, which is part of every installation."""

from __future__ import annotations

from pathlib import Path

from thetac.codegen.backends.documentation.reference import without_marks

PAGE = Path(__file__).resolve().parents[1] / "language.md"  # in a checkout a link to docs/language.md


def print_reference() -> int:
    """Print the reference and return the exit status."""
    print(without_marks(PAGE.read_text(encoding="utf-8")), end="")
    return 0
