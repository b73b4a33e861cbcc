"""The intermediate representation: what a spec says, as frozen values.

Nodes hold tuples, never lists, and the location in the spec that they come from, which does not count for equality.
Expressions keep the order and the parentheses of the spec: the order of evaluation is part of the meaning. Nothing here
knows files, passes or targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from thetac.codegen.errors import NOWHERE, Location
from thetac.codegen.ir.value_kinds import EVERY_ELEMENT, HOST_NUMBER, TENSOR_NUMBER, Dims, Kind, Place


@dataclass(frozen=True, slots=True)
class Const:
    """A number or a truth value, as written."""

    value: float | int | bool
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Ref:
    """The latest value of a name: a hyperparameter or its element, a flag, a state, `param`, `grad` or a local."""

    name: str
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An op of the registry (`ir/ops.py`) applied to arguments; `a + b` is `Call("add", (a, b))`."""

    op: str
    args: tuple[Expr, ...]
    location: Location = field(default=NOWHERE, compare=False, repr=False)


Expr = Const | Ref | Call


@dataclass(frozen=True, slots=True)
class Assign:
    """`target = value`: from here on the name means this value. The compiler decides how it is stored."""

    target: str
    value: Expr
    comment: str = ""  # the spec's comment on that line, without the hash
    location: Location = field(default=NOWHERE, compare=False, repr=False)  # of the target
    origin: str = ""  # the pass that invented the statement ("weight decay"), empty for the spec's own


@dataclass(frozen=True, slots=True)
class If:
    """A branch on a truth value of the host. Elements are chosen by the operation `where`."""

    condition: Expr
    then: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...] = ()
    comment: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    origin: str = ""


Stmt = Assign | If


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of numbers, such as `[0, 1)`. NaN is in none."""

    low: float
    high: float
    low_closed: bool
    high_closed: bool

    def __contains__(self, value: float) -> bool:
        above = self.low <= value if self.low_closed else self.low < value
        below = value <= self.high if self.high_closed else value < self.high
        return above and below

    def __str__(self) -> str:
        ends = [f"{end:g}" for end in (self.low, self.high)]
        return f"{'[' if self.low_closed else '('}{ends[0]}, {ends[1]}{']' if self.high_closed else ')'}"


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A number (or tuple of numbers) that every parameter group carries."""

    name: str  # the key in `param_groups`
    default: float | int | tuple[float | int, ...] | None  # None means required unless `optional`
    elements: tuple[str, ...] = ()  # names of a tuple's elements in the update text, e.g. ("beta1", "beta2")
    ranges: tuple[Range | None, ...] = (None,)  # one per element (one in all if not a tuple)
    symbols: tuple[str, ...] = ("",)  # LaTeX, one per element; empty: made from the name
    tensor: bool = False  # may be given as a 1-element tensor
    fixed: bool = False  # lives in the groups but is no argument of the constructor
    required: bool = False  # the constructor has no default for it
    error: str = ""  # the author's own wording for a value out of range; {0}, {1} are the elements
    doc: str = ""  # a sentence for the documentation
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def value_names(self) -> tuple[str, ...]:
        """Return the names by which the update reads its values."""
        return self.elements or (self.name,)


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean hyperparameter: the compiler specialises on it."""

    name: str
    default: bool
    fixed: bool = False
    doc: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)


class StateKind(Enum):
    COUNTER = "counter"  # 0-d float32, 0 at first; the runtime adds 1 before each update, so the body sees 1, 2, ...
    SCALAR = "scalar"  # 0-d, dtype torch.get_default_dtype(); reads are float64 numbers, stores round
    NUMBER = "number"  # 0-d, on the parameter's device: one number per parameter, which a step does not read there
    TENSOR = "tensor"  # like the parameter, or one number per row or column


@dataclass(frozen=True, slots=True)
class State:
    """What an optimizer keeps for each parameter between steps."""

    name: str  # the key in `state[param]`
    kind: StateKind
    init: Expr = field(default=Const(0))  # a host expression over hyperparameters, or Ref("grad"), Ref("param")
    when: Expr | None = None  # over flags and hyperparameters; the state exists, and may be used, only if true
    on_param_device: bool = False  # a scalar or counter that torch keeps beside the parameter, not on the CPU
    symbol: str = ""  # LaTeX
    doc: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    dims: Dims = EVERY_ELEMENT  # of a tensor; the parameter's axes before the last two are its too

    @property
    def is_like_param(self) -> bool:
        """Return whether it has one number per element of the parameter."""
        return self.value_kind.is_element

    @property
    def value_kind(self) -> Kind:
        """Return the kind that it has where it is read."""
        match self.kind:
            case StateKind.COUNTER | StateKind.SCALAR:
                return HOST_NUMBER
            case StateKind.NUMBER:
                return TENSOR_NUMBER
            case StateKind.TENSOR:
                return Kind(Place.SHAPED, self.dims)
            case _:
                assert_never(self.kind)


class DecayStyle(Enum):
    NONE = "none"
    L2 = "l2"  # grad = grad + weight_decay * param
    DECOUPLED = "decoupled"  # param = param * (1 - lr * weight_decay)
    FULLY_DECOUPLED = "fully_decoupled"  # param = param * (1 - lr / max_lr * weight_decay)
    ABSOLUTE = "absolute"  # param = param * (1 - weight_decay), unless lr is 0


DECAY_READS: dict[DecayStyle, tuple[str, ...]] = {  # the hyperparameters that weight decay reads, beside the parameter
    DecayStyle.NONE: (),
    DecayStyle.L2: ("weight_decay",),
    DecayStyle.DECOUPLED: ("weight_decay", "lr"),
    DecayStyle.FULLY_DECOUPLED: ("weight_decay", "lr", "max_lr"),
    DecayStyle.ABSOLUTE: ("weight_decay", "lr"),
}


class ComplexMode(Enum):
    """Where a complex parameter becomes pairs of reals. It decides rounding, not mathematics."""

    PAIRS = "pairs"  # after weight decay
    PAIRS_BEFORE_DECAY = "pairs_before_decay"
    PAIRS_EXCEPT_PARAM = "pairs_except_param"  # everything but `param` itself, after weight decay
    NATIVE = "native"  # never: complex arithmetic; only for rules that are linear in their elements
    UNSUPPORTED = "unsupported"  # there are no complex parameters: an error at step


class SparseMode(Enum):
    UNSUPPORTED = "unsupported"  # an error at step
    NATIVE = "native"  # the for-loop's own operations take sparse tensors
    ROWS = "rows"  # the rule runs on the stored values alone


class HalfPrecision(Enum):
    """In which dtype for-loop and foreach compute float16 and bfloat16 parameters. Kernels always use float32."""

    FLOAT32 = "float32"  # and round once when a result is stored
    NATIVE = "native"  # in the parameter's own dtype, each operation rounded


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must hold between constructor arguments, and the error if it does not."""

    condition: Expr
    message: str
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One optimizer, complete: what every pass takes and gives."""

    name: str  # the class
    summary: str
    references: tuple[str, ...]
    notes: tuple[str, ...]  # departures from the sources, and other remarks for the documentation
    source: str  # path of the spec relative to the specs folder, "adamw.yaml"
    hyperparameters: tuple[Hyperparameter, ...]
    flags: tuple[Flag, ...]
    states: tuple[State, ...]
    positional: tuple[str, ...]  # constructor arguments that may be positional, options included, in order
    keyword_only: tuple[str, ...]  # the rest of them that torch's class of that name has (or all options)
    requirements: tuple[Requirement, ...]
    decay: tuple[tuple[Expr | None, DecayStyle], ...]  # cases in order; the condition None is "else"
    complex_mode: ComplexMode
    half_precision: HalfPrecision
    sparse_mode: SparseMode
    sparse_error: str  # the RuntimeError's text where sparse gradients are unsupported, or where decay forbids them
    state_at_construction: bool  # states are made by the constructor instead of the first step
    body: tuple[Stmt, ...]
    group_keys: tuple[str, ...]  # of hyperparameters, flags and options, in the order in which a group holds them
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    def state(self, name: str) -> State | None:
        """Return the state of this name, or None."""
        return next((state for state in self.states if state.name == name), None)

    def names_of(self, kind: StateKind) -> tuple[str, ...]:
        """Return the names of the states of a kind, in order."""
        return tuple(state.name for state in self.states if state.kind is kind)

    @property
    def element_states(self) -> tuple[str, ...]:
        """Return the names of the states with one number per element, in order."""
        return tuple(state.name for state in self.states if state.is_like_param)

    @property
    def small_states(self) -> tuple[State, ...]:
        """Return the states on the parameter's device with fewer numbers: one, or one per row or column, in order."""
        on_device = (StateKind.NUMBER, StateKind.TENSOR)
        return tuple(state for state in self.states if state.kind in on_device and not state.is_like_param)


def chain(op: str, terms: tuple[Expr, ...], location: Location = NOWHERE) -> Expr:
    """Return `a and b and c` (or `or`) as a shallow tree: grouping changes neither order nor value."""
    if len(terms) == 1:
        return terms[0]
    half = (len(terms) + 1) // 2
    return Call(op, (chain(op, terms[:half], location), chain(op, terms[half:], location)), location)


UNREADABLE = ""  # the name of what the front end could not read; exists only while diagnostics are being collected


def walk_expression(expression: Expr) -> Iterator[Expr]:
    """Yield the expression and everything in it, outermost first, left to right."""
    parts = [expression]
    while parts:
        part = parts.pop()
        yield part
        if isinstance(part, Call):
            parts.extend(reversed(part.args))


def walk_statements(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    """Yield every statement, branches included, in the order of the text."""
    statements = list(reversed(body))
    while statements:
        statement = statements.pop()
        yield statement
        if isinstance(statement, If):
            statements.extend(reversed((*statement.then, *statement.orelse)))


def names_read(expression: Expr) -> tuple[str, ...]:
    """Return the names that an expression reads, each once, in order."""
    return tuple(dict.fromkeys(e.name for e in walk_expression(expression) if isinstance(e, Ref)))


def assigned(body: tuple[Stmt, ...]) -> tuple[str, ...]:
    """Return the names that some path through statements assigns, each once, in order."""
    return tuple(dict.fromkeys(s.target for s in walk_statements(body) if isinstance(s, Assign)))


def always_assigned(body: tuple[Stmt, ...]) -> frozenset[str]:
    """Return the names that every path through statements assigns."""
    names: frozenset[str] = frozenset()
    for statement in body:
        match statement:
            case Assign(target=target):
                names |= {target}
            case If(then=then, orelse=orelse):
                names |= always_assigned(then) & always_assigned(orelse)
            case _:
                assert_never(statement)
    return names
