"""Compiled objects: built once, found again, never loaded damaged, and what happens where they cannot be built."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from thetac.runtime.building import compiled_objects, compiler, object_files, private_folder
from thetac.runtime.building.compiled_objects import BuildError, load_object
from thetac.runtime.building.compiler import compile_object, find_compiler, find_levels

NO_COMPILER = {"CXX": "/nowhere/c++"}

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing was built yet, and a process that knows nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("CXX", "THETAC_BUILD_DIR", "THETAC_CPU_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(compiled_objects, "_known", {})
    private_folder.make_temporary_folder.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source" / "answer.cpp"
    path.parent.mkdir()
    path.write_text('#include "part.h"\nextern "C" int answer() { return VALUE + PART; }\n')
    (path.parent / "part.h").write_text("#define PART 0\n")
    return path


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Counts what the compiler has compiled from here on, in all processes."""
    log = tmp_path / "calls"
    monkeypatch.setenv("CXX", str(script(tmp_path / "counting", f'echo "$*" >> {log}\nexec g++ "$@"')))
    return lambda: log.read_text().count(" -o ") if log.exists() else 0


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def answer(source: Path, value: int = 42, kind: type[ctypes.CDLL] = ctypes.CDLL) -> int:
    library = load_object([source, source.parent / "part.h"], {"VALUE": str(value)}, "answer", kind)
    return int(library.answer())


def forget() -> None:
    """As in a new process."""
    compiled_objects._known.clear()


def objects_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.so"))


def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "thetac" / "objects"


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **variables}


# Found again


def test_an_object_is_compiled_once(source: Path, calls: Callable[[], int], tmp_path: Path) -> None:
    assert answer(source) == 42
    assert answer(source) == 42
    forget()
    assert answer(source) == 42
    assert calls() == 1
    (made,) = cache(tmp_path).iterdir()
    assert made.name.startswith(f"answer-{find_levels()[0]}-")


def test_what_could_make_a_difference_makes_another_object(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another() -> bool:
        forget()
        before = len(objects_in(cache(tmp_path)))
        answer(source)
        return len(objects_in(cache(tmp_path))) == before + 1

    assert another()
    assert not another()
    source.write_text(source.read_text() + "// a comment\n")
    assert another(), "the source"
    (source.parent / "part.h").write_text("#define PART 1\n")
    assert another(), "a header"
    assert answer(source) == 43
    assert answer(source, 1) == 2, "a macro"
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-g0"))
    assert another(), "a flag"
    monkeypatch.setenv("CXX", "env g++")
    assert another(), "the command of the compiler"
    monkeypatch.setenv("CXX", str(script(tmp_path / "newer", 'g++ "$@"; status=$?; echo 99; exit $status')))
    assert another(), "its version"
    monkeypatch.setenv("THETAC_CPU_LEVEL", "x86-64")
    assert another() or find_levels() == ("x86-64",), "the kind of CPU"


def test_functions_that_need_the_interpreters_lock(source: Path) -> None:
    assert isinstance(load_object([source, source.parent / "part.h"], {"VALUE": "1"}, "a", ctypes.PyDLL), ctypes.PyDLL)


def test_only_this_user_can_write_to_the_cache(source: Path, tmp_path: Path) -> None:
    answer(source)
    assert [folder.stat().st_mode & 0o777 for folder in (cache(tmp_path), cache(tmp_path).parent)] == [0o700] * 2


def test_folders_that_others_can_write_to_are_not_used(source: Path, tmp_path: Path) -> None:
    planted = tmp_path / f"thetac-{os.geteuid()}"
    planted.symlink_to(tmp_path)
    (tmp_path / "cache" / "thetac").mkdir(parents=True)
    (tmp_path / "cache" / "thetac").chmod(0o777)
    assert answer(source) == 42
    (made,) = (path for path in objects_in(tmp_path) if not path.is_relative_to(planted))
    assert made.parents[1] == private_folder.make_temporary_folder()
    assert made.parents[1].stat().st_mode & 0o777 == 0o700


def test_the_order_of_search(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the package, in the output of `thetac build`, in the cache; nowhere is a compiler asked for."""
    headers = (source.parent / "part.h",)
    wanted = compiled_objects.make_recipe([source, *headers], {"VALUE": "0"}, "answer")

    def put(folder: Path, value: int, level: str) -> None:
        other = compiled_objects.make_recipe([source, *headers], {"VALUE": str(value)}, "answer")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / compiled_objects._file_name(wanted, level, None)
        object_files.write_sealed(path, compile_object(other, level, find_compiler(), tmp_path))

    assert answer(source, 0) == 0  # in the cache from here on
    monkeypatch.setenv("THETAC_BUILD_DIR", str(tmp_path / "built"))
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(BuildError):
        answer(source, 0)
    monkeypatch.delenv("CXX")
    for folder, value in ((tmp_path / "built" / "source", 1), (source.parent, 2)):
        put(folder, value, find_levels()[-1])
        monkeypatch.setenv("CXX", "/nowhere/c++")
        forget()
        assert answer(source, 0) == value, "also of a lower level"
        monkeypatch.delenv("CXX")


def test_objects_of_the_best_level_come_first(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = compiled_objects.make_recipe([source, source.parent / "part.h"], {"VALUE": "0"}, "answer")
    monkeypatch.setenv("THETAC_BUILD_DIR", str(tmp_path / "built"))
    for level in find_levels():
        assert compiled_objects.build(wanted, tmp_path / "built", level)
        assert not compiled_objects.build(wanted, tmp_path / "built", level)
    loaded = load_object([wanted.source, *wanted.headers], {"VALUE": "0"}, "answer", ctypes.CDLL)
    assert f"answer-{find_levels()[0]}-" in loaded._name


def test_the_level_is_one_that_this_cpu_has(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_CPU_LEVEL", "x86-64-v9")
    with pytest.raises(BuildError, match=r"^THETAC_CPU_LEVEL is `x86-64-v9`, but this CPU has the levels "):
        answer(source)


# Damaged, in the way, or not to be had


def _truncated(content: bytes, name: str) -> bytes:
    return content[: len(content) // 2]


def _without_its_end(content: bytes, name: str) -> bytes:
    return content[:-1]


def _empty(content: bytes, name: str) -> bytes:
    return b""


def _another_byte(content: bytes, name: str) -> bytes:
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


def _of_another_machine(content: bytes, name: str) -> bytes:
    other = content[:18] + b"\xb7\x00" + content[20 : -object_files._SEAL]  # ARM's number
    return other + object_files._seal(name, other)


def _of_another_name(content: bytes, name: str) -> bytes:
    object_ = content[: -object_files._SEAL]
    return object_ + object_files._seal("other.so", object_)


def _no_object(content: bytes, name: str) -> bytes:
    return b"text" + object_files._seal(name, b"text")


@pytest.mark.parametrize(
    "damage",
    [_truncated, _without_its_end, _empty, _another_byte, _of_another_machine, _of_another_name, _no_object],
    ids=lambda damage: damage.__name__[1:],
)
def test_a_damaged_object_is_built_anew(
    source: Path, tmp_path: Path, damage: Callable[[bytes, str], bytes], calls: Callable[[], int]
) -> None:
    """Each in a process of its own: loading half an object would kill it."""
    code = (
        "import sys, ctypes; from pathlib import Path\n"
        "from thetac.runtime.building.compiled_objects import load_object\n"
        f"source = Path({str(source)!r})\n"
        "print(load_object([source, source.parent / 'part.h'], {'VALUE': '42'}, 'answer', ctypes.CDLL).answer())"
    )

    def run() -> str:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
        ).stdout

    assert run() == "42\n"
    (made,) = objects_in(cache(tmp_path))
    whole = made.read_bytes()
    made.write_bytes(damage(whole, made.name))
    assert run() == "42\n"
    assert made.read_bytes()[: -object_files._SEAL] == whole[: -object_files._SEAL]
    assert calls() == 2


FOREIGN = (
    ("int question() { return 1; }", "has no function `answer`"),
    ("int answer() { return 1; }", "has no `thetac_abi`"),
    ("int answer() { return 1; }\nextern const long thetac_abi = 8;", "has version 8 of its interface, not 9"),
)


@pytest.mark.parametrize(("text", "mismatch"), FOREIGN, ids=["function", "no version", "version"])
def test_an_object_that_offers_something_else_is_built_anew(
    text: str, mismatch: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is whole and has the right name; the process that met it goes on with the right one."""
    source.write_text(
        '#include "part.h"\nextern "C" {\nint answer() { return 42; }\nextern const long thetac_abi = 9;\n}\n'
    )
    other = tmp_path / "other.cpp"
    other.write_text(f'extern "C" {{\n{text}\n}}\n')
    sources, interface = [source, source.parent / "part.h"], compiled_objects.Interface(("answer",), version=9)
    foreign = compile_object(
        compiled_objects.make_recipe([other], {}, "answer"), find_levels()[0], find_compiler(), tmp_path
    )
    path = cache(tmp_path) / compiled_objects._file_name(
        compiled_objects.make_recipe(sources, {}, "answer"), find_levels()[0], find_compiler()
    )
    path.parent.mkdir(parents=True, mode=0o700)
    path.parent.parent.chmod(0o700)
    object_files.write_sealed(path, foreign)
    with pytest.raises(object_files.MismatchError) as error:
        object_files.load_intact(path, ctypes.CDLL, interface)
    assert str(error.value) == mismatch
    library = load_object(sources, {}, "answer", ctypes.CDLL, interface)
    assert (library.answer(), library._name) == (42, str(path))
    monkeypatch.setenv("THETAC_BUILD_DIR", str(tmp_path / "built"))
    ahead = (
        tmp_path
        / "built"
        / "source"
        / compiled_objects._file_name(compiled_objects.make_recipe(sources, {}, "answer"), find_levels()[0], None)
    )
    ahead.parent.mkdir(parents=True)
    object_files.write_sealed(ahead, foreign)
    assert load_object(sources, {}, "answer", ctypes.CDLL, interface)._name == str(path), "it is passed over there"


def test_a_source_that_offers_something_else(source: Path) -> None:
    source.write_text('#include "part.h"\nextern "C" int question() { return 1; }\n')
    with pytest.raises(BuildError) as error:
        load_object(
            [source, source.parent / "part.h"], {}, "answer", ctypes.CDLL, compiled_objects.Interface(("answer",))
        )
    assert str(error.value) == (
        f"the object that was compiled from {source} has no function `answer`: its .cpp and .h files are of another "
        "version of thetac; reinstall it"
    )


def test_a_source_that_cannot_be_read(source: Path) -> None:
    (source.parent / "part.h").unlink()
    with pytest.raises(BuildError) as error:
        answer(source)
    assert str(error.value) == (
        f"{source.parent}/part.h cannot be read: No such file or directory; C++ kernels need the .cpp and .h files of "
        "the wheel. Unpack it where it is zipped; collect them where it is bundled (PyInstaller: --collect-data thetac)"
    )


def test_a_damaged_object_that_was_built_ahead_is_passed_over(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THETAC_BUILD_DIR", str(tmp_path / "built"))
    wanted = compiled_objects.make_recipe([source, source.parent / "part.h"], {"VALUE": "42"}, "answer")
    compiled_objects.build(wanted, tmp_path / "built", find_levels()[0])
    (made,) = objects_in(tmp_path / "built")
    made.write_bytes(_truncated(made.read_bytes(), made.name))
    assert answer(source) == 42
    assert compiled_objects.build(wanted, tmp_path / "built", find_levels()[0]), "and built anew when that is asked for"


def test_a_folder_from_which_nothing_can_be_loaded(source: Path, tmp_path: Path, calls: Callable[[], int]) -> None:
    class NotFromCache(ctypes.CDLL):
        def __init__(self, name: str) -> None:
            if name.startswith(str(tmp_path / "cache")):
                raise OSError("failed to map segment from shared object: Operation not permitted")
            super().__init__(name)

    assert answer(source, kind=NotFromCache) == 42
    assert objects_in(tmp_path / f"thetac-{os.geteuid()}")
    forget()
    assert answer(source, kind=NotFromCache) == 42
    assert calls() == 1, "other processes find it there"

    class NotAtAll(ctypes.CDLL):
        def __init__(self, name: str) -> None:
            raise OSError("failed to map segment from shared object: Operation not permitted")

    with pytest.raises(
        BuildError,
        match=r"^no folder can hold compiled kernels; set XDG_CACHE_HOME or TMPDIR to one that can\n"
        r"  .*/cache/thetac/objects: nothing can be loaded from it\n",
    ):
        answer(source, kind=NotAtAll)


def test_a_home_that_cannot_be_written(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert answer(source) == 42
    (made,) = objects_in(tmp_path)
    assert made.parent == tmp_path / f"thetac-{os.geteuid()}" / "objects"
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    forget()
    private_folder.make_temporary_folder.cache_clear()
    with pytest.raises(BuildError, match=r"^no folder can hold compiled kernels"):
        answer(source)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    assert answer(source) == 42, "without a folder for temporary files, but with a cache"
    assert [path.suffix for path in cache(tmp_path).iterdir()] == [".so"]


def test_a_full_cache_is_passed_over(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = compiled_objects.write_sealed

    def fails(path: Path, content: bytes) -> None:
        if path.is_relative_to(tmp_path / "cache"):
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(compiled_objects, "write_sealed", fails)
    assert answer(source) == 42


def test_leftovers_of_killed_processes_go(source: Path, tmp_path: Path) -> None:
    cache(tmp_path).mkdir(parents=True, mode=0o700)
    cache(tmp_path).parent.chmod(0o700)
    old, new = cache(tmp_path) / ".new-old", cache(tmp_path) / ".new-new"
    old.write_text("")
    new.write_text("")
    os.utime(old, (0, 0))
    answer(source)
    assert not old.exists()
    assert new.exists(), "somebody may be writing it"


# Compilers


def test_no_compiler(source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "clever-c++ -v")
    with pytest.raises(
        BuildError,
        match=r"^the compiler that CXX names, `clever-c\+\+ -v`, is not installed; install one, or set CXX to",
    ):
        answer(source)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        BuildError, match=r"^a C\+\+ compiler \(c\+\+, g\+\+, clang\+\+\) is not installed; install one, or set CXX to"
    ):
        answer(source)


@pytest.mark.parametrize(
    ("command", "cause"), [('g++ "-O2', "no closing quotation"), ("g++ \\", "no escaped character")]
)
def test_a_command_that_cannot_be_split(
    command: str, cause: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", command)
    with pytest.raises(BuildError) as error:
        answer(source)
    assert str(error.value) == f"CXX is `{command}`, which is not a command: {cause}"


def test_a_command_in_an_unknown_encoding(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = script(tmp_path / os.fsdecode(b"\xe9\xff"), 'exec g++ "$@"')
    monkeypatch.setenv("CXX", str(compiler))
    assert answer(source) == 42


@pytest.mark.thorough("10 s; other commands that do not run are tested above")
def test_the_command_that_cannot_be_split_makes_steps_slower_and_stops_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "foreach for 1 parameter" in steps({"CXX": 'g++ "'}, warnings="ignore")


def test_on_windows_nothing_is_built_and_everything_runs() -> None:
    """As far as Linux can tell: without users, locks and process groups, and with a name that says so."""
    code = (
        "import os, sys, torch._dynamo\n"
        "for name in ('geteuid', 'fork', 'register_at_fork', 'killpg', 'fchmod'): delattr(os, name)\n"
        "sys.modules['fcntl'] = None\n"
        "import thetac\n"
        "from thetac.runtime.building import compiled_objects, compiler\n"
        "from pathlib import Path\n"
        "compiler.os = type('os', (), {**vars(os), 'name': 'nt'})\n"
        "compiler.platform.system = lambda: 'Windows'\n"
        "from thetac.runtime.building.owned_folder import make_owned_folder\n"
        "os.utime(make_owned_folder('thetac-build-').path / '.owner', (0, 0))\n"
        f"text = Path({str(ROOT / 'specs' / 'lion.yaml')!r}).read_text(encoding='utf-8')\n"
        "for made in (thetac.AdamW, thetac.load(text)):\n"
        "    param = torch.nn.Parameter(torch.ones(3)); param.grad = torch.ones(3)\n"
        "    made([param]).step()\n"
        "    assert param.tolist() != [1, 1, 1]\n"
        "try: made([param], fused=True).step()\n"
        "except compiled_objects.BuildError as error: print(error)\n"
        "from thetac.__main__ import main\n"
        "sys.exit(main(['cache']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("`fused=True` cannot run: C++ kernels are not built on Windows\n")
    assert "loaded packages           1" in done.stdout


def test_a_compiler_that_fails_is_asked_once(source: Path, calls: Callable[[], int], tmp_path: Path) -> None:
    source.write_text('extern "C" int answer() { return missing; }\n')
    for _ in range(3):
        with pytest.raises(BuildError, match=r"^`.*counting .*answer\.cpp` failed:\n") as error:
            answer(source)
        assert "'missing' was not declared" in str(error.value)
    assert calls() == 1
    assert list(cache(tmp_path).iterdir()) == [], "nothing is left over"


def test_a_long_message_is_cut(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talkative = script(tmp_path / "talkative", '[ "$1" = --version ] && exit 0\nseq 100 >&2\nexit 3')
    monkeypatch.setenv("CXX", str(talkative))
    with pytest.raises(BuildError, match=r"failed:\n1\n2\n(.*\n)*20\n\.\.\. and 80 more lines$"):
        answer(source)


# Many at once


def test_eight_processes_at_once_with_an_empty_cache(tmp_path: Path, calls: Callable[[], int]) -> None:
    code = (
        "import hashlib, os, sys, torch, thetac\n"
        "torch.manual_seed(0)\n"
        "params = [torch.nn.Parameter(torch.randn(size)) for size in (7, 20000)]\n"
        "optimizer = thetac.AdamW(params, fused=True)\n"
        "for param in params: param.grad = torch.randn_like(param)\n"
        "wait, go = os.pipe()\n"
        "children = [os.fork() for _ in range(8) if os.getpid() == FIRST]\n"
        "if 0 in children:\n"
        "    os.close(go)\n"
        "    os.read(wait, 1)\n"  # the end of the pipe comes for all of them at once
        "    for _ in range(3): optimizer.step()\n"
        "    made = b''.join(p.detach().numpy().tobytes() for p in params)\n"
        "    os.write(1, hashlib.sha256(made).hexdigest().encode() + b'\\n')\n"
        "    os._exit(0)\n"
        "os.close(go)\n"
        "sys.exit(any(os.waitpid(child, 0)[1] for child in children))\n"
    )
    code = code.replace("wait, go", "FIRST = os.getpid()\nwait, go", 1)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8
    assert len(set(done.stdout.splitlines())) == 1
    kept = list(cache(tmp_path).iterdir())
    assert all(path.suffix == ".so" and object_files.is_intact(path) for path in kept), "nothing is left over"
    assert calls() == len(kept), "one builds, the others wait"


def test_a_builder_that_is_killed_keeps_nobody_waiting(source: Path, tmp_path: Path) -> None:
    cache(tmp_path).mkdir(parents=True, mode=0o700)
    cache(tmp_path).parent.chmod(0o700)
    wanted = compiled_objects.make_recipe([source, source.parent / "part.h"], {"VALUE": "42"}, "answer")
    path = cache(tmp_path) / compiled_objects._file_name(wanted, find_levels()[0], find_compiler())
    code = (
        "import sys, time; from pathlib import Path; from thetac.runtime.building.object_files import hold_build_lock\n"
        "with hold_build_lock(Path(sys.argv[1])):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        holder.send_signal(signal.SIGKILL)
    assert answer(source) == 42
    assert [path.suffix for path in cache(tmp_path).iterdir()] == [".so"]


def test_a_folder_without_locks_still_serves(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert answer(source) == 42


def test_a_process_forked_while_a_thread_builds(source: Path) -> None:
    """The thread is not in the new process, and must not be waited for there."""
    code = (
        "import ctypes, os, threading\nfrom pathlib import Path\nfrom thetac.runtime.building import compiled_objects\n"
        f"source = Path({str(source)!r})\n"
        "compiled_objects._lock.acquire()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    files = [source, source.parent / 'part.h']\n"
        "    print(compiled_objects.load_object(files, {'VALUE': '42'}, 'answer', ctypes.CDLL).answer(), flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "42\n", done.stderr


# thetac build


def thetac(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thetac", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(**variables), capture_output=True, text=True, check=False)


def steps(variables: Mapping[str, str], warnings: str = "error") -> str:
    """The name of what runs by default, after steps of Lion."""
    code = (
        f"import torch, thetac, warnings\nwarnings.simplefilter({warnings!r})\n"
        "param = torch.nn.Parameter(torch.ones(9)); param.grad = torch.ones(9)\n"
        "optimizer = thetac.Lion([param], clip_grad_norm=1.0)\n"
        "optimizer.step()\n"
        "print(optimizer.explain().splitlines()[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(**variables), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_built_ahead_needs_no_compiler(tmp_path: Path, calls: Callable[[], int]) -> None:
    out = tmp_path / "out"
    done = thetac("build", "lion", "--dtypes", "float32", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: 3 of 3 objects built for {find_levels()[0]} in ")
    assert done.stdout.endswith(f"set THETAC_BUILD_DIR={out} so that they are found\n")
    assert done.stderr == "", "progress is for terminals"
    assert calls() == 3
    (kernel,) = (out / "generated" / "lion").iterdir()
    assert kernel.name.startswith(f"lion-f32-{find_levels()[0]}-")
    again = thetac("build", "Lion", "--dtypes", "float32", "--out", str(out))
    assert again.stdout.startswith(f"{out}: 0 of 3 objects built ")
    assert calls() == 3
    running = steps({**NO_COMPILER, "THETAC_BUILD_DIR": str(out)})
    assert running.startswith("group 0: C++ for 1 parameter of 9 elements (the fastest on cpu)")
    assert not cache(tmp_path).exists()


@pytest.mark.thorough("14 s of compiling; the levels of processors are tested with kernels")
def test_building_for_another_kind_of_processor(tmp_path: Path) -> None:
    """Also one that this machine is not; here it is one that it is, and takes what was built for less."""
    out = tmp_path / "out"
    done = thetac("build", "Lion", "--dtypes", "float32", "--level", "x86-64-v2", THETAC_BUILD_DIR=str(out))
    assert done.returncode == 0, done.stderr
    assert "THETAC_BUILD_DIR" not in done.stdout
    assert all("-x86-64-v2-" in path.name for path in objects_in(out))
    assert "C++" in steps({**NO_COMPILER, "THETAC_BUILD_DIR": str(out)})


def test_mistakes_of_thetac_build(tmp_path: Path) -> None:
    unknown = thetac("build", "Adamm")
    assert unknown.returncode == 2
    assert "no optimizer is named `Adamm`: did you mean `Adam`?" in unknown.stderr
    failing = thetac("build", "Lion", "--out", str(tmp_path / "out"), **NO_COMPILER)
    assert failing.returncode == 1
    assert failing.stderr.startswith("the compiler that CXX names, `/nowhere/c++`, is not installed")
    (tmp_path / "file").write_text("")
    unwritable = thetac("build", "Lion", "--out", str(tmp_path / "file"))
    assert unwritable.returncode == 1
    assert f"{tmp_path / 'file'}" in unwritable.stderr
    assert "cannot be written: " in unwritable.stderr


def test_the_command_lists_build_beside_what_the_compiler_offers() -> None:
    done = thetac("--help")
    assert "    build " in done.stdout
    assert "    cache " in done.stdout
    assert "    generate " in done.stdout
