"""Explain Python code that is not part of the language: a cause and a remedy for each construct.

In: a node or word that parse.py and expressions.py do not accept. Out: cause and remedy.
"""

from __future__ import annotations

import ast

from thetac.codegen.errors import REFERENCE, did_you_mean, join_names, quote
from thetac.codegen.frontend import foreign, foreign_shapes
from thetac.codegen.frontend.translate import Translation, library_of
from thetac.codegen.ir.ops import FUNCTIONS, Op, Shape
from thetac.codegen.ir.reserved_names import is_identifier

Sentence = tuple[str, str]

_FUNCTIONS_ONLY = f"an update can use the functions that {REFERENCE} lists, and no others"
_STATEMENTS: dict[str, Sentence] = {
    "while": ("`while` is no part of the language", "an update has no loops: every statement runs once per step"),
    "for": ("`for` is no part of the language", "an update is written for one parameter, and without loops"),
    "def": ("`def` is no part of the language", "an update defines no functions: give values names instead"),
    "class": ("`class` is no part of the language", "the spec itself is the class"),
    "import": ("`import` is no part of the language", _FUNCTIONS_ONLY),
    "from": ("`from` is no part of the language", _FUNCTIONS_ONLY),
    "with": ("`with` is no part of the language", "gradients are never recorded during an update"),
    "try": ("`try` is no part of the language", "arithmetic raises no errors: a division by 0 gives inf or NaN"),
    "except": ("`except` is no part of the language", "arithmetic raises no errors: a division by 0 gives inf or NaN"),
    "finally": (
        "`finally` is no part of the language",
        "arithmetic raises no errors: a division by 0 gives inf or NaN",
    ),
    "raise": ("`raise` is no part of the language", "say under `require` what must hold"),
    "assert": ("`assert` is no part of the language", "say under `require` what must hold"),
    "return": ("`return` is no part of the language", "the last value of `param` and of each state is the result"),
    "yield": ("`yield` is no part of the language", "the last value of `param` and of each state is the result"),
    "pass": ("`pass` is no part of the language", "leave the branch out"),
    "break": ("`break` is no part of the language", "an update has no loops"),
    "continue": ("`continue` is no part of the language", "an update has no loops"),
    "global": ("`global` is no part of the language", "what outlives a step is declared under `state`"),
    "nonlocal": ("`nonlocal` is no part of the language", "what outlives a step is declared under `state`"),
    "del": ("`del` is no part of the language", "values are dropped when they are no longer used"),
    "async": ("`async` is no part of the language", "statements run in order"),
    "await": ("`await` is no part of the language", "statements run in order"),
    "match": ("`match` is no part of the language", "use `if` and `elif`"),
}

_EXPRESSIONS: dict[type[ast.expr], Sentence] = {
    ast.Lambda: ("`lambda` is no part of the language", "an update defines no functions: give the value a name"),
    ast.ListComp: ("comprehensions are no part of the language", "arithmetic works on every element by itself"),
    ast.SetComp: ("comprehensions are no part of the language", "arithmetic works on every element by itself"),
    ast.DictComp: ("comprehensions are no part of the language", "arithmetic works on every element by itself"),
    ast.GeneratorExp: ("comprehensions are no part of the language", "arithmetic works on every element by itself"),
    ast.JoinedStr: ("f-strings are no part of the language", "an update computes with numbers only"),
    ast.List: ("lists are no part of the language", "give each value a name of its own"),
    ast.Tuple: ("tuples are no part of the language", "give each value a name of its own"),
    ast.Set: ("sets are no part of the language", "give each value a name of its own"),
    ast.Dict: ("dictionaries are no part of the language", "give each value a name of its own"),
    ast.NamedExpr: ("`:=` is no part of the language", "assign on a line of its own, with `=`"),
    ast.Starred: ("a `*` without a value in front of it", "delete it; arguments are written one by one"),
    ast.IfExp: ("`a if c else b` is no part of the language", "write `where(c, a, b)`"),
    ast.Await: ("`await` is no part of the language", "statements run in order"),
    ast.Yield: ("`yield` is no part of the language", "the last value of `param` and of each state is the result"),
    ast.YieldFrom: ("`yield` is no part of the language", "the last value of `param` and of each state is the result"),
}

_OPERATORS: dict[type[ast.operator | ast.unaryop], Sentence] = {
    ast.FloorDiv: ("`//` is no part of the language", "of numbers there is `floor(a / b)`"),
    ast.MatMult: ("`@` is no part of the language", "rules work element by element: use `*`"),
    ast.BitAnd: ("`&` is no part of the language", "write `and`"),
    ast.BitOr: ("`|` is no part of the language", "write `or`"),
    ast.BitXor: ("`^` is no part of the language", "a power is written `a ** b`"),
    ast.LShift: ("`<<` is no part of the language", "multiply by a power of 2"),
    ast.RShift: ("`>>` is no part of the language", "divide by a power of 2"),
    ast.Invert: ("`~` is no part of the language", "write `not`"),
    ast.UAdd: ("a `+` that adds nothing", "leave it out"),
}

SIGNS: dict[type[ast.operator | ast.unaryop | ast.cmpop], str] = {
    ast.FloorDiv: "//",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.Invert: "~",
    ast.UAdd: "+",
}
_AUGMENTED = {**SIGNS, ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.Pow: "**"}


def explain_keyword(word: str) -> Sentence | None:
    """Return cause and remedy for a statement that begins with this word; None if it may begin one."""
    return _STATEMENTS.get(word) if word != "match" else None


def suggest_function(node: ast.Call, name: str, translation: Translation) -> str:
    """Return what to do instead of calling a function that the language does not have."""
    if write := translation.remedy(node):
        return write
    return _suggest(node, name, method=False) or did_you_mean(name, FUNCTIONS, foreign.suggest_any_function())


def suggest_arguments(node: ast.Call, op: Op, translation: Translation) -> str:
    """Return how to call a function of the language that was called with keywords."""
    if op.shape is Shape.REDUCTION:
        return foreign.AXIS
    if op.shape is not Shape.TOTAL:
        return "functions take their arguments in order"
    if any(keyword.arg in foreign_shapes.OF_AXIS for keyword in node.keywords):
        return "a total has no axis: it adds up one number of each parameter, such as `total(sum(x))`"
    match node:
        case ast.Call(
            args=[operand],
            keywords=[
                ast.keyword(
                    value=ast.Name(id="group" | "optimizer" as scope) | ast.Constant("group" | "optimizer" as scope)
                )
            ],
        ) if text := translation.text(operand):
            return f"write `{'group_total' if scope == 'group' else 'total'}({text})`"
    return "`total(a)` adds up over all parameters, `group_total(a)` over those of the group"


_OF_REDUCTIONS = ("dim", "axis", "keepdim", "keepdims", "ord", "p")


def _suggest(node: ast.Call, name: str, *, method: bool) -> str:
    """Return what to do instead of a call that cannot be translated; empty if nothing is known."""
    single = len(node.args) + method == 1 and all(keyword.arg in _OF_REDUCTIONS for keyword in node.keywords)
    remedy = foreign.remedy_of_one(name) if single else foreign.remedy(name, method=method)
    keywords = {keyword.arg for keyword in node.keywords}
    if foreign_shapes.is_reduction(name) and not keywords.isdisjoint(foreign_shapes.OF_AXIS):
        return foreign.AXIS
    if foreign_shapes.is_reduction(name) and not keywords.isdisjoint(foreign_shapes.OF_ORDER):
        return foreign.OTHER_REDUCTIONS
    return remedy


def explain_statement(node: ast.stmt, translation: Translation) -> tuple[ast.stmt | ast.expr, Sentence]:
    """Return what to report about a statement that is not an assignment to a name: a node, cause and remedy."""
    match node:
        case ast.AugAssign(target=target) if translation.is_counter(name := translation.text(target)):
            return node, (f"`{name}` is a counter and counts by itself", "delete the line; it is 1 in the first step")
        case ast.AugAssign(op=operator):
            sign = _AUGMENTED[type(operator)]
            cause = f"`{sign}=` is no part of the language"
            if type(operator) in _OPERATORS:
                return node, (cause, _OPERATORS[type(operator)][1])
            text = translation.expand_augmented(node) or f"a = a {sign} b"
            return node, (cause, f"write `{text}`, which shows the order of evaluation")
        case ast.AnnAssign():
            return node, ("a type annotation", "kinds are inferred: leave it out")
        case ast.Assign(targets=[_, second, *_]):
            return second, ("two assignments on one line", "one line for each")
        case ast.Assign(targets=[ast.Tuple() | ast.List() as target], value=value):
            known = translation.elements(translation.text(value))
            given = f"delete the line: the spec names its elements {join_names(known, 'and')}" if known else ""
            return target, ("an assignment to several names", given or "one line for each")
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target]):
            name = translation.text(target)
            remedy = f"assign to a name, such as `{name} = ...`" if is_identifier(name) else "assign to a name"
            if name == "grad":
                remedy = "give a changed gradient a name of its own, such as `direction`"
            return target, ("an assignment to a part of a value", f"a name stands for the whole value: {remedy}")
        case ast.Assign(targets=[target]):
            return target, ("an assignment to something that is no name", "write `name = value`")
        case ast.Expr(value=ast.Call(func=ast.Attribute()) as value):
            text = translation.changed_in_place(value) or "a = ..."
            return value, ("a method call", f"values are never changed in place: write `{text}`")
        case ast.Expr(value=ast.Call(func=ast.Name(id=name)) as value) if name not in FUNCTIONS:
            return value.func, (f"unknown function {quote(name)}", suggest_function(value, name, translation))
        case ast.Expr(value=ast.Compare(left=ast.Name(), ops=[ast.Lt() | ast.Eq()]) as value):
            return value, ("a comparison where an assignment is needed", "an assignment is written `name = value`")
        case ast.Expr(value=value):
            return value, ("a value that is given no name", "write `name = value`, or delete the line")
        case _:
            return node, ("this statement is no part of the language", "write `name = value`")


def explain_expression(node: ast.expr, translation: Translation) -> tuple[ast.expr, Sentence]:
    """Return what to report about an expression that is not part of the language: a node, cause and remedy."""
    write = translation.remedy(node)
    match node:
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS:
            return node, _OPERATORS[type(operator)]
        case ast.UnaryOp(op=unary) if type(unary) in _OPERATORS:
            return node, _OPERATORS[type(unary)]
        case ast.IfExp():
            return node, ("`a if c else b` is no part of the language", write or "write `where(c, a, b)`")
        case ast.Compare(ops=[_, _, *_]):
            return node, ("a chain of comparisons", write or "write `a < b and b < c`")
        case ast.Compare(ops=[ast.Is() | ast.IsNot() as operator], comparators=[ast.Constant(value=None)]):
            name = translation.text(node.left)
            asked = f"{'not ' if isinstance(operator, ast.IsNot) else ''}first({name if is_identifier(name) else 's'})"
            return node, ("values are never `None`", f"`{asked}` asks whether a state is new in this step")
        case ast.Compare(ops=[ast.Is() | ast.IsNot()]):
            return node, ("`is` is no part of the language", write or "compare with `==` or `!=`")
        case ast.Compare():
            return node, ("`in` is no part of the language", "compare with `==` and join with `or`")
        case ast.Call(func=ast.Name(id="float")):
            return node, ("a number in quotes", write or "write the number without quotes, or `inf`")
        case ast.Call(func=ast.Name(id=name)):
            return node.func, (f"a text as an argument of {quote(name)}", "an update computes with numbers only")
        case ast.Call(func=ast.Attribute(value=owner, attr=name) as function):
            return function, _explain_call(node, name, library_of(owner), write)
        case ast.Attribute(value=ast.Call(func=ast.Attribute()) as inner) if not write:
            return explain_expression(inner, translation)
        case ast.Attribute(value=owner, attr=name):
            return node, _explain_attribute(name, library_of(owner), write)
        case ast.Subscript(value=owner):
            elements = translation.elements(translation.text(owner))
            there = f"the spec names its elements {join_names(elements, 'and')}" if elements else ""
            remedy = "a name stands for the whole value; elements of a tuple have names of their own"
            of_shape = foreign.OF_SHAPE if isinstance(owner, ast.Attribute) and owner.attr == "shape" else ""
            return node, ("a part of a value", write or there or of_shape or remedy)
        case ast.Call(func=function):
            return function, ("a call of something that is no name", "write `name(...)`")
        case ast.Constant(value=str() | bytes()):
            return node, ("a text in an expression", "an update computes with numbers only")
        case ast.Constant(value=None):
            return node, ("`None` is no part of the language", "a state that does not exist is declared with `when`")
        case ast.Constant(value=complex()):
            return node, (
                "a complex number",
                "a rule is written for real numbers; complex parameters are taken care of",
            )
        case ast.Constant():
            return node, ("`...` is no part of the language", "write the expression out")
        case _ if type(node) in _EXPRESSIONS:
            return node, _EXPRESSIONS[type(node)]
        case _:
            return node, ("this is no part of the language", f"{REFERENCE} lists operators and functions")


def _explain_call(node: ast.Call, name: str, owner: str, write: str) -> Sentence:
    """Return cause and remedy for a call of a library's function, or of a method if `owner` is empty."""
    known = _suggest(node, name, method=not owner)
    if owner:
        there = did_you_mean(name, FUNCTIONS, foreign.suggest_any_function())
        return f"`{owner}.{name}` is a function of another library", write or known or there
    return "a method call", write or known or f"values have no methods; {foreign.suggest_any_function()}"


def _explain_attribute(name: str, owner: str, write: str) -> Sentence:
    """Return cause and remedy for an attribute of a library, or of a value if `owner` is empty."""
    if owner:
        remedy = write or foreign.remedy(name) or did_you_mean(name, FUNCTIONS, foreign.suggest_any_function())
        return f"`{owner}.{name}` belongs to another library", remedy
    if name == "T":
        return "a transpose", "each element is updated by itself"
    remedy = write or foreign.remedy(name, method=True)
    return "an attribute of a value", remedy or "values have no attributes or methods: use operators and functions"
