"""A compiler as a process: bounded in time, memory and output, and gone when the process that started it is.

In: a command. Out: its exit status with what it wrote, or a `BuildError` that names the limit it ran into. Must not
know what the command compiles. Imports no torch.

A compiler is several programs, and Python's end, by SIGKILL at worst, ends none of them. So they form a process group
of their own, led by a shell that is given one end of a pipe. The other end is held by this process alone: when it
closes, however that comes about, the shell kills its group. A parent-death signal would reach the first of the
programs only, and would come at the end of the thread that started it; a function to be run between fork and exec is
unsafe beside threads.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

_SECONDS = 300  # a kernel takes one or two, on a machine that has nothing else to do
_MEBIBYTES = 4096  # of address space, for each process of a build; a kernel takes less than a tenth
_KEPT_BYTES = 1 << 20  # of each of the outputs
_SHOWN_LINES = 20  # of them, in a message

# $1: kibibytes; the rest: the command. A system that cannot set the limit, or has a lower one, goes on without.
_SHELL = """\
exec 3<&0 </dev/null
ulimit -v "$1" 2>/dev/null
shift
(read -r line <&3; kill -KILL 0) >/dev/null 2>&1 &
watch=$!
exec 3<&-
"$@"
status=$?
kill -KILL $watch
exit $status
"""
_CANNOT_RUN = (126, 127)  # a shell's statuses for a command that it cannot start
_BY_SIGNAL = 128  # is added by a shell to the number of the signal that ended a command
_NO_MEMORY = re.compile(
    "out of memory|memory exhausted|cannot allocate memory|bad_alloc|failed to m?map", re.IGNORECASE
)


class BuildError(RuntimeError):
    """A compiled object cannot be had; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class Limits:
    seconds: int
    mebibytes: int


@dataclass(frozen=True, slots=True)
class Finished:
    status: int
    output: str
    errors: str


def limits() -> Limits:
    """The limits of `$THETAC_BUILD_SECONDS` and `$THETAC_BUILD_MEMORY`. Raises BuildError."""
    return Limits(_number("THETAC_BUILD_SECONDS", _SECONDS), _number("THETAC_BUILD_MEMORY", _MEBIBYTES))


def _number(variable: str, default: int) -> int:
    given = os.environ.get(variable, "").strip()
    if not given:
        return default
    if not re.fullmatch("[0-9]{1,9}", given) or int(given) == 0:
        raise BuildError(f"{variable} is `{given}`; it must be a whole number from 1 to 999999999")
    return int(given)


def run(command: Sequence[str], temporary: str | None = None) -> Finished:
    """Run a command to its end; `temporary` is the folder for its temporary files.

    Raises BuildError where it cannot be started, or ended by a limit or a signal. Whatever else is raised meanwhile,
    such as KeyboardInterrupt, ends the command with everything that it started.
    """
    bounds = limits()
    environment = {**os.environ, "LC_ALL": "C"}
    if temporary is not None:
        environment["TMPDIR"] = temporary
    with _lifeline() as lifeline:
        try:
            process = subprocess.Popen(
                ("/bin/sh", "-c", _SHELL, "sh", str(bounds.mebibytes << 10), *command),
                env=environment,
                stdin=lifeline,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise BuildError(f"`{command[0]}` cannot be run: {error.strerror}") from error
        with process:
            try:
                done = _result(process, time.monotonic() + bounds.seconds)
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, TimeoutError):
                    raise BuildError(
                        f"`{shlex.join(command)}` did not end within {bounds.seconds} seconds; "
                        "THETAC_BUILD_SECONDS sets this limit"
                    ) from None
                raise
    _check_end(command, done, bounds)
    return done


def _check_end(command: Sequence[str], done: Finished, bounds: Limits) -> None:
    """Raise for an end that is no answer of the command's own."""
    if done.status in _CANNOT_RUN:
        raise BuildError(f"`{command[0]}` cannot be run: {done.errors.strip().rpartition(': ')[2]}")
    if done.status and _NO_MEMORY.search(done.errors):
        raise BuildError(
            f"`{shlex.join(command)}` ran out of memory; THETAC_BUILD_MEMORY sets the limit of each process, "
            f"{bounds.mebibytes} MiB:\n{excerpt(done)}"
        )
    number = done.status - _BY_SIGNAL if done.status > _BY_SIGNAL else -done.status
    if number > 0:
        known = number in set(signal.Signals)
        name = signal.Signals(number).name if known else f"signal {number}"
        raise BuildError(f"`{shlex.join(command)}` was ended by {name}:\n{excerpt(done)}")


def excerpt(done: Finished) -> str:
    """The first lines of what a command says when it fails."""
    lines = (done.errors or done.output).strip().splitlines() or [f"exit status {done.status}"]
    rest = len(lines) - _SHOWN_LINES
    return "\n".join([*lines[:_SHOWN_LINES], *([f"... and {rest} more lines"] if rest > 0 else [])])


def _result(process: subprocess.Popen[bytes], until: float) -> Finished:
    """The end of a process. Raises TimeoutError."""
    assert process.stdout is not None
    assert process.stderr is not None
    kept: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream, content in kept.items():
            selector.register(stream, selectors.EVENT_READ, content)
        while selector.get_map():
            ready = selector.select(max(until - time.monotonic(), 0))
            if not ready and time.monotonic() >= until:
                raise TimeoutError
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                if piece:
                    key.data.extend(piece[: _KEPT_BYTES - len(key.data)])
                else:
                    selector.unregister(key.fileobj)
    try:
        status = process.wait(max(until - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    output, errors = (content.decode(errors="replace") for content in kept.values())
    return Finished(status, output, errors)


_ended = False
_held: set[int] = set()  # the ends of pipes by which shells see that this process is alive


@contextlib.contextmanager
def _lifeline() -> Iterator[int]:
    """The end of a pipe for the shell to read from; it closes after the block, or with this process."""
    theirs, ours = os.pipe()
    _held.add(ours)
    try:
        if _ended:
            raise BuildError("this process starts no compiler any more")
        yield theirs
    finally:
        os.close(theirs)
        _let_go(ours)


def end_all() -> None:
    """End all compilers of this process, those of other threads too, and let none start again."""
    global _ended
    _ended = True
    for end in tuple(_held):
        _let_go(end)


def _let_go(end: int) -> None:
    with contextlib.suppress(KeyError):  # another thread did
        _held.remove(end)
        os.close(end)


def _after_fork() -> None:
    """A forked process may outlive this one, and must not seem to be it."""
    for end in _held:
        os.close(end)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
