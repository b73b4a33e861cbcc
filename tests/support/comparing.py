"""Optimizers side by side: equal, or an error that says where they differ first.

Every comparison of two trained optimizers ends here. A failure is `Differs`: it names the optimizers, the group, the
parameter, the state and the element, with both values. `pytest` then runs the failed test once more with `Recording`
(tests/conftest.py), and the failure says in which step the two runs began to differ, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

# The elements that differ, or in words what else does; None: nothing.
Unequal = Callable[[Tensor, Tensor], Tensor | str | None]


def bits(found: Tensor, expected: Tensor) -> Tensor | str | None:
    """Return the elements that differ in any bit; NaNs are equal whatever their payload."""
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return f"{found.dtype} of shape {tuple(found.shape)}, expected {expected.dtype} of {tuple(expected.shape)}"
    differ = differing_bits(expected, found)
    return differ if differ.any() else None


def differing_bits(expected: Tensor, actual: Tensor) -> Tensor:
    """Return which elements differ in any bit, of two tensors of one dtype and shape."""
    pairs = expected.dtype.is_complex
    if pairs:
        expected, actual = torch.view_as_real(expected), torch.view_as_real(actual)
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[expected.element_size()]
    differ = expected.contiguous().view(integer) != actual.contiguous().view(integer)
    differ &= ~(expected.isnan() & actual.isnan())
    return differ.any(dim=-1) if pairs else differ


@dataclass(frozen=True, slots=True)
class Within:
    """Equal dtypes, shapes, layouts and devices, and elements as close as `torch.testing.assert_close` wants them."""

    rtol: float = 0.0
    atol: float = 0.0
    equal_nan: bool = False

    def __call__(self, found: Tensor, expected: Tensor) -> Tensor | str | None:
        limits = {"rtol": self.rtol, "atol": self.atol, "equal_nan": self.equal_nan}
        try:
            torch.testing.assert_close(found, expected, **limits)  # type: ignore[arg-type]
        except AssertionError as error:
            alike = (found.dtype, found.shape) == (expected.dtype, expected.shape)
            if not alike or found.layout is not torch.strided or expected.layout is not torch.strided:
                return str(error)
            return ~torch.isclose(found, expected, **limits)  # type: ignore[arg-type]
        return None


class Differs(AssertionError):
    """Two optimizers are not where they should be together."""

    def __init__(self, text: str, found: Optimizer, expected: Optimizer, unequal: Unequal) -> None:
        super().__init__(text)
        self.found, self.expected, self.unequal = found, expected, unequal


def element_that_differs(found: Tensor, expected: Tensor, differ: Tensor) -> str:
    """Say which element differs first, with both values, and how many do."""
    at = tuple(differ.nonzero()[0].tolist())
    place = f"element {list(at)}" if at else "the value"
    many = f"; {int(differ.sum())} of {differ.numel()} elements differ" if differ.numel() > 1 else ""
    return f"{place} is {found[at].item()!r}, expected {expected[at].item()!r}{many}"


def entries(optimizer: Optimizer) -> Iterator[tuple[str, Tensor, Mapping[str, object]]]:
    """Each parameter's place in words, itself, and its state."""
    for number, group in enumerate(optimizer.param_groups):
        names = group.get("param_names", ())
        for index, param in enumerate(group["params"]):
            name = f" `{names[index]}`" if index < len(names) else ""
            strides = "" if param.is_contiguous() else f" and strides {param.stride()}"
            where = f"group {number}, parameter {index}{name} of shape {tuple(param.shape)}{strides}"
            yield where, param.detach(), optimizer.state.get(param, {})


def values_of(param: Tensor, state: Mapping[str, object]) -> list[tuple[str, object]]:
    """A parameter and the entries of its state, with what they are in words; ints as tensors of ints."""
    values = {key: torch.tensor(value) if type(value) is int else value for key, value in state.items()}
    return [("its value", param), *((f"state `{key}`", value) for key, value in values.items())]


def first_difference(found: Optimizer, expected: Optimizer, unequal: Unequal) -> str | None:
    """Say where parameters or states differ first: names and order of the states, dtypes, shapes, elements."""
    for (where, param, state), (_, other, wanted) in zip(entries(found), entries(expected), strict=True):
        if list(state) != list(wanted):
            return f"{where}: its states are {list(state)}, expected {list(wanted)}"
        for (what, value), (_, wanted_value) in zip(values_of(param, state), values_of(other, wanted), strict=True):
            assert isinstance(value, Tensor), f"{where}, {what}: {value!r} is no tensor"
            assert isinstance(wanted_value, Tensor), f"{where}, {what}: {wanted_value!r} is no tensor"
            if not param.numel() and value.isnan().all() and wanted_value.isnan().all():
                continue  # a mean of nothing, in every implementation
            if text := _difference(value, wanted_value, unequal):
                return f"{where}, {what}: {text}"
    return None


def _difference(found: Tensor, expected: Tensor, unequal: Unequal) -> str | None:
    differ = unequal(found, expected)
    return element_that_differs(found, expected, differ) if isinstance(differ, Tensor) else differ


def assert_same(found: Optimizer, expected: Optimizer, unequal: Unequal, message: str = "") -> None:
    """Raise `Differs` if parameters or states are not equal; `message` says which case this is."""
    if text := first_difference(found, expected, unequal):
        names = f"{_name(found)} beside {_name(expected)}"
        raise Differs(f"{names}{f' ({message})' if message else ''}: {text}", found, expected, unequal)


def _name(optimizer: Optimizer) -> str:
    return f"{type(optimizer).__module__.partition('.')[0]}.{type(optimizer).__name__}"


def assert_same_bits(expected: Optimizer, actual: Optimizer, message: str) -> None:
    """Parameters and every state entry: names, dtypes, shapes and all bits."""
    assert_same(actual, expected, bits, message)


def assert_same_training(left: Optimizer, right: Optimizer, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Two optimizers hold equal parameters and states, names and order of the states included."""
    assert_same(left, right, Within(rtol, atol))


def assert_identical(left: object, right: object, where: str = "") -> None:
    """Two values are equal bit for bit, dtypes and shapes of tensors included; `where` says what they are of."""
    place = where or "the whole"
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        assert left.layout == right.layout, f"{place}: {left.layout}, expected {right.layout}"
        if text := _difference(left.detach(), right.detach(), Within(equal_nan=True)):
            raise AssertionError(f"{place}: {text}")
    elif isinstance(left, dict) and isinstance(right, dict):
        assert list(left) == list(right), f"{place}: {list(left)}, expected {list(right)}"
        for key, value in left.items():
            assert_identical(value, right[key], f"{where}[{key!r}]")
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        assert len(left) == len(right), f"{place}: {len(left)} entries, expected {len(right)}"
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_identical(one, other, f"{where}[{index}]")
    else:
        assert left == right, f"{place}: {left!r}, expected {right!r}"


Picture = list[tuple[str, dict[str, Tensor]]]  # of each parameter its place in words, its value and its state


@dataclass(slots=True)
class Recording:
    """What every optimizer held after each of its steps, as long as this is entered."""

    pictures: dict[int, list[Picture]] = field(default_factory=dict)  # by the id of the optimizer
    _alive: list[Optimizer] = field(default_factory=list)  # so that no other gets its id
    _remove: Callable[[], None] | None = None

    def __enter__(self) -> Recording:
        self._remove = register_optimizer_step_post_hook(self._record).remove
        return self

    def __exit__(self, *_: object) -> None:
        assert self._remove is not None
        self._remove()

    def _record(self, optimizer: Optimizer, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        self._alive.append(optimizer)
        picture = [
            (
                where,
                {"its value": param.clone()}
                | {f"state `{k}`": v.clone() for k, v in state.items() if isinstance(v, Tensor)},
            )
            for where, param, state in entries(optimizer)
        ]
        self.pictures.setdefault(id(optimizer), []).append(picture)

    def first_step(self, error: Differs) -> str:
        """Say in which step the two optimizers of the error differ for the first time, and where; or why it cannot."""
        found, expected = (self.pictures.get(id(each), []) for each in (error.found, error.expected))
        if len(found) != len(expected):
            return f"they have made {len(found)} and {len(expected)} steps"
        for step, (one, other) in enumerate(zip(found, expected, strict=True), 1):
            for (where, values), (_, wanted) in zip(one, other, strict=True):
                if values.keys() != wanted.keys():
                    return f"first in step {step} of {len(found)}: {where}: other states"
                for what, value in values.items():
                    if text := _difference(value, wanted[what], error.unequal):
                        return f"first in step {step} of {len(found)}: {where}, {what}: {text}"
        return f"not right after any of the {len(found)} steps, but since"
