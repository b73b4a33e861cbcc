"""What must hold of any spec: its author gets a SpecError with places, or an optimizer whose implementations agree."""

from __future__ import annotations

import contextlib
import math
import random
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from types import FrameType

import torch
from torch import Tensor

from tests.support.accuracy import complaints, distance_of_most
from tests.support.cpp_support import CppTraining, Options
from tests.support.generated_calls import call
from tests.support.mutants import Mutant
from tests.support.triton_support import (
    VECTOR,
    Training,
    Values,
    described,
    exists,
    host_value,
    module,
    of_shape,
)
from thetac.codegen.backends.printing.arguments import asks_first, list_names
from thetac.codegen.cli.library import our_specs
from thetac.codegen.errors import SpecError
from thetac.codegen.ir.interpret import defaults
from thetac.codegen.ir.nodes import If, Ref, Rule, names_read, walk_statements
from thetac.codegen.passes.analysis.kinds import infer
from thetac.codegen.pipeline import Compiled, Source, compile_specs
from thetac.options import OPTIONS
from thetac.shape_numbers import SHAPE_NUMBERS, VARIABLES

PATH = "mutant.yaml"
LONGEST = 5.0  # seconds of the processor, from a text to the texts of all implementations
STEPS = 3
SHARES = (0.5, 0.9, 0.98)  # of the elements
Shapes = tuple[tuple[int, ...], ...]
SHAPES: Shapes = ((7,), (3, 5), (1,), (33,))


def compiled_or_refused(mutant: Mutant) -> Compiled | None:
    """The optimizer, or None if it was refused as it should be."""
    refusal: SpecError | None = None
    started = time.process_time()
    try:
        with _limited(LONGEST):
            (compiled,) = compile_specs([Source(PATH, mutant.text)], _ours)
    except SpecError as error:
        refusal = error
    assert time.process_time() - started < LONGEST
    if refusal is not None:
        _check_refusal(refusal, mutant)
        return None
    for name, text in compiled.files.items():
        if name.endswith(".py"):
            compile(text, name, "exec")
    return compiled


def _check_refusal(refusal: SpecError, mutant: Mutant) -> None:
    assert refusal.diagnostics, "a refusal says why"
    for diagnostic in refusal.diagnostics:
        assert diagnostic.location.path == PATH, f"a mistake is where it was made: {diagnostic}"
        assert 1 <= diagnostic.location.line <= mutant.text.count("\n") + 1, diagnostic
        assert diagnostic.cause, "a mistake has a cause"
    assert all(line.isprintable() for line in str(refusal).split("\n")), "a message must not control a terminal"


@cache
def _ours() -> Sequence[Source]:
    return our_specs()


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Ends what takes longer, in time of the processor, of which a busy machine takes nothing away."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {seconds} s of the processor")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def choices(rule: Rule, seed: int, dtype: torch.dtype, shape: tuple[int, ...]) -> list[dict[str, float | bool]]:
    """Values of a group that the rule accepts for a shape: the usual ones, and with some of the flags turned.

    Without those from which a state would start beyond the dtype, which torch refuses. The numbers of the shape are
    among them.
    """
    draw = random.Random(seed)
    usual = {**{name: 0.1 for h in rule.hyperparameters for name in h.value_names}, **defaults(rule)}
    usual |= of_shape(shape, dtype)
    flags = [name for name, value in usual.items() if isinstance(value, bool)]
    turned = {name: not usual[name] for name in flags if draw.random() < 0.5}
    decayed = {"weight_decay": 0.01} if usual.get("weight_decay") == 0 else {}
    return [
        values
        for values in ({**usual, "maximize": False}, {**usual, **decayed, **turned})
        if all(host_value(r.condition, {**dict.fromkeys(OPTIONS, False), **values}) for r in rule.requirements)
        and all(
            _fits(host_value(s.init, values), dtype)
            for s in rule.states
            if s.init != Ref("param") and exists(s, values)
        )
    ]


def _fits(value: float, dtype: torch.dtype) -> bool:
    return abs(value) <= torch.finfo(dtype).max or not math.isfinite(value)


class _Lists:
    """Several parameters of one rule, stepped together by one of its implementations on lists."""

    def __init__(self, compiled: Compiled, values: Values, dtype: torch.dtype, shapes: Shapes) -> None:
        generator = torch.Generator().manual_seed(1)
        self.members = [
            Training.start(compiled, values, torch.randn(shape, generator=generator).to(dtype)) for shape in shapes
        ]
        self.compiled = compiled
        self.values = values
        self.created = True

    def step(self, file: str, grads: list[Tensor]) -> None:
        one_first = file == "foreach.py"
        names = list_names(self.compiled.rule)
        states: dict[str, list[Tensor | None]] = {}
        for state in self.compiled.rule.states:
            there = exists(state, self.values)
            absent: list[Tensor | None] = [] if one_first else [None] * len(self.members)
            states[names[state.name]] = [member.states[state.name] for member in self.members] if there else absent
        firsts: dict[str, bool | list[bool]] = {
            f"first_{name}": self.created if one_first else [self.created] * len(self.members)
            for name in asks_first(self.compiled.rule)
        }
        params = [member.param for member in self.members]
        of_shapes = {one.listed: [self.values[one.variable]] * len(params) for one in SHAPE_NUMBERS.values()}
        call(module(self.compiled, file).step, params, grads, **states, **firsts, **of_shapes, **self.values)
        self.created = False

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        for index, member in enumerate(self.members):
            yield f"param {index}", member.param
            yield from ((f"{name} {index}", state) for name, state in member.states.items())


def foreach_unlike_for_loop(compiled: Compiled, seed: int) -> list[str]:
    """Where foreach leaves other bits than the for-loop; which NaN, and its sign, is nobody's promise."""
    dtype = random.Random(seed).choice((torch.float32, torch.float32, torch.float64, torch.bfloat16))
    found: list[str] = []
    for shapes in _together(compiled.rule):
        for values in choices(compiled.rule, seed, dtype, shapes[0]):
            found += _unlike(compiled, values, dtype, shapes)
    return found


def _together(rule: Rule) -> tuple[Shapes, ...]:
    """The shapes of parameters that are stepped together: of one shape, where the rule asks for it."""
    conditions = [s.condition if isinstance(s, If) else s.value for s in walk_statements(rule.body)]
    conditions += [one.condition for one in rule.requirements]
    conditions += [state.when for state in rule.states if state.when is not None]
    asks = any(name in VARIABLES for condition in conditions for name in names_read(condition))
    return tuple((shape, shape) for shape in SHAPES) if asks else (SHAPES,)


def _unlike(compiled: Compiled, values: Values, dtype: torch.dtype, shapes: Shapes) -> list[str]:
    found: list[str] = []
    where = f"{dtype}, {shapes} ({described(compiled.rule, values)})"
    both = {file: _Lists(compiled, values, dtype, shapes) for file in ("forloop.py", "foreach.py")}
    generator = torch.Generator().manual_seed(2)
    for _ in range(STEPS):
        grads = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
        raised = {file: _raised(lists, file, grads) for file, lists in both.items()}
        if raised["forloop.py"] != raised["foreach.py"]:
            found.append(f"{where}: the for-loop gives {raised['forloop.py']}, foreach {raised['foreach.py']}")
        if any(raised.values()):
            break
    else:
        pairs = zip(both["forloop.py"].tensors(), both["foreach.py"].tensors(), strict=True)
        found += [f"{where}: {name} differs" for (name, one), (_, other) in pairs if not _same_bits(one, other)]
    return found


def _raised(lists: _Lists, file: str, grads: list[Tensor]) -> str:
    """The kind of error of a step; empty if there is none."""
    try:
        lists.step(file, [grad.clone() for grad in grads])
    except (RuntimeError, OverflowError, ValueError, TypeError) as error:
        return type(error).__name__
    return ""


def _same_bits(one: Tensor, other: Tensor) -> bool:
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[one.element_size()]
    bits, others = (torch.where(t.isnan(), torch.zeros_like(t), t).view(whole) for t in (one, other))
    return torch.equal(bits, others) and torch.equal(one.isnan(), other.isnan())


def cpp_farther_than_for_loop(compiled: Compiled, seed: int) -> list[str]:
    """Where the C++ kernel is farther from the definition of the spec than the for-loop is, in float32.

    By the bound for rules that somebody wrote; where that does not hold, by the same bound for most of the elements,
    and for states as for parameters with half a unit more: torch saves that where it fuses a product with a sum.
    """
    lr = infer(compiled.rule).get("lr")
    if lr is None or not lr.is_host_number:
        return []

    def step(kernel: Training, grad: Tensor) -> None:
        assert isinstance(kernel, CppTraining)
        kernel.step_cpp(grad, Options(optimised=False))

    found: list[str] = []
    for values in choices(compiled.rule, seed, torch.float32, VECTOR):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of NumPy: overflow, as it happens to mutants
            if not complaints(compiled, values, torch.float32, step, CppTraining.start):
                continue
            for share in SHARES:
                found += complaints(
                    compiled,
                    values,
                    torch.float32,
                    step,
                    CppTraining.start,
                    measure=distance_of_most(share),
                    slack_of_states=0.5,
                )
    return found
