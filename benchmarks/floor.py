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

from thetac.runtime.build import load_object
from thetac.runtime.launch_triton import chunk_table
from thetac.runtime.openmp import openmp

CHUNK = 16_384  # elements, as in the kernels
MOST_STREAMS = 6


def floor(optimizer: torch.optim.Optimizer, params: Sequence[Tensor]) -> tuple[Callable[[], None], int]:
    """For float32 tensors on the CPU, after a first step has made the state."""
    rows: list[list[int]] = []
    states: list[Tensor] = []
    for param in params:
        assert param.grad is not None
        states = [
            value
            for value in optimizer.state.get(param, {}).values()
            if isinstance(value, Tensor) and value.shape == param.shape
        ][: MOST_STREAMS - 2]
        tensors = [param, param.grad, *states]
        rows.append([param.numel(), 0, 0, *(tensor.data_ptr() for tensor in tensors)])
    table = torch.tensor(rows, dtype=torch.int64)
    chunks = chunk_table([row[0] for row in rows], CHUNK)
    library = load_object([Path(__file__).with_name("floor.cpp")], {}, "floor", ctypes.CDLL)
    library.floor_move.restype = None
    streams = table.shape[1] - 3

    def move() -> None:
        library.floor_move(
            ctypes.c_void_p(table.data_ptr()),
            ctypes.c_void_p(chunks.data_ptr()),
            ctypes.c_int64(len(chunks)),
            ctypes.c_int64(CHUNK),
            ctypes.c_int64(streams),
            ctypes.c_uint32(0),
            ctypes.c_int64(torch.get_num_threads()),
            ctypes.c_void_p(openmp().parallel),
        )

    return move, 4 * sum(row[0] for row in rows) * (2 * streams - 1)
