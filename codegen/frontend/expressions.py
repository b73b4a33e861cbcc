"""Read one expression of a spec with Python's own parser, one line at a time. Nothing is evaluated.

In: a line and the column in which the expression begins. Out: an Expr with locations, and a diagnostic for
everything in it that is not part of the language.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from typing import assert_never

from thetac.codegen.errors import Diagnostics, Location, quote
from thetac.codegen.frontend import foreign, syntax, unsupported
from thetac.codegen.frontend.logical_lines import Line
from thetac.codegen.frontend.reading import parse_number
from thetac.codegen.frontend.translate import Declared, Translation
from thetac.codegen.ir.definitions import BINARY, COMPARE, expanded
from thetac.codegen.ir.nodes import UNREADABLE, Call, Const, Expr, Ref, chain, comparison
from thetac.codegen.ir.ops import CONSTANTS, FUNCTIONS, OPS, Shape
from thetac.codegen.ir.reductions import AXES, along
from thetac.codegen.ir.reserved_names import is_identifier

DEEPEST_EXPRESSION = 56  # nested operations; `a + b + c` is two sums deep, a chain of `and` only one
LONGEST_WRITTEN_OUT = 2_000  # names, numbers and operators after powers and `lerp` are written out
_OF_TWO = {"max": "maximum", "min": "minimum"}  # what Python calls alike


def read_expression(line: Line, code: str, start: int, declared: Declared, diagnostics: Diagnostics) -> Expr:
    """Return the expression that begins in column `start` of a line.

    Args:
        line: The line, which gives locations.
        code: The text of the expression.
        start: The column of `line` in which `code` begins.
        declared: The spec's names, for remedies.
        diagnostics: Gets a diagnostic for each error.

    Returns:
        The expression; UNREADABLE replaces what cannot be read.
    """
    start += len(code) - len(code.lstrip())
    tree = parse_python(line, code.strip(), start, diagnostics)
    if tree is None:
        return Ref(UNREADABLE)
    locations = Locations(line, start)
    match tree.body:
        case [ast.Expr(value=value)]:
            return convert(value, locations, Translation(code.strip(), declared), diagnostics)
        case [ast.Assign() | ast.AnnAssign() | ast.AugAssign() as statement]:
            diagnostics.add(locations.of(statement), "an assignment where a condition is needed", "compare with `==`")
        case _:
            diagnostics.add(line.location, "a statement where an expression is needed", "write one expression")
    return Ref(UNREADABLE)


def convert(node: ast.expr, locations: Locations, translation: Translation, diagnostics: Diagnostics) -> Expr:
    """Return Python's expression as an Expr, or UNREADABLE if it is too long when written out."""
    expression = Convert(locations, translation, diagnostics).expression(node)
    size = _written_out(expression)
    if size > LONGEST_WRITTEN_OUT:
        cause = f"an expression of {size:,} names, numbers and operators, with its powers and `lerp` written out"
        diagnostics.add(expression.location, cause, "give its parts names in lines of their own")
        return Ref(UNREADABLE)
    return expression


def _written_out(expression: Expr) -> int:
    """Return the size of an expression that is made of sums, products and quotients only."""
    match expression:
        case Call(op="pow", args=(base, Const(value=2 | 3 as times))):
            return int(times) * (_written_out(base) + 1)
        case Call(op="lerp", args=(start, end, weight)):  # a + w * (b - a), or (1 - w) * a + w * b
            return 2 * _written_out(start) + _written_out(end) + 2 * _written_out(weight) + 4
        case Call(op=op) if OPS[op].defined and not OPS[op].whole_on_elements:
            return _written_out(expanded(expression))
        case Call(args=args):
            return 1 + sum(map(_written_out, args))
        case Const() | Ref():
            return 1
        case _:
            assert_never(expression)


def parse_python(line: Line, code: str, start: int, diagnostics: Diagnostics) -> ast.Module | None:
    """Return Python's tree of a piece of code; note why and return None if it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # Python warns about `1if` in its own words
            tree = ast.parse(code)
    except SyntaxError as error:
        row, column = (error.lineno or 1) - 1, (error.offset or 1) - 1
        diagnostics.add(*syntax.explain(line, code, start, row, column))
        return None
    except (ValueError, RecursionError, MemoryError):
        diagnostics.add(line.location, "an expression too large to read", "give its parts names in lines of their own")
        return None
    if not tree.body:
        diagnostics.add(line.location, "an expression is missing", "")
        return None
    return tree if _check_depth(tree, line, diagnostics) else None


def _check_depth(tree: ast.Module, line: Line, diagnostics: Diagnostics) -> bool:
    """Check that the tree is not nested too deeply; note an error and return False if it is."""
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST_EXPRESSION + 4):  # plus the module, the statement, a name and its context
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    diagnostics.add(
        line.location, "an expression nested too deeply to read", "give its parts names in lines of their own"
    )
    return False


class Locations:
    """Converts positions of Python's parser to locations in the spec."""

    def __init__(self, line: Line, start: int) -> None:
        self.line = line
        self.start = start  # column of the line at which the parsed code begins

    def of(self, node: ast.expr | ast.stmt | ast.keyword) -> Location:
        """Return the location of a node."""
        row = node.lineno - 1
        ends_here = node.end_lineno == node.lineno and node.end_col_offset is not None
        length = node.end_col_offset - node.col_offset if ends_here and node.end_col_offset is not None else 1
        return self.line.at(row, node.col_offset + (self.start if row == 0 else 0), length)

    def operator(self, node: ast.BinOp | ast.UnaryOp, sign: str) -> Location:
        """Return the location of the operator of an expression, which is written as `sign`."""
        if isinstance(node, ast.UnaryOp):
            return self.of(node).part(0, len(sign))
        left = node.left
        assert left.end_lineno is not None, "the parser says where an expression ends"
        assert left.end_col_offset is not None, "the parser says where an expression ends"
        rows = self.line.code.split("\n")
        row, column = left.end_lineno - 1, left.end_col_offset + (self.start if left.end_lineno == 1 else 0)
        while (found := rows[row].find(sign, column)) < 0:  # between the two are parentheses and ends of lines only
            row, column = row + 1, 0
        return self.line.at(row, found, len(sign))


class Convert:
    """Converts Python's nodes to those of the IR. Every error in an expression is noted, not only the first."""

    def __init__(self, locations: Locations, translation: Translation, diagnostics: Diagnostics) -> None:
        self.locations = locations
        self.translation = translation
        self.diagnostics = diagnostics

    def expression(self, node: ast.expr) -> Expr:
        """Return the node as an Expr; UNREADABLE replaces what is not part of the language."""
        here = self.locations.of(node)
        match node:
            case ast.Constant(value=bool() as value):
                return Const(value, here)
            case ast.Constant(value=int() | float()):
                return self._number(here)
            case ast.Name(id=name) if name in CONSTANTS:
                return Const(CONSTANTS[name], here)
            case ast.Name(id=name):
                return Ref(name, here)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in BINARY:
                return self._call(BINARY[type(operator)], (left, right), here)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._call("neg", (operand,), here)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._call("not", (operand,), here)
            case ast.BoolOp(op=operator, values=values):
                terms = tuple(self.expression(value) for value in values)
                return chain("and" if isinstance(operator, ast.And) else "or", terms, here)
            case (
                ast.Compare(
                    left=ast.Name(id=name),
                    ops=[ast.Eq() | ast.NotEq() as sign],
                    comparators=[ast.Constant(value=str(text))],
                )
                | ast.Compare(
                    left=ast.Constant(value=str(text)),
                    ops=[ast.Eq() | ast.NotEq() as sign],
                    comparators=[ast.Name(id=name)],
                )
            ) if is_identifier(text):
                chosen = Ref(comparison(name, text), here)
                return chosen if isinstance(sign, ast.Eq) else Call("not", (chosen,), here)
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in COMPARE:
                return self._call(COMPARE[type(operator)], (left, right), here)
            case ast.Call(func=ast.Name(id=name) as function, args=args, keywords=[]) if name in FUNCTIONS:
                return self._function(name, args, here, self.locations.of(function))
            case ast.Call(
                func=ast.Name(id=name) as function, args=args, keywords=[ast.keyword(arg="axis") as axis]
            ) if name in FUNCTIONS and OPS[name].shape is Shape.REDUCTION:
                reduction = self._function(name, args, here, self.locations.of(function))
                along_axis = self._axis(axis)
                if not isinstance(reduction, Call) or along_axis is None:
                    return Ref(UNREADABLE)
                return along(reduction, along_axis)
            case _:
                self._refuse(node)
                return Ref(UNREADABLE)

    def _call(self, op: str, nodes: Sequence[ast.expr], here: Location) -> Expr:
        return Call(op, tuple(self.expression(node) for node in nodes), here)

    def _function(self, name: str, nodes: Sequence[ast.expr], here: Location, word: Location) -> Expr:
        op = FUNCTIONS[name]
        if len(nodes) != op.arity and not any(isinstance(node, ast.Starred) for node in nodes):
            plural = "" if op.arity == 1 else "s"
            of_two = FUNCTIONS.get(_OF_TWO.get(name, ""))
            meant = of_two if of_two is not None and of_two.arity == len(nodes) else op
            self.diagnostics.add(
                word, f"`{name}` takes {op.arity} argument{plural}, not {len(nodes)}", f"`{meant.syntax}`: {meant.doc}"
            )
            for node in nodes:
                self.expression(node)
            return Ref(UNREADABLE)
        return self._call(name, nodes, here)

    def _axis(self, given: ast.keyword) -> int | None:
        """Return the axis of a reduction; note an error and return None if there is no such axis."""
        match given.value:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)) if -value in AXES:
                return -value
            case _:
                self.diagnostics.add(self.locations.of(given.value), "an axis that is neither -1 nor -2", foreign.AXIS)
                return None

    def _number(self, here: Location) -> Expr:
        written = here.text[here.column - 1 : here.column - 1 + here.length]
        if re.fullmatch(r"[0-9.]+([eE][-+]?[0-9]+)?", written) is None:
            self.diagnostics.add(
                here, f"{quote(written)} is written in a form that specs do not use", "such as `1e-3` or `1000`"
            )
            return Ref(UNREADABLE)
        value = parse_number(written, here, self.diagnostics)
        return Ref(UNREADABLE) if value is None else Const(value, here)

    def _refuse(self, node: ast.expr) -> None:
        match node:
            case ast.Call(func=ast.Name(id=name) as function, args=args, keywords=keywords) if not _is_quoted(node):
                if name not in FUNCTIONS:
                    remedy = unsupported.suggest_function(node, name, self.translation)
                    self.diagnostics.add(self.locations.of(function), f"unknown function {quote(name)}", remedy)
                elif keywords:
                    remedy = self.translation.remedy(node) or unsupported.suggest_arguments(
                        node, OPS[name], self.translation
                    )
                    self.diagnostics.add(self.locations.of(keywords[0]), "an argument by keyword", remedy)
                if self.translation.text(node):
                    return  # the remedy covers the arguments too
                of_total = name in FUNCTIONS and OPS[name].shape is Shape.TOTAL  # whose keywords are no values
                for argument in (*args, *(keyword.value for keyword in keywords if not of_total)):
                    self.expression(argument)
            case _:
                where, sentence = unsupported.explain_expression(node, self.translation)
                self.diagnostics.add(self._locate(where), *sentence)
                if isinstance(node, ast.IfExp) and not self.translation.text(node):
                    for part in (node.test, node.body, node.orelse):
                        self.expression(part)

    def _locate(self, node: ast.expr) -> Location:
        if isinstance(node, ast.BinOp | ast.UnaryOp) and (sign := unsupported.SIGNS.get(type(node.op))) is not None:
            return self.locations.operator(node, sign)
        return self.locations.of(node)


def _is_quoted(node: ast.Call) -> bool:
    """Return whether an argument is a text, as in `float("inf")`."""
    return any(isinstance(argument, ast.Constant) and isinstance(argument.value, str) for argument in node.args)
