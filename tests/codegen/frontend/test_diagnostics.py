"""What authors of specs are told about their mistakes, word for word.

Every `invalid/NAME.yaml` (or folder of specs) has beside it `NAME.txt`, the whole text of the error. Where a mistake
has an obvious remedy, `valid/NAME.yaml` is the same spec with the remedy applied, and is accepted.
`UPDATE_GOLDENS=1 pytest` on this file writes the texts anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.front_end import INVALID, front_end
from tests.support.paths import FRONTEND
from thetac.codegen.errors import SpecError
from thetac.codegen.frontend.source import LONGEST_FILE, read_source

VALID = sorted((FRONTEND / "valid").iterdir())
UPDATE = os.environ.get("UPDATE_GOLDENS") == "1"


def sources(path: Path) -> dict[str, str]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {str(file.relative_to(path.parent)): file.read_text(encoding="utf-8") for file in files}


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_mistake_is_explained(path: Path) -> None:
    with pytest.raises(SpecError) as raised:
        front_end(sources(path))
    golden = path.with_suffix(".txt")
    if UPDATE:
        golden.write_text(f"{raised.value}\n", encoding="utf-8")
    assert f"{raised.value}\n" == golden.read_text(encoding="utf-8"), (
        "see UPDATE_GOLDENS in tests/codegen/frontend/test_diagnostics.py"
    )


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_the_remedy_is_accepted(path: Path) -> None:
    assert front_end(sources(path)), "a twin without mistakes makes at least one rule"


def test_every_golden_and_every_twin_has_its_spec() -> None:
    invalid = {path.stem for path in INVALID}
    assert {path.stem for path in (FRONTEND / "invalid").glob("*.txt")} == invalid
    assert {path.stem for path in VALID} <= invalid


def test_all_mistakes_are_reported_at_once_in_order() -> None:
    with pytest.raises(SpecError) as raised:
        front_end(sources(FRONTEND / "invalid" / "many_mistakes.yaml"))
    places = [diagnostic.location for diagnostic in raised.value.diagnostics]
    assert len(places) >= 15, raised.value
    assert places == sorted(places)


def test_mistakes_of_several_specs_are_reported_together() -> None:
    names = ("yaml_tab", "default_text", "expression_lambda", "param_never_assigned")  # one of each stage
    texts = {f"{name}.yaml": (FRONTEND / "invalid" / f"{name}.yaml").read_text(encoding="utf-8") for name in names}
    for i, name in enumerate(names):  # different names, so that this is no mistake too
        texts[f"{name}.yaml"] = texts[f"{name}.yaml"].replace("Momentum", f"Momentum{i}")
    with pytest.raises(SpecError) as raised:
        front_end(texts)
    assert [diagnostic.location.path for diagnostic in raised.value.diagnostics] == sorted(
        f"{name}.yaml" for name in names
    )


def test_a_spec_that_extends_an_unreadable_one_is_not_blamed() -> None:
    child = "optimizer: Child\nextends: Parent\nsummary: A child.\n"
    with pytest.raises(SpecError) as raised:
        front_end({"child.yaml": child, "parent.yaml": "optimizer: Parent\nsummary: {\n"})
    assert {diagnostic.location.path for diagnostic in raised.value.diagnostics} == {"parent.yaml"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"summary: \xff\n", "spec.yaml:1:10: the file is not UTF-8: byte 0xff is no character\n    save it as UTF-8"),
        (
            b"optimizer: A\nsummary: caf\xe9\n",
            "spec.yaml:2:13: the file is not UTF-8: byte 0xe9 is no character\n    save it as UTF-8",
        ),
        (
            b"#" * (4 * LONGEST_FILE + 1),
            "spec.yaml:1:1: the file is longer than 100,000 characters\n    a spec is a page of text at most",
        ),
    ],
    ids=["not UTF-8", "Latin-1", "enormous"],
)
def test_a_file_that_is_no_text(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(data)
    with pytest.raises(SpecError) as raised:
        read_source(path, "spec.yaml")
    assert str(raised.value) == expected


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no such file"):
        read_source(tmp_path / "absent.yaml", "absent.yaml")
    with pytest.raises(SpecError, match="there is no such file"):
        read_source(tmp_path, "a folder")


@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        ("optimizer: A\0\n", "<text>:1:13", "the unprintable character U+0000 in the file"),
        ("# \x1b[31mred\n", "<text>:1:3", "the unprintable character U+001B in the file"),
        ("# \N{RIGHT-TO-LEFT OVERRIDE}\n", "<text>:1:3", "the unprintable character U+202E in the file"),
        ("a: b\rc: d\n", "<text>:1:5", "a carriage return in the file"),
        ("x" * (LONGEST_FILE + 1), "<text>:1:1", "the file is longer than 100,000 characters"),
    ],
    ids=["NUL", "escape sequence", "right-to-left", "carriage return", "enormous"],
)
def test_a_text_with_characters_that_have_no_place_in_it(text: str, place: str, cause: str) -> None:
    with pytest.raises(SpecError) as raised:
        front_end({"<text>": text})
    lines = str(raised.value).split("\n")
    assert lines[0] == f"{place}: {cause}"
    assert all(line.isprintable() for line in lines), "the character itself must not reach a terminal"


def test_windows_line_ends_and_byte_order_marks_are_read() -> None:
    text = (FRONTEND / "valid" / "expression_lambda.yaml").read_text(encoding="utf-8")
    windows = "\N{ZERO WIDTH NO-BREAK SPACE}" + text.replace("\n", "\r\n")
    assert front_end({"a.yaml": windows}) == front_end({"a.yaml": text})


def test_carets_stand_under_wide_characters() -> None:
    with pytest.raises(SpecError) as raised:
        front_end({"a.yaml": "summary: {漢字: 1, x: 2}\noptimizer: A\nupdate: 漢字\n"})
    lines = str(raised.value).split("\n")
    assert lines[0] == "a.yaml:1:10: `summary` is one text, not a mapping"
    assert lines[2].startswith("             ^")


def test_a_mistake_far_to_the_right_is_shown() -> None:
    with pytest.raises(SpecError) as raised:
        front_end({"a.yaml": "optimizer: A\nsummary: " + "x" * 500 + " : y: z\n"})
    shown, carets = str(raised.value).split("\n")[1:]
    assert len(shown) <= 124, "not the whole line"
    assert shown[carets.index("^")] == ":"
