"""Lines of generated C++: the spec's lines as comments, branches, and lines that are too long.

In: statements of a `Fused`, and the lines within them. Out: lines. Must not know how an assignment is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from thetac.codegen.backends.eager.lines import comment_lines
from thetac.codegen.backends.kernels.cpp_tables import cpp_text
from thetac.codegen.ir.fused import ElementIf, ElementStmt, elements_assigned, elements_read
from thetac.codegen.ir.nodes import Call, Stmt

INDENT = "    "
_LONGEST = 120 - len(4 * INDENT)  # of a line in the body of a kernel


def remark_lines(source: Stmt, code: str = "") -> list[str]:
    """Return the spec's line as a comment; nothing if it would only repeat the code."""
    return [f"//{line.removeprefix('#')}" for line in comment_lines(source, [code] if code else [])]


def names_used(body: Iterable[ElementStmt]) -> set[str]:
    """Return the names that statements read or assign."""
    return {*elements_assigned(body), *elements_read(body)}


def branch_lines(statement: ElementIf, write: Callable[[ElementStmt], list[str]], *, is_constant: bool) -> list[str]:
    """Return the lines of a branch.

    Args:
        statement: The branch.
        write: Gives the lines of a statement within it.
        is_constant: Whether the condition is a constant of the kernel.
    """
    then, orelse = statement.then, statement.orelse
    text = cpp_text(statement.condition if then else Call("not", (statement.condition,)))
    lines = [*remark_lines(statement.source), f"if{' constexpr' if is_constant else ''} ({text}) {{"]
    lines += [INDENT + line for inner in then or orelse for line in write(inner)]
    if then and orelse:
        others = [line for inner in orelse for line in write(inner)]
        if isinstance(orelse[0], ElementIf) and len(orelse) == 1 and others[0].startswith("if"):
            return [*lines, f"}} else {others[0]}", *others[1:]]
        lines += ["} else {", *(INDENT + line for line in others)]
    return [*lines, "}"]


def wrap(lines: Sequence[str]) -> list[str]:
    """Return the lines; those that are too long are broken at blanks."""
    return [part for line in lines for part in _break_line(line)]


def _break_line(line: str) -> list[str]:
    if len(line) <= _LONGEST:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    continued = indent + ("//     " if line.startswith("//", len(indent)) else INDENT)
    parts = [indent]
    for word in line.split():
        if len(parts[-1]) + 1 + len(word) > _LONGEST:
            parts.append(continued + word)
        else:
            parts[-1] += f" {word}" if parts[-1].strip() else word
    return parts
