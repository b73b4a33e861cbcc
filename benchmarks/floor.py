"""The floor: the time that moving the streams of a step takes, on the very tensors of a contestant.

In: parameters with gradients, and the state of their optimizer. Out: a function that moves them and computes nothing,
and the bytes that it moves.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from thetac.codegen.cli.library import compile_named
from thetac.codegen.ir.fused import Pass
from thetac.codegen.passes.analysis.boolean_algebra import condition, holds
from thetac.runtime.building.compiled_objects import load_object
from thetac.runtime.implementations.fused import specialisations_of
from thetac.runtime.implementations.openmp import openmp
from thetac.runtime.implementations.tables import ELEMENTS, HEADER, chunk_table
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups.shape_classes import shape_of

CHUNK = 32_768  # elements, as in the kernels
PER_THREAD = 16_384  # elements for which they start another thread
MOST_THREADS = 256


@dataclass(frozen=True, slots=True)
class Moved:
    """The streams of one pass, by name."""

    written: tuple[str, ...]  # read, too
    read: tuple[str, ...]  # and not written


def floor(optimizer: torch.optim.Optimizer, params: Sequence[Tensor]) -> tuple[Callable[[], None], int]:
    """Return a function that moves the streams of all passes, and the bytes that it moves.

    Args:
        optimizer: the contestant, after a first step has made its state
        params: its parameters, float32 on the CPU, with gradients
    """
    assert isinstance(optimizer, Optimizer)
    moves: list[Callable[[], None]] = []
    bytes_moved = 0
    fused = compile_named(type(optimizer).__name__).fused
    for one in fused.passes:
        together: dict[Moved, list[list[int]]] = {}
        for param in params:
            moved = streams_moved(one, optimizer, param)
            tensors = [_stream(optimizer, param, name) for name in (*moved.written, *moved.read)]
            row = [param.numel(), *[0] * (HEADER - 1), *(tensor.data_ptr() for tensor in tensors)]
            if tensors:
                together.setdefault(moved, []).append(row)
                bytes_moved += 4 * param.numel() * (len(tensors) + len(moved.written))
        moves += [move_streams(torch.tensor(rows, dtype=torch.int64), moved) for moved, rows in together.items()]

    def move() -> None:
        for of_pass in moves:
            of_pass()

    return move, bytes_moved


def passes_of(algorithm: str) -> int:
    """Return how many times kernels look at each element."""
    return compile_named(algorithm).fused.sweeps


def streams_moved(one: Pass, optimizer: Optimizer, param: Tensor) -> Moved:
    """Return the streams that a pass moves of a parameter, for the values of the first group."""
    known = specialisations_of(optimizer.schema, optimizer.param_groups[0], shape_of(optimizer.schema, param))
    loaded = [use.name for use in one.streams if holds(condition(use.loaded), known)]
    stored = [use.name for use in one.streams if holds(condition(use.stored), known)]
    return Moved(tuple(stored), tuple(name for name in loaded if name not in stored))


def _stream(optimizer: Optimizer, param: Tensor, name: str) -> Tensor:
    """Return the tensor of a stream."""
    tensor = {"param": param, "grad": param.grad}.get(
        name, None if name == "grad" else optimizer.state[param].get(name)
    )
    assert isinstance(tensor, Tensor), f"there is no {name}"
    return tensor


def move_streams(table: Tensor, one: Moved) -> Callable[[], None]:
    """Return a function that moves the streams of one pass."""
    chunks = chunk_table(table[:, ELEMENTS].tolist(), CHUNK)
    runtime = openmp()
    bounds = _bounds(table[:, ELEMENTS], chunks, torch.get_num_threads() if runtime.parallel else 1)
    library = load_object([Path(__file__).with_name("floor.cpp")], {}, "floor", ctypes.CDLL)
    library.floor_move.restype = None
    arguments = (
        ctypes.c_void_p(table.data_ptr()),
        ctypes.c_void_p(chunks.data_ptr()),
        ctypes.c_void_p(bounds.data_ptr()),
        ctypes.c_int64(CHUNK),
        ctypes.c_int64(len(one.written)),
        ctypes.c_int64(len(one.read)),
        ctypes.c_uint32(0),
        ctypes.c_int64(len(bounds) - 1),
        ctypes.c_void_p(runtime.parallel),
        ctypes.c_void_p(runtime.thread_number),
    )
    tables = (table, chunks, bounds)

    def move(_alive: tuple[Tensor, ...] = tables) -> None:
        library.floor_move(*arguments)

    return move


def _bounds(sizes: Tensor, chunks: Tensor, threads: int) -> Tensor:
    """Return the first chunk of each thread, for about as many elements each, and then the number of chunks."""
    elements = (sizes[chunks[:, 0].long()] - CHUNK * chunks[:, 1].long()).clamp(max=CHUNK)
    total = int(elements.sum())
    threads = max(1, min(threads, MOST_THREADS, -(-total // PER_THREAD)))
    before = elements.cumsum(0) - elements
    shares = torch.arange(threads) * total / threads
    return torch.cat([torch.searchsorted(before.double(), shares.double()), torch.tensor([len(chunks)])])
