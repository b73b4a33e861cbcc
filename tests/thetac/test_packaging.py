"""What an installation holds: real folders with everything in them, from a wheel and from an sdist, built offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import thetac
from tests.support.paths import ROOT
from thetac.codegen.backends.documentation.reference import without_marks

FOLDERS = ("codegen", "generated", "runtime", "specs", "thetac")


def sources() -> set[str]:
    """What an installed thetac holds, by path."""
    found: set[str] = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT).as_posix() if folder == "thetac" else f"thetac/{path.relative_to(ROOT)}"
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(inside)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist, built from a copy of the checkout without any download."""
    folder = tmp_path_factory.mktemp("build")
    copy = folder / "checkout"
    skipped = shutil.ignore_patterns(
        ".git", ".venv", "__pycache__", "build", "dist", "*.egg-info", ".*_cache", "demo-output"
    )
    shutil.copytree(ROOT, copy, symlinks=True, ignore=skipped)
    for kind in ("sdist", "wheel"):
        code = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
        command = [sys.executable, "-c", code, str(folder / "dist")]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder / "dist"


def test_a_wheel_holds_everything(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"thetac-{thetac.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert held == sources()
        archive.extractall(tmp_path)
    code = (
        "import thetac, torch, sys\n"
        "assert thetac.__file__.startswith(sys.argv[1]), thetac.__file__\n"
        "parameter = torch.nn.Parameter(torch.ones(2)); parameter.grad = torch.ones(2)\n"
        "thetac.AdamW([parameter]).step()\n"
        "from thetac.codegen.__main__ import main\n"
        "sys.exit(main(['check']) or main(['show', 'Lion', '--backend', 'latex']) or main(['language']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    # -P: the folder of the test run, which holds the checkout, is not looked in
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert r"\begin{aligned}" in done.stdout
    assert done.stdout.endswith(without_marks((ROOT / "docs" / "language.md").read_text(encoding="utf-8")))


def test_an_sdist_holds_real_folders(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
    assert sources() <= members.keys()
    assert not [name for name, member in members.items() if member.issym() or member.islnk()]
    assert {"pyproject.toml", "README.md", "LICENSE"} <= members.keys()


def test_development_and_tests_run_with_pinned_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {requirement.split(">")[0].split(";")[0].strip().lower() for requirement in needed}
    assert names <= pinned, "pin these in constraints.txt"
    assert "torch==2.13.0" in lines
