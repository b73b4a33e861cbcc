"""What is wrong with a spec, where, and what to do about it.

A mistake of a spec's author is a `Diagnostic`; every stage collects as many as it can find and raises them
together as one `SpecError`. An assertion, by contrast, means that the compiler itself is wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A stretch of one line of a spec."""

    path: str  # as the user named it; "<text>" for a spec given as text
    line: int  # from 1
    column: int  # from 1, in characters
    length: int = 1  # characters to underline; 1 where unknown

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


NOWHERE = Location("<compiler>", 0, 0)  # for nodes that a pass invents


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One mistake: `cause` completes the headline, `remedy` stands behind the caret and says what to do."""

    location: Location
    cause: str
    remedy: str = ""
    source_line: str = field(default="", compare=False)  # the whole line of the spec that the location is on

    def __str__(self) -> str:
        headline = f"{self.location}: {self.cause}"
        if not self.source_line.strip():
            return headline if not self.remedy else f"{headline}\n    {self.remedy}"
        indent = len(self.source_line) - len(self.source_line.lstrip())
        caret_at = max(self.location.column - 1 - indent, 0)
        shown = self.source_line.strip()
        carets = "^" * max(1, min(self.location.length, len(shown) - caret_at))
        return f"{headline}\n    {shown}\n    {' ' * caret_at}{carets} {self.remedy}".rstrip()


class SpecError(Exception):
    """One or more mistakes in one or more specs, in the order of their locations."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(set(diagnostics)))
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """``did you mean `grad`?`` when a known name is close to `name`, else `otherwise`."""
    close = difflib.get_close_matches(name, sorted(set(known)), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else otherwise
