"""The floor: the time that moving the streams of a step takes, on the very tensors of a contestant.

In: parameters with gradients, and the state of their optimizer. Out: a function that moves them and computes nothing,
and the bytes that it moves.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from thetac.runtime.building.compiled_objects import load_object
from thetac.runtime.implementations.openmp import openmp
from thetac.runtime.implementations.tables import ELEMENTS, HEADER, chunk_table

CHUNK = 32_768  # elements, as in the kernels
PER_THREAD = 16_384  # elements for which they start another thread
MOST_STATES = 4
MOST_THREADS = 256


def floor(optimizer: torch.optim.Optimizer, params: Sequence[Tensor]) -> tuple[Callable[[], None], int]:
    """Return a function that moves the streams, and the bytes that it moves; raise ValueError for too many states.

    Args:
        optimizer: the contestant, after a first step has made its state
        params: its parameters, float32 on the CPU, with gradients
    """
    rows: list[list[int]] = []
    for param in params:
        assert param.grad is not None
        states = [value for value in optimizer.state.get(param, {}).values() if _is_stream(value, param)]
        if len(states) > MOST_STATES:
            raise ValueError(f"the floor moves at most {MOST_STATES} states, not {len(states)}")
        tensors = [param, param.grad, *states]
        rows.append([param.numel(), *[0] * (HEADER - 1), *(tensor.data_ptr() for tensor in tensors)])
    table = torch.tensor(rows, dtype=torch.int64)
    chunks = chunk_table([row[ELEMENTS] for row in rows], CHUNK)
    streams = table.shape[1] - HEADER
    runtime = openmp()
    bounds = _bounds(table[:, ELEMENTS], chunks, torch.get_num_threads() if runtime.parallel else 1)
    library = load_object([Path(__file__).with_name("floor.cpp")], {}, "floor", ctypes.CDLL)
    library.floor_move.restype = None
    arguments = (
        ctypes.c_void_p(table.data_ptr()),
        ctypes.c_void_p(chunks.data_ptr()),
        ctypes.c_void_p(bounds.data_ptr()),
        ctypes.c_int64(CHUNK),
        ctypes.c_int64(streams),
        ctypes.c_uint32(0),
        ctypes.c_int64(len(bounds) - 1),
        ctypes.c_void_p(runtime.parallel),
        ctypes.c_void_p(runtime.thread_number),
    )
    tables = (table, chunks, bounds)

    def move(_alive: tuple[Tensor, ...] = tables) -> None:
        library.floor_move(*arguments)

    return move, 4 * sum(row[ELEMENTS] for row in rows) * (2 * streams - 1)


def _is_stream(value: object, param: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == param.shape


def _bounds(sizes: Tensor, chunks: Tensor, threads: int) -> Tensor:
    """Return the first chunk of each thread, for about as many elements each, and then the number of chunks."""
    elements = (sizes[chunks[:, 0].long()] - CHUNK * chunks[:, 1].long()).clamp(max=CHUNK)
    total = int(elements.sum())
    threads = max(1, min(threads, MOST_THREADS, -(-total // PER_THREAD)))
    before = elements.cumsum(0) - elements
    shares = torch.arange(threads) * total / threads
    return torch.cat([torch.searchsorted(before.double(), shares.double()), torch.tensor([len(chunks)])])
