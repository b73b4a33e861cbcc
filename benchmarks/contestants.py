"""Who is measured: every implementation of an algorithm, ours and others', each on parameters of its own.

In: the name of an algorithm and an implementation, and gradients. Out: a `Contestant` that can step, or the reason why
there is none. Gradients are shared between contestants, since none of them writes to them.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import thetac
from benchmarks.shapes import Shape

OURS = ("ours for-loop", "ours foreach", "ours fused")
TORCH = ("torch for-loop", "torch foreach", "torch fused")
COMPILED = "torch compiled"
OTHERS = ("optimi", "pytorch_optimizer")

# What makes an algorithm the usual one where its defaults do not.
ARGUMENTS: Mapping[str, Mapping[str, float]] = {
    "SGD": {"lr": 1e-3, "momentum": 0.9},
    "Signum": {"lr": 1e-3, "momentum": 0.9},
}


def algorithms() -> list[str]:
    """Every optimizer of ours, in order of name."""
    names: list[str] = importlib.import_module("thetac").__all__
    return sorted(name for name in names if isinstance(getattr(thetac, name), type))


@dataclass(slots=True)
class Contestant:
    """One implementation, with parameters that have gradients."""

    label: str
    optimizer: torch.optim.Optimizer
    step: Callable[[], object]
    params: list[torch.nn.Parameter]


class UnavailableError(Exception):
    """Why there is no such contestant."""


def gradients(shapes: Sequence[Shape], magnitude: float = 0.1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.empty(shape).normal_(generator=generator).mul_(magnitude) for shape in shapes]


def contestant(algorithm: str, label: str, grads: Sequence[Tensor]) -> Contestant:
    """Raises UnavailableError."""
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.empty_like(grad).normal_(generator=generator)) for grad in grads]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    optimizer = optimizer_of(algorithm, label, params)
    step: Callable[[], object] = optimizer.step
    if label == COMPILED:
        step = torch.compile(optimizer.step, fullgraph=False)
    return Contestant(label, optimizer, step, params)


def optimizer_of(algorithm: str, label: str, params: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Raises UnavailableError."""
    arguments = dict(ARGUMENTS.get(algorithm, {}))
    who, _, how = label.partition(" ")
    flags = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}, "compiled": {}}
    if who == "ours":
        return _made(getattr(thetac, algorithm), params, arguments, flags[how])
    if who == "torch":
        made = getattr(torch.optim, algorithm, None)
        if made is None:
            raise UnavailableError("torch does not have it")
        if how == "compiled":  # a float would be compiled anew whenever a scheduler changes it
            learning_rate = arguments.pop("lr", _default(made, "lr"))
            return _made(made, params, arguments, {"lr": torch.tensor(learning_rate), "capturable": False})
        return _made(made, params, arguments, flags[how])
    try:
        library = __import__(who)
    except ImportError as error:
        raise UnavailableError(f"{who} is not installed") from error
    made = getattr(library, algorithm, None)
    if made is None:
        raise UnavailableError(f"{who} does not have it")
    arguments.setdefault("lr", 1e-3)  # required by some
    return _made(made, params, arguments, {})


def _made(
    made: Callable[..., torch.optim.Optimizer],
    params: list[torch.nn.Parameter],
    arguments: Mapping[str, object],
    flags: Mapping[str, object],
) -> torch.optim.Optimizer:
    taken = inspect.signature(made).parameters
    if flags.get("fused") and "fused" not in taken:
        raise UnavailableError("it has no fused implementation")
    known = {key: value for key, value in {**arguments, **flags}.items() if key in taken}
    try:
        return made(params, **known)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UnavailableError(str(error)) from error


def _default(made: Callable[..., object], name: str) -> float:
    default: float = inspect.signature(made).parameters[name].default
    return default
