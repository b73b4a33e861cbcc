"""Parse update texts into statements, and other texts into expressions.

In: the texts of a spec. Out: nodes of ir/nodes.py; what is not part of the language becomes a diagnostic
(unsupported.py). This module reads lines, branches and assignments; expressions.py reads the expressions in them.
Names are not looked up. The name UNREADABLE replaces what could not be read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from thetac.codegen.errors import Diagnostics
from thetac.codegen.frontend import unsupported
from thetac.codegen.frontend.expressions import Locations, convert, parse_python, read_expression
from thetac.codegen.frontend.inheritance import ParentUpdate
from thetac.codegen.frontend.logical_lines import Line, split_lines
from thetac.codegen.frontend.translate import NOTHING_DECLARED, Declared, Translation
from thetac.codegen.frontend.yaml_tree import Scalar
from thetac.codegen.ir.nodes import UNREADABLE, Assign, Expr, If, Ref, Stmt, walk_statements

_UNREADABLE = Assign(UNREADABLE, Ref(UNREADABLE))
NOTHING_READ = (_UNREADABLE,)  # the body of a spec without an update

DEEPEST_BRANCH = 10  # `if` within `if`
LONGEST_WAY = 60  # conditions of `if` and `elif` that lead to a statement
MOST_STATEMENTS = 1_000  # `else:` counts as one

_HEADER = re.compile(r"(if|elif|else)\b(.*)", re.DOTALL)
_KEYWORD = re.compile(r"[a-z]+\b")
_SUPER = re.compile(r"super\s*\(\s*\)|super\b\s*[(.]")
_TARGET = re.compile(r"([A-Za-z]\w*)\s*[-+*/]?=(?!=)")


def parse_expression(text: Scalar, diagnostics: Diagnostics, declared: Declared = NOTHING_DECLARED) -> Expr:
    """Return the expression in a text of its own, such as a condition.

    Args:
        text: The text.
        diagnostics: Gets a diagnostic for each error.
        declared: The spec's names, for remedies.
    """
    before = len(diagnostics)
    lines = split_lines(text, diagnostics)
    if len(lines) > 1:
        diagnostics.add(lines[1].location, "a second line in an expression", "write it on one line")
    elif not lines and len(diagnostics) == before:
        diagnostics.add(text.location, "an expression is missing", "a comment alone says nothing")
    return read_expression(lines[0], lines[0].code, 0, declared, diagnostics) if len(lines) == 1 else Ref(UNREADABLE)


def parse_statements(
    text: Scalar, diagnostics: Diagnostics, declared: Declared, parent: ParentUpdate
) -> tuple[Stmt, ...]:
    """Return the statements of an update text.

    Args:
        text: The text.
        diagnostics: Gets a diagnostic for each error.
        declared: The spec's names, for remedies.
        parent: What `super()` stands for.
    """
    before = len(diagnostics)
    lines = split_lines(text, diagnostics)
    if len(lines) > MOST_STATEMENTS:
        cause = f"more than {MOST_STATEMENTS:,} statements in an update"
        diagnostics.add(lines[MOST_STATEMENTS].location, cause, "an update is a page of text at most")
        return NOTHING_READ
    body: list[Stmt] = []
    if len(diagnostics) > before:
        body.append(_UNREADABLE)  # a line was left out
    position = 0
    while position < len(lines):  # a block ends early only where a line is indented less than the first
        block, position = _Block(lines, declared, parent, diagnostics).read(
            position, lines[position].indent, _Depth(0, 0)
        )
        body += block
    return tuple(body)


@dataclass(frozen=True, slots=True)
class _Depth:
    """How deep a statement is nested."""

    branches: int
    conditions: int  # of `if` and `elif` that are evaluated before it is reached


class _Block:
    """Reads statements that begin in one column, and the branches within them."""

    def __init__(
        self, lines: Sequence[Line], declared: Declared, parent: ParentUpdate, diagnostics: Diagnostics
    ) -> None:
        self.lines = lines
        self.declared = declared
        self.parent = parent
        self.diagnostics = diagnostics

    def read(self, position: int, indent: int, depth: _Depth) -> tuple[list[Stmt], int]:
        """Return the statements from a position on, and the position behind them."""
        body: list[Stmt] = []
        columns = {indent}  # a line that begins elsewhere is reported once and then read as part of this block
        while position < len(self.lines) and self.lines[position].indent >= indent:
            line = self.lines[position]
            if line.indent not in columns:
                self.diagnostics.add(
                    line.location,
                    "a line that is indented without a reason",
                    "indent only behind `if ...:` and `else:`",
                )
                columns.add(line.indent)
            if (header := _HEADER.fullmatch(line.code)) is not None:
                if header.group(1) != "if":
                    self.diagnostics.add(
                        line.location, f"`{header.group(1)}` without an `if`", "it stands in the column of its `if`"
                    )
                branch, position = self._branch(position, depth)
                body.append(branch)
                continue
            if _SUPER.match(line.code):
                body += self._super(line, depth)
            else:
                body.append(self._simple(line))
            position += 1
            word = _KEYWORD.match(line.code)
            if (
                (inner := self._inner(position, line.indent)) is not None
                and word
                and unsupported.explain_keyword(word.group())
            ):
                columns.add(inner)  # the block of a loop or definition: read to find its errors
        return body, position

    def _inner(self, position: int, indent: int) -> int | None:
        """Return the indentation of the block that begins here; None if none does."""
        if position < len(self.lines) and self.lines[position].indent > indent:
            return self.lines[position].indent
        return None

    def _branch(self, position: int, depth: _Depth) -> tuple[Stmt, int]:
        """Return an `if` or `elif` with its blocks and the `elif` and `else` that belong to it."""
        line = self.lines[position]
        depth = replace(depth, conditions=depth.conditions + 1)
        if depth.branches >= DEEPEST_BRANCH or depth.conditions > LONGEST_WAY:
            if depth.branches >= DEEPEST_BRANCH:
                cause, remedy = f"more than {DEEPEST_BRANCH} branches within each other", "join conditions with `and`"
            else:
                cause = f"more than {LONGEST_WAY} conditions on the way to a statement"
                remedy = "join some of them, or begin another `if`"
            self.diagnostics.add(line.location, cause, remedy)
            while position + 1 < len(self.lines) and (
                self.lines[position + 1].indent > line.indent or self._goes_on(position + 1)
            ):
                position += 1
            return _UNREADABLE, position + 1
        condition = self._condition(line)
        then, position = self._suite(position, depth)
        orelse: list[Stmt] = []
        word = (
            self._goes_on(position) if position < len(self.lines) and self.lines[position].indent == line.indent else ""
        )
        if word == "elif" and not line.code.startswith("else"):
            inner, position = self._branch(position, depth)
            orelse = [inner]
        elif word == "else" and not line.code.startswith("else"):
            self._condition(self.lines[position])
            orelse, position = self._suite(position, depth)
        return If(condition, tuple(then), tuple(orelse), line.comment, line.location), position

    def _goes_on(self, position: int) -> str:
        """Return the `elif` or `else` with which the line begins; empty if it begins with neither."""
        header = _HEADER.fullmatch(self.lines[position].code)
        return header.group(1) if header is not None and header.group(1) != "if" else ""

    def _suite(self, position: int, depth: _Depth) -> tuple[list[Stmt], int]:
        """Return the indented statements behind a header, and the position behind them."""
        line = self.lines[position]
        inner = self._inner(position + 1, line.indent)
        if inner is not None:
            return self.read(position + 1, inner, replace(depth, branches=depth.branches + 1))
        if line.code.endswith(":"):
            self.diagnostics.add(
                line.location, "a branch without statements", "indent what belongs to it, or leave the branch out"
            )
        return [], position + 1

    def _condition(self, line: Line) -> Expr:
        """Return the condition of a header; note an error if there is none, or no colon."""
        header = _HEADER.fullmatch(line.code)
        assert header is not None
        word, condition = header.group(1), header.group(2).removesuffix(":")
        if not line.code.endswith(":"):
            head, separator, rest = line.code.partition(":")
            if separator and rest.strip():
                place = line.at(
                    *_row_and_column(line.code, len(head) + 1 + len(rest) - len(rest.lstrip())), len(rest.strip())
                )
                self.diagnostics.add(place, "a statement behind a colon", "give it a line of its own, indented")
            else:
                row, column = _row_and_column(line.code, len(line.code) - 1)
                self.diagnostics.add(line.at(row, column, 1), f"`{word}` without a colon", "end the line with `:`")
        elif word == "else":
            if condition.strip():
                self.diagnostics.add(line.location, "`else` with a condition", "write `elif`")
        elif not condition.strip():
            self.diagnostics.add(line.location, f"`{word}` without a condition", f"such as `{word} momentum > 0:`")
        else:
            return read_expression(line, condition, len(word), self.declared, self.diagnostics)
        return Ref(UNREADABLE)

    def _super(self, line: Line, depth: _Depth) -> tuple[Stmt, ...]:
        """Return the inherited statements that `super()` stands for."""
        if _SUPER.fullmatch(line.code) is None:
            remedy = "write `super()` on a line of its own: it stands for the whole inherited update"
            self.diagnostics.add(line.location, "`super()` takes no arguments and has no methods", remedy)
            return (_UNREADABLE,)
        inherited = self.parent.take(line.location, self.diagnostics)
        deepest = _deepest(inherited)
        if (
            depth.branches + deepest.branches > DEEPEST_BRANCH
            or depth.conditions + deepest.conditions > LONGEST_WAY
            or sum(1 for _ in walk_statements(inherited)) + len(self.lines) > MOST_STATEMENTS
        ):
            cause = "an inherited update that is too large to stand here"
            self.diagnostics.add(line.location, cause, "write the update out, and simplify it")
            return (_UNREADABLE,)
        return inherited

    def _simple(self, line: Line) -> Stmt:
        """Return an assignment; note an error for any other statement."""
        keyword = _KEYWORD.match(line.code)
        if keyword is not None and (sentence := unsupported.explain_keyword(keyword.group())) is not None:
            self.diagnostics.add(line.at(0, 0, keyword.end()), *sentence)
            return _UNREADABLE
        tree = parse_python(line, line.code, 0, self.diagnostics)
        if tree is None:
            return _lost(line)
        locations, translation = Locations(line, 0), Translation(line.code, self.declared)
        statement = tree.body[0]
        if len(tree.body) > 1:
            self.diagnostics.add(
                locations.of(tree.body[1]), "a second statement on the line", "give each statement its own line"
            )
        match statement:
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                return Assign(
                    name, convert(value, locations, translation, self.diagnostics), line.comment, locations.of(target)
                )
            case _:
                where, sentence = unsupported.explain_statement(statement, translation)
                self.diagnostics.add(locations.of(where), *sentence)
                return _lost(line)


def _deepest(body: tuple[Stmt, ...]) -> _Depth:
    """Return how deep the statements are nested; a lone `if` behind `else` is an `elif`."""
    found = _Depth(0, 0)
    for statement in body:
        if isinstance(statement, If):
            then, orelse = _deepest(statement.then), _deepest(statement.orelse)
            is_elif = len(statement.orelse) == 1 and isinstance(statement.orelse[0], If)
            found = _Depth(
                max(found.branches, then.branches + 1, orelse.branches + (not is_elif)),
                max(found.conditions, then.conditions + 1, orelse.conditions + 1),
            )
    return found


def _lost(line: Line) -> Stmt:
    """Return a stand-in for a line that cannot be read: an assignment to its name, if it seems to have one."""
    word = _TARGET.match(line.code)
    return _UNREADABLE if word is None else Assign(word.group(1), Ref(UNREADABLE), location=line.location)


def _row_and_column(code: str, offset: int) -> tuple[int, int]:
    before = code[:offset]
    return before.count("\n"), offset - (before.rfind("\n") + 1)
