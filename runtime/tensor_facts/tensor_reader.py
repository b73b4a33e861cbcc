"""What a step reads of thousands of tensors at once, and writes to them: one interface for two implementations.

`python_reader.py` has the implementation that always works; `compiled_reader.py` has one that makes no Python call per
tensor. Only `reader_choice.py` decides which of them is used. Both find the same. Must not know of
optimizers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor

from thetac.runtime.tensor_facts.memory import MemoryRanges
from thetac.runtime.tensor_facts.selection import Selection

V = TypeVar("V")
D = TypeVar("D", bound=Mapping[str, Any])

# What a watch can find to differ. The order is that of `Finding` in compiled_reader.cpp.
CAUSES = ("", "type or layout", "dtype", "shape", "strides", "device", "lazy negation or conjugation", "memory")
TYPE, DTYPE, SHAPE, STRIDES, DEVICE, LAZY, MEMORY = CAUSES[1:]


class TensorWatch(ABC):
    """What is assumed of tensors that agree in dtype and device, and their addresses at the last poll.

    No tensor is kept. Tensors change in place, too: `.data` is swapped, dimensions are transposed, gradients come back
    at the same address with other strides. So everything is read at every poll.
    """

    addresses: Tensor  # int64 of shape [watched tensors] on the host, which `poll` overwrites: copy what is to be kept
    moved: bool  # whether the last poll found other addresses than the one before
    differs_already: str  # what the tensors of which the watch was made differ in from what a watch can assume

    @abstractmethod
    def poll(self, tensors: list[Tensor], apart_from: MemoryRanges | None = None) -> str:
        """Compare tensors with what is assumed of them, and observe their addresses.

        A watch that has found a difference is of no further use: `addresses` may then hold some new and some old ones.

        Args:
            tensors: The list in which the watched tensors have the positions given when the watch was made. Anything
                may be in it.
            apart_from: Memory that tensors at new addresses must not share.

        Returns:
            One of `CAUSES`: what differs, empty if nothing does.
        """


class ScalarTensors(ABC):
    """Tensors of one element each and of one dtype, such as step counters, that are read and written together."""

    @abstractmethod
    def refresh(self, tensors: list[Tensor]) -> bool:
        """Read the addresses of the tensors again, and check that they still are what they were.

        Args:
            tensors: The list in which the scalars have the positions given at the beginning; here and below.

        Returns:
            False if a tensor has another dtype, device or number of elements than before, or is missing. No other
            function may be called then.
        """

    @abstractmethod
    def read(self, tensors: list[Tensor]) -> list[float]:
        """Return the current value of each scalar, in the order of the selection.

        Args:
            tensors: As above.
        """

    @abstractmethod
    def read_common(self, tensors: list[Tensor]) -> float | None:
        """Return the value that all scalars have; None if they differ or one is NaN.

        Args:
            tensors: As above.
        """

    @abstractmethod
    def write(self, tensors: list[Tensor], rows: Tensor, values: Sequence[float]) -> None:
        """Write to each tensor the value of its row. Must follow a read, with nothing in between.

        Autograd need not be told: such tensors are no part of any graph.

        Args:
            tensors: As above.
            rows: int64 of shape [scalars] on the host: an index into `values` for each scalar.
            values: One value per row.
        """


class TensorReader(ABC):
    """Reads and marks many tensors at once."""

    @abstractmethod
    def read_gradients(self, params: list[Tensor]) -> list[Any]:
        """Return the gradient of each parameter, None for one that has none."""

    @abstractmethod
    def read_entries(self, keys: list[Tensor], values: list[V], params: list[Tensor], at: Tensor) -> list[V] | None:
        """Look up values by position, and check that their keys still are there.

        Args:
            keys: The keys of a dictionary, in its order.
            values: Its values.
            params: The keys that are expected.
            at: int64 of shape [params] on the host: where each of them is expected among `keys`.

        Returns:
            The value of each parameter; None if one of the keys is another object.
        """

    @abstractmethod
    def read_items(self, dictionaries: list[D], names: list[str]) -> list[list[Any]]:
        """Return a list for each name, with what each dictionary has under it; None for one that has nothing."""

    @abstractmethod
    def mark_written(self, lists: list[list[Tensor]], selection: Selection) -> None:
        """Bump the version counters of tensors that are written outside of torch, so that autograd notices.

        Tensors made in inference mode have no version counter and are left out.

        Args:
            lists: Lists of tensors.
            selection: The positions of the written ones in each of the lists.
        """

    @abstractmethod
    def watch_tensors(self, tensors: list[Tensor], selection: Selection, *, any_strides: bool = False) -> TensorWatch:
        """Make a watch that assumes of tensors what is true of them now.

        Args:
            tensors: A list in which they are.
            selection: Their positions in it, at least one.
            any_strides: Whether later tensors at these positions may have other strides.

        Returns:
            The watch. Its `differs_already` says what a watch cannot assume of these tensors, empty if nothing.
        """

    @abstractmethod
    def access_scalars(self, tensors: list[Tensor], selection: Selection) -> ScalarTensors:
        """Make access to scalars, such as step counters, that are read and written together.

        Args:
            tensors: A list in which they are.
            selection: Their positions in it, at least one. All have one element and one dtype.
        """
