"""What the documentation says is true: links, paths, names, examples, and the text of every optimizer."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import thetac
from tests.support.paths import ROOT
from thetac.codegen.backends.documentation.docstring import argument, arguments, docstring
from thetac.codegen.backends.documentation.pages import pages
from thetac.codegen.backends.printing.escaping import module_name
from thetac.codegen.cli.library import our_specs
from thetac.codegen.ir.nodes import Rule, StateKind
from thetac.codegen.pipeline import front_end
from thetac.drivers import DRIVERS

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
WRITTEN = [page for page in PAGES if page.parent != ROOT / "docs" / "optimizers"]
EXAMPLES = {"specs/cautious_momentum.yaml", "specs/sharp.yaml", "my_optimizer.yaml"}  # files of a reader


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """The text without blocks of code."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def blocks_of(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def files() -> frozenset[str]:
    """Every file of the checkout, and every folder with a `/` behind it."""
    skipped = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "build"}
    found: set[str] = set()
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in skipped]
        here = Path(folder).relative_to(ROOT)
        found |= {(here / name).as_posix() for name in names}
        found |= {f"{(here / name).as_posix()}/" for name in folders}
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{target}: no such file"
        if anchor:
            assert anchor in anchors_of(there), f"{target}: no such heading, there are {sorted(anchors_of(there))}"


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_file_that_is_named_exists(page: Path) -> None:
    """A path may leave out the folders that are clear from where it stands."""
    for path in re.findall(r"`([\w./-]+)`", prose_of(page)):
        is_file = re.search(r"\.(py|yaml|md|toml|txt|jinja)$", path)
        is_folder = path.endswith("/")
        if path not in EXAMPLES and (is_file or is_folder) and not path.startswith("."):
            assert any(file == path or file.endswith(f"/{path}") for file in files()), f"{path}: no such file"


def test_every_page_is_listed() -> None:
    listed = set(re.findall(r"\]\(([^)#]+)\)", text_of(ROOT / "docs" / "README.md")))
    there = {page.relative_to(ROOT / "docs").as_posix() for page in WRITTEN if page.parent == ROOT / "docs"}
    assert listed == there - {"README.md"} | {"optimizers/README.md"}


# Generated pages wrap nothing: their paragraphs are texts of specs.
LATER = {"CHANGELOG.md"}


@pytest.mark.parametrize("page", [page for page in WRITTEN if page.name not in LATER], ids=name_of)
def test_prose_wraps_at_100_columns(page: Path) -> None:
    lines = prose_of(page).split("\n")
    long = [line for line in lines if len(line) > 100 and " " in line.strip("-* ") and not line.startswith(("|", "!["))]
    assert not long, "wrap these lines at 100 columns:\n" + "\n".join(long)


def test_the_architecture_page_has_one_row_for_every_module() -> None:
    rows = re.findall(r"^\| (`.*?) \| .* \|$", text_of(ROOT / "docs" / "architecture.md"), re.MULTILINE)
    listed = [path for row in rows for path in re.findall(r"`([\w/]+\.py)`", row)]
    modules = {file for file in files() if re.fullmatch(r"(codegen|runtime)/.*\.py", file)}
    assert sorted(listed) == sorted(file for file in modules if not file.endswith("__init__.py"))


def test_the_glossary_is_short_and_in_order() -> None:
    glossary = text_of(ROOT / "docs" / "architecture.md").partition("## Glossary")[2]
    terms = re.findall(r"^\| ([a-z][a-z -]*) \| .+ \|$", glossary, re.MULTILINE)[1:]
    assert terms == sorted(set(terms), key=str.lower)
    assert 20 <= len(terms) <= 30


def rows_about_files() -> list[tuple[str, str]]:
    rows = re.findall(r"^\| `([\w./]+)` \| (.*) \|$", text_of(ROOT / "docs" / "adding.md"), re.MULTILINE)
    assert len(rows) > 15, "the tables were not found"
    return rows


@pytest.mark.parametrize(("path", "row"), rows_about_files(), ids=lambda value: value if "`" not in value else "")
def test_names_in_the_guide_are_in_the_file_they_are_said_to_be_in(path: str, row: str) -> None:
    assert (ROOT / path).exists()
    for name in re.findall(r"`(\w+)`", row):
        if (ROOT / path).is_file() and name not in ("written", "rule", "fused"):
            assert re.search(rf"\b{name}\b", text_of(ROOT / path)), f"{path} has no {name}"


def test_other_names_in_the_guide_exist() -> None:
    found = re.findall(r"`(\w+)` (?:of|in)\s`([\w/]+\.py)`", text_of(ROOT / "docs" / "adding.md"))
    assert len(found) >= 4, "the names were not found"
    for name, path in found:
        assert re.search(rf"\b{name}\b", text_of(ROOT / path)), f"{path} has no {name}"


# Examples.


def run(program: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(program)}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_example_of_the_readme_works_as_it_is_written(tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    (spec,), (program,) = blocks_of(readme, "yaml"), blocks_of(readme, "python")
    (command,) = [block for block in blocks_of(readme, "sh") if "thetac" in block.split()]
    shown = spec.count("\n") + program.count("\n") + command.count("\n")
    assert shown <= 50, f"{shown} lines are more than a screen"

    (tmp_path / "specs").mkdir()
    (path,) = set(re.findall(r'thetac\.load\("([^"]+)"\)', program))
    assert f"`{path}`" in text_of(readme)
    (tmp_path / path).write_text(spec, encoding="utf-8")
    name, *words = shlex.split(command)
    assert name == "thetac"
    run([sys.executable, "-m", "thetac.codegen", *words], tmp_path)
    out = run([sys.executable, "-c", program], tmp_path)
    loss, _, explanation = out.partition("\n")
    assert float(loss) < 0.5, "it does not learn"
    assert explanation.startswith("CautiousMomentum, 1 parameter group")

    (instead,) = re.findall(r"# or: (from .* import .*)", program)
    packaged = re.sub(r"^CautiousMomentum = .*$", instead, program, flags=re.MULTILINE)
    assert float(run([sys.executable, "-c", packaged], tmp_path).split("\n")[0]) < 0.5


@pytest.mark.parametrize("page", ["using.md", "checkpoints.md", "features.md"])
def test_the_examples_of_use_work_one_after_the_other(page: str, tmp_path: Path) -> None:
    run([sys.executable, "-c", "\n".join(blocks_of(ROOT / "docs" / page, "python"))], tmp_path)


def test_the_commands_of_the_guide_work(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (block,) = blocks_of(ROOT / "docs" / "adding.md", "sh")
    commands = [shlex.split(line) for line in block.splitlines()]
    assert commands[-1] == ["make", "generate"]
    for name, *words in commands[:-1]:
        assert name == "thetac"
        run([sys.executable, "-m", "thetac.codegen", *words], tmp_path)


def test_the_targets_of_make_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for page in WRITTEN:
        for command in re.findall(r"(?:`|^)make ([a-z ]+?)(?:`|\s*#|$)", text_of(page), re.MULTILINE):
            assert targets.issuperset(command.split()), f"{name_of(page)}: make {command}"


# Lists of what there is.


@cache
def rules() -> dict[str, Rule]:
    return {rule.name: rule for rule in front_end(our_specs())}


def test_the_readme_lists_every_optimizer() -> None:
    table = text_of(ROOT / "README.md").partition("| optimizers | |")[2].partition("\n\n")[0]
    listed = [[name.strip() for name in row.split("|")[2].split(",")] for row in table.split("\n")[2:]]
    textbook = {rule.name for rule in rules().values() if "textbook/" in rule.source}
    assert {name for row in listed for name in row} == rules().keys()
    assert set(listed[-1]) == textbook
    (count,) = re.findall(r"The (\d+) optimizers here", text_of(ROOT / "README.md"))
    assert int(count) == len(rules())


def test_the_changelog_has_the_version_and_every_optimizer_of_it() -> None:
    changelog = " ".join(text_of(ROOT / "CHANGELOG.md").split())
    assert f"## [{thetac.__version__}]" in changelog
    named = set(re.findall(r"\w+", changelog))
    assert named.issuperset(rule.name for rule in rules().values() if "textbook/" not in rule.source)


# The text of every optimizer.


@pytest.mark.parametrize("name", rules())
def test_the_docstring_of_a_class_says_all_there_is(name: str) -> None:
    rule = rules()[name]
    made = getattr(thetac, name)
    text = inspect.getdoc(made)
    assert text == inspect.cleandoc(docstring(rule)), "run `make generate`"
    lines = text.split("\n")
    assert lines[0] == rule.summary
    assert max(map(len, lines)) <= 100

    signature = list(inspect.signature(made).parameters)
    documented = re.findall(
        r"^    (\w+)(?: \(.*)?: ", text.partition("\nArgs:\n")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert documented == signature == ["params", *arguments(rule)]
    entry = text.partition("\nState of a parameter")[2].partition("\n\n")[0]
    assert re.findall(r"^    (\w+): ", entry, re.MULTILINE) == [state.name for state in rule.states]
    for remark in (*rule.notes, *rule.references):
        assert " ".join(remark.split()) in " ".join(text.split())


@pytest.mark.parametrize("name", rules())
def test_every_argument_and_every_state_has_a_meaning(name: str) -> None:
    rule = rules()[name]
    assert all(argument(rule, one)[3] for one in arguments(rule))
    assert all(state.doc for state in rule.states if state.kind is not StateKind.COUNTER)
    assert all(shared.doc for shared in rule.shared)


def test_a_spec_that_extends_another_cites_the_sources_of_both() -> None:
    own, *inherited = rules()["AdamW"].references
    assert "Decoupled Weight Decay" in own
    assert tuple(inherited) == rules()["Adam"].references


def logical_lines(program: str) -> list[str]:
    """Its assignments, and its branches without what is in them."""
    found = []
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Assign):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.If):
            found.append(f"if {ast.unparse(node.test)}: pass")
    return found


@pytest.mark.parametrize("name", rules())
def test_the_rule_in_a_docstring_is_the_rule(name: str) -> None:
    """In the order computed: what all optimizers have, then the lines of the spec with their comments."""
    text = inspect.cleandoc(docstring(rules()[name]))
    shown = inspect.cleandoc("\n" + text.partition("::\n\n")[2].partition("\n\n")[0])
    ast.parse(shown)
    driven = bool(rules()[name].driver) and DRIVERS[rules()[name].driver].replaces_update
    assert driven or shown.startswith("if maximize:\n")
    if any(h.name == "weight_decay" for h in rules()[name].hyperparameters):
        assert "weight_decay" in shown
    written = {ast.dump(ast.parse(line)) for line in logical_lines(shown)}
    source = next(s.text for s in our_specs() if s.name == rules()[name].source)
    update = re.split(r"\n(?=\w)", source.partition("direction: |\n" if driven else "update: |\n")[2])[
        0
    ]  # up to the next key
    for line in logical_lines(inspect.cleandoc("\n" + update)):
        assert ast.dump(ast.parse(line)) in written, f"{line} is not shown"


@pytest.mark.parametrize("name", rules())
def test_the_page_of_an_optimizer_has_all_its_parts(name: str) -> None:
    rule = rules()[name]
    page = pages([rule])[f"{module_name(name)}.md"]
    first = f"<!-- Generated from {rule.source} by thetac {thetac.__version__}; do not edit. -->"
    assert page.startswith(f"{first}\n\n# {name}\n")
    assert page.count("\\begin{aligned}") == page.count("\\end{aligned}") == 1
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    starting = [one.name for one in rule.hyperparameters if one.starts_as]  # values of groups that no argument sets
    assert sorted(rows) == sorted([*arguments(rule), *starting, *(kept.name for kept in rule.kept)])
    tables = [block.split("\n") for block in page.split("\n\n") if block.startswith("| ")]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table if row}) == 1, "a row with other columns"


def test_the_index_has_a_row_for_every_optimizer() -> None:
    index = pages(list(rules().values()))["README.md"]
    assert sorted(re.findall(r"^\| \[(\w+)\]", index, re.MULTILINE)) == sorted(rules())
