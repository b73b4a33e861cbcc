"""Split an update text into logical lines with their indentation, before anything in them is parsed.

In: the text of a block. Out: `Line`s, each a piece of code without its comment. A line goes on while a parenthesis is
open, as in Python. Each line is then parsed by itself, so that an error in one hides none in another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from thetac.codegen.errors import Diagnostics, Location, quote
from thetac.codegen.frontend.yaml_tree import Scalar

DEEPEST = 30  # open parentheses
LONGEST = 600  # names, numbers and operators in one statement

_OPEN, _CLOSE = "([{", ")]}"
_PARTNER = dict(zip(_CLOSE, _OPEN, strict=True))
_NEW_STATEMENT = re.compile(r"\s*([A-Za-z_]\w*\s*=(?!=)|if\b|elif\b|else\b)")
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line."""

    code: str  # without comments; the line breaks of the spec are kept
    comment: str
    indent: int
    row: int  # of its first line within the text
    text: Scalar

    def at(self, row: int, column: int, length: int) -> Location:
        """Return the location of a stretch, by row and column within `code`."""
        return self.text.at(self.row + row, column + (self.indent if row == 0 else 0), length)

    @property
    def location(self) -> Location:
        return self.at(0, 0, len(self.code.split("\n", 1)[0]))


def split_lines(text: Scalar, diagnostics: Diagnostics) -> list[Line]:
    """Return the lines that hold code, without those whose parentheses or characters are wrong.

    Args:
        text: The text of a block.
        diagnostics: Gets a diagnostic for each line that is left out.
    """
    rows = text.text.split("\n")
    lines: list[Line] = []
    row = 0
    while row < len(rows):
        first = row
        codes, comments, scan = [], [], _Scan(text, diagnostics)
        while row < len(rows):
            code, _, comment = rows[row].partition("#")
            if row > first and _NEW_STATEMENT.match(code):
                break  # an open parenthesis was forgotten
            scan.row(code, row)
            codes.append(code.rstrip())
            comments.append(comment.strip())
            row += 1
            if not scan.open and not code.rstrip().endswith(
                "\\"
            ):  # a backslash is an error, but it shows what was meant
                break
        code = "\n".join(codes).rstrip()
        if code.strip():
            indent = len(code) - len(code.lstrip())
            scan.finish(code, first, indent)
            if scan.sound:
                lines.append(Line(code[indent:], " ".join(filter(None, comments)), indent, first, text))
    return lines


class _Scan:
    """Follows the parentheses and characters of one logical line."""

    def __init__(self, text: Scalar, diagnostics: Diagnostics) -> None:
        self.text = text
        self.diagnostics = diagnostics
        self.open: list[tuple[str, Location]] = []
        self.sound = True

    def row(self, code: str, row: int) -> None:
        """Follow one row of code; note the first error in it."""
        for column, character in enumerate(code):
            if character in _OPEN:
                self.open.append((character, self.text.at(row, column, 1)))
            elif character in _CLOSE:
                if not self.open or self.open[-1][0] != _PARTNER[character]:
                    self._report(
                        self.text.at(row, column, 1), f"`{character}` closes nothing", "delete it, or open it before"
                    )
                    self.open.clear()
                    return
                self.open.pop()
            elif not "\x20" <= character <= "\x7e":
                self._report(self.text.at(row, column, 1), *_foreign(character))
                return
            elif character == "\\":
                remedy = "a line goes on while a parenthesis is open" if not code[column + 1 :].strip() else "delete it"
                self._report(self.text.at(row, column, 1), "a backslash", remedy)
                return

    def finish(self, code: str, row: int, indent: int) -> None:
        """Check the whole line: its parentheses are closed, and it is neither too deep nor too long."""
        for character, location in self.open[:1]:
            self._report(location, f"`{character}` is never closed", f"add `{_CLOSE[_OPEN.index(character)]}`")
        deepest = depth = 0
        for character in code:
            depth += (character in _OPEN) - (character in _CLOSE)
            deepest = max(deepest, depth)
        if self.sound and (deepest > DEEPEST or sum(1 for _ in _TOKEN.finditer(code)) > LONGEST):
            here = self.text.at(row, indent, len(code.split("\n")[0]) - indent)
            self._report(here, "an expression too large to read", "give its parts names in lines of their own")

    def _report(self, location: Location, cause: str, remedy: str) -> None:
        self.sound = False
        self.diagnostics.add(location, cause, remedy)


_SPELLED = {
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{DOT OPERATOR}": "*",
    "\N{MIDDLE DOT}": "*",
    "\N{DIVISION SIGN}": "/",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{NOT EQUAL TO}": "!=",
    "\N{SQUARE ROOT}": "sqrt(...)",
    "\N{SUPERSCRIPT TWO}": "** 2",
    "\N{SUPERSCRIPT THREE}": "** 3",
    "\N{LEFTWARDS ARROW}": "=",
    "\N{INFINITY}": "3e38",
    "\N{NABLA}": "grad",
    "\N{GREEK SMALL LETTER THETA}": "param",
    "\N{GREEK SMALL LETTER PI}": "3.141592653589793",
    "\N{LOGICAL AND}": "and",
    "\N{LOGICAL OR}": "or",
    "\N{NOT SIGN}": "not",
}


_QUOTES = (
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
)


def _foreign(character: str) -> tuple[str, str]:
    """Return cause and remedy for a character that is not part of the language."""
    if character == "\t":
        return "a tab", "use spaces"
    if character in _SPELLED:
        return f"{quote(character)} in an expression", f"write `{_SPELLED[character]}`"
    if character in _QUOTES:
        return "quotes in an expression", "an update computes with numbers and names only"
    if character.isspace():
        return f"a space that is none (U+{ord(character):04X})", "type it again"
    return f"{quote(character)} in an expression", "names are written in plain letters, such as `beta1`"
