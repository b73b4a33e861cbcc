"""CONTRIBUTING.md says which tests guard a module, and tests lie in folders that mirror those of the source."""

from __future__ import annotations

import re

from tests.support.paths import ROOT, TESTS

ROW = re.compile(r"^\| `((?:codegen|runtime|thetac)/[a-z_/]*)`: (.*) \| (.*) \|$", re.MULTILINE)
NAME = re.compile(r"`([^`]+)`")
FOLDERS = ("codegen", "runtime", "thetac")


def table() -> dict[str, list[str]]:
    """Return the tests by module, as the table has them; a module may have several rows."""
    found: dict[str, list[str]] = {}
    for folder, modules, tests in ROW.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        for module in NAME.findall(modules):
            name = module if "." in module else f"{module}.py"
            found.setdefault(f"{folder}{name}", []).extend(NAME.findall(tests))
    return found


def modules() -> set[str]:
    links = {ROOT / "thetac" / name for name in ("codegen", "generated", "runtime", "specs")}
    return {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".h", ".cpp") and path.name != "__init__.py" and links.isdisjoint(path.parents)
    }


def test_every_module_has_a_test_that_guards_it() -> None:
    rows = table()
    assert not modules() - rows.keys(), "add a row to the table of tests in CONTRIBUTING.md"
    assert not rows.keys() - modules(), "remove the row from the table of tests in CONTRIBUTING.md"


def test_every_test_of_the_table_is_there() -> None:
    missing = {test for tests in table().values() for test in tests if not (TESTS / test).is_file()}
    assert not missing, "the table of tests in CONTRIBUTING.md names files that are not there"


def test_folders_of_tests_mirror_the_source() -> None:
    """Below codegen, runtime and thetac; `distributed` and `generic_optimizer` test one module or many processes."""
    own = {"runtime/distributed", "runtime/generic_optimizer"}
    folders = {path.parent.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    of_source = {folder for folder in folders if folder.startswith(FOLDERS)} - own
    assert not {folder for folder in of_source if not (ROOT / folder).is_dir()}


def test_only_what_is_about_the_whole_lies_at_the_top() -> None:
    top = {path.name for path in TESTS.glob("test_*.py")}
    assert top == {"test_architecture.py", "test_layout.py", "test_planted_faults.py"}
