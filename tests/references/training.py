"""Two optimizers side by side on the same parameters of many shapes and layouts, compared after every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

Parameters = list[Tensor]
Construct = Callable[[Sequence[dict[str, object]]], Optimizer]

SHAPES = ((), (0,), (1,), (37,), (5, 7), (3, 2, 11))


def values(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator, spread: float = 2.0) -> Tensor:
    """Numbers of many sizes and both signs, the same for every dtype up to rounding."""
    real = torch.randn((*shape, 2), generator=generator, dtype=torch.float64)
    real = real * torch.exp(spread * torch.randn((*shape, 2), generator=generator, dtype=torch.float64))
    return (torch.view_as_complex(real) if dtype.is_complex else real[..., 0].contiguous()).to(dtype)


def special(dtype: torch.dtype) -> Tensor:
    """NaN, infinities, zeros of both signs, numbers below the smallest normal one, among ordinary ones."""
    info = torch.finfo(dtype)
    numbers = [
        float("nan"),
        float("inf"),
        -float("inf"),
        0.0,
        -0.0,
        info.smallest_normal / 4,
        -info.smallest_normal / 8,
    ]
    numbers += [info.max, -info.max, 1.0, -2.5, info.smallest_normal, 3e-3, 0.0, -0.0, 7.0, -1e-3, 0.5]
    if dtype.is_complex:
        return torch.view_as_complex(
            torch.tensor([numbers, numbers[3:] + numbers[:3]], dtype=torch.float64).T.contiguous()
        ).to(dtype)
    return torch.tensor(numbers, dtype=torch.float64).to(dtype)


def layouts(dtype: torch.dtype, generator: torch.Generator) -> Iterator[Tensor]:
    """Contiguous tensors of all shapes, then transposed, stepped through, and permuted ones."""
    for shape in SHAPES:
        yield values(shape, dtype, generator)
    yield values((6, 9), dtype, generator).t()
    yield values((29, 2), dtype, generator)[:, 0]
    yield values((2, 8, 6), dtype, generator).permute(2, 0, 1)[:, :, ::2]
    yield special(dtype)


def like(tensor: Tensor) -> Tensor:
    """The same values in new memory with the same strides, gaps included."""
    size = 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) if tensor.numel() else 0
    copy = torch.zeros(size, dtype=tensor.dtype).as_strided(tensor.shape, tensor.stride())
    return copy.copy_(tensor)


def gradients(parameters: Parameters, step: int, generator: torch.Generator) -> list[Tensor | None]:
    """One gradient per parameter: of its layout in even steps, contiguous in odd ones; the last but one comes late."""
    found: list[Tensor | None] = []
    for index, parameter in enumerate(parameters):
        gradient = values(parameter.shape, parameter.dtype, generator, spread=1.0)
        if index == len(parameters) - 1:
            gradient = special(parameter.dtype).roll(step)
        elif step % 2 == 0:
            gradient = like(parameter).copy_(gradient)
        found.append(None if index == len(parameters) - 2 and step < 3 else gradient)
    return found


def groups(parameters: Parameters, other: dict[str, object]) -> list[dict[str, object]]:
    """Every other parameter in a second group, whose hyperparameters differ."""
    return [{"params": parameters[0::2]}, {"params": parameters[1::2], **other}]


def run(
    constructs: Sequence[Construct],
    dtype: torch.dtype,
    *,
    steps: int,
    other: dict[str, object],
    preload: dict[int, float] | None = None,
    start: Parameters | None = None,
    compare: Callable[[Optimizer, Optimizer, str], None],
) -> None:
    """Train with each optimizer on the same numbers and compare all with the first after every step.

    `preload` sets every step counter to a number before the step of that index; `start` are other parameters than all
    layouts with a late and a special one.
    """
    generator = torch.Generator().manual_seed(7)
    various = start is None
    start = list(layouts(dtype, generator)) if start is None else start
    everyone = [[like(parameter) for parameter in start] for _ in constructs]
    optimizers = [make(groups(mine, other)) for make, mine in zip(constructs, everyone, strict=True)]
    for step in range(steps):
        found = gradients(start, step, generator) if various else [values(p.shape, dtype, generator) for p in start]
        for optimizer, mine in zip(optimizers, everyone, strict=True):
            for parameter, gradient in zip(mine, found, strict=True):
                parameter.grad = None if gradient is None else like(gradient)
            if preload and step in preload:
                for state in optimizer.state.values():
                    if isinstance(state.get("step"), int):
                        state["step"] = int(preload[step])
                    elif "step" in state:
                        state["step"].fill_(preload[step])
            optimizer.step()
        for index, optimizer in enumerate(optimizers[1:], 1):
            compare(optimizers[0], optimizer, f"implementation {index}, step {step}")
