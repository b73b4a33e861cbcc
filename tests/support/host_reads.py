"""A stand-in for a GPU's clock: within it, whatever would make the host wait for the device is an error.

Tests without a GPU run kernels in Triton's interpreter on tensors of the CPU, where nothing is ever waited for. What
would be is known: reading a value. Tables of integers are the host's own, and may be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from thetac.runtime.implementations.scalar_states import ScalarStates
from thetac.runtime.stepping import stepper

_READERS = ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__array__")
_INTEGERS = (torch.int32, torch.int64)


class HostRead(AssertionError):
    """The host read a number that a GPU would have computed."""


class _Forbid(TorchDispatchMode):
    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        name = str(func).split(".")[1]
        if name in ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "allclose", "masked_select"):
            _check(name, args[0])
        return func(*args, **(kwargs or {}))


def _check(name: str, tensor: object) -> None:
    if isinstance(tensor, Tensor) and tensor.dtype not in _INTEGERS:
        raise HostRead(f"{name} of a {tensor.dtype} tensor of shape {tuple(tensor.shape)}")


@contextmanager
def no_host_reads() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in _READERS:
            patch.setattr(Tensor, name, _forbidden(name, getattr(Tensor, name)))
        for name in ("read_common", "read"):  # which may look at memory itself
            patch.setattr(ScalarStates, name, _scalars_read)
        patch.setattr(stepper, "_active_modes", lambda: 0)  # not by the mode below, which asks nothing of a step
        with _Forbid():
            yield


def _scalars_read(states: ScalarStates, tensors: object) -> object:
    raise HostRead(f"`{states.name}`")


def _forbidden(name: str, original: Callable[..., object]) -> Callable[..., object]:
    def method(self: Tensor, *args: object, **kwargs: object) -> object:
        _check(name, self)
        return original(self, *args, **kwargs)

    return method
