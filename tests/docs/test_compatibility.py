"""docs/compatibility.md has a row for every feature that tests are marked with, and a column for every optimizer."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.references.torch_inputs import IN_TORCH
from tests.support.every_optimizer import NAMES
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "compatibility.md"
RENEW = "run `make compatibility`"


def marked(marker: str) -> Iterator[tuple[str, ...]]:
    """The arguments of a marker wherever it is used, as the source has them."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{marker}":
                yield tuple(ast.literal_eval(argument) for argument in node.args)


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_marked_feature_has_a_row_and_every_row_a_feature() -> None:
    rows = set(re.findall(r"^\| \*\*([^|]+?)\*\*: ([^|]+?) \|", page(), re.MULTILINE))
    assert rows == set(marked("feature")), RENEW


def test_every_optimizer_has_a_column() -> None:
    headers = re.findall(r"^\| \| (\w.*) \|$", page(), re.MULTILINE)
    assert [len(header.split(" | ")) for header in headers] == [len(IN_TORCH), len(NAMES) - len(IN_TORCH)], RENEW
    assert sorted(name for header in headers for name in header.split(" | ")) == sorted(NAMES), RENEW


def test_every_difference_is_listed() -> None:
    items = re.findall(r"^- (.*(?:\n  .*)*)$", page().partition("## Intended differences from torch")[2], re.MULTILINE)
    assert sorted(" ".join(item.split()) for item in items) == sorted(text for (text,) in marked("difference")), RENEW


def test_nothing_fails_and_every_letter_is_explained() -> None:
    tables = [line for line in page().split("\n") if line.startswith("| **")]
    assert not [line for line in tables if "FAILS" in line]
    cells = [cell for line in tables for cell in line.strip("| ").split(" | ")[1:] if line.count(" | ") > 1]
    used = {word for cell in cells for word in cell.split() if word.isalpha() and word != "yes"}
    explained = set(re.findall(r"^- \*\*([a-z]{1,2})\*\*: ", page(), re.MULTILINE))
    assert used == explained, RENEW


TESTS = """
import pytest
from tests.support.every_optimizer import every_optimizer

@pytest.mark.feature("step", "holds")
@every_optimizer
def test_holds(name, record_property):
    record_property("cases", 3)

@pytest.mark.feature("step", "holds in part")
@pytest.mark.parametrize("name", ["AdamW", "SGD", "Lion"])
def test_holds_in_part(name, record_property):
    if name == "SGD":
        record_property("why not", "it is refused")
    assert name != "Lion"

@pytest.mark.feature("step", "cannot be tried")
@pytest.mark.skip(reason="a library is missing")
def test_cannot_be_tried(): ...

@pytest.mark.difference("They differ.")
def test_difference(): ...

def test_not_marked():
    raise AssertionError
"""


@pytest.mark.thorough("20 s; that the page is as the tests say matters when it is written")
def test_the_page_says_what_the_tests_show(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "tests.docs.compatibility",
        "--tests",
        str(tmp_path),
        "--page",
        str(tmp_path / "page.md"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "test_holds_in_part[Lion]" in done.stderr
    written = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| **step**: holds | 3 | 3 |" in written
    in_torch, others = re.findall(r"^\| \*\*step\*\*: holds in part \| (.*) \|$", written, re.MULTILINE)
    assert sorted(in_torch.split(" | ")) == ["-"] * (len(IN_TORCH) - 2) + ["a", "yes"]
    assert sorted(others.split(" | ")) == ["-"] * (len(NAMES) - len(IN_TORCH) - 1) + ["FAILS"]
    assert "- **a**: it is refused\n" in written
    assert "| **step**: cannot be tried | not tried: a library is missing |" in written
    assert written.endswith("## Intended differences from torch\n\n- They differ.\n")
