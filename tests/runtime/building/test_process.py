"""A compiler that misbehaves: it is ended, with everything that it started, and the error names the limit."""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.every_optimizer import one_in
from tests.support.paths import ROOT
from thetac.runtime.building import compiler_process
from thetac.runtime.building.compiler import compile_object, find_compiler
from thetac.runtime.building.compiler_process import BuildError, Finished, run

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked for in /proc")


@pytest.fixture(autouse=True)
def own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THETAC_BUILD_SECONDS", "THETAC_BUILD_MEMORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    made = Family(tmp_path)
    yield made
    for number in made.numbers():
        if is_running(number):
            os.kill(number, signal.SIGKILL)


class Family:
    """A compiler that starts another process, as compilers do, and waits for it for ever."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "numbers"
        self.path = folder / "hanging"
        self.path.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && exit 0\nsleep 1000 &\necho $$ $! >> {self._log}\nwait\n'
        )
        self.path.chmod(0o755)

    def numbers(self) -> list[int]:
        return [int(line) for line in self._log.read_text().split()] if self._log.exists() else []

    def await_start(self) -> None:
        until(lambda: len(self.numbers()) >= 2, "it never began")

    def await_end(self) -> None:
        assert len(self.numbers()) >= 2
        until(lambda: not any(map(is_running, self.numbers())), "what the compiler started still runs")


def until(holds: Callable[[], bool], otherwise: str) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError(otherwise)


def is_running(number: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False


# Time


def test_a_compiler_that_does_not_end(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_BUILD_SECONDS", "1")
    with pytest.raises(BuildError) as error:
        run([str(family.path)])
    assert str(error.value) == f"`{family.path}` did not end within 1 seconds; THETAC_BUILD_SECONDS sets this limit"
    family.await_end()


def test_what_a_compiler_leaves_running_is_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the pipes, so that nobody could tell that the compiler has ended."""
    monkeypatch.setenv("THETAC_BUILD_SECONDS", "1")
    log = tmp_path / "number"
    with pytest.raises(BuildError, match="did not end within 1 seconds"):
        run(["/bin/sh", "-c", f"sleep 1000 & echo $! > {log}"])
    until(lambda: not is_running(int(log.read_text())), "it still runs")


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "9999999999"])
@pytest.mark.parametrize("variable", ["THETAC_BUILD_SECONDS", "THETAC_BUILD_MEMORY"])
def test_a_limit_is_a_whole_number(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BuildError) as error:
        run(["true"])
    assert str(error.value) == f"{variable} is `{value}`; it must be a whole number from 1 to 999999999"


# Memory


def test_a_compiler_that_needs_too_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real one, with the program that is the real one's largest part: the limit is that of each process."""
    source = tmp_path / "large.cpp"
    source.write_text(
        "struct Large { int x[200000000]; constexpr Large(): x{} { for (int i = 0; i < 200000000; ++i) x[i] = i; } };\n"
        "constexpr Large large{};\n"
        "int f(int i) { return large.x[i]; }\n"
    )
    monkeypatch.setenv("THETAC_BUILD_MEMORY", "200")
    options = ["-std=c++17", "-fconstexpr-ops-limit=4000000000", "-fconstexpr-loop-limit=2000000000"]
    command = ["g++", *options, "-c", "-o", str(tmp_path / "made"), str(source)]
    with pytest.raises(BuildError) as error:
        run(command)
    assert str(error.value).startswith(
        f"`{shlex.join(command)}` ran out of memory; THETAC_BUILD_MEMORY sets the limit of each process, 200 MiB:\n"
    )


SAID = (
    "cc1plus: out of memory allocating 65536 bytes after a total of 1",  # GCC, its own allocations
    "virtual memory exhausted: Cannot allocate memory",  # GCC
    "LLVM ERROR: out of memory",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "error while loading shared libraries: libmpfr.so.6: failed to map segment from shared object",
    "ERROR: Failed to mmap",  # a sanitizer that is loaded before everything
)


@pytest.mark.parametrize("text", SAID)
def test_words_for_a_lack_of_memory(text: str) -> None:
    command = ["sh", "-c", 'echo "$1" >&2; exit 1', "sh", text]
    with pytest.raises(BuildError) as error:
        run(command)
    assert str(error.value) == (
        f"`{shlex.join(command)}` ran out of memory; THETAC_BUILD_MEMORY sets the limit of each process, 4096 MiB:\n"
        f"{text}"
    )


def test_the_limit_holds_for_whatever_a_compiler_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_BUILD_MEMORY", "300")
    assert run(["/bin/sh", "-c", "sh -c 'ulimit -v'"]).output == f"{300 << 10}\n"
    monkeypatch.delenv("THETAC_BUILD_MEMORY")
    assert run(["/bin/sh", "-c", "ulimit -v"]).output == f"{4096 << 10}\n"


def test_a_lower_limit_of_the_system_stays() -> None:
    code = (
        "from thetac.runtime.building.compiler_process import run; print(run(['sh', '-c', 'ulimit -v']).output, end='')"
    )
    command = f"ulimit -v 2000000; exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "2000000\n"


def test_what_a_compiler_says_is_kept_only_in_part() -> None:
    done = run(["/bin/sh", "-c", "head -c 30000000 /dev/zero | tr '\\0' x; echo end >&2"])
    assert (len(done.output), done.errors, done.status) == (compiler_process._KEPT_BYTES, "end\n", 0)


# Other ends


def test_a_compiler_that_cannot_be_started(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("#!/nowhere/interpreter\n")
    (tmp_path / "text").chmod(0o644)
    with pytest.raises(BuildError) as error:
        run([str(tmp_path / "text")])
    assert str(error.value) == f"`{tmp_path / 'text'}` cannot be run: Permission denied"


def test_a_compiler_that_a_signal_ends() -> None:
    with pytest.raises(BuildError, match=r"^`sh -c .*` was ended by SIGKILL:\n"):
        run(["sh", "-c", "kill -KILL $$"])


def test_the_status_and_both_outputs_come_back() -> None:
    assert run(["sh", "-c", "echo out; echo error >&2; exit 3"]) == Finished(3, "out\n", "error\n")
    assert run(["cat"]) == Finished(0, "", ""), "there is no input"


# The end of the process that started it


SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP)
RUN = "import sys; from thetac.runtime.building.compiler_process import run; run([sys.argv[1]])"
STEP = (
    "import os, sys, torch, thetac; os.environ['CXX'] = sys.argv[1]\n"
    "param = torch.nn.Parameter(torch.ones(3)); param.grad = torch.ones(3)\n"
    "thetac.AdamW([param], fused=True).step()\n"
)
BUILD = (
    "import os, sys; os.environ['CXX'] = sys.argv[1]\n"
    "from thetac.__main__ import main; main(['build', 'AdamW', '--dtypes', 'float32', '--out', sys.argv[1] + '.out'])"
)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda one: one.name)
def test_a_compiler_ends_with_the_process_that_started_it(number: signal.Signals, family: Family) -> None:
    dies(RUN, number, family, {})


@pytest.mark.parametrize(
    ("number", "code"), one_in(2, itertools.product(SIGNALS[:3], [STEP, BUILD])), ids=lambda one: str(one)[:20]
)
def test_so_it_does_in_a_step_and_in_a_build(code: str, number: signal.Signals, family: Family, tmp_path: Path) -> None:
    dies(code, number, family, {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)})


def dies(code: str, number: signal.Signals, family: Family, variables: dict[str, str]) -> None:
    """Run the code with the compiler; send a signal to it alone while that hangs."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(family.path)],
        cwd=ROOT,
        env={**os.environ, **variables},
        stderr=subprocess.DEVNULL,
    ) as process:
        family.await_start()
        process.send_signal(number)
        assert process.wait(60) != 0
    family.await_end()


def test_a_process_may_end_all_its_compilers(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_process, "_ended", False)
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(run, [str(family.path)])
        family.await_start()
        compiler_process.end_all_compilers()
        with pytest.raises(BuildError, match=r"^`.*` was ended by SIGKILL:\n"):
            hanging.result()
    family.await_end()
    with pytest.raises(BuildError, match=r"^this process starts no more compilers$"):
        run(["true"])
    assert not compiler_process._held


def test_a_compiler_ends_with_its_process_though_a_fork_of_that_goes_on(family: Family, tmp_path: Path) -> None:
    """Such as a worker that loads data: it inherits what is open."""
    code = (
        "import os, signal, sys, threading, time\n"
        "from pathlib import Path\n"
        "from thetac.runtime.building.compiler_process import run\n"
        "threading.Thread(target=run, args=([sys.argv[1]],), daemon=True).start()\n"
        "while not Path(sys.argv[2]).exists() or len(Path(sys.argv[2]).read_text().split()) < 2: time.sleep(0.01)\n"
        "child = os.fork()\n"
        "if not child: time.sleep(1000)\n"
        "print(child, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(family.path), str(tmp_path / "numbers")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait()
        try:
            family.await_end()
            assert is_running(child)
        finally:
            os.kill(child, signal.SIGKILL)


def test_an_exception_ends_a_compiler(family: Family) -> None:
    """Such as one that a handler of SIGTERM raises."""

    class Terminated(BaseException):
        pass

    def raise_it(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1)
        with pytest.raises(Terminated):
            run([str(family.path)])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    family.await_end()


def test_nothing_stays_open_or_running(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for command in (["true"], ["false"], ["sh", "-c", "echo $PPID"]):
        done = run(command)
    assert sorted(os.listdir("/proc/self/fd")) == before
    until(lambda: not is_running(int(done.output)), "the shell still runs")
    assert not compiler_process._held


def test_real_compilers_run_within_the_limits(tmp_path: Path) -> None:
    from thetac.runtime.building.compiled_objects import make_recipe

    source = tmp_path / "answer.cpp"
    source.write_text('extern "C" int answer() { return 42; }\n')
    assert compile_object(make_recipe([source], {}, "answer"), "x86-64", find_compiler(), tmp_path).startswith(
        b"\x7fELF"
    )
