"""Texts in the language of updates as expressions and statements, with places.

In: the texts of a spec. Out: nodes of ir/nodes.py; what is no part of the language becomes a mistake with a sentence
of its own (unsupported.py). Names are not looked up here. Python's own parser reads each line; nothing is evaluated. After a mistake, the name
UNREADABLE stands for what could not be read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from thetac.codegen.errors import Location, Mistakes, did_you_mean, listed, quoted
from thetac.codegen.frontend import syntax, unsupported
from thetac.codegen.frontend.layout import Line, logical_lines
from thetac.codegen.frontend.reading import parse_number
from thetac.codegen.frontend.yaml_tree import Scalar
from thetac.codegen.ir.nodes import UNREADABLE, Assign, Call, Const, Expr, If, Ref, Stmt
from thetac.codegen.ir.ops import FUNCTIONS

_UNREADABLE = Assign(UNREADABLE, Ref(UNREADABLE))
NOTHING_READ = (_UNREADABLE,)  # the body of a spec without an update

DEEPEST_BRANCH = 10  # `if` within `if`
DEEPEST_EXPRESSION = 60  # `a + b + c` is two deep

_BINARY: dict[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}
_HEADER = re.compile(r"(if|elif|else)\b(.*?)(:?)\s*", re.DOTALL)
_KEYWORD = re.compile(r"[a-z]+\b")
_TARGET = re.compile(r"([A-Za-z]\w*)\s*[-+*/]?=(?!=)")


def parse_expression(text: Scalar, mistakes: Mistakes) -> Expr:
    """The expression in a text of its own, such as a condition."""
    before = len(mistakes)
    lines = logical_lines(text, mistakes)
    if len(lines) > 1:
        mistakes.add(lines[1].location, "a second line in an expression", "write it on one line")
    elif not lines and len(mistakes) == before:
        mistakes.add(text.location, "an expression is missing", "a comment alone says nothing")
    return _expression(lines[0], lines[0].code, 0, mistakes) if len(lines) == 1 else Ref(UNREADABLE)


def parse_statements(text: Scalar, mistakes: Mistakes) -> tuple[Stmt, ...]:
    """The statements of an update text."""
    before = len(mistakes)
    lines = logical_lines(text, mistakes)
    body: list[Stmt] = []
    if len(mistakes) > before:
        body.append(_UNREADABLE)  # a line was left out
    position = 0
    while position < len(lines):  # a block ends early only where a line is indented less than the first
        block, position = _Block(lines, mistakes).read(position, lines[position].indent, 0)
        body += block
    return tuple(body)


class _Block:
    """Reads statements that begin in one column, and the branches within them."""

    def __init__(self, lines: Sequence[Line], mistakes: Mistakes) -> None:
        self.lines = lines
        self.mistakes = mistakes

    def read(self, position: int, indent: int, depth: int) -> tuple[list[Stmt], int]:
        """The statements from a position on, and the position behind them."""
        body: list[Stmt] = []
        columns = {indent}  # lines that begin elsewhere are reported and then read as if they did not
        while position < len(self.lines) and self.lines[position].indent >= indent:
            line = self.lines[position]
            if line.indent not in columns:
                self.mistakes.add(line.location, "a line that is indented without a reason", "indent only behind `if ...:` and `else:`")
                columns.add(line.indent)
            if (header := _HEADER.fullmatch(line.code)) is not None:
                if header.group(1) != "if":
                    self.mistakes.add(line.location, f"`{header.group(1)}` without an `if`", "it stands in the column of its `if`")
                branch, position = self._branch(position, depth)
                body.append(branch)
                continue
            body.append(self._simple(line))
            position += 1
            word = _KEYWORD.match(line.code)
            if (inner := self._inner(position, line.indent)) is not None and word and unsupported.statement_keyword(word.group()):
                columns.add(inner)  # the block of a loop or definition: read for its mistakes
        return body, position

    def _inner(self, position: int, indent: int) -> int | None:
        """The indentation of the block that begins here, if one does."""
        if position < len(self.lines) and self.lines[position].indent > indent:
            return self.lines[position].indent
        return None

    def _branch(self, position: int, depth: int) -> tuple[Stmt, int]:
        """`if` or `elif` with all that belongs to it."""
        line = self.lines[position]
        if depth >= DEEPEST_BRANCH:
            self.mistakes.add(line.location, f"more than {DEEPEST_BRANCH} branches within each other", "join conditions with `and`")
            while position + 1 < len(self.lines) and (self.lines[position + 1].indent > line.indent or self._goes_on(position + 1)):
                position += 1
            return _UNREADABLE, position + 1
        condition = self._condition(line)
        then, position = self._suite(position, depth)
        orelse: list[Stmt] = []
        word = self._goes_on(position) if position < len(self.lines) and self.lines[position].indent == line.indent else ""
        if word == "elif" and not line.code.startswith("else"):
            inner, position = self._branch(position, depth + 1)
            orelse = [inner]
        elif word == "else" and not line.code.startswith("else"):
            self._condition(self.lines[position])
            orelse, position = self._suite(position, depth)
        return If(condition, tuple(then), tuple(orelse), line.comment, line.location), position

    def _goes_on(self, position: int) -> str:
        """`elif` or `else` if the line begins with it."""
        header = _HEADER.fullmatch(self.lines[position].code)
        return header.group(1) if header is not None and header.group(1) != "if" else ""

    def _suite(self, position: int, depth: int) -> tuple[list[Stmt], int]:
        """The indented statements behind a header."""
        line = self.lines[position]
        inner = self._inner(position + 1, line.indent)
        if inner is not None:
            return self.read(position + 1, inner, depth + 1)
        if line.code.endswith(":"):
            self.mistakes.add(line.location, "a branch without statements", "indent what belongs to it, or leave the branch out")
        return [], position + 1

    def _condition(self, line: Line) -> Expr:
        header = _HEADER.fullmatch(line.code)
        assert header is not None
        word, condition, colon = header.group(1, 2, 3)
        if not colon:
            head, separator, rest = line.code.partition(":")
            if separator and rest.strip():
                place = line.at(*_row_and_column(line.code, len(head) + 1 + len(rest) - len(rest.lstrip())), len(rest.strip()))
                self.mistakes.add(place, "a statement behind a colon", "give it a line of its own, indented")
            else:
                row, column = _row_and_column(line.code, len(line.code) - 1)
                self.mistakes.add(line.at(row, column, 1), f"`{word}` without a colon", "end the line with `:`")
        elif word == "else":
            if condition.strip():
                self.mistakes.add(line.location, "`else` with a condition", "write `elif`")
        elif not condition.strip():
            self.mistakes.add(line.location, f"`{word}` without a condition", f"such as `{word} momentum > 0:`")
        else:
            return _expression(line, condition, len(word), self.mistakes)
        return Ref(UNREADABLE)

    def _simple(self, line: Line) -> Stmt:
        """An assignment; anything else is a mistake."""
        keyword = _KEYWORD.match(line.code)
        if keyword is not None and (sentence := unsupported.statement_keyword(keyword.group())) is not None:
            self.mistakes.add(line.at(0, 0, keyword.end()), *sentence)
            return _UNREADABLE
        tree = _python(line, line.code, 0, self.mistakes)
        if tree is None:
            return _lost(line)
        places = _Places(line, 0)
        statement = tree.body[0]
        if len(tree.body) > 1:
            self.mistakes.add(places.of(tree.body[1]), "a second statement on the line", "give each statement its own line")
        match statement:
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                return Assign(name, _Convert(places, self.mistakes).expression(value), line.comment, places.of(target))
            case _:
                where, sentence = unsupported.statement(statement)
                self.mistakes.add(places.of(where), *sentence)
                return _lost(line)


def _lost(line: Line) -> Stmt:
    """What remains of a line that cannot be read: the name it assigns to, if it seems to."""
    word = _TARGET.match(line.code)
    return _UNREADABLE if word is None else Assign(word.group(1), Ref(UNREADABLE), location=line.location)


def _expression(line: Line, code: str, start: int, mistakes: Mistakes) -> Expr:
    """The expression that stands in a line from column `start` on."""
    start += len(code) - len(code.lstrip())
    tree = _python(line, code.strip(), start, mistakes)
    if tree is None:
        return Ref(UNREADABLE)
    places = _Places(line, start)
    match tree.body:
        case [ast.Expr(value=value)]:
            return _Convert(places, mistakes).expression(value)
        case [ast.Assign() | ast.AnnAssign() | ast.AugAssign() as statement]:
            mistakes.add(places.of(statement), "an assignment where a condition is needed", "compare with `==`")
        case _:
            mistakes.add(line.location, "a statement where an expression is needed", "write one expression")
    return Ref(UNREADABLE)


def _python(line: Line, code: str, start: int, mistakes: Mistakes) -> ast.Module | None:
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        row, column = (error.lineno or 1) - 1, (error.offset or 1) - 1
        mistakes.add(*syntax.explain(line, code, start, row, column))
        return None
    except (ValueError, RecursionError, MemoryError):
        mistakes.add(line.location, "an expression too large to read", "give its parts names in lines of their own")
        return None
    if not tree.body:
        mistakes.add(line.location, "an expression is missing", "")
        return None
    return tree if _shallow(tree, line, mistakes) else None


def _shallow(tree: ast.Module, line: Line, mistakes: Mistakes) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST_EXPRESSION):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    mistakes.add(line.location, "an expression nested too deeply to read", "give its parts names in lines of their own")
    return False


def _row_and_column(code: str, offset: int) -> tuple[int, int]:
    before = code[:offset]
    return before.count("\n"), offset - (before.rfind("\n") + 1)


class _Places:
    """From places in what Python's parser read to places in the spec."""

    def __init__(self, line: Line, start: int) -> None:
        self.line = line
        self.start = start  # column of the line at which the parsed code begins

    def of(self, node: ast.expr | ast.stmt | ast.keyword) -> Location:
        row = node.lineno - 1
        ends_here = node.end_lineno == node.lineno and node.end_col_offset is not None
        length = node.end_col_offset - node.col_offset if ends_here and node.end_col_offset is not None else 1
        return self.line.at(row, node.col_offset + (self.start if row == 0 else 0), length)


class _Convert:
    """Python's nodes as ours. Every mistake in an expression is noted, not only the first."""

    def __init__(self, places: _Places, mistakes: Mistakes) -> None:
        self.places = places
        self.mistakes = mistakes

    def expression(self, node: ast.expr) -> Expr:
        here = self.places.of(node)
        match node:
            case ast.Constant(value=bool() as value):
                return Const(value, here)
            case ast.Constant(value=int() | float()):
                return self._number(here)
            case ast.Name(id=name):
                return Ref(name, here)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
                return self._call(_BINARY[type(operator)], (left, right), here)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._call("neg", (operand,), here)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._call("not", (operand,), here)
            case ast.BoolOp(op=operator, values=values):
                return self._chain("and" if isinstance(operator, ast.And) else "or", values, here)
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _COMPARE:
                return self._call(_COMPARE[type(operator)], (left, right), here)
            case ast.Call(func=ast.Name(id=name) as function, args=args, keywords=[]) if name in FUNCTIONS:
                return self._function(name, args, here, self.places.of(function))
            case _:
                self._refuse(node)
                return Ref(UNREADABLE)

    def _call(self, op: str, nodes: Sequence[ast.expr], here: Location) -> Expr:
        return Call(op, tuple(self.expression(node) for node in nodes), here)

    def _chain(self, op: str, nodes: Sequence[ast.expr], here: Location) -> Expr:
        """`a and b and c` from the left."""
        joined = self.expression(nodes[0])
        for node in nodes[1:]:
            joined = Call(op, (joined, self.expression(node)), here)
        return joined

    def _function(self, name: str, nodes: Sequence[ast.expr], here: Location, word: Location) -> Expr:
        op = FUNCTIONS[name]
        if len(nodes) != op.arity and not any(isinstance(node, ast.Starred) for node in nodes):
            plural = "" if op.arity == 1 else "s"
            self.mistakes.add(word, f"`{name}` takes {op.arity} argument{plural}, not {len(nodes)}", f"`{op.syntax}`: {op.doc}")
            for node in nodes:
                self.expression(node)
            return Ref(UNREADABLE)
        return self._call(name, nodes, here)

    def _number(self, here: Location) -> Expr:
        written = here.text[here.column - 1 : here.column - 1 + here.length]
        if re.fullmatch(r"[0-9.]+([eE][-+]?[0-9]+)?", written) is None:
            self.mistakes.add(here, f"{quoted(written)} is written in a form that specs do not use", "such as `1e-3` or `1000`")
            return Ref(UNREADABLE)
        value = parse_number(written, here, self.mistakes)
        return Ref(UNREADABLE) if value is None else Const(value, here)

    def _refuse(self, node: ast.expr) -> None:
        match node:
            case ast.Call(func=ast.Name(id=name) as function, args=args, keywords=keywords):
                if name not in FUNCTIONS:
                    remedy = unsupported.instead_of(name) or did_you_mean(name, FUNCTIONS, f"there are {listed(FUNCTIONS, 'and')}")
                    self.mistakes.add(self.places.of(function), f"unknown function {quoted(name)}", remedy)
                for keyword in keywords:
                    self.mistakes.add(self.places.of(keyword), "an argument by keyword", "functions take their arguments in order")
                for argument in (*args, *(keyword.value for keyword in keywords)):
                    self.expression(argument)
            case _:
                where, sentence = unsupported.expression(node)
                self.mistakes.add(self.places.of(where), *sentence)
