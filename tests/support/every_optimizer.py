"""What tests that run over optimizers share: which ones, torch's classes as controls, and errors side by side.

What depends on an algorithm is tested with `every_optimizer`. What depends on its schema alone is tested with
`every_class`: a few that represent all classes of schemas (`schema_classes`), and all optimizers under `pytest --all`.
Representatives then try all cases of a test, the others a few each that together are all of them (`spread`).
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from typing import TypeVar

import pytest
import torch

import thetac
from tests.support.schema_classes import representatives
from tests.support.shaped_rules import RULES, shaped
from thetac.runtime.drivers.minimize import Minimize
from thetac.runtime.optimizer import Optimizer

ALL = "THETAC_TEST_ALL"  # set to 1 by `pytest --all`, before any test is collected
# Their step is a whole minimization of one group, needs a closure, and has no kernels: none of what these tests ask of
# gradients, groups and options has a meaning. tests/runtime/drivers/test_minimize.py asks what does.
MINIMIZERS = tuple(name for name in thetac.generated.__all__ if issubclass(getattr(thetac, name), Minimize))
NAMES = tuple(name for name in thetac.generated.__all__ if name not in MINIMIZERS)
REPRESENTATIVES = representatives([getattr(thetac, name).schema for name in NAMES])
Case = TypeVar("Case")
every_optimizer = pytest.mark.parametrize("name", NAMES)


def everything() -> bool:
    """Return whether `pytest --all` asked for every optimizer and every case."""
    return os.environ.get(ALL) == "1"


def one_in(number: int, cases: Iterable[Case]) -> list[Case]:
    """Return every so many-th case, the first one among them, or all of them under `pytest --all`."""
    return list(cases)[:: 1 if everything() else number]


def examples(number: int) -> int:
    """Return how many random cases a test tries: a third of them, or all of them under `pytest --all`."""
    return number if everything() else number // 3


def of_every_class(names: Iterable[str] = NAMES) -> tuple[str, ...]:
    """Return those of the names that are representatives, or all of them under `pytest --all`."""
    return tuple(name for name in names if everything() or name in REPRESENTATIVES)


SHARE = 8  # of the cases of a test, an optimizer that is no representative tries every so many-th
Test = TypeVar("Test", bound=Callable[..., object])


def every_class(test: Test) -> Test:
    """Run a test for an optimizer of every class, and for all under `pytest --all`; `name` is its argument."""
    return pytest.mark.by_schema(pytest.mark.parametrize("name", of_every_class())(test))


def spread(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests without those that differ from others in what an optimizer's class decides alone.

    Each optimizer stays in each test, each case stays for some optimizer, and each pair of both for representatives.
    """
    kept: list[pytest.Item] = []
    seen: Counter[tuple[str, str]] = Counter()
    cases = Counter(key for item in items if (key := _test_and_optimizer(item)))
    for item in items:
        key = _test_and_optimizer(item)
        if key is None:
            kept.append(item)
            continue
        share = min(SHARE, cases[key])
        if seen[key] % share == NAMES.index(key[1]) % share:
            kept.append(item)
        seen[key] += 1
    return kept


def _test_and_optimizer(item: pytest.Item) -> tuple[str, str] | None:
    """Return which test it is of which optimizer, if the optimizer represents no class and only its schema matters."""
    name = item.callspec.params.get("name") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    if name not in NAMES or name in REPRESENTATIVES or not item.get_closest_marker("by_schema"):
        return None
    return item.nodeid.partition("[")[0], name


def ours(name: str) -> type[Optimizer]:
    cls = getattr(thetac, name)
    assert issubclass(cls, Optimizer)
    return cls


@cache
def torchs(name: str) -> type[torch.optim.Optimizer] | None:
    """torch's class of that name, if it has one; where it is a for-loop alone, one that takes `foreach=False`, too."""
    cls = getattr(torch.optim, name, None)
    assert cls is None or issubclass(cls, torch.optim.Optimizer)
    return cls if cls is None or "foreach" in inspect.signature(cls).parameters else _for_loop_of(cls)


def _for_loop_of(cls: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    @wraps(cls.__init__)
    def init(self: torch.optim.Optimizer, *args: object, foreach: bool | None = None, **keywords: object) -> None:
        if foreach:
            raise TypeError(f"{cls.__name__} has no foreach")
        cls.__init__(self, *args, **keywords)  # type: ignore[arg-type]

    def reduce(self: torch.optim.Optimizer, protocol: int) -> tuple[object, ...]:
        return (_new_for_loop, (cls.__name__,), self.__getstate__())

    return type(cls.__name__, (cls,), {"__init__": init, "__reduce_ex__": reduce, "__module__": cls.__module__})


def _new_for_loop(name: str) -> torch.optim.Optimizer:
    """An instance of torch's class as `torchs` has it, for pickle to fill: the class is in no module."""
    cls = torchs(name)
    assert cls is not None
    made: torch.optim.Optimizer = cls.__new__(cls)
    return made


def class_of(name: str) -> type[torch.optim.Optimizer]:
    """Ours, a rule of `shaped_rules`, or torch's own as `torch.AdamW`: a control of what is tested."""
    if name in RULES:
        return shaped(name)
    cls = torchs(name.removeprefix("torch.")) if name.startswith("torch.") else ours(name)
    assert cls is not None
    return cls


def both(name: str) -> tuple[type[torch.optim.Optimizer], ...]:
    """Ours, and torch's as a control where there is one: whatever is asked of ours must hold of torch's too."""
    control = torchs(name)
    return (ours(name),) if control is None else (ours(name), control)


def error_of(call: Callable[[], object]) -> tuple[type[BaseException], str]:
    """Type and text of what a call raises; a warning that torch gives counts as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(Exception) as raised:  # noqa: PT011  # callers compare the text with torch's
            call()
    return type(raised.value), str(raised.value)


def without_params(group: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in group.items() if key != "params"}


def remembering(name: str) -> dict[str, float]:
    """Arguments under which an optimizer keeps all it can keep: without momentum some remember nothing."""
    momentum = {"momentum": 0.9} if "momentum" in {h.name for h in ours(name).schema.hyperparameters} else {}
    return {**momentum, **moving(name)}


def moving(name: str) -> dict[str, float]:
    """Arguments under which an optimizer moves parameters from its first step on: some only look at gradients first."""
    return {"silent_sgd_phase": False} if "silent_sgd_phase" in ours(name).schema.flags else {}


def runs_kernels(name: str, options: Mapping[str, object]) -> bool:
    """Whether a step with these options runs in kernels where a graph, or the device, has all numbers of it.

    Those of a rule that sums over all parameters wait for the host.
    """
    return bool(options.get("fused") or not options) and not ours(name).schema.waits
