"""Processes that run tests together: two of them, started once, over gloo.

A test calls `workers.run(function, *arguments)`; every process calls the function, and an error in any of them fails
the test. Processes that do not answer are killed, so a collective that waits for nobody fails a test and not the suite;
the next test starts new ones.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic

import pytest
import torch
import torch.distributed
import torch.multiprocessing

from tests.support.stepping import step_as_others
from tests.support.training_mode import train_from_the_beginning

COUNT = 2
PATIENCE = 120.0  # seconds for the slowest test on a busy machine
AFTER_AN_ERROR = 2.0  # seconds until those that wait for one that failed are given up

# One thread each: processes share the machine with each other and with the tests beside them.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Workers:
    """Processes with ranks 0 and 1 of one group."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = 0
        self._processes: list[torch.multiprocessing.Process] = []
        self._connections: list[Connection] = []

    def run(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function of a module in every process, and wait for all of them."""
        if not self._processes:
            self._start()
        for connection in self._connections:
            connection.send((function, arguments))
        errors: dict[int, str] = {}
        waiting = dict(enumerate(self._connections))
        deadline = monotonic() + PATIENCE
        while waiting and monotonic() < deadline:
            for rank, connection in list(waiting.items()):
                if not connection.poll(0.005):
                    continue
                del waiting[rank]
                try:
                    error = connection.recv()
                except EOFError:
                    error = "the process ended"
                if error:
                    errors[rank] = error
                    deadline = min(deadline, monotonic() + AFTER_AN_ERROR)
        if waiting or errors:
            self.stop()
        if errors:
            pytest.fail("\n".join(f"rank {rank}: {error}" for rank, error in sorted(errors.items())), pytrace=False)
        if waiting:
            pytest.fail(f"no answer from ranks {sorted(waiting)} after {PATIENCE} seconds", pytrace=False)

    def stop(self) -> None:
        """End all processes."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.kill()
            process.join()
        self._processes, self._connections = [], []

    def _start(self) -> None:
        self._started += 1
        context = torch.multiprocessing.get_context("spawn")
        rendezvous = self._folder / f"rendezvous-{self._started}"
        with _environment(ENVIRONMENT):
            for rank in range(COUNT):
                here, there = context.Pipe()
                process = context.Process(target=_serve, args=(rank, rendezvous.as_uri(), there), daemon=True)
                process.start()
                there.close()
                self._processes.append(process)
                self._connections.append(here)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Variables that processes started here inherit."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(rank: int, rendezvous: str, connection: Connection) -> None:
    """Call what is sent, and answer with the error or with nothing."""
    torch.set_num_threads(1)
    train_from_the_beginning(pytest.MonkeyPatch())
    torch.distributed.init_process_group(
        "gloo", init_method=rendezvous, rank=rank, world_size=COUNT, timeout=timedelta(seconds=PATIENCE)
    )
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            with pytest.MonkeyPatch.context() as patch:
                step_as_others(arguments, patch)
                function(*arguments)
            connection.send("")
        except BaseException:
            connection.send(traceback.format_exc())
