"""What a reader of generated Python may count on: nothing is computed or asked for in vain."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import thetac
from tests.support.liveness import dead_assignments, unused_arguments
from thetac.drivers import PIECES

FOLDER = Path(str(thetac.generated.__file__)).resolve().parent
GENERATED = sorted(FOLDER.rglob("*.py"))
# The runtime calls these with the same arguments, where a module has several of them.
LAUNCHED = re.compile(r"(kernel|tensor_program(_for_totals)?)(_\d+)?|has_vectors")


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
        if not LAUNCHED.fullmatch(function.name) or "PASSES = (" not in path.read_text(encoding="utf-8")
        for unused in unused_arguments(function)
        # The interface of all: a piece that only updates states has no use for parameters.
        if unused != "params" or path.parent.name not in PIECES
    ]
    assert not wrong, "\n".join(wrong)


READ_TWICE = """
def step(tensors, number):
    for tensor in tensors:
        value = tensor.item()
        if number:
            used = 1
        else:
            used = 2
        tensor.mul_(used)
        value = tensor.item()
        tensor.add_(value)
"""


def test_the_check_finds_a_value_that_another_replaces() -> None:
    (function,) = ast.parse(READ_TWICE).body
    assert isinstance(function, ast.FunctionDef)
    assert dead_assignments(function) == ["line 4: value is assigned and never read"]


def test_no_line_is_longer_than_120_columns() -> None:
    wrong = [
        f"{path.relative_to(FOLDER.parent)}:{number} has {len(line)}"
        for path in GENERATED
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if len(line) > 120
    ]
    assert not wrong, "\n".join(wrong)
