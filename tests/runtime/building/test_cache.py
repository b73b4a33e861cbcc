"""The cache stays below a size, loses what is old or was left behind, and nothing that a running process needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from thetac.codegen.cli.library import SPECS
from thetac.runtime.building import cache, owned_folder, private_folder, used_packages
from thetac.runtime.building.cache import DAYS, Kind, clean, clean_sometimes, clear, list_entries

LION = (SPECS / "lion.yaml").read_text(encoding="utf-8")
PARAMETER = "import thetac, torch; p = torch.ones(3, requires_grad=True); p.grad = torch.ones(3)"
DAY = 86400
MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("THETAC_CACHE_SIZE", raising=False)
    monkeypatch.setattr(cache, "_cleaned", {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cache" / "thetac"
    (made / "objects").mkdir(parents=True, mode=0o700)
    made.chmod(0o700)
    return made


def put_object(folder: Path, name: str, size: int = 10, days: float = 0) -> Path:
    path = folder / "objects" / f"{name}.so"
    path.write_bytes(bytes(size))
    return aged(path, days)


def put_package(folder: Path, name: str, size: int = 10, days: float = 0) -> Path:
    path = folder / f"{name}_{'0' * 24}"
    path.mkdir()
    (path / "__init__.py").write_bytes(bytes(size))
    return aged(path, days)


def aged(path: Path, days: float) -> Path:
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has run the code, and does what it is told line by line."""
    loop = (
        "\nimport sys\nprint('ready', flush=True)\n"
        "for line in sys.stdin:\n    exec(line)\n    print('done', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code + loop],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def tell(process: subprocess.Popen[str], code: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    print(code, file=process.stdin, flush=True)
    assert process.stdout.readline() == "done\n"


# Size and age


def test_what_was_not_used_for_long_goes(folder: Path) -> None:
    old = [put_object(folder, "old", days=DAYS + 1), put_package(folder, "old", days=DAYS + 1)]
    new = [put_object(folder, "new", days=DAYS - 1), put_package(folder, "new", days=DAYS - 1)]
    clean(folder)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in new)


def test_what_was_used_last_stays_when_there_is_too_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_CACHE_SIZE", "3")
    made = [put_object(folder, f"a{days}", MEBIBYTE, days) for days in (5, 3, 1)]
    made += [put_package(folder, f"p{days}", MEBIBYTE, days) for days in (4, 2)]
    clean(folder)
    assert [path.name for path in made if path.exists()] == ["a3.so", "a1.so", f"p2_{'0' * 24}"]


def test_the_size_is_half_a_gibibyte_if_nothing_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.read_largest_size() == 512 * MEBIBYTE
    monkeypatch.setenv("THETAC_CACHE_SIZE", "large")
    assert cache.read_largest_size() == 512 * MEBIBYTE
    monkeypatch.setenv("THETAC_CACHE_SIZE", "7")
    assert cache.read_largest_size() == 7 * MEBIBYTE


def test_what_was_made_just_now_stays_whatever_the_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may be about to load it."""
    monkeypatch.setenv("THETAC_CACHE_SIZE", "0")
    old, new = put_object(folder, "old", 100, 1), put_object(folder, "new", 100)
    clean(folder)
    assert (old.exists(), new.exists()) == (False, True)


def test_what_is_not_ours_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_CACHE_SIZE", "0")
    others = [folder / "notes.txt", folder / "objects" / "notes.txt", folder / "some_folder" / "file"]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        aged(path, 1000)
        aged(path.parent, 1000)
    clean(folder)
    clear(folder)
    assert all(path.exists() for path in others)


def test_an_object_is_used_when_it_is_loaded(folder: Path) -> None:
    step = (
        "import torch, thetac\n"
        "param = torch.nn.Parameter(torch.ones(3)); param.grad = torch.ones(3)\n"
        "thetac.Lion([param], fused=True).step()\n"
    )
    run(step)
    made = [aged(entry.path, DAYS + 1) for entry in list_entries(folder)]
    assert len(made) == 2
    run(step)
    clean(folder)
    assert all(path.exists() for path in made)


def test_a_package_is_used_when_it_is_imported_or_unpickled(folder: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    run(
        "import pickle, thetac, torch\n"
        f"pickle.dump(thetac.load({LION!r})([torch.zeros(3)]), open({str(pickled)!r}, 'wb'))\n"
    )
    (package,) = (entry.path for entry in list_entries(folder) if entry.kind is Kind.PACKAGE)
    for use in (f"import thetac; thetac.load({LION!r})", f"import pickle; pickle.load(open({str(pickled)!r}, 'rb'))"):
        aged(package, DAYS + 1)
        run(use)
        clean(folder)
        assert package.exists(), use


# Processes that run


def test_a_package_stays_while_a_process_runs_that_loaded_it(folder: Path) -> None:
    """Its modules are imported, and its kernels compiled, when they are first needed."""
    with running(f"import thetac, torch; made = thetac.load({LION!r})") as process:
        (package,) = (entry.path for entry in list_entries(folder))
        aged(package, DAYS + 1)
        clean(folder)
        assert [entry.path for entry in clear(folder)] == [package]
        tell(process, "p = torch.ones(3, requires_grad=True); p.grad = torch.ones(3)")
        for options in ({"foreach": False}, {"foreach": True}, {"fused": True}):
            tell(process, f"made([p], **{options}).step()")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert [path for path in folder.iterdir() if path.name.startswith(used_packages.LIST)], (
        "a killed process leaves its list"
    )
    aged(package, DAYS + 1)
    clean(folder)
    assert not package.exists()


def test_a_package_stays_while_a_fork_runs_of_the_process_that_loaded_it(folder: Path) -> None:
    code = (
        f"import os, sys, thetac; thetac.load({LION!r})\n"
        "if os.fork(): sys.exit()\n"
        "print(os.getpid(), flush=True); sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.wait()
        (package,) = (entry.path for entry in clear(folder))
        process.stdin.close()
        process.stdout.read()  # until the fork has ended
        assert clear(folder) == []
        assert not package.exists()


@pytest.mark.thorough("6 s; that what is missing is built again is tested above")
def test_objects_in_use_may_go_and_are_built_anew(folder: Path) -> None:
    code = PARAMETER
    with running(code) as process:
        tell(process, "one = thetac.Lion([p], fused=True); one.step()")
        assert clear(folder) == []
        assert list_entries(folder) == []
        tell(process, "one.step(); thetac.Lion([p], fused=True).step()")
    run(f"{code}; thetac.Lion([p], fused=True).step()")
    assert len(list_entries(folder)) == 2


def test_two_processes_may_clean_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_CACHE_SIZE", "0")
    for number in range(200):
        put_object(folder, f"a{number}", days=1)
        put_package(folder, f"p{number}", days=1)
    code = f"from pathlib import Path; from thetac.runtime.building.cache import clean; clean(Path({str(folder)!r}))"
    cleaners = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment()) for _ in range(2)]
    assert [cleaner.wait() for cleaner in cleaners] == [0, 0]
    assert list_entries(folder) == []
    assert os.listdir(folder) == ["objects"]


# What killed processes leave


def test_leftovers_of_killed_processes_go(folder: Path) -> None:
    names = (".new-a", ".old-a", ".in-use-a", "objects/.new-a", "objects/.a.so.lock")
    old = [folder / name for name in names]
    new = [folder / name.replace("a", "b") for name in names]
    for path in (*old, *new):
        path.write_text("")
    for name in (".new-folder", ".old-folder"):
        (folder / name / "inside").mkdir(parents=True)
        old.append(folder / name)
    for path in old:
        aged(path, 1)
    clean(folder)
    assert not [path for path in old if path.exists()]
    assert all(path.exists() for path in new), "somebody may be writing them"


def test_temporary_folders_go_with_their_processes(folder: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from thetac.runtime.building.owned_folder import make_owned_folder\n"
        "from thetac.runtime.building.compiler import SCRATCH\n"
        "from thetac.runtime.building.private_folder import make_temporary_folder\n"
        "make_temporary_folder(); scratch = make_owned_folder(SCRATCH)\n"
        f"other = make_owned_folder(SCRATCH, Path({str(folder / 'objects')!r}))\n"
    )
    places = (tmp_path / "tmp", folder / "objects")

    def found() -> list[Path]:
        return [path for place in places for path in place.iterdir()]

    theirs = tmp_path / "tmp" / "thetac-build-of-the-user"
    theirs.mkdir()
    aged(theirs, 1000)
    with running(code) as process:
        assert len(found()) == 4
        for path in found():
            if path != theirs:
                aged(path / ".owner", 1)
        clean(folder)
        assert len(found()) == 4, "their process runs"
        process.send_signal(signal.SIGKILL)
        process.wait()
        elsewhere = next(path for path in found() if path.name.startswith(private_folder.TEMPORARY))
        here = (elsewhere / ".owner").read_text()
        (elsewhere / ".owner").write_text("another machine")
        aged(elsewhere / ".owner", 1)
        clean(folder)
        assert set(found()) == {theirs, elsewhere}, "locks of other machines cannot be seen"
        (elsewhere / ".owner").write_text(here)
        clean(folder)
        assert set(found()) == {theirs, elsewhere}, "it is too young to be sure"
        aged(elsewhere / ".owner", 1)
        clean(folder)
        assert found() == [theirs]


def test_temporary_folders_end_with_their_blocks(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd") if Path("/proc").is_dir() else []
    with owned_folder.owned_folder("x-", tmp_path) as made:
        assert made.parent == tmp_path / "tmp"
    assert os.listdir(tmp_path / "tmp") == []
    assert not before or os.listdir("/proc/self/fd") == before


# When


def test_a_process_cleans_when_it_adds_and_not_often(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(cache, "clean", calls.append)
    for _ in range(3):
        clean_sometimes(folder)
    assert calls == [folder]
    then = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: then + cache._PAUSE)
    clean_sometimes(folder)
    assert calls == [folder] * 2


@pytest.mark.parametrize(
    "add",
    [
        f"import thetac; thetac.load({LION!r})",
        f"{PARAMETER}; thetac.Lion([p], fused=True).step()",
    ],
    ids=["package", "object"],
)
def test_adding_to_a_cache_cleans_it(add: str, folder: Path) -> None:
    old = put_object(folder, "old", days=DAYS + 1)
    run(add)
    assert not old.exists()


@pytest.mark.thorough("6 s; when a cache is cleaned is tested above")
def test_finding_everything_in_a_cache_does_not_clean_it(folder: Path) -> None:
    code = f"{PARAMETER}; thetac.load({LION!r})([p]).step()"
    run(code)
    old = put_object(folder, "old", days=DAYS + 1)
    run(code)
    assert old.exists()


# thetac cache


def thetac(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thetac", "cache", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_shows_and_clears(folder: Path, tmp_path: Path) -> None:
    put_object(folder, "adamw-f32-x86-64-0", 2 * MEBIBYTE)
    put_object(folder, "norm-f32-x86-64-0", MEBIBYTE)
    put_object(folder, "reader-x86-64-0", MEBIBYTE // 2)
    put_package(folder, "mine", MEBIBYTE // 4)
    second = tmp_path / "tmp" / f"thetac-{os.geteuid()}"
    (second / "objects").mkdir(parents=True)
    second.chmod(0o700)
    put_object(second, "lion-f32-x86-64-0", MEBIBYTE)
    shown = thetac()
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == (
        f"{folder}\n"
        "  C++ kernels               2     3.0 MiB\n"
        "  tensor readers            1     0.5 MiB\n"
        "  loaded packages           1     0.2 MiB\n"
        "  in all                    4     3.8 MiB\n"
        f"{second}\n"
        "  C++ kernels               1     1.0 MiB\n"
        "  tensor readers            0     0.0 MiB\n"
        "  loaded packages           0     0.0 MiB\n"
        "  in all                    1     1.0 MiB\n"
    )
    assert thetac("show").stdout == shown.stdout
    cleared = thetac("clear")
    assert (cleared.returncode, cleared.stderr) == (0, "")
    assert cleared.stdout == (f"{folder}: 4 of 4 entries removed, 3.8 MiB\n{second}: 1 of 1 entries removed, 1.0 MiB\n")
    assert list_entries(folder) == list_entries(second) == []


def test_the_command_says_what_it_keeps(folder: Path) -> None:
    put_object(folder, "one", MEBIBYTE)
    with running(f"import thetac; thetac.load({LION!r})"):
        (package,) = (entry.path for entry in list_entries(folder) if entry.kind is Kind.PACKAGE)
        cleared = thetac("clear")
    assert cleared.returncode == 1
    assert cleared.stdout == (
        f"{folder}: 1 of 2 entries removed, 1.0 MiB\n"
        f"  {package.name} is kept: a running process uses it, or it cannot be removed\n"
    )


def test_the_command_makes_nothing_and_touches_no_folder_that_others_can_write_to(tmp_path: Path) -> None:
    done = thetac("clear")
    assert (done.returncode, done.stdout) == (0, "nothing is kept\n")
    assert not (tmp_path / "cache").exists()
    planted = tmp_path / "cache" / "thetac"
    (planted / "objects").mkdir(parents=True)
    planted.chmod(0o777)
    kept = put_object(planted, "one")
    assert thetac("clear").stdout == "nothing is kept\n"
    assert kept.exists()


def test_the_command_explains_itself() -> None:
    done = thetac("--help")
    assert done.returncode == 0
    assert "  thetac cache clear    remove it; what is needed is made again\n" in done.stdout
    assert "exit status: 0; 1 if something is kept" in done.stdout
    assert thetac("empty").returncode == 2
