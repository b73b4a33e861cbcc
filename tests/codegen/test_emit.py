"""Generated files reach the disk all together or not at all, and nobody else's file is ever touched."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from thetac.codegen import folder as folder_module
from thetac.codegen.emit import compare, header, write_package
from thetac.codegen.folder import FolderError, locked_folder

OLD = {
    "__init__.py": f"# {header('specs')}\n",
    "a/__init__.py": f"# {header('a.yaml')}\nx = 1\n",
    "a/k.py": f"# {header('a.yaml')}\n",
    "b/__init__.py": f"# {header('b.yaml')}\n",
}
NEW = {
    "__init__.py": f"# {header('specs')}\n",
    "a/__init__.py": f"# {header('a.yaml')}\nx = 2\n",
    "c/__init__.py": f"# {header('c.yaml')}\nname = 'ä'\n",
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "generated"


def held(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def as_bytes(files: dict[str, str]) -> dict[str, bytes]:
    return {path: text.encode() for path, text in files.items()}


def test_a_folder_holds_exactly_the_files_given(out: Path) -> None:
    first = write_package(out, OLD)
    assert first.missing == tuple(sorted(OLD))
    assert held(out) == as_bytes(OLD)

    second = write_package(out, NEW)
    assert (second.missing, second.changed) == (("c/__init__.py",), ("a/__init__.py",))
    assert second.orphaned == ("a/k.py", "b/__init__.py")
    assert held(out) == as_bytes(NEW)
    assert not (out / "b").exists(), "an orphaned package leaves no empty folder"
    assert os.listdir(out.parent) == ["generated"], "nothing is left beside it"


def test_what_does_not_change_is_not_touched(out: Path) -> None:
    write_package(out, OLD)
    for path in (out, *out.rglob("*")):
        os.utime(path, ns=(1, 1))
    assert not write_package(out, OLD)
    assert {path.stat().st_mtime_ns for path in (out, *out.rglob("*"))} == {1}

    inode = (out / "__init__.py").stat().st_ino
    write_package(out, NEW)
    assert (out / "__init__.py").stat().st_mtime_ns == 1, "an equal file keeps its time beside changed ones"
    assert (out / "__init__.py").stat().st_ino == inode
    assert (out / "a/__init__.py").stat().st_mtime_ns != 1


def test_the_files_of_others_stay(out: Path) -> None:
    write_package(out, OLD)
    (out / "b" / "notes.txt").write_text("mine")
    (out / "mine").mkdir()
    (out / "mine" / "helper.py").write_text("# mine\n")
    (out / "link").symlink_to("mine", target_is_directory=True)
    (out / "broken").symlink_to("nowhere")
    (out / "b" / "__pycache__").mkdir()
    (out / "b" / "__pycache__" / "stale.pyc").write_bytes(b"stale")
    write_package(out, NEW)
    assert (out / "b" / "notes.txt").read_text() == "mine"
    assert (out / "mine" / "helper.py").read_text() == "# mine\n"
    assert os.readlink(out / "link") == "mine"
    assert os.readlink(out / "broken") == "nowhere"
    assert not (out / "b" / "__init__.py").exists()
    assert not (out / "b" / "__pycache__").exists(), "a cache could outlive its source"
    assert not compare(out, NEW)


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("a/__init__.py", lambda path: path.write_text("mine\n")),
        ("a/__init__.py", lambda path: path.mkdir()),
        ("a", lambda path: path.write_text("mine\n")),
        ("a", lambda path: path.symlink_to("/tmp")),
    ],
)
def test_a_file_of_somebody_else_is_not_overwritten(out: Path, path: str, make: Callable[[Path], object]) -> None:
    write_package(out, {"__init__.py": OLD["__init__.py"]})
    (out / path).parent.mkdir(exist_ok=True)
    make(out / path)
    before = held(out)
    with pytest.raises(FolderError) as error:
        write_package(out, OLD)
    assert str(error.value) == f"not written by thetac, and in the way; move or delete:\n  {out / path}"
    assert held(out) == before


def test_a_folder_of_somebody_else_is_not_taken_over(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderError) as error:
        write_package(out, OLD)
    assert str(error.value) == f"{out} is neither empty nor output of thetac; give a new or an empty folder"
    (out / "thesis.tex").unlink()
    monkeypatch.chdir(out)
    with pytest.raises(FolderError, match="run this from a folder outside of it"):
        write_package(out, OLD)


def test_a_folder_above_or_beside_an_output_is_not_taken_for_one(out: Path) -> None:
    """All that is ours in it would be orphaned."""
    write_package(out, OLD)
    before = held(out.parent)
    for folder in (out.parent, out / "a"):
        with pytest.raises(FolderError, match="is neither empty nor output of thetac"):
            write_package(folder, {"index.md": f"<!-- {header('specs')} -->"})
    with pytest.raises(FolderError, match="/ is no folder"), locked_folder(Path("/")):
        pytest.fail("the root has nothing beside it")
    assert held(out.parent) == before


def test_what_cannot_be_listed_is_not_taken_for_empty(out: Path, unlistable: Callable[[Path], None]) -> None:
    write_package(out, OLD)
    (out / "mine").mkdir()
    (out / "mine" / "notes.txt").write_text("mine")
    unlistable(out / "mine")
    with pytest.raises(FolderError) as error:
        compare(out, NEW)
    assert str(error.value) == f"{out / 'mine'} cannot be read: Permission denied"
    with pytest.raises(FolderError, match="cannot be written: Permission denied"):
        write_package(out, NEW)
    assert (out / "mine" / "notes.txt").read_text() == "mine"
    assert (out / "a" / "k.py").exists()


def test_a_header_of_any_length_is_recognised(out: Path) -> None:
    name = "/".join(["\N{HIRAGANA LETTER A}" * 80] * 15)
    write_package(out, {"__init__.py": f"# {header(name)}\n"})
    assert write_package(out, NEW).changed == ("__init__.py",)


def test_compare_writes_nothing(out: Path) -> None:
    assert str(compare(out, {"a/k.py": "# x"})) == "missing: a/k.py"
    assert not out.exists()
    write_package(out, OLD)
    assert str(compare(out, NEW)) == (
        "missing: c/__init__.py\nchanged: a/__init__.py\norphaned: a/k.py\norphaned: b/__init__.py"
    )
    assert held(out) == as_bytes(OLD)


def test_bytes_do_not_depend_on_locale_or_platform(out: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from thetac.codegen.emit import write_package;"
        f"write_package(Path(sys.argv[1]), {NEW!a})"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    subprocess.run([sys.executable, "-c", code, str(out)], check=True, env=environment, cwd=ROOT)
    assert held(out) == as_bytes(NEW)


class Crash(BaseException):
    """Not an Exception: no `except Exception` may hide it."""


CALLS = ("mkdir", "link", "rename", "open", "chmod", "utime", "rmdir", "unlink", "renameat2")


@contextlib.contextmanager
def failing(number: int, error: BaseException, *, exchange: bool) -> Iterator[list[str]]:
    """The call with that number, of all that change the disk, raises instead; yields the calls made."""
    made: list[str] = []

    def count(name: str, original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            made.append(name)
            if len(made) == number:
                raise error
            return original(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS[:-1]:
            if name != "open":
                patch.setattr(os, name, count(name, getattr(os, name)))
        patch.setattr(folder_module, "_write", count("write", folder_module._write))
        patch.setattr(folder_module, "_keep", count("keep", folder_module._keep))
        swap = folder_module._exchange if exchange else lambda new, old: False
        patch.setattr(folder_module, "_exchange", count("exchange", swap))
        yield made


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize("kind", [OSError(28, "No space left on device"), Crash()], ids=["disk full", "interrupt"])
def test_a_failure_at_any_call_leaves_the_old_output_or_the_new(
    tmp_path: Path, kind: BaseException, exchange: bool
) -> None:
    for number in range(1, 200):
        out = tmp_path / str(number) / "generated"
        write_package(out, OLD)
        with failing(number, kind, exchange=exchange) as made, contextlib.suppress(FolderError, Crash):
            write_package(out, NEW)
        assert held(out) in (as_bytes(OLD), as_bytes(NEW)), f"torn by a failure at call {number}: {made}"
        write_package(out, NEW)
        assert held(out) == as_bytes(NEW)
        assert os.listdir(out.parent) == ["generated"], "the next run clears away what a failure left"
        if len(made) < number:
            assert number > 8, f"the failures did not reach the writing: {made}"
            return
    pytest.fail("never ran without a failure")


KILLED = """
import os, sys
from pathlib import Path
from thetac.codegen import folder
from thetac.codegen.emit import write_package

left = int(sys.argv[2])

def dying(original):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return original(*args, **kwargs)
    return call

for name in ("mkdir", "link", "rename", "rmdir", "unlink"):
    setattr(os, name, dying(getattr(os, name)))
folder._write, folder._exchange = dying(folder._write), dying(folder._exchange)
write_package(Path(sys.argv[1]), FILES)
"""


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 8, 9, 11])
def test_a_process_that_dies_leaves_the_old_output_or_the_new(out: Path, number: int) -> None:
    write_package(out, OLD)
    code = f"FILES = {NEW!r}\n{KILLED}"
    died = subprocess.run([sys.executable, "-c", code, str(out), str(number)], cwd=ROOT, check=False)
    assert died.returncode == 9, "it should have died midway"
    assert held(out) in (as_bytes(OLD), as_bytes(NEW))
    write_package(out, NEW)
    assert held(out) == as_bytes(NEW)
    assert os.listdir(out.parent) == ["generated"]


def test_a_crash_between_two_renames_is_put_right_by_the_next_run(out: Path) -> None:
    write_package(out, OLD)
    os.rename(out, out.with_name(".generated.thetac-old"))
    out.with_name(".generated.thetac-new").mkdir()
    assert not write_package(out, OLD), "the old output is back as it was"
    assert os.listdir(out.parent) == ["generated"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_reported_without_being_changed(out: Path) -> None:
    write_package(out, OLD)
    out.parent.chmod(0o500)
    try:
        with pytest.raises(FolderError, match="cannot be written: Permission denied"):
            write_package(out, NEW)
    finally:
        out.parent.chmod(0o700)
    assert held(out) == as_bytes(OLD)


def test_what_is_no_folder_is_left_alone(out: Path) -> None:
    out.write_text("mine")
    with pytest.raises(FolderError) as error:
        write_package(out, NEW)
    assert str(error.value) == f"{out} is no folder; give a new or an empty one"
    assert out.read_text() == "mine"
    assert os.listdir(out.parent) == ["generated"]


def test_two_runs_at_once_wait_for_each_other(out: Path) -> None:
    write_package(out, OLD)
    code = (
        "import sys; from pathlib import Path; from thetac.codegen.emit import write_package;"
        f"[write_package(Path(sys.argv[1]), files) for files in ({OLD!r}, {NEW!r}) * 20]"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(out)], cwd=ROOT) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert held(out) == as_bytes(NEW)
    assert os.listdir(out.parent) == ["generated"]
