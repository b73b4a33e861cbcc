"""`thetac show`: print one optimizer at a stage of the compiler, or the output of a backend."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from thetac.codegen.backends.documentation.algorithm_box import algorithm
from thetac.codegen.cli.library import UsageError, compile_named, print_warnings
from thetac.codegen.cli.pass_listing import host_listing, passes_listing
from thetac.codegen.errors import join_names
from thetac.codegen.ir.listing import rule_listing
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
    "hoisted": lambda one: [*host_listing(one.fused), *passes_listing(one.fused)],
    "passes": lambda one: passes_listing(one.fused),
}
STAGES = tuple(_STAGES)


def show(name: str, backend: str | None, stage: str | None, piece: str | None = None) -> int:
    """Print one optimizer and return the exit status.

    Args:
        name: The name of one of thetac's optimizers, or the path of a spec.
        backend: One of BACKENDS, whose output is printed; None to print a stage.
        stage: One of STAGES; None for the checked rule.
        piece: The name of a piece, which is shown in place of the update.

    Raises:
        UsageError: If no optimizer has this name, or it has no such piece.
        SpecError: If the spec cannot be read or is wrong.
    """
    one = compile_named(name)
    print_warnings((one,))
    if piece is not None:
        one = _piece_of(one, piece)
    if backend == "latex":
        text, language = algorithm(one.written), "latex"
    elif backend is not None:
        file = "schema.py" if piece is not None and backend == "class" else _FILES[backend]
        if file not in one.files:
            there = join_names([name for name, known in _FILES.items() if known in one.files], "and")
            pieces = join_names([f"--piece {known.module}" for known in one.pieces], "or")
            raise UsageError(f"{one.class_name} has {there} alone" + (f"; {pieces} shows more" if pieces else ""))
        text, language = one.files[file], "cpp" if file.endswith(".cpp") else "python"
    else:
        text, language = "\n".join(_STAGES[stage or "checked"](one)), "python"
    text = text.rstrip("\n")
    print(_highlight(text, language) if _on_terminal() else text)
    return 0


def _piece_of(one: Compiled, name: str) -> Compiled:
    """Return a piece of an optimizer."""
    known = {piece.module: piece for piece in one.pieces}
    if name not in known:
        there = f"it has {join_names(known, 'and')}" if known else "it has none"
        raise UsageError(f"{one.class_name} has no piece `{name}`: {there}")
    return known[name]


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
