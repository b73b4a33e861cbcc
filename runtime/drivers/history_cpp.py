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


_INT, _ADDRESS = ctypes.c_int64, ctypes.c_void_p
_ARGUMENTS = {
    "thetac_products": (_ADDRESS, _ADDRESS, _INT, _ADDRESS, _INT, _INT, _INT, _ADDRESS, _ADDRESS),
    "thetac_recursion": (_INT, _INT, _ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS),
    "thetac_combine": (_ADDRESS, _ADDRESS, _ADDRESS, _INT, _INT, _ADDRESS),
}


@cache
def load_products(dtype: torch.dtype) -> ctypes.CDLL:
    """Return the object that multiplies vectors of a dtype, built if need be; raise BuildError."""
    library = load_object(*recipe_of_products(dtype), ctypes.CDLL, HISTORY)
    for name, arguments in _ARGUMENTS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = None, arguments
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
        self._address_of_launch = ctypes.addressof(self._launch)
        self._of_steps: list[int] = []  # addresses
        self._of_changes: list[int] = []
        self._products = torch.empty(
            (2, 0, 0), dtype=torch.float64, device="cpu"
        )  # of all s with all y, of all y with all y
        self._is_new = False  # whether those with the last y are not known yet

    def fits(self, size: int, dtype: torch.dtype) -> bool:
        """Return whether it keeps so many pairs of vectors of a dtype."""
        return (self._size, self._dtype) == (size, dtype)

    def load(self, entry: Mapping[str, Any]) -> None:
        super().load(entry)
        self._of_steps, self._of_changes = (list(map(Tensor.data_ptr, one)) for one in (self.steps, self.changes))
        self._is_new = False
        self._grow(len(self.changes))
        for index, address in enumerate(self._of_changes):
            self._put(index, self._inner_products([*self._of_steps, *self._of_changes], [address])[0])

    def remember(self, s: Tensor, y: Tensor, bound: float) -> None:
        of_s, of_y = s.data_ptr(), y.data_ptr()
        ys, yy = self._inner_products([of_s, of_y], [of_y])[0].tolist()
        if ys > bound:
            if self._is_new:
                self._complete(self._inner_products([*self._of_steps, *self._of_changes], self._of_changes[-1:])[0])
            while len(self.changes) >= self._size:
                self._drop_oldest()
            self.changes.append(y)
            self.steps.append(s)
            self._of_steps.append(of_s)
            self._of_changes.append(of_y)
            self.reciprocals.append(torch.tensor(1 / ys, dtype=y.dtype, device=y.device))
            self.scale = torch.tensor(ys / yy, dtype=y.dtype, device=y.device)
            self._grow(len(self.changes))
            self._is_new = True

    def inverse_hessian(self, q: Tensor) -> Tensor:
        count = len(self.changes)
        self._take_scratch()
        if not count:
            return q.clone()
        vectors, of_q = [*self._of_steps, *self._of_changes], q.data_ptr()
        found = self._inner_products(vectors, [of_q, vectors[-1]] if self._is_new else [of_q])
        if self._is_new:
            self._complete(found[1])
        factors, kept, result = (
            torch.empty(1 + 2 * count, dtype=torch.float64, device="cpu"),
            self._products,
            torch.empty_like(q),
        )
        at, room = kept.data_ptr(), kept.shape[1]
        of_factors = factors.data_ptr()
        self._functions.thetac_recursion(count, room, at, at + 8 * room * room, found.data_ptr(), of_factors)
        self._functions.thetac_combine(
            self._launched(), _table([of_q, *vectors]), of_factors, 1 + 2 * count, q.numel(), result.data_ptr()
        )
        return result

    def _inner_products(self, vectors: Sequence[int], queries: Sequence[int]) -> Tensor:
        """Return the products of whole vectors with one or two queries, float64 [queries, vectors]; by addresses."""
        addresses, asked, shape = _table(vectors), _table(queries), (len(queries), len(vectors))

        def partial(start: int, stop: int) -> Tensor:
            """Return the products over a range of elements."""
            results = torch.empty(shape, dtype=torch.float64, device="cpu")
            scratch = torch.empty(
                -(-(stop - start) // self._share) * shape[0] * shape[1], dtype=torch.float64, device="cpu"
            )
            at, launch = scratch.data_ptr(), self._launched()
            self._functions.thetac_products(
                launch, addresses, shape[1], asked, shape[0], start, stop - start, at, results.data_ptr()
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
        self._products[:, :count, index] = products.view(2, count)
        self._products[1, index, :count] = products[count:]

    def _grow(self, count: int) -> None:
        """Make room for the products of so many pairs."""
        kept, room = self._products, self._products.shape[1]
        if count > room:
            more = max(count, 2 * room)
            self._products = torch.zeros((2, more, more), dtype=torch.float64, device="cpu")
            self._products[:, :room, :room] = kept

    def _drop_oldest(self) -> None:
        super()._drop_oldest()
        for kept in (self._of_steps, self._of_changes):
            kept.pop(0)
        self._products[:, :-1, :-1] = self._products[:, 1:, 1:].clone()

    def _launched(self) -> int:
        """Return the address of the launch, with the threads that torch uses now."""
        runtime, launch = openmp(), self._launch
        launch.threads = torch.get_num_threads()
        launch.parallel = runtime.parallel
        launch.thread_number = runtime.thread_number
        return self._address_of_launch


def _table(addresses: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(addresses))(*addresses)
