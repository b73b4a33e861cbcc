"""Who is measured: every implementation of an algorithm, ours and others'.

In: the name of an algorithm and an implementation, and parameters. Out: a `Contestant` that can step, or the reason why
there is none. Gradients may be shared between contestants: few of them write to them, and what those write are usual
numbers.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import thetac
from benchmarks import by_hand
from benchmarks.shapes import Shape
from thetac.drivers import DRIVERS

OURS = ("ours for-loop", "ours foreach", "ours fused")
TORCH = ("torch for-loop", "torch foreach", "torch fused")
COMPILED = "torch compiled"
OTHERS = ("optimi", "pytorch_optimizer")
BY_HAND = "by hand"  # in torch's list operations, where torch has no such optimizer
AUTHORS = "its authors'"  # the package that the authors of an algorithm have published

# Where the classes of authors are, by their name and ours.
THEIR_PACKAGES: Mapping[str, str] = {
    "DAdaptAdam": "dadaptation",
    "DAdaptLion": "dadaptation",
    "DAdaptSGD": "dadaptation",
    "Prodigy": "prodigyopt",
    "ScheduleFreeAdamW": "schedulefree",
    "ScheduleFreeRAdam": "schedulefree",
    "ScheduleFreeSGD": "schedulefree",
}

# What makes an algorithm the usual one where its defaults do not.
ARGUMENTS: Mapping[str, Mapping[str, object]] = {
    "SGD": {"lr": 1e-3, "momentum": 0.9},
    "Signum": {"lr": 1e-3, "momentum": 0.9},
}

# Where another library calls the same algorithm by another name; None: its name is another algorithm's there.
THEIR_NAMES: Mapping[str, Mapping[str, str | None]] = {
    "torch": {"GradientDescent": "SGD", "TextbookAdagrad": "Adagrad", "TextbookRMSprop": "RMSprop"},
    "optimi": {"GradientDescent": "SGD"},
    "schedulefree": {f"ScheduleFree{name}": f"{name}ScheduleFree" for name in ("AdamW", "RAdam", "SGD")},
    "pytorch_optimizer": {"ASGD": None, "Adadelta": "AdaDelta", "Adamax": "AdaMax", "Signum": "SignSGD"},
}

# What another library has to be told to run the same algorithm, as fast as it can. By itself, optimi takes its for-loop
# for an `nn.Parameter`; its kernels need a GPU.
THEIR_ARGUMENTS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "optimi": {"": {"lr": 1e-3, "foreach": True}},
    "pytorch_optimizer": {"": {"lr": 1e-3}, "AdaBelief": {"rectify": True}},
}

_FLAGS: Mapping[str, Mapping[str, object]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}


def algorithms() -> list[str]:
    """Every optimizer of ours, in order of name."""
    names: list[str] = importlib.import_module("thetac").__all__
    return sorted(name for name in names if isinstance(getattr(thetac, name), type))


def takes_rows_alone(algorithm: str) -> bool:
    """Return whether it takes no dense gradients, so that only `cases.rows` can measure it."""
    return bool(getattr(thetac, algorithm).schema.dense_error)


def evaluates_again(algorithm: str) -> bool:
    """Return whether its steps evaluate or differentiate by themselves, so that gradients alone measure nothing."""
    drivers = {driver.path.partition(":")[0] for driver in DRIVERS.values()}
    return any(base.__module__ in drivers for base in getattr(thetac, algorithm).__mro__)


@dataclass(slots=True)
class Contestant:
    """One implementation, with parameters that have gradients."""

    label: str
    optimizer: torch.optim.Optimizer
    step: Callable[[], object]
    params: list[torch.nn.Parameter]


def share_state(one: Contestant, other: Contestant) -> None:
    """Give the first the state of the second where the two call it the same, if they have the same parameters.

    Then neither has the luckier place in memory, which can make a difference of a tenth for large tensors.
    """
    for param in one.params:
        mine, theirs = one.optimizer.state[param], other.optimizer.state[param]
        for key, value in mine.items():
            shared = theirs.get(key)
            if isinstance(shared, Tensor) and isinstance(value, Tensor) and shared.shape == value.shape == param.shape:
                mine[key] = shared


class UnavailableError(Exception):
    """Why there is no such contestant."""


def gradients(shapes: Sequence[Shape], magnitude: float = 0.1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.empty(shape).normal_(generator=generator).mul_(magnitude) for shape in shapes]


def parameters(grads: Sequence[Tensor]) -> list[torch.nn.Parameter]:
    """Of the same shapes, with these gradients."""
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.empty_like(grad).normal_(generator=generator)) for grad in grads]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    return params


def contestant(algorithm: str, label: str, params: list[torch.nn.Parameter]) -> Contestant:
    """Raises UnavailableError."""
    optimizer = optimizer_of(algorithm, label, params)
    if hasattr(optimizer, "train"):  # a rule with modes steps after this call
        optimizer.train()
    step: Callable[[], object] = optimizer.step
    if label == COMPILED:
        step = torch.compile(optimizer.step, fullgraph=False)
    return Contestant(label, optimizer, step, params)


def optimizer_of(algorithm: str, label: str, params: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Raises UnavailableError."""
    arguments = ARGUMENTS.get(algorithm, {})
    who, _, how = label.partition(" ")
    if who == "ours":
        return _made(getattr(thetac, algorithm), params, {**arguments, **_FLAGS[how]})
    if label == BY_HAND:
        written: Callable[..., torch.optim.Optimizer] | None = getattr(by_hand, algorithm, None)
        if written is None:
            raise UnavailableError("it is not written by hand")
        return _made(written, params, arguments)
    if label == AUTHORS:
        if algorithm not in THEIR_PACKAGES:
            raise UnavailableError("no package of its authors is measured")
        return _made(_class(THEIR_PACKAGES[algorithm], algorithm), params, arguments)
    theirs = _class(who, algorithm)
    if label == COMPILED:  # a float would be compiled anew whenever a scheduler changes it
        learning_rate = arguments.get("lr", inspect.signature(theirs).parameters["lr"].default)
        return _made(theirs, params, {**arguments, "lr": torch.tensor(learning_rate)})
    if who == "torch":
        return _made(theirs, params, {**arguments, **_FLAGS[how]})
    told = THEIR_ARGUMENTS[who]
    return _made(theirs, params, {**told[""], **arguments, **told.get(algorithm, {})})


def _class(library: str, algorithm: str) -> Callable[..., torch.optim.Optimizer]:
    """Another library's, if it is its own."""
    try:
        module = torch.optim if library == "torch" else importlib.import_module(library)
    except ImportError as error:
        raise UnavailableError(f"{library} is not installed") from error
    name = THEIR_NAMES.get(library, {}).get(algorithm, algorithm)
    made: Callable[..., torch.optim.Optimizer] | None = getattr(module, name, None) if name else None
    if made is None:
        raise UnavailableError(f"{library} does not have it")
    if library != "torch" and made.__module__.startswith("torch."):
        raise UnavailableError(f"{library} gives torch's")
    return made


def _made(
    made: Callable[..., torch.optim.Optimizer], params: list[torch.nn.Parameter], arguments: Mapping[str, object]
) -> torch.optim.Optimizer:
    taken = inspect.signature(made).parameters
    if arguments.get("fused") and "fused" not in taken:
        raise UnavailableError("it has no fused implementation")
    try:
        return made(params, **{key: value for key, value in arguments.items() if key in taken})
    except (RuntimeError, ValueError, TypeError) as error:
        raise UnavailableError(str(error)) from error
