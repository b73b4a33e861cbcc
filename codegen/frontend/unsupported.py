"""What people write that is Python but no part of the language: a sentence and a remedy for each.

In: a node or word that parse.py has no use for. Out: cause and remedy.
"""

from __future__ import annotations

import ast

from thetac.codegen.ir.ops import FUNCTIONS

Sentence = tuple[str, str]

_STATEMENTS: dict[str, Sentence] = {
    "while": ("`while` is no part of the language", "an update has no loops: every statement runs once per step"),
    "for": ("`for` is no part of the language", "an update has no loops: write the repeated statements out"),
    "def": ("`def` is no part of the language", "an update defines no functions: give values names instead"),
    "class": ("`class` is no part of the language", "the spec itself is the class"),
    "import": ("`import` is no part of the language", "an update can use the functions in docs/language.md only"),
    "from": ("`from` is no part of the language", "an update can use the functions in docs/language.md only"),
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
    ast.FloorDiv: ("`//` is no part of the language", "numbers are real: use `/`"),
    ast.Mod: ("`%` is no part of the language", "there is no remainder: count with a scalar state"),
    ast.MatMult: ("`@` is no part of the language", "rules work element by element: use `*`"),
    ast.BitAnd: ("`&` is no part of the language", "write `and`"),
    ast.BitOr: ("`|` is no part of the language", "write `or`"),
    ast.BitXor: ("`^` is no part of the language", "a power is written `a ** b`"),
    ast.LShift: ("`<<` is no part of the language", "multiply by a power of 2"),
    ast.RShift: ("`>>` is no part of the language", "divide by a power of 2"),
    ast.Invert: ("`~` is no part of the language", "write `not`"),
    ast.UAdd: ("a `+` that adds nothing", "leave it out"),
}

_LIBRARIES = ("torch", "math", "np", "numpy", "jnp", "tl")

_INSTEAD = {
    "max": "write `maximum(a, b)`",
    "min": "write `minimum(a, b)`",
    "clip": "write `clamp(a, low, high)`",
    "square": "write `a ** 2`",
    "pow": "write `a ** b`",
    "rsqrt": "write `1 / sqrt(a)`",
    "mul": "write `a * b`",
    "add": "write `a + b`",
    "sub": "write `a - b`",
    "div": "write `a / b`",
    "addcmul": "write `a + c * b1 * b2`",
    "addcdiv": "write `a + c * b1 / b2`",
    "sgn": "write `sign(a)`",
    "float": "numbers need no conversion",
    "int": "numbers need no conversion",
    "zeros_like": "write `0`, or `0 * a` where elements are needed",
    "ones_like": "write `1`",
    "print": "look at values with `thetac show`, or run the optimizer in Python",
}


def statement_keyword(word: str) -> Sentence | None:
    """What to say about a statement that begins with this word; None if it may begin one."""
    return _STATEMENTS.get(word) if word != "match" else None


def instead_of(function: str) -> str | None:
    """How the language says what a well-known function does."""
    return _INSTEAD.get(function)


def statement(node: ast.stmt) -> tuple[ast.stmt | ast.expr, Sentence]:
    """What to say about a statement that is no assignment to a name, and where."""
    match node:
        case ast.AugAssign(op=operator):
            sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}.get(type(operator), "+")
            return node, (
                f"`{sign}=` is no part of the language",
                f"write `a = a {sign} b`, which shows the order of evaluation",
            )
        case ast.AnnAssign():
            return node, ("a type annotation", "kinds are inferred: leave it out")
        case ast.Assign(targets=[_, second, *_]):
            return second, ("two assignments on one line", "one line for each")
        case ast.Assign(targets=[ast.Tuple() | ast.List() as target]):
            return target, ("an assignment to several names", "one line for each")
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target]):
            return target, ("an assignment to a part of a value", "a name stands for the whole value: assign to a name")
        case ast.Assign(targets=[target]):
            return target, ("an assignment to something that is no name", "write `name = value`")
        case ast.Expr(value=ast.Call(func=ast.Attribute()) as value):
            return value, ("a method call", "values are never changed in place: write `a = ...`")
        case ast.Expr(value=value):
            return value, ("a value that is given no name", "write `name = value`, or delete the line")
        case _:
            return node, ("this statement is no part of the language", "write `name = value`")


def expression(node: ast.expr) -> tuple[ast.expr, Sentence]:
    """What to say about an expression that is no part of the language, and where."""
    match node:
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS:
            return node, _OPERATORS[type(operator)]
        case ast.UnaryOp(op=unary) if type(unary) in _OPERATORS:
            return node, _OPERATORS[type(unary)]
        case ast.Compare(ops=[_, _, *_]):
            return node, ("a chain of comparisons", "write `a < b and b < c`")
        case ast.Compare(ops=[ast.Is() | ast.IsNot()]):
            return node, ("`is` is no part of the language", "compare with `==` or `!=`")
        case ast.Compare():
            return node, ("`in` is no part of the language", "compare with `==` and join with `or`")
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in _LIBRARIES:
            remedy = (
                f"write `{FUNCTIONS[name].syntax}`"
                if name in FUNCTIONS
                else "docs/language.md lists the functions there are"
            )
            return node, (f"`{owner}.{name}` is a function of another library", instead_of(name) or remedy)
        case ast.Attribute(attr="T"):
            return node, ("a transpose", "rules work element by element")
        case ast.Attribute():
            return node, (
                "an attribute of a value",
                "values have no attributes or methods: use operators and functions",
            )
        case ast.Subscript():
            return node, (
                "a part of a value",
                "a name stands for the whole value; elements of a tuple have names of their own",
            )
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)) if (
            name in FUNCTIONS and owner not in _LIBRARIES
        ):
            return node, ("a method call", f"write `{FUNCTIONS[name].syntax}`")
        case ast.Call(func=ast.Attribute() as function):
            return expression(function)
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
            return node, ("this is no part of the language", "docs/language.md lists operators and functions")
