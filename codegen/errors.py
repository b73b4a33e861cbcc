"""Diagnostics of specs: what is wrong, where, and what to do about it.

An error of a spec's author is a `Diagnostic`; every stage collects as many as it can find and raises them
together as one `SpecError`. An assertion, by contrast, means that the compiler itself is wrong.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

LONGEST_LINE = 120  # characters of a source line that are shown
MOST_DIAGNOSTICS = 500  # that are shown at once
LONGEST_QUOTE = 60  # characters of a spec's text that a message repeats
REFERENCE = "`thetac language`"  # the command that prints the reference of the language, wherever thetac is installed


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A stretch of one line of a spec."""

    path: str  # as the user named it; "<text>" for a spec given as text
    line: int  # from 1
    column: int  # from 1, in characters
    length: int = 1  # characters to underline; 1 where unknown
    text: str = field(default="", compare=False, repr=False)  # the whole line of the spec, to be shown

    def __str__(self) -> str:
        return f"{make_printable(self.path)}:{self.line}:{self.column}"

    def part(self, start: int, length: int) -> Location:
        """Return the stretch that begins `start` characters behind the start of this one."""
        return replace(self, column=self.column + start, length=max(length, 1))


NOWHERE = Location("<compiler>", 0, 0)  # for nodes that a pass invents


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One error: `cause` completes the headline, `remedy` follows the caret and says what to do."""

    location: Location
    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        headline, remedy = f"{self.location}: {make_printable(self.cause)}", make_printable(self.remedy)
        line = self.location.text
        if not line.strip():
            return headline if not remedy else f"{headline}\n    {remedy}"
        first = len(line) - len(line.lstrip())
        at = min(max(self.location.column - 1, first), len(line.rstrip()))
        if at - first > LONGEST_LINE * 2 // 3:  # the error is far to the right: begin shortly before it
            first = at - LONGEST_LINE // 3
        part = line[first : first + LONGEST_LINE].rstrip()
        carets = "^" * max(1, min(self.location.length, len(part) - (at - first)))
        before = " " * _width(part[: at - first])
        return f"{headline}\n    {make_printable(part)}\n    {before}{carets} {remedy}".rstrip()


def _width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in make_printable(text)
    )


class SpecError(Exception):
    """One or more errors in one or more specs, in the order of their locations."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(set(diagnostics)))
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class SpecWarning(UserWarning):
    """Something in a valid spec that its author probably did not mean."""


class Diagnostics:
    """The diagnostics that the stages have found so far."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found)

    def add(self, location: Location, cause: str, remedy: str = "") -> None:
        """Note an error; raise SpecError with all of them where there are too many to be read."""
        if len(self._found) >= MOST_DIAGNOSTICS:
            rest = Diagnostic(location, f"more than {MOST_DIAGNOSTICS} mistakes", "mend the others first")
            raise SpecError([*self._found, rest])
        self._found.append(Diagnostic(location, cause, remedy))

    def take(self, error: SpecError) -> None:
        """Add the diagnostics of an error."""
        self._found.extend(error.diagnostics)

    def raise_any(self) -> None:
        """Raise SpecError with all of them, if there are any."""
        if self._found:
            raise SpecError(self._found)


def make_printable(text: str) -> str:
    """Return a text as a terminal may show it: control characters and invisible ones are replaced."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)


def quote(text: str) -> str:
    """Return a piece of a spec as a message repeats it: between backquotes, on one line, not too long."""
    line = make_printable(" ".join(text.split()))
    return f"`{line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 3] + '...'}`"


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return ``did you mean `grad`?`` when a known name is close to `name`, else `otherwise`."""
    if len(name) > LONGEST_QUOTE:
        return otherwise
    by_lower = {candidate.lower(): candidate for candidate in sorted(set(known))}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.65)
    close = [by_lower[match] for match in matches]
    return f"did you mean `{close[0]}`?" if close else otherwise


def join_names(names: Iterable[str], joint: str = "or") -> str:
    """Return the names in words: `a`, `b` or `c`."""
    words = [f"`{name}`" for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joint} {words[-1]}"
