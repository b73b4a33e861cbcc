"""Make lines of generated Python: indentation, wrapping, and the spec's lines as comments above the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence

from thetac.codegen.backends.printing.escaping import calls, comment, literal, renamed_calls
from thetac.codegen.backends.printing.host_python import python
from thetac.codegen.ir.nodes import If, Ref, Rule, StateKind, Stmt
from thetac.codegen.ir.printer import assignment_text
from thetac.codegen.ir.totals import has_barriers
from thetac.codegen.passes.analysis.kinds import infer
from thetac.codegen.passes.lift import LIFTED

INDENT = "    "


def indent(lines: Sequence[str]) -> list[str]:
    """Return the lines, indented by one level."""
    return [INDENT + line if line else line for line in lines]


def else_lines(lines: Sequence[str]) -> list[str]:
    """Return `else:` and the lines under it, or `elif` where they are one branch and nothing else."""
    outermost = [line for line in lines if not line.startswith(" ")]
    if outermost[0].startswith("if ") and all(line.startswith(("elif ", "else:")) for line in outermost[1:]):
        return [f"el{lines[0]}", *lines[1:]]
    return ["else:", *indent(lines)]


def comment_lines(statement: Stmt, code: Sequence[str] = ()) -> list[str]:
    """Return the spec's line as a comment, after the author's remark; none if it would only repeat the code."""
    remark = comment(statement.comment) or ("" if statement.origin == LIFTED else statement.origin)
    if isinstance(statement, If):
        return [f"# {remark}"] if comment(statement.comment) or statement.origin == "first value" else []
    if statement.value == Ref(statement.target):  # a value that the line above computes is stored
        return []
    line = assignment_text(statement)
    if list(code) == [line]:
        return [f"# {remark}"] if remark else []
    return [f"# {remark}: {line}" if remark else f"# {line}"]


def imported(functions: Sequence[str], rule: Rule, *bodies: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return what to import, and the bodies that call it; a function that a value hides has another name there."""
    called = [name for name in functions if any(calls(name, body) for body in bodies)]
    hidden = infer(rule).keys() & set(called)
    imports = [f"{name} as {name}_" if name in hidden else name for name in called]
    return imports, [renamed_calls(sorted(hidden), body) for body in bodies]


def call_lines(targets: Sequence[str], function: str, arguments: Sequence[str]) -> list[str]:
    """Return `targets = function(arguments)`, over as many lines as it needs."""
    left, right = ", ".join(targets), ", ".join(arguments)
    line = f"{left} = {function}({right})"
    if len(line) <= 96:
        return [line]
    if len(left) <= 96:
        return [f"{left} = {function}(", f"{INDENT}{right}", ")"]
    wrapped = [f"{INDENT}{name}," for name in targets]
    return ["(", *wrapped, f") = {function}(", *(f"{INDENT}{name}," for name in arguments), ")"]


def view_lines(names: Sequence[str], function: str) -> list[str]:
    """Return the lines that replace each name by its view; `function` always returns a tuple."""
    return call_lines(names if len(names) > 1 else [f"({names[0]},)"], function, names)


def loop_lines(variables: Sequence[str], over: Sequence[str], body: Sequence[str]) -> list[str]:
    """Return the loop over parallel lists."""
    line = f"for {', '.join(variables)} in zip({', '.join(over)}, strict=True):"
    if len(line) <= 110:
        return [line, *indent(body)]
    return [f"for {', '.join(variables)} in zip(", f"{INDENT}{', '.join(over)}, strict=True", "):", *indent(body)]


def run_together_lines(
    function: str, variables: Sequence[str], over: Sequence[str], values: Sequence[str]
) -> list[str]:
    """Return the statement that runs a generator for each parameter, from total to total.

    Args:
        function: The name of the generator.
        variables: Its arguments by position, the names of the loop.
        over: The parallel lists of them.
        values: Its arguments by keyword, the same for all parameters.
    """
    call = ", ".join([*variables, *(f"{name}={name}" for name in values)])
    loop = f"for {', '.join(variables)} in zip({', '.join(over)}, strict=True)"
    return [
        "return together(",
        f"{INDENT}[",
        f"{INDENT * 2}{function}({call})",
        f"{INDENT * 2}{loop}",
        f"{INDENT}]",
        ")",
    ]


def release_lines(lines: Sequence[str], always: Sequence[str], assigned: Container[str]) -> list[str]:
    """Return the lines with deletions in front of totals, so that no step waits with tensors that it does not need.

    Args:
        lines: The lines of a generator.
        always: Names of tensors that have a value from the beginning on.
        assigned: Names of tensors that have one once they are assigned, perhaps in a branch.
    """
    result: list[str] = []
    bound = list(always)
    for index, line in enumerate(lines):
        if re.match(r"\w+ = yield ", line):
            later = set(re.findall(r"\w+", "\n".join(lines[index:])))
            if gone := [name for name in bound if name not in later]:
                comments = len(result)
                while comments and result[comments - 1].startswith("#"):
                    comments -= 1
                result.insert(comments, f"del {', '.join(gone)}")
                bound = [name for name in bound if name in later]
        elif (
            (found := re.match(r"(\w+)(?:: [\w\[\] |]+)? = ", line)) and found[1] in assigned and found[1] not in bound
        ):
            bound.append(found[1])
        result.append(line)
    return result


def shared_lines(rule: Rule) -> list[str]:
    """Return the statement that returns the shared numbers from a generator, and what makes one of the function."""
    empty = [] if has_barriers(rule) else ["yield from ()  # no parameter waits for another"]
    return [*empty, f"return {{{', '.join(f'{literal(one.name)}: {one.name}' for one in rule.shared)}}}"]


def pair_lines(required: Sequence[str], optional: Sequence[str]) -> list[str]:
    """Return the lines that view tensors as pairs of reals; those that may be None need a call of their own."""
    lines = view_lines(required, "as_pairs")
    return [*lines, *view_lines(optional, "as_pairs")] if optional else lines


def declare_types(lines: Sequence[str], types: Mapping[str, str]) -> list[str]:
    """Return the lines with a type at the first of several assignments to a name.

    Args:
        lines: The lines.
        types: The types by name.
    """
    declared = list(lines)
    for name, kind in types.items():
        assigned = [index for index, line in enumerate(lines) if line.lstrip().startswith(f"{name} = ")]
        if len(assigned) > 1:
            declared[assigned[0]] = declared[assigned[0]].replace(f"{name} = ", f"{name}: {kind} = ", 1)
    return declared


def number_lines(
    rule: Rule,
    needed: Container[str],
    count: Callable[[str], str],
    read: Callable[[str], str],
    assertion: Callable[[str], str] | None = None,
) -> list[str]:
    """Return the lines that increment counters and read the needed numbers from their tensors.

    Args:
        rule: The rule.
        needed: States that are one number, and whose numbers are read.
        count: Returns the statement that increments a counter.
        read: Returns the statement that reads such a state.
        assertion: Returns the statement that asserts that such a state exists; None for no assertion.
    """
    lines: list[str] = []
    for state in rule.states:
        if state.kind is StateKind.TENSOR:
            continue
        own = [count(state.name)] if state.kind is StateKind.COUNTER else []
        own += [read(state.name)] if state.name in needed else []
        if own and state.when is not None:
            own = [*([assertion(state.name)] if assertion else []), *own]
            own = [f"if {python(state.when)}:", *indent(own)]
        lines += own
    return lines
