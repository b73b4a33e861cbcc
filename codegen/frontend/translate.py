"""Translate what an author wrote for another library into the language, if all of it can be translated.

In: a node of Python's parser and the code that it comes from. Out: the text to write instead, for a remedy. It never
becomes part of a rule: the author decides.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thetac.codegen.frontend import foreign, foreign_shapes
from thetac.codegen.ir.ops import FUNCTIONS
from thetac.codegen.ir.reserved_names import is_identifier

LONGEST = 90  # characters of a remedy; what is longer does not help

CONSTANTS = {
    **dict.fromkeys(("inf", "infty", "Inf", "Infinity", "infinity"), "inf"),
    **dict.fromkeys(("nan", "NaN"), "(0 / 0)"),
    "pi": "pi",
    "e": "2.718281828459045",
    "tau": "6.283185307179586",
}
OWNERS = ("self", "group", "state", "args", "cfg", "config", "defaults", "hparams", "param_group", "opt")
GIVEN = {"param": "param", "p": "param", "grad": "grad"}


@dataclass(frozen=True, slots=True)
class Declared:
    """Those declarations of a spec that help to find out what was meant."""

    tuples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # names of the elements
    counters: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()  # of hyperparameters, their elements, flags and states


NOTHING_DECLARED = Declared()


class Translation:
    """Translates nodes of one piece of code."""

    def __init__(self, code: str, declared: Declared) -> None:
        self._code = code
        self._declared = declared

    def remedy(self, node: ast.expr) -> str:
        """Return `write ...`; empty if the node cannot be translated."""
        text = self.text(node)
        return foreign.suggest(text, ast.unparse(node)) if text else ""

    def text(self, node: ast.expr) -> str:
        """Return the node in the language; empty if it cannot be translated, or only at length."""
        said = self._said(node)
        text = "" if said is None else ast.unparse(said)
        return text if len(text) <= LONGEST else ""

    def element(self, owner: ast.expr, index: ast.expr) -> str:
        """Return the name of a tuple's element by its index; empty if there is none."""
        name = self.text(owner)
        elements = self._declared.tuples.get(name, ())
        match index:
            case ast.Constant(value=int(number)) if 0 <= number < len(elements):
                return elements[number]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))) if 0 < number <= len(elements):
                return elements[-number]
        return ""

    def elements(self, name: str) -> tuple[str, ...]:
        """Return the names of a tuple's elements; empty if the spec has no such tuple."""
        return self._declared.tuples.get(name, ())

    def is_counter(self, name: str) -> bool:
        """Return whether the name is that of a counter of the spec."""
        return name in self._declared.counters

    def changed_in_place(self, call: ast.Call) -> str:
        """Return the assignment that does the same as a statement such as `a.mul_(b)`; empty if none does."""
        receiver: ast.expr = call
        while isinstance(receiver, ast.Call) and isinstance(receiver.func, ast.Attribute):
            receiver = receiver.func.value
        name, value = self.text(receiver), self.text(call)
        return _assignment(name, value)

    def expand_augmented(self, statement: ast.AugAssign) -> str:
        """Return the assignment that does the same as `a += b`; empty if it cannot be translated."""
        target = self.text(statement.target)
        value = self.text(ast.BinOp(statement.target, statement.op, statement.value))
        return _assignment(target, value)

    def _said(self, node: ast.expr) -> ast.expr | None:
        if (asked := foreign_shapes.number_of_shape(node)) is not None:
            return self._of_param(*asked)
        match node:
            case ast.Constant(value=bool()):
                return node
            case ast.Constant(value=int() | float()):
                return ast.Name(ast.get_source_segment(self._code, node) or repr(node.value))
            case ast.Name(id=name):
                return ast.Name("param") if name == "p" and name not in self._declared.names else node
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Mod() | ast.Pow() as operator):
                sides = self._each((node.left, node.right))
                return None if sides is None else _tidy(ast.BinOp(sides[0], operator, sides[1]))
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr() as operator):
                sides = self._each((node.left, node.right))
                word = ast.And() if isinstance(operator, ast.BitAnd) else ast.Or()
                return None if sides is None else ast.BoolOp(word, list(sides))
            case ast.UnaryOp(op=operator, operand=operand):
                inner = self._said(operand)
                sign = ast.Not() if isinstance(operator, ast.Invert) else operator
                return inner if inner is None or isinstance(operator, ast.UAdd) else ast.UnaryOp(sign, inner)
            case ast.BoolOp(op=joint, values=values):
                parts = self._each(values)
                return None if parts is None else ast.BoolOp(joint, list(parts))
            case ast.Compare():
                return self._comparison(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._call("where", (test, body, orelse))
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript(slice=ast.Constant(value=str(key))) if is_identifier(key):
                return ast.Name(GIVEN.get(key, key))
            case ast.Subscript(value=owner, slice=index):
                element = self.element(owner, index)
                return ast.Name(element) if element else None
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))]) if text in CONSTANTS:
                return ast.Name(CONSTANTS[text])
            case ast.Call():
                return self._function(node)
            case _:
                return None

    def _each(self, nodes: Sequence[ast.expr]) -> tuple[ast.expr, ...] | None:
        said = tuple(one for node in nodes if (one := self._said(node)) is not None)
        return said if len(said) == len(nodes) else None

    def _call(self, name: str, arguments: Sequence[ast.expr]) -> ast.expr | None:
        said = self._each(arguments)
        return None if said is None else ast.Call(ast.Name(name), list(said), [])

    def _of_param(self, owner: ast.expr, name: str) -> ast.expr | None:
        """Return a number of the parameter; None where something else was asked, whose shape may be another one."""
        said = self._said(owner)
        parts = () if said is None else ast.walk(said)
        known = any(isinstance(part, ast.Name) and part.id in GIVEN.values() for part in parts)
        return ast.Call(ast.Name(name), [ast.Name("param")], []) if known else None

    def _reduction(self, reduction: foreign_shapes.Reduction) -> ast.expr | None:
        order = "2" if reduction.order is None else self.text(reduction.order)
        name, said = reduction.name, self._said(reduction.operand)
        if said is None or order not in ("1", "2", "inf"):
            return None
        if order != "2":  # a norm that is none of the language
            name, said = "sum" if order == "1" else "max", ast.Call(ast.Name("abs"), [said], [])
        axis = [] if reduction.axis is None else [ast.keyword("axis", ast.Constant(reduction.axis))]
        return ast.Call(ast.Name(name), [said], axis)

    def _comparison(self, node: ast.Compare) -> ast.expr | None:
        sides = self._each((node.left, *node.comparators))
        if sides is None or any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            return None
        parts: list[ast.expr] = []
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            truth = right.value if isinstance(right, ast.Constant) and isinstance(right.value, bool) else None
            if isinstance(operator, ast.Is | ast.IsNot) and truth is not None:
                parts.append(left if truth is isinstance(operator, ast.Is) else ast.UnaryOp(ast.Not(), left))
            else:
                plain = {ast.Is: ast.Eq(), ast.IsNot: ast.NotEq()}.get(type(operator), operator)
                parts.append(ast.Compare(left, [plain], [right]))
        return parts[0] if len(parts) == 1 else ast.BoolOp(ast.And(), parts)

    def _attribute(self, node: ast.Attribute) -> ast.expr | None:
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in foreign.LIBRARIES:
                return ast.Name(CONSTANTS[name]) if name in CONSTANTS else None
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in OWNERS:
                return ast.Name(GIVEN.get(name, name))
            case ast.Attribute(attr="grad"):
                return ast.Name("grad")
            case ast.Attribute(value=value, attr=name) if foreign.is_identity(name):
                return self._said(value)
            case _:
                return None

    def _function(self, node: ast.Call) -> ast.expr | None:
        match node.func:
            case ast.Name(id=name):
                given, method = [*node.args], False
            case ast.Attribute(value=owner, attr=name) if library_of(owner):
                given, method = [*node.args], False
            case ast.Attribute(value=owner, attr=name):
                given, method = [owner, *node.args], True
            case _:
                return None
        name = foreign.plain_name(name)
        if name in FUNCTIONS and not method and not node.keywords and len(given) == FUNCTIONS[name].arity:
            return self._call(name, given)
        if foreign.is_identity(name) and given:
            return self._said(given[0])
        if (reduction := foreign_shapes.reduction(name, given, node.keywords)) is not None:
            return self._reduction(reduction)
        keywords = {
            foreign.parameter_name(keyword.arg): keyword.value
            for keyword in node.keywords
            if keyword.arg is not None and keyword.arg not in foreign.IGNORED_KEYWORDS
        }
        for form in foreign.forms(name, method=method):
            if form.takes(len(given), frozenset(keywords)):
                values = [*given, *(keywords[parameter] for parameter in form.parameters[len(given) :])]
                said = self._each(values)
                return None if said is None else _if_short(_fill_in(form, said))
        return None


def _assignment(target: str, value: str) -> str:
    if not target or not value or not is_identifier(target):
        return ""
    return f"{'direction' if target == 'grad' else target} = {value}"  # the gradient itself is never assigned to


def library_of(owner: ast.expr) -> str:
    """Return the library whose function this is, such as `torch.linalg`; empty if it is a value."""
    match owner:
        case ast.Name(id=name) if name in foreign.LIBRARIES:
            return name
        case ast.Attribute(value=inner, attr=name) if outer := library_of(inner):
            return f"{outer}.{name}"
        case _:
            return ""


def _if_short(node: ast.expr) -> ast.expr | None:
    """Return the node, or None if it is too long to be shown.

    Nested calls can grow exponentially, because a form may use an argument twice.
    """
    parts = sum(1 for part in ast.walk(node) if isinstance(part, ast.expr))
    return node if parts <= LONGEST else None


def _fill_in(form: foreign.Form, values: Sequence[ast.expr]) -> ast.expr:
    """Return the meaning of a form with the values in place of its parameters."""
    by_name = dict(zip(form.parameters, values, strict=True))

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return by_name.get(node.id, node)

        def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
            self.generic_visit(node)
            return _tidy(node)

    meaning: ast.expr = Fill().visit(ast.parse(form.meaning, mode="eval").body)
    return meaning


def _tidy(node: ast.BinOp) -> ast.expr:
    """Return `a + -b * c` as `a - b * c`, which is the same number."""
    if isinstance(node.op, ast.Add | ast.Sub) and (positive := _without_sign(node.right)) is not None:
        return ast.BinOp(node.left, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), positive)
    return node


def _without_sign(node: ast.expr) -> ast.expr | None:
    """Return the product or quotient without the minus in front of it; None if there is none."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return operand
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as operator, right=right):
            positive = _without_sign(left)
            return None if positive is None else ast.BinOp(positive, operator, right)
        case _:
            return None
