"""What a reader of generated Python may count on: nothing is computed or asked for in vain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import thetac
from tests.liveness import dead_assignments, unused_arguments

FOLDER = Path(str(thetac.generated.__file__)).resolve().parent
GENERATED = sorted(FOLDER.rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def test_no_value_is_assigned_in_vain() -> None:
    wrong = [
        f"{path.relative_to(FOLDER.parent)}, {function.name}: {dead}"
        for path in GENERATED
        for function in functions(path)
        for dead in dead_assignments(function)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_argument_is_asked_for_in_vain() -> None:
    wrong = [
        f"{path.relative_to(FOLDER.parent)}, {function.name}: {unused}"
        for path in GENERATED
        for function in functions(path)
        for unused in unused_arguments(function)
    ]
    assert not wrong, "\n".join(wrong)
