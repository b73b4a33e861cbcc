"""Name the things in generated kernels that a spec has no name for, in words.

In: expressions of the spec. Out: identifiers made of the spec's own names, such as `one_minus_beta1` or
`momentum_positive`. Must not know where they are printed; `RESERVED` are the names that kernels use themselves.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Container

from thetac.codegen.ir.nodes import Call, Const, Expr, Ref
from thetac.codegen.ir.reductions import is_reduction, written_axis

LONGEST = 36  # characters; a longer expression is named after its role instead

RESERVED = frozenset(
    # Modules and functions of the generated module, then the variables of its kernel.
    [
        "triton",
        "tl",
        "ops",
        "update_elements",
        "kernel",
        "range",
        "tensors",
        "chunks",
        "rows",
        "header",
        "chunk",
        "tensor",
        "row",
        "start",
        "elements",
        "block",
        "first",
        "offsets",
        "mask",
        "math",
        "aligned",
        "chunk_size",
        "threads",
        # Those of kernels with scratch.
        "folds",
        "passes",
        "tensor_program",
        "geometry",
        "numbers",
        "vectors",
        "partials",
        "vector_partials",
        "place",
        "own_numbers",
        "matrices",
        "height",
        "width",
        "tile",
        "tile_matrices",
        "tile_rows",
        "tile_columns",
        "tile_steps",
        "row_alignment",
        "group_matrices",
        "first_matrix",
        "first_row",
        "first_column",
        "last_matrix",
        "from_matrix",
        "at",
        "at_matrix",
        "at_row",
        "at_column",
        "inside",
        "across",
        "along",
        "down",
        "below",
        "apart",
        "whole",
    ]
)

_NUMBERS = {math.inf: "infinity", math.pi: "pi"}
_NUMBERS |= {0: "zero", 1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 10: "ten", 0.5: "half"}
_INFIX = {"add": "plus", "sub": "minus", "mul": "times", "div": "over", "pow": "pow", "and": "and", "or": "or"}
_INFIX |= {"mod": "mod", "gt": "above", "ge": "at_least", "lt": "below", "le": "at_most", "eq": "equal_to", "ne": "not"}
_PREFIX = {"neg": "minus", "sqrt": "sqrt", "abs": "abs", "sign": "sign_of", "exp": "exp", "log": "log", "not": "not"}
_PREFIX |= {"maximum": "max_of", "minimum": "min_of", "clamp": "clamped", "lerp": "lerp_of", "where": "choice_of"}
_AGAINST_ZERO = {
    "gt": "positive",
    "ge": "nonnegative",
    "lt": "negative",
    "le": "nonpositive",
    "eq": "zero",
    "ne": "nonzero",
}


def spell(expression: Expr) -> str:
    """Return an expression in words, without parentheses: two different ones may have the same words."""
    match expression:
        case Const(value=value):
            return _NUMBERS.get(value, _digits(value)) if not isinstance(value, bool) else str(value).lower()
        case Ref(name=name):
            return name
        case Call(op="first", args=(Ref(name=name),)):
            return first_argument(name)
        case Call(op="pow", args=(base, Const(value=2))):
            return f"{spell(base)}_squared"
        case Call(op="mul", args=(left, right)) if left == right:
            return f"{spell(left)}_squared"
        case Call(op=op, args=(left, Const(value=0))) if op in _AGAINST_ZERO:
            return f"{spell(left)}_{_AGAINST_ZERO[op]}"
        case Call(op=op, args=(left, right)) if op in _INFIX:
            return f"{spell(left)}_{_INFIX[op]}_{spell(right)}"
        case Call(op=op, args=(operand, Const(value=-1 | -2 | 0 | 1 as axis))) if is_reduction(expression):
            return f"{'row' if written_axis(int(axis)) == -1 else 'column'}_{op}_{spell(operand)}"
        case Call(op=op, args=args):
            return "_".join((_PREFIX.get(op, op), *(spell(argument) for argument in args)))


def _digits(value: float) -> str:
    """Return a number as part of an identifier: `0.96` is `0_96`."""
    return repr(value).replace("-", "minus_").replace(".", "_").replace("+", "")


def first_argument(state: str) -> str:
    """Return the name of the argument that tells whether this step created a state."""
    return f"first_{state}"


def specialisation_name(condition: Expr) -> str:
    """Return the keyword of a condition that kernels are specialised on; a flag keeps its name."""
    name = spell(condition)
    return f"{name}_set" if _is_reserved(name) else name


def entry_name(definition: Expr, role: str, taken: Container[str]) -> str:
    """Return a free name for a number that kernels read: its expression in words, or its role.

    Args:
        definition: The expression.
        role: The name that is used if the expression is too long.
        taken: Names that are not free.
    """
    name = spell(definition)
    if isinstance(definition, Ref):
        return unique([name, f"new_{name}", role], taken)
    return unique([name, role] if len(name) <= LONGEST and name.isidentifier() else [role], taken)


def role_name(op: str, position: int, siblings: tuple[Expr, ...], target: str) -> str:
    """Return the role of a number among the arguments of an operation: the factor of `grad`, or its divisor.

    Args:
        op: The operation.
        position: The position of the number among the arguments.
        siblings: All arguments; a name among them gives the role its name.
        target: The name that the statement assigns to, used if there is no such name.
    """
    beside = next((e.name for i, e in enumerate(siblings) if i != position and isinstance(e, Ref)), target)
    match op:
        case "mul":
            return f"{beside}_factor"
        case "div":
            return f"{beside}_divisor" if position == 1 else f"{beside}_dividend"
        case "add" | "sub":
            return f"{beside}_offset"
        case "lerp" if position == 2:
            return f"{target}_weight"
        case "maximum" | "minimum" | "clamp" | "gt" | "ge" | "lt" | "le":
            return f"{beside}_bound"
        case _:
            return f"{target}_value"


def unique(candidates: list[str], taken: Container[str]) -> str:
    """Return the first candidate that is free, else the last one with a number."""
    for name in candidates:
        if name not in taken and not keyword.iskeyword(name):
            return name
    number = 2
    while (name := f"{candidates[-1]}_{number}") in taken:
        number += 1
    return name


def safe(name: str) -> str:
    """Return a name of the spec as a variable of a kernel."""
    return f"{name}_" if _is_reserved(name) else name


def _is_reserved(name: str) -> bool:
    return name in RESERVED or name.endswith(("_ptr", "_address", "_dtype"))  # of streams


def pass_suffix(index: int) -> str:
    """Return the end of the names that the generated code of a pass has; empty for the first pass."""
    return f"_{index}" if index else ""
