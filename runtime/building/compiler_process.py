"""Run a compiler in a process that is bounded in time, memory and output, and that ends with its parent process.

In: a command. Out: its exit status and output, or a `BuildError` that names the limit it exceeded. Must not know what
the command compiles. Imports no torch.

A compiler is several programs, and none of them ends with Python, least of all when Python is killed. So they form a
process group of their own, led by a shell that reads from one end of a pipe. This process alone holds the other end:
when it closes, for whatever reason, the shell kills its group. A parent-death signal would reach only the first of the
programs, and would be sent when the thread that started it ends; a function that runs between fork and exec is unsafe
beside threads.
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

_SECONDS = 300  # a kernel takes one or two on an idle machine
_MEBIBYTES = 4096  # of address space, for each process of a build; a kernel takes less than a tenth
_KEPT_BYTES = 1 << 20  # of each of the outputs
_SHOWN_LINES = 20  # of them, in a message

# $1: kibibytes; the rest: the command. Where the limit cannot be set, or is lower already, it is left as it is.
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
    """Raised when a compiled object cannot be built or loaded; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command may use."""

    seconds: int
    mebibytes: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    status: int  # as the shell reports it; negative: the signal that ended the shell
    output: str
    errors: str


def read_limits() -> Limits:
    """Read `$THETAC_BUILD_SECONDS` and `$THETAC_BUILD_MEMORY`; raise BuildError for a value that is no number."""
    return Limits(_read_limit("THETAC_BUILD_SECONDS", _SECONDS), _read_limit("THETAC_BUILD_MEMORY", _MEBIBYTES))


def _read_limit(variable: str, default: int) -> int:
    given = os.environ.get(variable, "").strip()
    if not given:
        return default
    if not re.fullmatch("[0-9]{1,9}", given) or int(given) == 0:
        raise BuildError(f"{variable} is `{given}`; it must be a whole number from 1 to 999999999")
    return int(given)


def run(command: Sequence[str], temporary: str | None = None) -> Finished:
    """Run a command to its end.

    An exception that is raised meanwhile, such as KeyboardInterrupt, ends the command and everything that it started.

    Args:
        command: The program and its arguments.
        temporary: The folder for its temporary files; None leaves that to the environment.

    Returns:
        Its exit status and output.

    Raises:
        BuildError: It cannot be started, exceeds a limit, or is ended by a signal.
    """
    bounds = read_limits()
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
                done = _wait_for(process, time.monotonic() + bounds.seconds)
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
    """Raise BuildError if the command did not end by itself."""
    if done.status in _CANNOT_RUN:
        raise BuildError(f"`{command[0]}` cannot be run: {done.errors.strip().rpartition(': ')[2]}")
    if done.status and _NO_MEMORY.search(done.errors):
        raise BuildError(
            f"`{shlex.join(command)}` ran out of memory; THETAC_BUILD_MEMORY sets the limit of each process, "
            f"{bounds.mebibytes} MiB:\n{quote_output(done)}"
        )
    number = done.status - _BY_SIGNAL if done.status > _BY_SIGNAL else -done.status
    if number > 0:
        known = number in set(signal.Signals)
        name = signal.Signals(number).name if known else f"signal {number}"
        raise BuildError(f"`{shlex.join(command)}` was ended by {name}:\n{quote_output(done)}")


def quote_output(done: Finished) -> str:
    """Return the first lines that a failed command wrote."""
    lines = (done.errors or done.output).strip().splitlines() or [f"exit status {done.status}"]
    rest = len(lines) - _SHOWN_LINES
    return "\n".join([*lines[:_SHOWN_LINES], *([f"... and {rest} more lines"] if rest > 0 else [])])


def _wait_for(process: subprocess.Popen[bytes], until: float) -> Finished:
    """Read the output of a process until it ends; raise TimeoutError if that takes too long."""
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
_held: set[int] = set()  # the ends of pipes that tell shells that this process is alive


@contextlib.contextmanager
def _lifeline() -> Iterator[int]:
    """Open a pipe and give its end for the shell to read from. The other end closes after the block or with Python."""
    theirs, ours = os.pipe()
    _held.add(ours)
    try:
        if _ended:
            raise BuildError("this process starts no more compilers")
        yield theirs
    finally:
        os.close(theirs)
        _close_end(ours)


def end_all_compilers() -> None:
    """End all compilers of this process, also those of other threads. No compiler can be started afterwards."""
    global _ended
    _ended = True
    for end in tuple(_held):
        _close_end(end)


def _close_end(end: int) -> None:
    with contextlib.suppress(KeyError):  # another thread did
        _held.remove(end)
        os.close(end)


def _after_fork() -> None:
    """Close the ends in a forked process: it may outlive this one, and must not keep its compilers alive."""
    for end in _held:
        os.close(end)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
