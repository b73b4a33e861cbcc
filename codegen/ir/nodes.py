"""The intermediate representation: what a spec says, as frozen values.

Nodes hold tuples, never lists, and the location in the spec that they come from, which does not count for equality.
Expressions keep the order and the parentheses of the spec: the order of evaluation is part of the meaning. Nothing here
knows files, passes or targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from thetac.codegen.errors import NOWHERE, Location
from thetac.codegen.ir.value_kinds import EVERY_ELEMENT, HISTORY, HOST_NUMBER, TENSOR_NUMBER, Dims, Kind, Place


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

UPDATE = "the update"  # what a rule subtracts from the parameter, in the statements of features


@dataclass(frozen=True, slots=True)
class Feature:
    """What a spec adds to its rule by name: statements at three places of a step, each of them empty if there are none.

    What they declare are declarations of the rule.
    """

    name: str
    gradient: tuple[Stmt, ...]  # on `grad`, before weight decay
    update: tuple[Stmt, ...]  # on UPDATE, before it is applied
    param: tuple[Stmt, ...]  # on `param`, after the step

    @property
    def body(self) -> tuple[Stmt, ...]:
        """Return all of its statements, in order."""
        return (*self.gradient, *self.update, *self.param)

    def changed(self, change: Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]]) -> Feature:
        """Return the feature with its statements changed, place by place."""
        return Feature(self.name, change(self.gradient), change(self.update), change(self.param))


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


Default = float | int | None  # of a number, as written; None of one that may be left open, see `Hyperparameter.none`


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A number (or tuple of numbers) that every parameter group carries."""

    name: str  # the key in `param_groups`
    default: Default | tuple[Default, ...]  # None if it is `required`
    elements: tuple[str, ...] = ()  # names of a tuple's elements in the update text, e.g. ("beta1", "beta2")
    ranges: tuple[Range | None, ...] = (None,)  # one per element (one in all if not a tuple)
    symbols: tuple[str, ...] = ("",)  # LaTeX, one per element; empty: made from the name
    tensor: bool = False  # may be given as a 1-element tensor
    fixed: bool = False  # lives in the groups but is no argument of the constructor
    starts_as: str = ""  # if fixed: the argument of the constructor whose value it keeps, with that one's default
    required: bool = False  # the constructor has no default for it
    integer: bool = False  # groups hold integers; updates read them as numbers like any other
    none: tuple[Expr | None, ...] = ()  # per element what None stands for in a group; None: it must be a number
    # The author's wording for a value out of range, for all or per element; {0}, {1}: values.
    errors: tuple[str, ...] = ()
    doc: str = ""  # a sentence for the documentation
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def value_names(self) -> tuple[str, ...]:
        """Return the names by which the update reads its values."""
        return self.elements or (self.name,)

    @property
    def may_be_none(self) -> tuple[str, ...]:
        """Return the names of those of its values that may be None in a group."""
        return tuple(name for name, none in zip(self.value_names, self.none, strict=False) if none is not None)


@dataclass(frozen=True, slots=True)
class Choice:
    """A hyperparameter that is one of several texts. Updates compare it with them and read nothing else of it."""

    name: str  # the key in `param_groups`
    default: str | None
    choices: tuple[str | None, ...]
    fixed: bool = False
    error: str = ""  # the author's wording for anything else; {0} is the value
    doc: str = ""
    in_step: bool = False  # whether the step refuses anything else, and not the constructor
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def comparisons(self) -> tuple[tuple[str, str], ...]:
        """Return the names by which a rule as written reads comparisons with its texts, each with the text."""
        return tuple((comparison(self.name, text), text) for text in self.choices if text is not None)


def comparison(name: str, text: str) -> str:
    """Return the name, in a rule as written, of the truth value whether a choice is a text."""
    return f'{name} == "{text}"'


def compared(name: str) -> str:
    """Return the choice in the name of a comparison; any other name as it is."""
    return name.partition(' == "')[0]


@dataclass(frozen=True, slots=True)
class Asks:
    """What a derived flag is true of: a group whose value is this one."""

    name: str  # a choice, or a value of a hyperparameter
    value: str | None


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean hyperparameter: the compiler specialises on it."""

    name: str
    default: bool
    fixed: bool = False
    doc: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    asks: Asks | None = None  # of a derived flag, which is no key of a group but follows from one


class StateKind(Enum):
    COUNTER = "counter"  # 0-d float32, 0 at first; the runtime adds 1 before each update, so the body sees 1, 2, ...
    SCALAR = "scalar"  # 0-d, dtype torch.get_default_dtype(); reads are float64 numbers, stores round
    NUMBER = "number"  # 0-d, on the parameter's device: one number per parameter, which a step does not read there
    TENSOR = "tensor"  # like the parameter, or one number per row or column
    HISTORY = "history"  # pairs of flat vectors: a step and the change of the gradient along it


@dataclass(frozen=True, slots=True)
class State:
    """What an optimizer keeps for each parameter between steps."""

    name: str  # the key in `state[param]`
    kind: StateKind
    # A host expression over hyperparameters, or Ref("grad"), Ref("param"). Of a history: how many pairs it has at most.
    init: Expr = field(default=Const(0))
    when: Expr | None = None  # over flags and hyperparameters; the state exists, and may be used, only if true
    on_param_device: bool = False  # a scalar or counter that torch keeps beside the parameter, not on the CPU
    symbol: str = ""  # LaTeX
    doc: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    dims: Dims = EVERY_ELEMENT  # of a tensor; the parameter's axes before the last two are its too
    float64: bool = False  # of a scalar or number: kept in float64, where others have torch's default dtype
    integer: bool = False  # of a counter: a Python int, as torch's SparseAdam has it
    of_matrix: bool = False  # of a tensor: its rows and columns are those of the parameter seen as a matrix

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
            case StateKind.HISTORY:
                return HISTORY
            case _:
                assert_never(self.kind)


class Scope(Enum):
    """Which parameters a total is over, or share a number."""

    GROUP = "group"  # those of one parameter group
    OPTIMIZER = "optimizer"  # all


@dataclass(frozen=True, slots=True)
class Shared:
    """A number that parameters share: a key of their parameter groups that steps write, in float64."""

    name: str  # the key in `param_groups`
    scope: Scope
    init: Expr  # a host expression over hyperparameters
    symbol: str = ""  # LaTeX
    doc: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)


class DecayStyle(Enum):
    NONE = "none"
    L2 = "l2"  # grad = grad + weight_decay * param
    DECOUPLED = "decoupled"  # param = param * (1 - lr * weight_decay)
    FULLY_DECOUPLED = "fully_decoupled"  # param = param * (1 - lr / max_lr * weight_decay)
    CORRECTED = "corrected"  # param = param * (1 - lr ** 2 / max_lr * weight_decay)
    ABSOLUTE = "absolute"  # param = param * (1 - weight_decay), unless lr is 0
    CAUTIOUS = "cautious"  # decoupled, where the update does not take the parameter away from 0
    DECOUPLED_AFTER = "decoupled_after"  # decoupled, of the parameter after the update
    ABSOLUTE_AFTER = "absolute_after"  # absolute, of the parameter after the update


DECAY_READS: dict[DecayStyle, tuple[str, ...]] = {  # the hyperparameters that weight decay reads, beside the parameter
    DecayStyle.NONE: (),
    DecayStyle.L2: ("weight_decay",),
    DecayStyle.DECOUPLED: ("weight_decay", "lr"),
    DecayStyle.FULLY_DECOUPLED: ("weight_decay", "lr", "max_lr"),
    DecayStyle.CORRECTED: ("weight_decay", "lr", "max_lr"),
    DecayStyle.ABSOLUTE: ("weight_decay", "lr"),
    DecayStyle.CAUTIOUS: ("weight_decay", "lr"),
    DecayStyle.DECOUPLED_AFTER: ("weight_decay", "lr"),
    DecayStyle.ABSOLUTE_AFTER: ("weight_decay", "lr"),
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
class Piece:
    """A further body of a rule, which a driver of the runtime runs: see thetac/drivers.py."""

    name: str
    body: tuple[Stmt, ...]
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
    group_keys: tuple[str, ...]  # of hyperparameters, flags, choices and options, in the order of a group
    family: tuple[str, ...] = ()  # the names of the specs that it extends, nearest first
    choices: tuple[Choice, ...] = ()
    symbols: tuple[tuple[str, str], ...] = ()  # LaTeX of locals, by name
    shared: tuple[Shared, ...] = ()
    features: tuple[
        Feature, ...
    ] = ()  # that the spec adds, in the order in which they attach; none after passes/features
    pieces: tuple[Piece, ...] = ()
    driver: str = ""  # what runs the pieces (thetac/drivers.py); empty: none
    entry: str = ""  # the method by which users run a piece; empty: there is none
    dense_error: str = ""  # the RuntimeError's text for a dense gradient; empty: they are taken
    vectors: tuple[str, ...] = ()  # of a flat piece: what a driver puts in scope; it may assign the first of them
    numbers: tuple[str, ...] = ()  # likewise, of the host
    given_symbols: tuple[str, ...] = ()  # LaTeX of both
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    def state(self, name: str) -> State | None:
        """Return the state of this name, or None."""
        return next((state for state in self.states if state.name == name), None)

    @property
    def kept(self) -> tuple[State | Shared, ...]:
        """Return what a step keeps for the next one: states, then shared numbers, in order."""
        return (*self.states, *self.shared)

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


def names_of(*parts: Iterable[Hyperparameter | Flag | Choice | State | Shared]) -> tuple[str, ...]:
    """Return the names of what several parts of a rule declare, in order."""
    return tuple(one.name for part in parts for one in part)


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


def expression_of(statement: Stmt) -> Expr:
    """Return what a statement computes itself: the value of an assignment, the condition of a branch."""
    return statement.value if isinstance(statement, Assign) else statement.condition


def names_read(expression: Expr) -> tuple[str, ...]:
    """Return the names that an expression reads, each once, in order."""
    return tuple(dict.fromkeys(e.name for e in walk_expression(expression) if isinstance(e, Ref)))


def names_in_body(body: tuple[Stmt, ...]) -> frozenset[str]:
    """Return the names that some path through statements reads."""
    return frozenset(name for statement in walk_statements(body) for name in names_read(expression_of(statement)))


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
