"""What the tests of the runtime share: parameters with gradients, and pictures of everything a step may change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.comparing import assert_identical
from thetac.runtime.stepping.requirements import triton_interprets

FUSED = ("C++", "Triton")


def run_kernels_of(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `fused=True` mean this on the CPU; Triton in its interpreter, or not at all where it compiles for a GPU."""
    if implementation == "Triton":
        if not triton_interprets():
            pytest.skip("Triton compiles for the GPU here; test_fused_gpu.py runs what it compiles")
        monkeypatch.setenv("THETAC_CPU_KERNELS", "triton")
    else:
        monkeypatch.delenv("THETAC_CPU_KERNELS", raising=False)


class Watching(TorchDispatchMode):
    """Sees every operation and its result, and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []
        self.sizes: list[int] = []  # elements of each tensor that comes out

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations.append(str(func))
        results = result if isinstance(result, tuple | list) else (result,)
        self.sizes += [one.numel() for one in results if isinstance(one, Tensor)]
        return result


SHAPES = ((5, 3), (7,), (), (2, 3, 4))


def parameters(
    shapes: Iterable[tuple[int, ...]] = SHAPES, dtype: torch.dtype = torch.float32, seed: int = 0
) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]


def give_gradients(params: Iterable[Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(1000 + seed)
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator, dtype=param.dtype)


def train(optimizer: torch.optim.Optimizer, steps: int, seed: int = 0) -> None:
    """Steps on made-up gradients, the same for every optimizer of equal parameters."""
    for step in range(steps):
        give_gradients((param for group in optimizer.param_groups for param in group["params"]), seed + step)
        optimizer.step()


def picture(optimizer: torch.optim.Optimizer) -> object:
    """Everything that a failed step must leave as it was, copied."""
    return {
        "parameters": [[param.detach().clone() for param in group["params"]] for group in optimizer.param_groups],
        "states": [
            (id(param), {name: _copy(value) for name, value in entry.items()})
            for param, entry in optimizer.state.items()
        ],
        "groups": [
            {key: _copy(value) for key, value in group.items() if key != "params"} for group in optimizer.param_groups
        ],
    }


def assert_unchanged(before: object, optimizer: torch.optim.Optimizer) -> None:
    assert_identical(picture(optimizer), before)


def states(optimizer: torch.optim.Optimizer) -> list[dict[str, object]]:
    """The state of every parameter, in order."""
    return [dict(optimizer.state.get(param, {})) for group in optimizer.param_groups for param in group["params"]]


def _params(optimizer: torch.optim.Optimizer) -> Sequence[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def _copy(value: object) -> object:
    return value.detach().clone() if isinstance(value, Tensor) else value
