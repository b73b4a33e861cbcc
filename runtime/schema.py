"""What a generated optimizer tells the runtime about itself: data and small functions, no behaviour.

Generated code builds one `Schema` per class; everything in the runtime is driven by it. Conditions are functions
of a parameter group; they are written by the compiler as plain Python, never evaluated from text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import torch
from torch import Tensor

from thetac.runtime.contract import check_contract, check_fields

Group = Mapping[str, Any]  # a parameter group, as in `optimizer.param_groups`: torch types it so
Shape = Mapping[str, float]  # numbers of a parameter's shape and dtype by name; empty where nothing reads them


@dataclass(frozen=True, slots=True)
class Interval:
    """The values that a hyperparameter may take; NaN is in no interval."""

    low: float  # lower bound, may be -inf
    high: float  # upper bound, may be inf
    low_closed: bool  # whether the lower bound itself is allowed
    high_closed: bool  # whether the upper bound itself is allowed

    def __contains__(self, value: float) -> bool:
        """Return whether a value is allowed."""
        above = self.low <= value if self.low_closed else self.low < value
        below = value <= self.high if self.high_closed else value < self.high
        return above and below


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A number, or a tuple of numbers, in every parameter group under `name`."""

    name: str  # its key in a group
    elements: tuple[str, ...]  # names of the values in the kernels' signatures; (name,) if it is a single number
    intervals: tuple[Interval | None, ...]  # one per element; None: any number but NaN
    is_tuple: bool  # whether a group has a tuple of the elements, even if it is only one
    tensor: bool  # whether each element may be a 1-element tensor instead of a float
    # The ValueError's wording, for all or per element: a template over {0}, {1}, ... (all elements), {value}, {index}.
    error: str | tuple[str, ...]
    integer: bool = False  # whether a group holds integers; implementations get floats
    none: tuple[float | None, ...] = ()  # per element what implementations get for None; None: it must be a number
    starts_as: str = ""  # the key whose value it is in a new group; no argument sets it

    def may_be_none(self, index: int) -> bool:
        """Return whether an element may be None."""
        return index < len(self.none) and self.none[index] is not None


@dataclass(frozen=True, slots=True)
class Choice:
    """A text, or None, in every parameter group under `name`."""

    name: str  # its key in a group
    choices: tuple[str | None, ...]  # what it may be
    error: str  # the ValueError's wording for anything else, a str.format template over {0}
    in_step: bool = False  # whether a driver refuses anything else in the step, and not the constructor


@dataclass(frozen=True, slots=True)
class DerivedFlag:
    """A truth value that implementations read like a flag, and that follows from other values of a group."""

    name: str  # the keyword of implementations
    holds: Callable[[Group], bool]  # its value for a group


@dataclass(frozen=True, slots=True)
class State:
    """One entry of `optimizer.state[param]`."""

    name: str  # its key in `optimizer.state[param]`
    argument: str  # the keyword under which implementations take the list of it, one per parameter
    # counter: the number of steps so far, 0-d; scalar: one number, 0-d; number: the same, on the parameter's device;
    # tensor: of the parameter's shape, or of one that follows from it: see `dims`
    # history: pairs of flat vectors, as many as `init` says, which a driver keeps
    kind: Literal["counter", "scalar", "number", "tensor", "history"]
    init: Callable[[Group], float | Tensor] | None  # its initial value; None: zeros, and the rule itself fills it in
    when: Callable[[Group], bool] | None  # it exists only in groups where this holds; None: always
    on_param_device: bool  # whether a counter or scalar is on the parameter's device even if not capturable
    first: str = ""  # keyword that tells implementations whether this step created it; empty: not asked for
    copies_param: bool = False  # whether it starts as a copy of the parameter at the time at which state is made
    when_shape: Callable[[Group, Shape], bool] | None = None  # in place of `when`, where that depends on the shape
    constant: bool = False  # whether a scalar keeps its initial value: no step writes it
    float64: bool = False  # whether a scalar or number is float64 whatever torch's default dtype is
    integer: bool = False  # whether a counter is a Python int in `optimizer.state`, unless its group is capturable
    # Of a tensor, its last two axes: the parameter's, or of size 1. The axes before them are always the parameter's.
    dims: tuple[Literal["rows", "1"], Literal["columns", "1"]] = ("rows", "columns")
    # Of a tensor: `dims` are those of the parameter seen as a matrix: its first axis, and all others together.
    of_matrix: bool = False

    @property
    def like_param(self) -> bool:
        """Whether it has one number per element of the parameter, in the parameter's shape."""
        return self.kind == "tensor" and self.dims == ("rows", "columns")

    @property
    def is_number(self) -> bool:
        """Whether it is a single number that the host reads: a counter or a scalar state."""
        return self.kind in ("counter", "scalar")

    @property
    def is_small(self) -> bool:
        """Whether kernels compute it once per parameter, row or column, and not once per element."""
        return not self.like_param and not self.is_number

    @property
    def follows_dtype(self) -> bool:
        """Whether it has its parameter's dtype: one number per element, row or column."""
        return self.kind == "tensor"

    def exists(self, group: Group, shape: Shape) -> bool:
        """Return whether it exists for a parameter of a group and shape."""
        if self.when_shape is not None:
            return bool(self.when_shape(group, shape))
        return self.when is None or bool(self.when(group))

    def shape_of(self, param: torch.Size) -> torch.Size:
        """Return the shape that it has for a parameter of that shape."""
        if self.kind != "tensor":
            return torch.Size(())
        rank = len(param)
        return torch.Size([extent if self.has_axis(axis, rank) else 1 for axis, extent in enumerate(param)])

    def has_axis(self, axis: int, rank: int) -> bool:
        """Return whether a tensor has an axis of its parameter, which has `rank` of them; else its size is 1 there."""
        if self.of_matrix and rank > 1:
            return self.dims[min(axis, 1)] != "1"
        from_end = axis - rank
        return from_end < -2 or self.dims[from_end] != "1"


@dataclass(frozen=True, slots=True)
class Shared:
    """A number that parameters share: a key of every parameter group that steps write, a float."""

    name: str  # the key, and the keyword under which implementations take it
    scope: Literal["group", "optimizer"]  # which parameters share it: it is the same in all groups, or in each another
    init: Callable[[Group], float]  # its first value


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must hold between the values of one group."""

    holds: Callable[[Group], bool]  # whether the group meets it
    message: str  # the text of the ValueError where it does not hold


@dataclass(frozen=True, slots=True)
class ShapeRequirement:
    """What must hold of every parameter of a group."""

    # Whether a parameter meets it: all its numbers are given by name, and the truth values `is_complex`, `is_sparse`.
    holds: Callable[[Group, Shape], bool]
    # The text of the ValueError, in which {shape}, {index}, {indices} and {places} stand for the parameters.
    message: str


@dataclass(frozen=True, slots=True)
class Specialisation:
    """A condition that is fixed while a kernel runs: kernels are compiled for each of its values."""

    name: str  # the keyword of the kernels, e.g. "weight_decay_nonzero" or a flag's own name
    holds: Callable[[Group], bool] | None = None  # its value for a group
    holds_for: Callable[[Group, Shape], bool] | None = None  # in place of `holds`, where that depends on the shape

    def value(self, group: Group, shape: Shape) -> bool:
        """Return its value for a parameter of a group and shape."""
        if self.holds_for is not None:
            return bool(self.holds_for(group, shape))
        return self.holds is not None and bool(self.holds(group))


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything the runtime knows of one optimizer.

    Raises ContractError if the generated code that makes it is of another version, whichever fields it gives.
    """

    contract: int  # the version of what generated code and runtime expect of each other: `thetac.__contract__`
    name: str  # of the optimizer's class
    package: str  # the Python package of its implementations, such as "thetac.generated.<module>"
    hyperparameters: tuple[Hyperparameter, ...]  # in the spec's order
    flags: tuple[str, ...]  # boolean keys of a group that are the algorithm's own, and that a user can set
    states: tuple[State, ...]  # in the order that `Member.states` has, too
    requirements: tuple[Requirement, ...]  # checked in this order, after the intervals
    specialisations: tuple[Specialisation, ...]  # of the fused kernels, own flags and options of the update included
    options: tuple[str, ...]  # which of the options (thetac/options.py) are always in a group
    half_precision: Literal["float32", "native"]  # what for-loop and foreach compute float16 and bfloat16 in
    # Names of elements that torch's operations refuse if they are large, or refuse what is computed from them.
    refusable: tuple[str, ...]
    # What a sparse gradient gives: an error; the same operations on sparse tensors; an update of the rows it has.
    sparse: Literal["unsupported", "native", "rows"]
    sparse_error: str  # the text of the RuntimeError for a sparse gradient where it is unsupported
    decays_gradient: Callable[[Group], bool]  # whether weight decay is added to the gradient in such a group
    state_at_construction: bool  # whether the constructor makes the state, and not the first step
    foreach_temporaries: int  # the largest number of parameter-sized temporaries that foreach needs at once
    # How often a step of fused kernels loads or stores parameter, gradient and each tensor state, by name, for the
    # values of the specialisations.
    traffic: Callable[[Mapping[str, bool]], Mapping[str, int]]
    choices: tuple[Choice, ...] = ()  # in the spec's order
    derived: tuple[DerivedFlag, ...] = ()
    fixed: tuple[str, ...] = ()  # keys of a group that are no arguments; a loaded checkpoint does not change them
    has_axes: bool = False  # kernels compute numbers per row or column, so they take contiguous parameters only
    # What rows and columns are: those of matrices of the last two axes, those of the parameter seen as a matrix, whose
    # rows are the indices of the first axis, or now the one and now the other.
    view: Literal["last_axes", "matrix", "both"] = "last_axes"
    reread: tuple[str, ...] = ()  # states that a pass of a kernel reads as an earlier one has stored them
    separate_kernels: bool = False  # a C++ object holds the kernel for one value of each specialisation, not for all
    reduces: bool = False  # whether it needs sums over parameters, rows or columns: no shard is updated by itself
    shape_requirements: tuple[ShapeRequirement, ...] = ()  # checked in this order, after `requirements`
    shape_numbers: tuple[str, ...] = ()  # those of thetac/shape_numbers.py that a step reads
    shape_conditions: tuple[str, ...] = ()  # those of them that decide which states and statements a step has
    shared: tuple[Shared, ...] = ()  # in the spec's order
    uniform: tuple[str, ...] = ()  # keys that must agree in all groups, since numbers of the optimizer follow from them
    # Implementations are generators that wait for sums over all parameters; a GPU has no kernels that do.
    waits: bool = False
    counts_steps: bool = False  # whether its driver counts steps in the groups, under `thetac.drivers.STEPS_TAKEN`
    pieces: tuple[str, ...] = ()  # names of subpackages with further bodies, whose schema is in their module `schema`
    complex_error: str = ""  # the text of the RuntimeError for a complex parameter; empty: it is supported
    dense_error: str = ""  # the text of the RuntimeError for a dense gradient; empty: it is supported

    def __new__(cls, *_: object, **given: object) -> Self:
        """Check the contract before the fields are, since those of another contract differ."""
        if given:  # not where an existing schema is copied
            package = str(given.get("package", given.get("name", "a package")))
            check_contract(package, contract=given.get("contract"))
            check_fields(package, sorted(given.keys() - {field.name for field in fields(cls)}))
        return object.__new__(cls)

    @property
    def has_integers(self) -> bool:
        """Whether some counter is a Python int in `optimizer.state`."""
        return any(state.integer for state in self.states)

    def shape_class(self, shape: Shape) -> tuple[float, ...]:
        """Return the numbers of a shape that conditions read; those with equal ones have equal states and programs."""
        return tuple(shape[name] for name in self.shape_conditions)
