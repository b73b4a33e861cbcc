"""`thetac show`: print one optimizer at a stage of the compiler, or the output of a backend."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import assert_never

from thetac.codegen.backends.documentation.algorithm_box import algorithm
from thetac.codegen.cli.library import compile_named, print_warnings
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass
from thetac.codegen.ir.listing import listing, rule_listing
from thetac.codegen.ir.nodes import Const, Expr, Stmt
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.pipeline import Compiled

IMPLEMENTATIONS: Mapping[str, str] = {
    "for-loop": "forloop.py",
    "foreach": "foreach.py",
    "triton": "triton_kernels.py",
    "cpp": "kernels.cpp",
}
_FILES: Mapping[str, str] = {**IMPLEMENTATIONS, "scalars": "scalars.py", "class": "optimizer.py"}
BACKENDS = (*_FILES, "latex")

_STAGES: Mapping[str, Callable[[Compiled], list[str]]] = {
    "checked": lambda one: rule_listing(one.written),
    "features": lambda one: rule_listing(one.rule),
    "hoisted": lambda one: _fused_listing(one.fused),
}
STAGES = tuple(_STAGES)


def show(name: str, backend: str | None, stage: str | None) -> int:
    """Print one optimizer and return the exit status.

    Args:
        name: The name of one of thetac's optimizers, or the path of a spec.
        backend: One of BACKENDS, whose output is printed; None to print a stage.
        stage: One of STAGES; None for the checked rule.

    Raises:
        UsageError: If no optimizer has this name.
        SpecError: If the spec cannot be read or is wrong.
    """
    one = compile_named(name)
    print_warnings((one,))
    if backend == "latex":
        text, language = algorithm(one.written), "latex"
    elif backend is not None:
        file = _FILES[backend]
        text, language = one.files[file], "cpp" if file.endswith(".cpp") else "python"
    else:
        text, language = "\n".join(_STAGES[stage or "checked"](one)), "python"
    text = text.rstrip("\n")
    print(_highlight(text, language) if _on_terminal() else text)
    return 0


def _on_terminal() -> bool:
    plain = os.environ.get("NO_COLOR", "") != "" or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def _highlight(text: str, language: str) -> str:
    try:
        from pygments import highlight
        from pygments.formatters import TerminalFormatter
        from pygments.lexers import get_lexer_by_name
    except ImportError:  # pygments is optional
        return text
    return str(highlight(text, get_lexer_by_name(language), TerminalFormatter())).rstrip("\n")


def _fused_listing(fused: Fused) -> list[str]:
    """Return the lines of the host program, the scalar row, the specialisations and the element programs."""
    return [
        "once per step, group and step count:",
        *(f"  {line}" for line in listing(fused.host)),
        "row:",
        *(f"  {entry.name} = {expression_text(entry.definition)}" for entry in fused.row),
        "specialised on:",
        *(f"  {one.name} = {expression_text(one.condition)}" for one in fused.specialisations),
        *(line for one in fused.passes for line in _pass_listing(one)),
    ]


def _pass_listing(one: Pass) -> list[str]:
    return [
        "streams:",
        *(f"  {s.name}: loaded {_when(s.loaded)}, stored {_when(s.stored)}" for s in one.streams),
        "once per element:",
        *(f"  {line}" for line in listing(_as_statement(statement) for statement in one.body)),
    ]


def _as_statement(statement: ElementStmt) -> Stmt:
    match statement:
        case ElementAssign(target=target, value=value, source=source):
            return replace(source, target=target, value=value)
        case ElementIf(condition=condition, then=then, orelse=orelse, source=source):
            sides = [tuple(_as_statement(inner) for inner in side) for side in (then, orelse)]
            return replace(source, condition=condition, then=sides[0], orelse=sides[1])
        case _:
            assert_never(statement)


def _when(condition: Expr) -> str:
    match condition:
        case Const(value=True):
            return "always"
        case Const(value=False):
            return "never"
        case _:
            return f"if {expression_text(condition)}"
