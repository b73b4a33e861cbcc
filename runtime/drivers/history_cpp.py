"""Pairs whose inner products are kept in float64, so that memory is swept twice per product and not per pair.

In: flat float32 or float64 vectors on the CPU. Out: what `History` computes, with sums in float64. The two-loop
recursion runs on inner products, as Chen, Wang and Zhou do it where vectors are distributed (NIPS 2014): processes add
up all of them in one go. runtime/cpp/history.cpp has the other side. Must not know what a step is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.building.compiled_objects import load_object
from thetac.runtime.drivers.history import History
from thetac.runtime.drivers.sums import Sums
from thetac.runtime.implementations.cpp_interface import CPP, DTYPE_NAMES, HEADERS, HISTORY, Launch, macros
from thetac.runtime.implementations.openmp import openmp

DTYPES = (torch.float32, torch.float64)


@cache
def load_products(dtype: torch.dtype) -> ctypes.CDLL:
    """Return the object that multiplies vectors of a dtype, built if need be; raise BuildError."""
    library = load_object(*recipe_of_products(dtype), ctypes.CDLL, HISTORY)
    for function in (library.thetac_products, library.thetac_recursion, library.thetac_combine):
        function.restype = None
    return library


def recipe_of_products(dtype: torch.dtype) -> tuple[list[Path], dict[str, str], str]:
    """Return the sources, macros and file name of the object that multiplies vectors of a dtype."""
    return [CPP / "history.cpp", *HEADERS], macros([dtype]), f"history-{DTYPE_NAMES[dtype].lower()}"


class CompiledHistory(History):
    """The last pairs, with their inner products."""

    def __init__(self, size: int, sums: Sums, dtype: torch.dtype) -> None:
        """Begin without pairs; raise BuildError if the compiled functions cannot be had.

        Args:
            size: How many pairs are kept.
            sums: What adds up products of vectors.
            dtype: Of the vectors, one of `DTYPES`.
        """
        super().__init__(size, sums)
        self._dtype = dtype
        self._functions = load_products(dtype)
        self._share = ctypes.c_int64.in_dll(self._functions, "thetac_share").value
        self._launch = Launch()
        self._products = torch.empty((2, 0, 0), dtype=torch.float64)  # of all s with all y, of all y with all y
        self._is_new = False  # whether those with the last y are not known yet

    def fits(self, size: int, dtype: torch.dtype) -> bool:
        """Return whether it keeps so many pairs of vectors of a dtype."""
        return (self._size, self._dtype) == (size, dtype)

    def load(self, entry: Mapping[str, Any]) -> None:
        super().load(entry)
        self._is_new = False
        self._grow(len(self.changes))
        for index in range(len(self.changes)):
            vectors, query = [*self.steps, *self.changes], self.changes[index]
            self._put(index, self._inner_products(vectors, [query])[0])

    def remember(self, s: Tensor, y: Tensor, bound: float) -> None:
        ys, yy = self._inner_products([s, y], [y])[0].tolist()
        if ys > bound:
            if self._is_new:
                self._complete(self._inner_products([*self.steps, *self.changes], [self.changes[-1]])[0])
            while len(self.changes) >= self._size:
                self._drop_oldest()
            self.changes.append(y)
            self.steps.append(s)
            self.reciprocals.append(y.new_tensor(1 / ys))
            self.scale = y.new_tensor(ys / yy)
            self._grow(len(self.changes))
            self._is_new = True

    def inverse_hessian(self, q: Tensor) -> Tensor:
        count = len(self.changes)
        self._take_scratch()
        if not count:
            return q.clone()
        vectors = [*self.steps, *self.changes]
        found = self._inner_products(vectors, [q, self.changes[-1]] if self._is_new else [q])
        if self._is_new:
            self._complete(found[1])
        factors, kept = torch.empty(1 + 2 * count, dtype=torch.float64), self._products
        self._functions.thetac_recursion(
            ctypes.c_int64(count),
            ctypes.c_int64(kept.shape[1]),
            ctypes.c_void_p(kept.data_ptr()),
            ctypes.c_void_p(kept[1].data_ptr()),
            ctypes.c_void_p(found.data_ptr()),
            ctypes.c_void_p(factors.data_ptr()),
        )
        result = torch.empty_like(q)
        self._functions.thetac_combine(
            self._launched(),
            _addresses([q, *vectors]),
            ctypes.c_void_p(factors.data_ptr()),
            ctypes.c_int64(1 + 2 * count),
            ctypes.c_int64(q.numel()),
            ctypes.c_void_p(result.data_ptr()),
        )
        return result

    def _inner_products(self, vectors: Sequence[Tensor], queries: Sequence[Tensor]) -> Tensor:
        """Return the products of whole vectors with one or two queries, float64 [queries, vectors]."""
        addresses, asked = _addresses(vectors), _addresses(queries)

        def partial(start: int, stop: int) -> Tensor:
            results = torch.empty((len(queries), len(vectors)), dtype=torch.float64)
            scratch = torch.empty((-(-(stop - start) // self._share), results.numel()), dtype=torch.float64)
            self._functions.thetac_products(
                self._launched(),
                addresses,
                ctypes.c_int64(len(vectors)),
                asked,
                ctypes.c_int64(len(queries)),
                ctypes.c_int64(start),
                ctypes.c_int64(stop - start),
                ctypes.c_void_p(scratch.data_ptr()),
                ctypes.c_void_p(results.data_ptr()),
            )
            return results

        return self.sums.whole(partial)

    def _complete(self, products: Tensor) -> None:
        """Take over the products of all vectors with the last change."""
        self._put(len(self.changes) - 1, products)
        self._is_new = False

    def _put(self, index: int, products: Tensor) -> None:
        """Take over the products of all steps, then of all changes, with one change."""
        count = len(self.changes)
        with_steps, with_changes = self._products
        with_steps[:count, index] = products[:count]
        with_changes[:count, index] = with_changes[index, :count] = products[count:]

    def _grow(self, count: int) -> None:
        """Make room for the products of so many pairs."""
        kept, room = self._products, self._products.shape[1]
        if count > room:
            self._products = torch.zeros((2, max(count, 2 * room), max(count, 2 * room)), dtype=torch.float64)
            self._products[:, :room, :room] = kept

    def _drop_oldest(self) -> None:
        super()._drop_oldest()
        self._products[:, :-1, :-1] = self._products[:, 1:, 1:].clone()

    def _launched(self) -> object:
        """Return the launch, with the threads that torch uses now."""
        runtime = openmp()
        self._launch.threads = torch.get_num_threads()
        self._launch.parallel = runtime.parallel
        self._launch.thread_number = runtime.thread_number
        return ctypes.byref(self._launch)


def _addresses(vectors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(vectors))(*[vector.data_ptr() for vector in vectors])
