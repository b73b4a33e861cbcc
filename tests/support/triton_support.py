"""Generated kernels, loaded from a temporary folder, with what a test needs to run and to compile them."""

from __future__ import annotations

import importlib.util
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

import torch
from torch import Tensor

import thetac as ours
from tests.references.rules import SPECS
from tests.support.generated_calls import call
from tests.support.views import sees_matrix, shape_of_state
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass
from thetac.codegen.ir.interpret import FLOATS, defaults
from thetac.codegen.ir.nodes import (
    Call,
    Const,
    Expr,
    If,
    Ref,
    Rule,
    State,
    StateKind,
    names_read,
    walk_statements,
)
from thetac.codegen.ir.totals import has_totals
from thetac.codegen.pipeline import Compiled, Source, compile_specs
from thetac.runtime import scalar_math
from thetac.runtime.implementations.barriers import run_alone
from thetac.runtime.implementations.launcher import LaunchedBucket
from thetac.runtime.implementations.tables import chunk_table
from thetac.runtime.implementations.triton_sequence import launches_of
from thetac.runtime.scalar_stages import LastStage
from thetac.shape_numbers import PARAM_FACTS, SHAPE_NUMBERS, VARIABLES, shape_numbers

Values = Mapping[str, float | bool]
Modules = Mapping[str, ModuleType]


@cache
def every_spec() -> Mapping[str, Compiled]:
    """Every spec of this checkout that has an update, and so kernels, compiled, by the name of its class."""
    paths = sorted(SPECS.rglob("*.yaml"))
    sources = [Source(path.relative_to(SPECS).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    return {one.class_name: one for one in compile_specs(sources) if "forloop.py" in one.files}


DECLARATIONS = {
    "lr": "{default: 0.1, range: '[0, inf)'}",
    "beta": "{default: 0.5, range: '[0, 1)', doc: decay}",
    "eps": "{default: 0}",
    "fancy": "{default: false, doc: fancy}",
    "elements": "{default: false, doc: elements}",
}
STATES = {"step": "counter", "rate": "{scalar: true, init: 1}", "seen": "{init: zeros}"}


def rule_of(update: str, name: str = "Made") -> Compiled:
    """A rule made for a test, with those of the hyperparameters and states that its update names."""
    words = set(re.findall(r"\w+", update))
    lines = [f"optimizer: {name}", "summary: Made for a test.", "references: [none]"]
    for title, known in (("hyperparameters:", DECLARATIONS), ("state:", STATES)):
        declared = [f"  {key}: {value}" for key, value in known.items() if key in words]
        lines += [title, *declared] if declared else []
    lines += ["update: |", *(f"  {line}" for line in update.strip().splitlines())]
    (result,) = compile_specs([Source("made.yaml", "\n".join(lines) + "\n")])
    return result


EVERYTHING = """
count = step
warm = count > 2
scale = where(warm, beta, 1 - beta)
size = lr
if warm:
  size = size * beta
  if fancy:
    size = size / 3
    param = param * (1 - 0.1 * size)
  mask = abs(grad) > 0.1 and not grad > 2 or grad < -3
  row = where(mask, minimum(grad, 0.1), lerp(grad, seen, 0.3))
  seen = 0.7 * seen + row
else:
  seen = 0 * seen
  rate = rate + 1
if count > 4:
  rate = rate / 2
else:
  offsets = clamp(grad, -0.1, 0.3) / 3
  seen = seen + offsets - where(warm, grad, param) * 1e-3
if fancy and elements:
  seen = seen + lr / (beta + 1)
tl_x = maximum(where(seen > 0, 1, 0), where(fancy, seen, grad))
param_ptr = 0.1 / (1 + sqrt(abs(tl_x)))
param = param - size * scale * rate * param_ptr * tl_x - -grad * 1e-3
"""


@cache
def everything() -> Compiled:
    """Branches in branches, constants of every kind, names that kernels have uses for."""
    return rule_of(EVERYTHING, "Everything")


@cache
def _folder() -> Path:
    return Path(mkdtemp(prefix="thetac-kernels-"))


def written(compiled: Compiled, name: str) -> Path:
    """One file of an optimizer's package, on disk: Triton reads the source of its kernels there."""
    path = _folder() / f"{compiled.module}_{name}"
    path.write_text(compiled.files[name], encoding="utf-8")
    return path


_loaded: dict[tuple[str, str], ModuleType] = {}


def module(compiled: Compiled, name: str) -> ModuleType:
    """One module of an optimizer's package, imported."""
    key = (compiled.module, compiled.files[name])
    if key not in _loaded:
        path = written(compiled, name)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        _loaded[key] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(_loaded[key])
    return _loaded[key]


def host_value(expression: Expr, values: Values) -> float | bool:
    """What a host expression over values of a group is."""
    match expression:
        case Const(value=value):
            return value
        case Ref(name=name):
            return name not in PARAM_FACTS.values() and values[name]  # a parameter is real and dense
        case Call(op="is_tensor"):
            return False
        case Call(op=op, args=args):
            return FLOATS.operations[op](*(host_value(argument, values) for argument in args))


def exists(state: State, values: Values) -> bool:
    return state.when is None or bool(host_value(state.when, values))


def specialised(fused: Fused, values: Values) -> dict[str, bool]:
    """The value of each specialisation in a group with these values."""
    return {s.name: bool(host_value(s.condition, values)) for s in fused.specialisations}


def resolved(fused: Fused, constants: Mapping[str, bool]) -> tuple[object, ...]:
    """Return what specialised kernels still do of each pass: statements on elements, dynamic branches as tuples."""
    return tuple(_resolved(one.body, constants) for one in fused.passes)


def resolved_program(one: Pass, constants: Mapping[str, bool]) -> tuple[object, ...]:
    """Return what the specialised tensor program of a pass still does."""
    return _resolved(one.before, constants)


def _resolved(body: tuple[ElementStmt, ...], constants: Mapping[str, bool]) -> tuple[object, ...]:
    left: list[object] = []
    for statement in body:
        match statement:
            case ElementAssign():
                left.append(statement)
            case ElementIf(static=True, condition=condition, then=then, orelse=orelse):
                left += _resolved(then if host_value(condition, constants) else orelse, constants)
            case ElementIf(condition=condition, then=then, orelse=orelse):
                left.append((condition, _resolved(then, constants), _resolved(orelse, constants)))
    return tuple(left)


def of_shape(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, float]:
    """Return the numbers of a parameter of this shape, by the names that generated code has for them."""
    found = shape_numbers(shape, torch.finfo(dtype).eps)
    return {SHAPE_NUMBERS[name].variable: number for name, number in found.items()}


VECTOR, MATRIX = (16384,), (128, 128)  # of as many elements


def shapes_of(compiled: Compiled) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of parameters on which a rule is tried."""
    return (VECTOR, MATRIX) if compiled.fused.has_axes else (VECTOR,)


def combinations(compiled: Compiled, shape: Sequence[int] = VECTOR) -> Iterator[dict[str, float | bool]]:
    """Values of a group for every kernel that a rule can come to: each branch on values taken and not taken.

    Combinations that leave the same statements are given once, those that the rule rejects not at all. Among the values
    are the numbers of a float32 parameter of this shape.
    """
    rule, fused = compiled.rule, compiled.fused
    of_param = of_shape(shape)
    usual = {**{name: 0.1 for h in rule.hyperparameters for name in h.value_names}, **defaults(rule)}
    chosen = dict.fromkeys(
        name
        for s in walk_statements(rule.body)
        if isinstance(s, If)
        for name in names_read(s.condition)
        if name in usual
    )
    choices = [_choices(name, usual[name]) for name in chosen]
    seen: set[object] = set()
    for choice in itertools.product(*choices):
        values = {**usual, **dict(zip(chosen, choice, strict=True)), **of_param}
        if not all(
            host_value(r.condition, {**values, "foreach": False, "capturable": False}) for r in rule.requirements
        ):
            continue
        tensors = {
            name: values[name] != 0
            for h in rule.hyperparameters
            if h.tensor
            for name in h.value_names
            if name in chosen
        }
        key = (resolved(fused, specialised(fused, values)), tuple(tensors.items()))
        if key not in seen:
            seen.add(key)
            yield values


def _choices(name: str, usual: float | bool) -> tuple[float | bool, ...]:
    if isinstance(usual, bool):
        return (False, True)
    if name == "clip_value":  # a smaller one clips all gradients, and one number in every element is no sample
        return (usual, 1.0)
    return (usual, 0.01) if usual == 0 else (usual, 0.0)


def described(rule: Rule, values: Values) -> str:
    """The values that differ from the defaults, for messages."""
    usual = defaults(rule)
    own = {name: value for name, value in values.items() if name not in VARIABLES}
    return ", ".join(f"{name}={value}" for name, value in own.items() if usual.get(name) != value) or "defaults"


@dataclass
class Training:
    """The tensors of one parameter, and how each implementation steps them."""

    compiled: Compiled
    values: Values
    param: Tensor
    states: dict[str, Tensor]  # those that exist
    created: bool = True  # no step has been done yet
    shared: dict[str, float] = field(default_factory=dict)  # the numbers that parameters share: this one is alone

    @classmethod
    def start(cls, compiled: Compiled, values: Values, param: Tensor) -> Training:
        values = {**values, **of_shape(param.shape, param.dtype)}
        states: dict[str, Tensor] = {}
        for state in compiled.rule.states:
            if not exists(state, values):
                continue
            if state.init == Ref("param"):
                states[state.name] = param.clone()
                continue
            value = float(host_value(state.init, values))
            if state.kind is StateKind.TENSOR:
                shape = shape_of_state(state, tuple(param.shape))
                states[state.name] = torch.full(shape, value, dtype=param.dtype)
            else:
                states[state.name] = torch.tensor(value, dtype=torch.float64 if state.float64 else torch.float32)
        shared = {one.name: float(host_value(one.init, values)) for one in compiled.rule.shared}
        return cls(compiled, values, param.clone(), states, shared=shared)

    def step_for_loop(self, grad: Tensor) -> None:
        from thetac.codegen.backends.printing.arguments import asks_first, list_names

        lists = list_names(self.compiled.rule)
        states = {lists[s.name]: [self.states.get(s.name)] for s in self.compiled.rule.states}
        firsts = {f"first_{name}": [self.created] for name in asks_first(self.compiled.rule)}
        lists_of_numbers = {one.listed: [self.values[one.variable]] for one in SHAPE_NUMBERS.values()}
        arguments = {**states, **firsts, **lists_of_numbers, **self.values, **self.shared}
        rest = call(module(self.compiled, "forloop.py").step, [self.param], [grad], **arguments)
        if rest is not None:
            self.shared = dict(run_alone(rest))
        self.created = False

    def step_for_loop_in_float32(self, grad: Tensor) -> None:
        """Step a parameter of 16 bits with the for-loop's operations in float32, and round what it stores."""
        stored = {"param": self.param, **self.states}
        wider = {name: one.float() if one.dtype is self.param.dtype else one for name, one in stored.items()}
        wide = Training(self.compiled, self.values, wider.pop("param"), wider, self.created, self.shared)
        wide.step_for_loop(grad.float())
        for name, value in {"param": wide.param, **wide.states}.items():
            stored[name].copy_(value)
        self.created, self.shared = False, wide.shared

    def row(self) -> tuple[Sequence[float], Sequence[float]]:
        """The numbers that a kernel reads in the next step, and the scalar states after it. Counts the step."""
        row, states = self.scalars()
        assert len(row) == len(module(self.compiled, "scalars.py").ROW)
        return row, states

    def scalars(self) -> Any:
        """What the scalar program returns for the next step: a generator where there are totals. Counts the step."""
        rule = self.compiled.rule
        arguments: dict[str, object] = {**self.values, **self.shared}
        for state in rule.states:
            if state.kind is StateKind.COUNTER:
                self.states[state.name] += 1
            if state.kind not in (StateKind.TENSOR, StateKind.NUMBER):
                there = self.states.get(state.name)  # where a group does not have a state, its value is not read
                arguments[state.name] = 0.0 if there is None else there.item()
        arguments |= {name: self.created for name in self.compiled.fused.inputs if name not in arguments}
        if self.compiled.fused.scalars:
            arguments["round_to"] = lambda number: torch.tensor(number, dtype=torch.float32).item()
        self.created = False
        return call(module(self.compiled, "scalars.py").scalars, **arguments)

    def step_triton(self, grad: Tensor, **constants: int) -> None:
        step_together([self], [grad], partial(launch, self.compiled, self.values, **constants))

    def store(self, scalar_states: Sequence[float]) -> None:
        """Write the new values of the scalar states that exist."""
        for name, value in zip(self.compiled.fused.scalars, scalar_states, strict=True):
            if name in self.states:
                self.states[name].fill_(value)


Member = tuple[Tensor, Tensor, Mapping[str, Tensor]]  # a parameter, its gradient and states
# At a barrier: given what each parameter adds to each total, it returns the rows for later passes.
Advance = Callable[[list[list[float]]], Sequence[Sequence[float]]]


class Launched(Protocol):
    def __call__(
        self, members: Sequence[Member], rows: Sequence[Sequence[float]], *, advance: Advance | None = None
    ) -> None: ...


def step_together(members: Sequence[Training], grads: Sequence[Tensor], launched: Launched) -> None:
    """Step parameters of one group, which have the same values; where the rule has totals, over all of them."""
    compiled = members[0].compiled
    tensors = [(member.param, grad, member.states) for member, grad in zip(members, grads, strict=True)]
    if not has_totals(compiled.rule):
        found = [member.row() for member in members]
        launched(tensors, [row for row, _ in found])
        for member, (_, states) in zip(members, found, strict=True):
            member.store(states)
        return
    programs = [member.scalars() for member in members]
    rows = [[0.0] * len(compiled.fused.row) for _ in members]
    ends: list[LastStage] = []
    known = 0

    def go_on(terms: list[list[float]] | None) -> Sequence[Sequence[float]]:
        nonlocal known
        gained: Sequence[float] = ()
        for program, row in zip(programs, rows, strict=True):
            try:
                gained = next(program) if terms is None else program.send(list(map(scalar_math.total, terms)))
            except StopIteration as end:
                ends.append(end.value)
                gained = end.value.row
            row[known : known + len(gained)] = gained
        known += len(gained)
        return rows

    launched(tensors, go_on(None), advance=go_on)
    assert known == len(compiled.fused.row)
    for member, end in zip(members, ends, strict=True):
        member.store(end.states)
        member.shared = dict(end.shared)


def launch(
    compiled: Compiled,
    values: Values,
    members: Sequence[Member],
    rows: Sequence[Sequence[float]],
    *,
    advance: Advance | None = None,
    **constants: int,
) -> None:
    """The launches of one step over parameters of one dtype, each with its own row."""
    kernels = module(compiled, "triton_kernels.py")
    of_matrix = sees_matrix(compiled.rule)
    launch_kernels(
        kernels,
        specialised(compiled.fused, values),
        [
            {"param": param.flatten(1) if of_matrix and param.dim() > 2 else param, "grad": grad, **states}
            for param, grad, states in members
        ],
        rows,
        barriers=[total.passes for total in compiled.fused.totals],
        advance=advance,
        **constants,
    )


def launch_kernels(
    kernels: Any,
    specialisations: Mapping[str, bool],
    members: Sequence[Mapping[str, Tensor]],
    rows: Sequence[Sequence[float]],
    scaling: Mapping[str, Tensor] = {},
    barriers: Sequence[int] = (),
    advance: Advance | None = None,
    **constants: int,
) -> int:
    """The launches of one step of a generated module; returns their number.

    Args:
        kernels: the module.
        specialisations: their values.
        members: the tensors of each parameter by name, states that exist included.
        rows: the scalar row of each parameter.
        scaling: numbers by which gradients are scaled.
        barriers: for each total how many passes come before it.
        advance: what gives the rows of later passes.
        constants: of kernels over chunks, `chunk_size` and `threads`, in place of the module's.
    """
    names = (*kernels.STREAMS, *getattr(kernels, "SMALL", ()))
    tables: list[list[int]] = []
    for index, member in enumerate(members):
        addresses = [member[name].data_ptr() if name in member else 0 for name in names]
        aligned = all(address % 16 == 0 for address in addresses[: len(kernels.STREAMS)])
        tables.append([member["param"].numel(), index, aligned, *addresses])
    first, chunk = members[0], constants.get("chunk_size", kernels.CHUNK)
    bucket = LaunchedBucket(
        schema=ours.AdamW.schema,  # launches do not depend on it
        device=torch.device("cpu"),
        dtypes={name: first.get(name, first["param"]).dtype for name in names},
        specialisations=specialisations,
        sizes=[member["param"].numel() for member in members],
        shapes=[member["param"].shape for member in members],
    )
    numbers = torch.tensor(rows, dtype=torch.float64 if first["param"].dtype is torch.float64 else torch.float32)
    none: dict[str, Tensor | None] = {"grad_scale": None, "clip_factor": None, "found_inf": None}
    launches = launches_of(
        SimpleNamespace(**{**vars(kernels), "CHUNK": chunk}), bucket, chunk_table(bucket.sizes, chunk)
    )
    begin = 0
    for end in (*sorted(set(barriers)), None):
        for one in launches.of((begin, end)):
            own = {name: value for name, value in constants.items() if name in one.kernel.arg_names}
            replace(one, constants={**one.constants, **own}).start(torch.tensor(tables), numbers, {**none, **scaling})
        if end is not None:
            assert advance is not None
            known = [of.tolist() for of, passes in zip(launches.terms, barriers, strict=True) if passes == end]
            numbers.copy_(torch.tensor(advance(known), dtype=numbers.dtype))
            begin = end
    return len(launches.launches)
