"""The table of environment variables in docs/building.md lists those that the code reads."""

from __future__ import annotations

import ast
import re

from tests.support.paths import ROOT

FOLDERS = ("runtime", "thetac", "codegen")
VARIABLE = re.compile(r"THETAC_[A-Z]+(?:_[A-Z]+)*")


def variables_of_the_code() -> dict[str, str]:
    """Each variable with a module that reads it: the strings of that form in modules that use the environment.

    Macros of C++ kernels have such names too; the modules that set them do not use the environment.
    """
    found: dict[str, str] = {}
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        if names & {"environ", "getenv"}:
            strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            read = [text for text in strings if isinstance(text, str) and VARIABLE.fullmatch(text)]
            found |= dict.fromkeys(read, str(path.relative_to(ROOT)))
    return found


def variables_of_the_table() -> list[str]:
    page = (ROOT / "docs" / "building.md").read_text(encoding="utf-8")
    section = page.partition("\n## Environment\n")[2].partition("\n## ")[0]
    return re.findall(rf"^\| `({VARIABLE.pattern})` \|", section, re.MULTILINE)


def test_the_table_lists_the_variables_that_the_code_reads() -> None:
    read, listed = variables_of_the_code(), variables_of_the_table()
    missing = [f"{variable}, which {module} reads" for variable, module in read.items() if variable not in listed]
    unused = [f"{variable}, which nothing reads" for variable in listed if variable not in read]
    assert not missing, f"add to the table in docs/building.md: {'; '.join(sorted(missing))}"
    assert not unused, f"remove from the table in docs/building.md: {'; '.join(unused)}"
    assert len(listed) == len(set(listed)), "the table in docs/building.md lists a variable twice"
    assert len(listed) >= 7, "the modules that read the environment were not found"
