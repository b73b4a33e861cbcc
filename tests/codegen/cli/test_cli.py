"""The `thetac` command: what it writes, what it prints, how it exits."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import thetac
from tests.support.command import run, status
from tests.support.every_optimizer import one_in
from tests.support.paths import ROOT
from thetac.codegen.backends.documentation.catalogue import HEAD
from thetac.codegen.cli.library import GENERATED, SPECS
from thetac.codegen.cli.show import BACKENDS, STAGES

MINE = """\
optimizer: Mine
summary: A step against the gradient.
hyperparameters:
  lr: {default: 0.1, range: "[0, inf]"}
update: |
  param = param - lr * grad
"""
CHILD = """\
optimizer: Child
extends: AdamW
summary: Another default.
hyperparameters:
  eps: {default: 1e-6, range: "[0, inf]"}
"""
FAULTY = MINE.replace("Mine", "Faulty").replace("lr * grad", "lr * gard").replace("0.1", "-1")


def held(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.py"))}


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    (folder / "more").mkdir(parents=True)
    (folder / "mine.yaml").write_text(MINE)
    (folder / "more" / "child.yaml").write_text(CHILD)
    return folder


def test_a_users_specs_become_a_package_of_the_user(
    specs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    ours = held(ROOT / "generated")
    assert status(["generate", "--specs", str(specs), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 15 files, 15 written, 0 removed\n"
    assert {path.split("/")[0] for path in held(out)} == {"__init__.py", "mine", "child"}
    header = f"# Generated from specs/more/child.yaml by thetac {thetac.__version__};"
    assert (out / "child" / "forloop.py").read_text().startswith(header)
    assert held(ROOT / "generated") == ours, "ours are not touched"

    assert status(["generate", "--specs", str(specs), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 15 files, nothing to do\n"
    (specs / "more" / "child.yaml").unlink()
    assert status(["check", "--specs", str(specs), "--out", str(out)]) == 1
    captured = capsys.readouterr().err
    assert f"{out}: orphaned: child/forloop.py\n" in captured
    assert captured.endswith("`thetac generate` (or `make generate`) puts this right\n")
    assert status(["generate", "--specs", str(specs), "--out", str(out)]) == 0
    assert not (out / "child").exists()
    assert status(["check", "--specs", str(specs), "--out", str(out)]) == 0


def test_mistakes_are_all_reported_and_nothing_is_written(
    specs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "made"
    monkeypatch.chdir(tmp_path)
    assert status(["generate", "--specs", "specs", "--out", "made"]) == 0
    before = held(out)
    capsys.readouterr()
    (specs / "mine.yaml").write_text(MINE.replace("against", "along"))  # would change a file
    (specs / "faulty.yaml").write_text(FAULTY)
    (specs / "broken.yaml").write_text("optimizer: [\n")
    assert status(["generate", "--specs", "specs", "--out", "made"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    headlines = [line for line in captured.err.splitlines() if line.startswith("specs/")]
    assert [re.match(r"specs/\w+\.yaml:\d+:\d+: ", line) is not None for line in headlines] == [True] * len(headlines)
    assert {line.split(":")[0] for line in headlines} == {"specs/broken.yaml", "specs/faulty.yaml"}
    assert "specs/faulty.yaml:6:24: unknown name `gard`" in captured.err
    assert "did you mean `grad`?" in captured.err
    assert "Traceback" not in captured.err
    assert held(out) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["generat"], "invalid choice: 'generat'"),
        (["generate", "--specs", "specs"], "--specs and --out go together: your specs go into a package of your own"),
        (["check", "--out", "out"], "--specs and --out go together"),
        (["generate", "--specs", "nowhere", "--out", "out"], "nowhere is no folder"),
        (["show", "AdmaW"], "no optimizer is named `AdmaW`: did you mean `AdamW`?"),
        (["show", "Qwertz"], "no optimizer is named `Qwertz`: `thetac list` shows all"),
        (["show", "AdamW", "--backend", "cuda"], "invalid choice: 'cuda'"),
        (["show", "AdamW", "--backend", "foreach", "--stage", "checked"], "not allowed with argument"),
        (["new", "A  # b", "--out", "b.yaml"], "`A # b` is no name for a class"),
        (
            ["check", "--specs", str(SPECS / "textbook"), "--out", str(GENERATED)],
            f"{GENERATED} is thetac's own package; your specs go into a package of your own",
        ),
        (["new", "a/b"], "`a/b` is no name for a class; say with --out where the file goes"),
    ],
)
def test_a_wrong_call_exits_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_specs_is_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["generate", "--specs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "holds no specs: a spec is a file NAME.yaml" in capsys.readouterr().err


def test_a_folder_of_specs_that_cannot_be_read_is_not_passed_over(
    specs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], unlistable: Callable[[Path], None]
) -> None:
    """What was generated from it would be removed."""
    (specs / "mine.yaml").rename(specs / "mine.yml")
    (specs / "folder.yaml").mkdir()
    (specs / ".hidden.yaml").write_text("no spec")
    out = tmp_path / "made"
    assert status(["generate", "--specs", str(specs), "--out", str(out)]) == 0
    before = held(out)
    assert {path.split("/")[0] for path in before} == {"__init__.py", "mine", "child"}
    unlistable(specs / "more")
    capsys.readouterr()
    assert status(["generate", "--specs", str(specs), "--out", str(out)]) == 1
    assert capsys.readouterr().err == f"{specs}/more:1:1: the folder cannot be read: Permission denied\n"
    assert held(out) == before


def test_a_file_of_somebody_else_stops_generate(specs: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "__init__.py").write_text("# mine\n")
    done = run("generate", "--specs", str(specs), "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"not written by thetac, and in the way; move or delete:\n  {tmp_path}/out/__init__.py\n"


def test_output_depends_on_nothing_but_the_specs(specs: Path, tmp_path: Path) -> None:
    outputs = []
    for number, environment in enumerate(
        (
            {"PYTHONHASHSEED": "1", "LC_ALL": "C", "PYTHONUTF8": "0"},
            {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"},
        )
    ):
        folder = tmp_path / f"place{number}" / "specs"
        folder.parent.mkdir()
        names = sorted(specs.rglob("*.yaml"), reverse=bool(number))  # the order in which the folder lists them
        for path in names:
            (folder / path.relative_to(specs)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(specs)).write_bytes(path.read_bytes())
        out = tmp_path / f"place{number}" / "out"
        done = run("generate", "--specs", str(folder), "--out", str(out), cwd=folder.parent, **environment)
        assert done.returncode == 0, done.stderr
        outputs.append(held(out))
    assert outputs[0] == outputs[1]


def test_specs_are_generated_in_under_a_fifth_of_a_second_each(tmp_path: Path) -> None:
    start = time.perf_counter()
    done = run("generate", "--specs", str(SPECS), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - start < 0.2 * len(list(SPECS.rglob("*.yaml")))


def test_generated_files_are_what_the_specs_give() -> None:
    done = run("check")
    assert done.returncode == 0, f"run `make generate`\n{done.stderr}"


def test_list_has_a_row_for_every_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = re.split(r"  +", lines[0])
    assert head == [*HEAD, "backends", "summary"]
    assert len(lines) == 1 + len(list(SPECS.rglob("*.yaml"))) + 3
    row = next(line for line in lines if line.startswith("AdamW "))
    cells = dict(zip(head, re.split(r"  +", row), strict=True))
    assert [cells[column] for column in ("name", "class", "state bytes", "passes", "bytes per step")] == [
        "AdamW",
        "elementwise",
        "8, 4 more if amsgrad",
        "1",
        "28",
    ]
    assert cells["oracle"].startswith("torch 2.")
    assert "transformers" in cells["shipped by"].split(", ")
    assert [cells["backends"], cells["summary"]] == [
        "for-loop foreach triton cpp",
        "Adam with weight decay taken from the parameter instead of the gradient.",
    ]


SHOWS = {
    "for-loop": "exp_avg.lerp_(grad, 1 - beta1)",
    "foreach": "torch._foreach_lerp_(",
    "triton": "def kernel(",
    "cpp": "struct Kernel {",
    "scalars": "def scalars(",
    "class": "class AdamW(Optimizer):",
    "latex": r"m_t \leftarrow \beta_1 m_{t-1} + \left( 1 - \beta_1 \right) g_t",
    "checked": "  exp_avg = lerp(exp_avg, grad, 1 - beta1)",
    "features": "  if weight_decay != 0:",
    "hoisted": "    exp_avg = lerp(exp_avg, grad, one_minus_beta1)",
    "passes": "1 pass over the elements, 9 streams moved",
}


TRUST = """\
optimizer: Trust
summary: Steps as long as the parameter is.
hyperparameters: {lr: {default: 0.1}}
state: {buffer: {init: zeros}}
update: |
  buffer = lerp(buffer, grad, 0.1)
  param = param - lr * norm(param) / norm(buffer) * buffer
"""
TRUST_PASSES = """\
2 passes over the elements, 7 streams moved

pass 0
  loads param for param_squared
  loads grad for grad and buffer
  loads buffer for buffer and buffer_squared
  stores buffer
  gives sum_param_squared = sum of param_squared
  gives sum_buffer_squared = sum of buffer_squared
  once per element:
    if maximize:
      grad = -grad                    # maximize
    buffer = lerp(buffer, grad, 0.1)
    param_squared = param * param     # lifted
    buffer_squared = buffer * buffer  # lifted

pass 1
  waits for sum_param_squared (sum of param_squared), sum_buffer_squared (sum of buffer_squared)
  once per parameter:
    norm_param = sqrt(sum_param_squared)                                  # lifted
    norm_buffer = sqrt(sum_buffer_squared)                                # lifted
    lr_times_norm_param_over_norm_buffer = lr * norm_param / norm_buffer  # lifted
  loads param for param
  loads buffer for param, as pass 0 stored it
  stores param
  once per element:
    param = param - lr_times_norm_param_over_norm_buffer * buffer
"""


@pytest.mark.parametrize("what", one_in(2, [*BACKENDS, *STAGES]))
def test_show_prints_every_backend_and_stage(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    option = "--backend" if what in BACKENDS else "--stage"
    assert status(["show", "adamw", option, what]) == 0
    text = capsys.readouterr().out
    assert SHOWS[what] in text
    assert "\x1b" not in text, "plain where it is no terminal"


def test_show_says_what_each_pass_moves_and_why(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (specs / "trust.yaml").write_text(TRUST, encoding="utf-8")
    assert status(["show", str(specs / "trust.yaml"), "--stage", "passes"]) == 0
    assert capsys.readouterr().out == TRUST_PASSES


def test_show_takes_the_path_of_a_spec(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["show", str(specs / "mine.yaml")]) == 0
    assert capsys.readouterr().out == (
        "optimizer: Mine\nhyperparameters:\n  lr: default 0.1, range [0, inf]\nupdate:\n  param = param - lr * grad\n"
    )
    assert status(["show", str(specs / "nowhere.yaml")]) == 1
    assert "there is no such file" in capsys.readouterr().err


def test_show_finds_what_a_spec_extends_beside_it(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (specs / "heir.yaml").write_text("optimizer: Heir\nextends: Mine\nsummary: The same.\n")
    assert status(["show", str(specs / "heir.yaml")]) == 0
    assert "  param = param - lr * grad\n" in capsys.readouterr().out
    (specs / "mine.yaml").write_text(FAULTY.replace("Faulty", "Mine"))
    assert status(["show", str(specs / "heir.yaml")]) == 1
    assert "mine.yaml:6:24: unknown name `gard`" in capsys.readouterr().err


def on_terminal(**environment: str) -> str:
    """What `show` prints on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "thetac.codegen", "show", "Lion", "--backend", "for-loop"],
        cwd=ROOT,
        stdout=theirs,
        env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "TERM": "xterm", **environment},
    )
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    assert process.wait() == 0
    return text.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # Linux: the other end is closed
        return b""


def test_show_is_highlighted_on_a_terminal() -> None:
    assert "\x1b[" in on_terminal()
    assert "\x1b" not in on_terminal(NO_COLOR="1")
    assert "\x1b" not in on_terminal(TERM="dumb")


def test_a_reader_who_stops_reading_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m thetac.codegen show AdamW --backend triton | head -1",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("# Generated from specs/adamw.yaml")
    assert done.stderr == ""


def test_output_that_cannot_be_written_is_reported() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "thetac.codegen", "list"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "thetac: [Errno 28] No space left on device\n")


def test_what_a_terminal_cannot_encode_is_written_in_ascii(specs: Path) -> None:
    (specs / "mine.yaml").write_text(MINE.replace("- lr * grad", "- lr * grad  # nach Gauß"), encoding="utf-8")
    done = run("show", str(specs / "mine.yaml"), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "# nach Gau\\xdf" in done.stdout


def test_language_prints_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["language"]) == 0
    printed, page = capsys.readouterr().out, (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    marks = [line for line in page.split("\n") if line.startswith("<!--")]
    assert len(marks) == 4, "where generated tables begin and end"
    assert [line for line in printed.split("\n") if line] == [
        line for line in page.split("\n") if line not in (*marks, "")
    ]
    assert "\n\n\n" not in printed


def test_new_writes_a_spec_that_compiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fresh.yaml"
    assert status(["new", "Fresh", "--out", str(path)]) == 0
    assert status(["generate", "--specs", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "fresh" / "optimizer.py").exists()
    text = path.read_text()
    capsys.readouterr()
    assert status(["new", "Fresh", "--out", str(path)]) == 1
    assert capsys.readouterr().err == f"{path} is there already; give another file with --out, or move it away\n"
    assert path.read_text() == text


def test_new_says_what_is_wrong_with_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status(["new", "my_optimizer"]) == 1
    assert "my_optimizer.yaml:" in capsys.readouterr().err
    assert status(["new", "A\nupdate: x"]) == 1
    assert os.listdir(tmp_path) == []
    assert status(["new", "A", "--out", "a\nupdate: x.yaml"]) == 0, "the name of a file cannot leave its comment"
    assert os.listdir(tmp_path) == ["a\nupdate: x.yaml"]
