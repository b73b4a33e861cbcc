"""An installation in which files are missing or cannot be read: zipped, bundled, or damaged. Optimizers still run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.every_optimizer import one_in
from tests.support.paths import ROOT

STEPS = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
import torch, thetac
assert thetac.__file__.startswith(sys.argv[1]), thetac.__file__

def step(cls, **options):
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.full((3,), 2.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            cls([param], **options).step()
            said = "ran"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
    texts = [said, str(param.tolist() != [1, 1, 1]), *(str(one.message) for one in caught)]
    print(options, *(text.replace("\\n", " / ") for text in texts), sep="|")
    return param.detach()

expected = step(torch.optim.AdamW, foreach=False)
for options in ({"foreach": False}, {"foreach": True}, {}, {"clip_grad_norm": 1e9}, {"fused": True}):
    made = step(thetac.AdamW, **options)
    assert options.get("fused") or torch.equal(made, expected), options
"""
REASON = (
    r"optimizers run without their C\+\+ kernels, and slower: (?P<path>.*) cannot be read: (?P<why>.*); C\+\+ kernels "
    r"need the \.cpp and \.h files of the wheel\. Unpack it where it is zipped; collect them where it is bundled "
    r"\(PyInstaller: --collect-data thetac\)"
)


def installed(folder: Path) -> Path:
    """A copy of the package with real folders, as a wheel has it."""
    ignored = shutil.ignore_patterns("__pycache__", "build")
    shutil.copytree(ROOT / "thetac", folder / "thetac", ignore=ignored)
    return folder


def lines_of(path: Path, cache: Path) -> list[list[str]]:
    """What each step said, in a process without anything built."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    for name in ("THETAC_BUILD_DIR", "CXX"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-P", "-c", STEPS, str(path)],
        cwd=cache.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


def _without_sources(folder: Path) -> Path:
    for pattern in ("*.cpp", "*.h"):
        for path in folder.rglob(pattern):
            path.unlink()
    return folder


def _without_norm(folder: Path) -> Path:
    """Only clipped steps need it, and only they may be slower."""
    (folder / "thetac" / "runtime" / "cpp" / "norm.cpp").unlink()
    return folder


def _zipped(folder: Path) -> Path:
    archive = folder / "thetac.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path != archive:
                file.write(path, path.relative_to(folder))
    shutil.rmtree(folder / "thetac")
    return archive


def _a_folder_instead(folder: Path) -> Path:
    path = folder / "thetac" / "generated" / "adamw" / "kernels.cpp"
    path.unlink()
    path.mkdir()
    return folder


@pytest.mark.parametrize(
    ("damage", "missing", "why"),
    one_in(
        3,
        [
            (_without_sources, "thetac/generated/adamw/kernels.cpp", "No such file or directory"),
            (_zipped, "thetac.zip/thetac/generated/adamw/kernels.cpp", "Not a directory"),
            (_a_folder_instead, "thetac/generated/adamw/kernels.cpp", "Is a directory"),
        ],
    ),
    ids=lambda value: value.__name__[1:] if callable(value) else "",
)
def test_without_sources_everything_runs_but_kernels(
    damage: Callable[[Path], Path], missing: str, why: str, tmp_path: Path
) -> None:
    place = damage(installed(tmp_path / "site"))
    torchs, forloop, foreach, default, clipped, fused = lines_of(place, tmp_path / "cache")
    assert torchs[1:] == ["ran", "True"]
    assert forloop[1:] == foreach[1:] == clipped[1:] == ["ran", "True"]
    assert default[1:3] == ["ran", "True"]
    warning = re.fullmatch(REASON, default[3])
    assert warning, default[3]
    assert (warning["path"], warning["why"]) == (str(tmp_path / "site" / missing), why)
    error, changed = fused[1:]
    assert error == "BuildError: `fused=True` cannot run: " + default[3].partition("slower: ")[2]
    assert changed == "False"


def test_what_clipping_needs_is_missed_before_anything_is_written(tmp_path: Path) -> None:
    place = _without_norm(installed(tmp_path / "site"))
    *_, default, clipped, fused = lines_of(place, tmp_path / "cache")
    assert default[1:] == fused[1:] == ["ran", "True"]
    assert clipped[1:3] == ["ran", "True"]
    assert re.fullmatch(REASON, clipped[3]), clipped[3]


def test_a_missing_header_is_the_compilers_to_tell(tmp_path: Path) -> None:
    place = installed(tmp_path / "site")
    for path in (place / "thetac" / "runtime" / "cpp").glob("*.h"):
        path.unlink()
    *_, default, _, fused = lines_of(place, tmp_path / "cache")
    assert default[1:3] == ["ran", "True"]
    assert "fatal error: kernel.h: No such file or directory" in default[3]
    assert fused[1] == "BuildError: `fused=True` cannot run: " + default[3].partition("slower: ")[2]


def test_files_of_two_versions_are_told_apart(tmp_path: Path) -> None:
    place = installed(tmp_path / "site")
    header = place / "thetac" / "runtime" / "cpp" / "launch.h"
    text = header.read_text(encoding="utf-8")
    header.write_text(text.replace("thetac_abi = 2;", "thetac_abi = 7;"), encoding="utf-8")
    assert header.read_text(encoding="utf-8") != text
    *_, default, _, fused = lines_of(place, tmp_path / "cache")
    assert default[1:3] == ["ran", "True"]
    assert default[3] == (
        "optimizers run without their C++ kernels, and slower: the object that was compiled from "
        f"{place}/thetac/generated/adamw/kernels.cpp has version 7 of its interface, not 2: its .cpp and .h files are "
        "of another version of thetac; reinstall it"
    )
    assert fused[1].startswith("BuildError: `fused=True` cannot run: the object that was compiled from ")
