"""What is probably not meant in a spec that says what it means: a warning, with which everything goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

import thetac
from tests.support.command import run, status
from thetac.codegen.cli.library import our_specs
from thetac.codegen.errors import SpecWarning
from thetac.codegen.pipeline import Source, compile_specs

TWICE = """\
optimizer: Twice
summary: A step against the gradient.
hyperparameters:
  lr: {default: 0.1}
  weight_decay: {default: 0.1}
weight_decay: decoupled
update: |
  shrunk = param * (1 - lr * weight_decay)
  param = shrunk - lr * grad
"""
WARNING = """\
:8:30: warning: parameters decay twice, here and by `decoupled` under `weight_decay`
    shrunk = param * (1 - lr * weight_decay)
                               ^^^^^^^^^^^^ delete one of them: what is declared happens before the update"""


@pytest.mark.parametrize("command", ["generate", "check", "show"])
def test_the_command_shows_warnings_and_goes_on(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("specs").mkdir()
    Path("specs/twice.yaml").write_text(TWICE)
    folders = ["--specs", "specs", "--out", "made"]
    assert status(["generate", *folders]) == 0
    capsys.readouterr()
    assert status(["show", "specs/twice.yaml"] if command == "show" else [command, *folders]) == 0
    assert capsys.readouterr().err == f"specs/twice.yaml{WARNING}\n"


def test_load_warns_and_goes_on() -> None:
    with pytest.warns(SpecWarning) as warned:
        assert thetac.load(TWICE).__name__ == "Twice"
    assert [str(warning.message) for warning in warned] == [f"<text>{WARNING}"]
    assert warned[0].filename == __file__


def test_no_spec_of_ours_is_warned_about() -> None:
    assert [one.warnings for one in compile_specs(our_specs()) if one.warnings] == []


@pytest.mark.parametrize(
    ("declared", "warned"),
    [("{early: l2, else: decoupled}", "`l2` or `decoupled`"), ("{early: l2, else: none}", ""), ("none", "")],
)
def test_a_decay_that_is_declared_for_some_cases_may_stand_in_the_update_for_others(declared: str, warned: str) -> None:
    text = TWICE.replace("weight_decay: decoupled", f"weight_decay: {declared}")
    if "early" in declared:
        text = text.replace("  weight_decay", "  early: {default: true, doc: early}\n  weight_decay", 1)
    (one,) = compile_specs([Source("twice.yaml", text)])
    causes = [f"warning: parameters decay twice, here and by {warned} under `weight_decay`"] if warned else []
    assert [warning.cause for warning in one.warnings] == causes


def test_the_command_exits_well(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(TWICE)
    done = run("show", str(path))
    assert (done.returncode, done.stderr) == (0, f"{path}{WARNING}\n")
