"""A process that dies while it saves leaves the last whole checkpoint, and a run that goes on from it ends the same.

No signal is timed. The dying process watches its own file operations and kills itself at one of them; in the middle of
a write the kernel does it, by a limit on the size of files.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import thetac
from tests.support.checkpoint_helpers import FLOAT32, in_groups, parameters_of, train
from tests.support.comparing import assert_identical
from tests.support.every_optimizer import every_class, one_in, ours
from tests.support.paths import ROOT

EXAMPLES = str(ROOT / "examples")
sys.path.insert(0, EXAMPLES)
import resume  # noqa: E402

# Dies in the n-th save: "open", before there is a new file; a number, when so many of its bytes are written; "rename",
# when all are; "after", when it has its name.
_DIE = """
import os, resource, signal, sys

point, save, *command = sys.argv[1:]
opened = renamed = 0

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def watch(event, arguments):
    global opened, renamed
    if event == "open" and str(arguments[0]).endswith(".tmp") and arguments[2] & os.O_CREAT:
        opened += 1
        if opened == int(save) and point.isdigit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(point), int(point)))
        if opened == int(save) + (point == "after"):
            kill() if point in ("open", "after") else None
    if event == "os.rename" and point == "rename":
        renamed += 1
        if renamed == int(save):
            kill()

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it otherwise, and would raise OSError
sys.addaudithook(watch)
"""
_TRAIN = "sys.path.insert(0, command[0]); import resume; resume.main(command[1:])"
_SAVE = """
import torch, thetac
optimizer = torch.load(command[0], weights_only=False)
thetac.save_optimizer(optimizer, command[1])
"""


def dies(code: str, point: str, save: int, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DIE + code, point, str(save), *command], capture_output=True, text=True, check=False
    )
    assert done.returncode in (-signal.SIGKILL, -signal.SIGXFSZ), done.stdout + done.stderr


def arguments(path: Path) -> list[str]:
    return ["--checkpoint", str(path), "--steps", "25", "--every", "5"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unbroken") / "run.pt"
    resume.main(arguments(path))
    return path


@pytest.mark.feature("faults", "a process killed while it saves: the run goes on, and ends bit for bit the same")
@pytest.mark.parametrize(
    ("point", "save", "step"),
    one_in(2, [("open", 1, None), ("1", 1, None), ("9000", 2, 5), ("rename", 4, 15), ("after", 2, 10)]),
)
def test_a_run_that_is_killed_while_saving_goes_on(
    point: str, save: int, step: int | None, unbroken: Path, tmp_path: Path
) -> None:
    """`step` is that of the checkpoint which the dead process leaves."""
    assert unbroken.stat().st_size > 9000, "the points in the middle of a write lie behind its end"
    path = tmp_path / "run.pt"
    dies(_TRAIN, point, save, EXAMPLES, *arguments(path))
    assert path.exists() == (step is not None)
    if step is not None:
        assert torch.load(path, weights_only=True)["step"] == step
    left = [file.stat().st_size for file in tmp_path.iterdir() if file != path]
    if point.isdigit():
        assert left == [int(point)]
    else:
        assert len(left) == (point == "rename")
    resume.main(arguments(path))
    assert [*tmp_path.iterdir()] == [path]
    assert_identical(torch.load(unbroken, weights_only=True), torch.load(path, weights_only=True))


def test_a_run_that_is_killed_over_and_over_ends_the_same(unbroken: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    for point in ("rename", "9000"):
        dies(_TRAIN, point, 2, EXAMPLES, *arguments(path))
    resume.main(arguments(path))
    assert_identical(torch.load(unbroken, weights_only=True), torch.load(path, weights_only=True))


def test_a_run_that_is_finished_is_left_alone(unbroken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = unbroken.read_bytes()
    resume.main(arguments(unbroken))
    assert unbroken.read_bytes() == before
    assert capsys.readouterr().out == "beginning at step 25\n"


@pytest.mark.parametrize("point", ["1000", "rename"])
def test_an_optimizer_whose_saving_was_killed_is_the_one_of_before(point: str, tmp_path: Path) -> None:
    """What the dead process began stays behind, under names that nobody else has."""
    optimizer = thetac.AdamW(in_groups(parameters_of(FLOAT32)))
    train(optimizer, range(3))
    path = tmp_path / "optimizer.safetensors"
    thetac.save_optimizer(optimizer, path)
    before = path.read_bytes()
    train(optimizer, range(3, 5))
    torch.save(optimizer, tmp_path / "pickle")
    dies(_SAVE, point, 1, str(tmp_path / "pickle"), str(path))
    assert path.read_bytes() == before
    others = {file.name for file in tmp_path.iterdir()} - {path.name, "pickle"}
    assert others
    assert all(name.startswith(".") for name in others)
    thetac.save_optimizer(optimizer, path)
    assert path.read_bytes() != before


@every_class
def test_every_optimizer_resumes_the_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trainer saves and loads whatever an optimizer remembers."""
    cls = ours(name)
    monkeypatch.setattr(thetac, "AdamW", lambda params, lr, weight_decay: cls(params, lr=lr))
    whole, broken = tmp_path / "whole.pt", tmp_path / "broken.pt"
    resume.train(whole, steps=10, every=5)

    def die(state: object, path: Path) -> None:
        write(state, path)
        raise KeyboardInterrupt

    write = resume.write
    monkeypatch.setattr(resume, "write", die)
    with pytest.raises(KeyboardInterrupt):
        resume.train(broken, steps=10, every=5)
    monkeypatch.setattr(resume, "write", write)
    resume.train(broken, steps=10, every=5)
    assert_identical(torch.load(whole, weights_only=True), torch.load(broken, weights_only=True))
