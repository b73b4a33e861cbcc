"""Explain lines that Python's parser cannot read.

In: a line and the position where the parser gave up. Out: a location, cause and remedy. Python's own wording is not
used, because it differs between versions.
"""

from __future__ import annotations

import keyword
import re

from thetac.codegen.errors import REFERENCE, Location
from thetac.codegen.frontend.logical_lines import Line

_KEYWORDS = "|".join(
    sorted(set(keyword.kwlist) - {"and", "or", "not", "if", "else", "is", "in", "True", "False", "None"})
)
_NUMBER_AND_NAME = re.compile(r"(?<![\w.])\.?[0-9][0-9.]*(?:[A-Za-df-z_]|e(?![-+0-9]))\w*")
_NOTHING_BETWEEN = re.compile(r"(?<=[\w)]) +(?=[\w(])(?!(?:and|or|not|if|else)\b)(?<!\band )(?<!\bor )(?<!\bnot )")

_HABITS = (
    (re.compile(r"^\s*@.*"), "a decorator", "delete the line: gradients are never recorded during an update"),
    (re.compile(r"//"), "`//` is no part of the language", "a comment begins with `#`, and a quotient is `/`"),
    (re.compile(r"&&"), "`&&` is no operator", "write `and`"),
    (re.compile(r"\|\|"), "`||` is no operator", "write `or`"),
    (re.compile(r"!(?!=)"), "`!` is no operator", "write `not`"),
    (re.compile(r":="), "`:=` is no part of the language", "assign on a line of its own, with `=`"),
    (re.compile(r"\+\+|--\s*$"), "`++` and `--` are no operators", "write `a = a + 1`"),
    (re.compile(r"=>|=<"), "`=>` and `=<` are no operators", "write `>=` or `<=`"),
    (re.compile(r"<>"), "`<>` is no operator", "write `!=`"),
    (re.compile(rf"\b({_KEYWORDS})\b"), "a keyword of Python in an expression", "choose another name"),
    (re.compile(r"\bif\b|\belse\b"), "`if` and `else` in an expression", "write `where(c, a, b)`"),
    (re.compile(r"\?"), "`?` is no operator", "write `where(c, a, b)`"),
    (re.compile(r"[\"'`]"), "quotes in an expression", "an update computes with numbers and names only"),
    (re.compile(r"\$"), "`$` in an expression", "delete it"),
    (re.compile(r"(?<![\w.])0[0-9]+(?![\w.])"), "a number that begins with 0", "delete the 0"),
    (_NUMBER_AND_NAME, "a number runs into a name", "write `*` between them"),
    (_NOTHING_BETWEEN, "an operator is missing", "such as `*`"),
    (re.compile(r"[-+*/<>=(,]\s*$"), "the line breaks off", "something is missing behind it"),
    (re.compile(r"[-+/*]\s*[*/)]|\(\s*[*/]|=\s*[*/]"), "an operator without a value beside it", "delete it"),
)


def explain(line: Line, code: str, start: int, row: int, column: int) -> tuple[Location, str, str]:
    """Return location, cause and remedy for code that Python's parser cannot read.

    Args:
        line: The line, which gives locations.
        code: The code.
        start: The column of `line` in which the code begins.
        row: The row in the code where the parser gave up, from 0.
        column: The column in the code where the parser gave up, from 0.
    """
    for pattern, cause, remedy in _HABITS:
        if (found := pattern.search(code)) is not None:
            before = code[: found.start()]
            at_row = before.count("\n")
            at_column = found.start() - (before.rfind("\n") + 1)
            place = line.at(at_row, at_column + (start if at_row == 0 else 0), max(len(found.group().strip()), 1))
            return place, cause, remedy
    place = line.at(max(row, 0), max(column, 0) + (start if row <= 0 else 0), 1)
    return place, "this cannot be read as an expression", f"{REFERENCE} shows what can stand here"
