"""One function per kind of case: it measures, and gives a dictionary for a JSON file.

In: an algorithm, shapes by name, labels of contestants, seconds. Out: numbers, and for every contestant that is not
there the reason.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

import thetac
from benchmarks import costs
from benchmarks.contestants import (
    COMPILED,
    OURS,
    TORCH,
    Contestant,
    UnavailableError,
    contestant,
    gradients,
    parameters,
    share_state,
)
from benchmarks.floor import floor, passes_of
from benchmarks.shapes import ALL, size
from benchmarks.timing import Rounds, Timed, take_turns
from benchmarks.training import train

FLOOR = "floor"
TINY_GRADIENT = 1e-20  # its square is no normal float32
USED = 4  # a parameter, and a few states: what a contestant takes, as multiples of the gradients
SHARED = 1 << 22  # elements
EMBEDDING, TOUCHED = (100_000, 64), 4096  # rows and columns; rows that a gradient stores
TAKEN = 0.9  # of the free memory


def steady(
    algorithm: str, shapes: str, labels: Sequence[str], budget: float, *, fresh: bool = False
) -> dict[str, object]:
    """A loop of steps; `fresh`: before each, `zero_grad(set_to_none=True)` and gradients at other addresses.

    Neither of the two is timed.
    """
    found: list[Contestant] = []
    missing: dict[str, str] = {}
    if (1 + fresh + USED) * 4 * size(ALL[shapes]) > _free():
        missing = dict.fromkeys(labels, "not enough memory")
    else:
        grads = gradients(ALL[shapes])
        other = [grad.clone() for grad in grads] if fresh else grads
        for label in labels:
            try:
                found.append(_stepping(algorithm, label, grads, found))
            except UnavailableError as error:
                missing[label] = str(error)
    functions = {one.label: Timed(one.step, _renewal(one, (other, grads)) if fresh else None) for one in found}
    moved = 0
    for one in found:
        if one.label == "ours fused" and not fresh:
            move, moved = floor(one.optimizer, one.params)
            functions[FLOOR] = Timed(move)
    rounds = take_turns(functions, budget) if functions else Rounds({})
    return {
        "kind": "fresh" if fresh else "steady",
        "algorithm": algorithm,
        "shapes": shapes,
        "elements": size(ALL[shapes]),
        "tensors": len(ALL[shapes]),
        "passes": passes_of(algorithm),
        "bytes": moved,
        "rounds": len(next(iter(rounds.seconds.values()), ())),
        "times": {label: asdict(rounds.time(label)) for label in functions},
        "ratios": _ratios(rounds),
        "missing": missing,
    }


def compiled(algorithm: str, shapes: str, labels: Sequence[str], budget: float, caches: Path) -> dict[str, object]:
    """As `steady`; what torch.compile has built for a first step of this algorithm is not built again."""
    folder = _cache(caches, algorithm, len(ALL[shapes])) / "inductor"
    with mock.patch.dict(os.environ, {"TORCHINDUCTOR_CACHE_DIR": str(folder)}):
        case = steady(algorithm, shapes, labels, budget)
    torch.compiler.reset()
    return {**case, "kind": "compiled"}


def memory(algorithm: str) -> dict[str, object]:
    shapes = ALL["500 x 1,000"]
    used: dict[str, dict[str, int]] = {}
    for label in (*OURS, *TORCH):
        with contextlib.suppress(UnavailableError):
            used[label] = dict(zip(("step", "kept"), costs.memory(algorithm, label, shapes), strict=True))
    return {
        "kind": "memory",
        "algorithm": algorithm,
        "elements": size(shapes),
        "tensors": len(shapes),
        "passes": passes_of(algorithm),
        "bytes": used,
    }


def training(algorithm: str, budget: float) -> dict[str, object]:
    rounds = train(algorithm, ("ours foreach", "ours fused", *TORCH[1:]), budget)
    return {
        "kind": "training",
        "algorithm": algorithm,
        "times": {label: asdict(rounds.time(label)) for label in rounds.seconds},
        "ratios": _ratios(rounds),
    }


def denormal(algorithm: str, budget: float) -> dict[str, object]:
    """Steps on gradients whose squares are denormal, over steps on usual ones."""
    functions: dict[str, Timed] = {}
    for kind, magnitude in (("usual", 0.1), ("tiny", TINY_GRADIENT)):
        grads = gradients(ALL["160 ResNet-like"], magnitude)
        for label in ("ours fused", "torch fused"):
            with contextlib.suppress(UnavailableError):
                functions[f"{label}, {kind}"] = Timed(_stepping(algorithm, label, grads).step)
    for _ in range(20):  # until second moments are what these gradients make of them
        for function in functions.values():
            function.call()
    rounds = take_turns(functions, budget)
    return {
        "kind": "denormal",
        "algorithm": algorithm,
        "ratios": {
            label: asdict(rounds.ratio(f"{label}, tiny", f"{label}, usual"))
            for label in ("ours fused", "torch fused")
            if f"{label}, tiny" in functions
        },
    }


def python(algorithm: str) -> dict[str, object]:
    """Seconds of a fused step without its kernel: on the same gradients every time, and on fresh ones."""
    shapes = ALL["500 x 1,000"]
    grads = gradients(shapes)
    other = [grad.clone() for grad in grads]
    one = contestant(algorithm, "ours fused", parameters(grads))
    seconds = costs.python_time(Timed(one.step))
    fresh = costs.python_time(Timed(one.step, _renewal(one, (other, grads))))
    return {
        "kind": "python",
        "algorithm": algorithm,
        "tensors": len(shapes),
        "seconds": seconds,
        "seconds, fresh gradients": fresh,
    }


def rows(
    algorithm: str,
    budget: float,
    *,
    coalesced: bool,
    table: tuple[int, int] = EMBEDDING,
    touched: int = TOUCHED,
) -> dict[str, object]:
    """Steps of an embedding on other rows each time; the same gradients for ours and torch's.

    About 160 MB: two tables with two states each, and a few gradients.
    """
    generator = torch.Generator().manual_seed(1)
    grads = [_sparse_gradient(table, touched, generator) for _ in range(5)]
    grads = [grad.coalesce() for grad in grads] if coalesced else grads
    functions: dict[str, Timed] = {}
    for label, library in (("ours fused", thetac), ("torch for-loop", torch.optim)):
        param = torch.zeros(table)
        optimizer = getattr(library, algorithm)([param], lr=1e-3)
        functions[label] = Timed(optimizer.step, _next_gradient(param, grads))
    rounds = take_turns(functions, budget)
    return {
        "kind": "rows",
        "algorithm": algorithm,
        "shapes": "coalesced" if coalesced else "as backward gives them",
        "times": {label: asdict(rounds.time(label)) for label in functions},
        "ratios": _ratios(rounds),
    }


def _sparse_gradient(table: tuple[int, int], touched: int, generator: torch.Generator) -> Tensor:
    """The gradient of an embedding by a batch of tokens, some of which occur twice."""
    tokens = torch.randint(0, table[0], (1, touched), generator=generator)
    values = torch.randn(touched, table[1], generator=generator)
    return torch.sparse_coo_tensor(tokens, values, table, check_invariants=True)


def _next_gradient(param: Tensor, grads: Sequence[Tensor]) -> Callable[[], None]:
    """Gives the parameter one gradient after the other."""
    in_turn = itertools.cycle(grads)

    def give() -> None:
        param.grad = next(in_turn)

    return give


def cold(algorithm: str, tensors: int, caches: Path) -> dict[str, object]:
    """The first step of a new process."""
    folder = _cache(caches, algorithm, tensors)
    runs = {
        "ours fused, nothing built": "ours fused",
        "ours fused, built before": "ours fused",
        "torch fused": "torch fused",
        COMPILED: COMPILED,
    }
    seconds: dict[str, float] = {}
    missing: dict[str, str] = {}
    for title, label in runs.items():
        try:
            seconds[title] = costs.cold_start(algorithm, label, tensors, folder)
        except costs.FailedError as error:
            missing[title] = str(error)
    return {"kind": "cold", "algorithm": algorithm, "tensors": tensors, "seconds": seconds, "missing": missing}


def _cache(caches: Path, algorithm: str, tensors: int) -> Path:
    return caches / f"{algorithm}-{tensors}"


def _stepping(algorithm: str, label: str, grads: Sequence[Tensor], others: Sequence[Contestant] = ()) -> Contestant:
    """One that has made its first step. Raises UnavailableError.

    Beyond the size of caches it shares parameters and state with the others.
    """
    size = sum(grad.numel() for grad in grads)
    if USED * 4 * size > _free():
        raise UnavailableError("not enough memory beside the others")
    shared = others[0] if others and size >= SHARED else None
    one = contestant(algorithm, label, shared.params if shared else parameters(grads))
    try:
        one.step()
        if shared:
            share_state(one, shared)
            one.step()
    except Exception as error:  # a mistake of any library is a result, too
        raise UnavailableError(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}") from error
    return one


def _renewal(one: Contestant, sets: Sequence[Sequence[Tensor]]) -> Callable[[], None]:
    """What comes between two steps in a training loop."""
    gradients_in_turn: Iterator[Sequence[Tensor]] = itertools.cycle(sets)

    def renew() -> None:
        one.optimizer.zero_grad(set_to_none=True)
        for param, grad in zip(one.params, next(gradients_in_turn), strict=True):
            param.grad = grad

    return renew


def _ratios(rounds: Rounds) -> Mapping[str, dict[str, float]]:
    """Of everyone's time to that of our fused one, and of torch's to ours of the same kind."""
    labels = rounds.seconds
    pairs = [(label, "ours fused") for label in labels if label != "ours fused"]
    pairs += [(f"torch {how}", f"ours {how}") for how in ("for-loop", "foreach")]
    return {
        f"{slow} / {fast}": asdict(rounds.ratio(slow, fast))
        for slow, fast in pairs
        if slow in labels and fast in labels
    }


def _free() -> int:
    """Bytes of memory that may be taken."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(TAKEN * 1024 * int(line.split()[1]))
    return 8 << 30
