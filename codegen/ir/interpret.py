"""What a spec means: one step of a Rule, for one parameter or for all, executed in plain Python.

In: a Rule after passes/lift.py, the values of a parameter group, the state so far, a parameter and its gradient. Out:
the new parameter and the new state; nothing is changed in place. Every backend is tested against this.

Host scalars are Python floats. Elements are what the given `Arithmetic` computes with: `FLOATS`, or a test's own for
arrays. Every operation is IEEE 754's: a division by zero is infinite or NaN, nothing raises and nothing becomes
complex. This module must not know numpy or torch.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, assert_never, cast

from thetac.codegen.ir import histories, ieee
from thetac.codegen.ir.definitions import composed, expanded
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Scope, StateKind, Stmt
from thetac.codegen.ir.ops import NUMBER_BY_NUMBER, OPS, Shape
from thetac.codegen.ir.reductions import is_of_blocks, split_axis
from thetac.codegen.ir.totals import is_total, scope_of
from thetac.codegen.ir.value_kinds import Dim
from thetac.options import IN_UPDATE, OPTIONS
from thetac.shape_numbers import SHAPE_NUMBERS, shape_numbers

Number = TypeVar("Number")  # what one or all elements of a parameter are


@dataclass(frozen=True, slots=True)
class Arithmetic(Generic[Number]):
    """How to compute with elements. Arguments may also be host scalars and truth values."""

    operations: Mapping[str, Callable[..., Number]]  # by name of the op; a comparison gives a mask that `where` takes
    # By name of the reduction: of numbers along an axis, which is kept with the extent 1; None: one float of them all.
    # The axis 1 stands for all axes but the first, each of which is kept.
    reduce: Callable[[str, Number, int | None], Number | float]
    blocks: Callable[[Number, float], Number]  # for each row the mean of its block; how many blocks there are
    fill: Callable[[Number, float], Number]  # elements like the first argument, all of this value


@dataclass(frozen=True, slots=True)
class Step(Generic[Number]):
    """The parameter and the states after a step."""

    param: Number
    state: dict[str, Number | float]  # the states that exist in this group, in order, and what a flat piece assigns
    shared: dict[str, float] = field(default_factory=dict)  # the new numbers that the parameter shares with others


@dataclass(frozen=True, slots=True)
class Member(Generic[Number]):
    """One parameter of a step of all: what `interpret` takes of it."""

    values: Mapping[str, float | bool | str | None]  # of its group, and the numbers that it shares with others
    state: Mapping[str, Number | float]
    param: Number
    grad: Number
    shape: Sequence[int] = ()
    group: int = 0  # the index of its group


def exact(value: float) -> float:
    """Return the value as it is: a store for scalar states that keeps every digit."""
    return value


def to_float32(value: float) -> float:
    """Return the value rounded to float32: a store for scalar states, as a float32 tensor rounds."""
    if math.isnan(value):
        return value
    try:
        (rounded,) = struct.unpack("f", struct.pack("f", value))
    except OverflowError:
        return math.copysign(math.inf, value)
    return float(rounded)


def defaults(rule: Rule) -> dict[str, float | bool]:
    """Return the default of every value that an update can read, by name; required hyperparameters have none.

    What is None by default is any number: no update reads it.
    """
    values: dict[str, float | bool] = {name: bool(OPTIONS[name].default) for name in IN_UPDATE}
    for hyperparameter in rule.hyperparameters:
        default = hyperparameter.default
        if not hyperparameter.required:
            numbers = default if isinstance(default, tuple) else (default,)
            values |= {
                name: float(number or 0) for name, number in zip(hyperparameter.value_names, numbers, strict=True)
            }
    return values | {flag.name: flag.default for flag in rule.flags}


def _given(rule: Rule, values: Mapping[str, float | bool | str | None]) -> dict[str, float | bool]:
    """Return all values by name, the derived flags among them, of which a group tells by a text or by None."""
    asked = {flag: flag.asks for flag in rule.flags if flag.asks is not None and flag.asks.name in values}
    derived = {flag.name: values[asks.name] == asks.value for flag, asks in asked.items()}
    numbers = {name: 0.0 if value is None else value for name, value in values.items() if not isinstance(value, str)}
    return {**defaults(rule), **derived, **numbers}


def _operations() -> dict[str, Callable[..., float]]:
    operations: dict[str, Callable[..., float]] = {}
    for op in OPS.values():
        if op.shape in NUMBER_BY_NUMBER:
            operations[op.name] = op.meaning or composed(op, operations)
    return operations


def _reduce_float(name: str, value: float, axis: int | None) -> float:
    """Return the reduction of a parameter of one element."""
    meaning = OPS[name].meaning
    assert meaning is not None, f"{name} is composed"
    return meaning([value])


FLOATS: Arithmetic[float] = Arithmetic(
    operations=_operations(),
    reduce=_reduce_float,
    blocks=lambda of_rows, number: of_rows,
    fill=lambda like, value: value,
)


def interpret(
    rule: Rule,
    values: Mapping[str, float | bool | str | None],
    state: Mapping[str, Number | float],
    param: Number,
    grad: Number,
    *,
    arithmetic: Arithmetic[Number],
    store: Callable[[float], float] = to_float32,
    shape: Sequence[int] = (),
    epsilon: float = 2.0**-23,
) -> Step[Number]:
    """Compute one step of one parameter.

    Args:
        rule: a rule after features; its expressions may be composed.
        values: hyperparameter values, flags, choices, options and shared numbers by name; those not given have their
            defaults or first values.
        state: the states so far by name; those that are not given are created.
        param: the parameter, one element or all of them.
        grad: its gradient.
        arithmetic: how to compute with `param`, `grad` and tensor states.
        store: what keeping a scalar state does to its value, unless it is kept in float64.
        shape: that of the parameter to which `param` belongs.
        epsilon: the machine epsilon of the parameter's dtype; float32's, if it is not given.

    Returns:
        The parameter and the states after the step.

    Raises:
        KeyError: a required value is not given.
    """
    member = Member(values, state, param, grad, shape)
    (step,) = interpret_all(rule, [member], arithmetic=arithmetic, store=store, epsilon=epsilon)
    return step


def interpret_all(
    rule: Rule,
    members: Sequence[Member[Number]],
    *,
    arithmetic: Arithmetic[Number],
    store: Callable[[float], float] = to_float32,
    epsilon: float = 2.0**-23,
) -> list[Step[Number]]:
    """Compute one step of all parameters with gradients, statement by statement, so that totals are over all of them.

    Args:
        rule: as `interpret` takes it.
        members: the parameters.
        arithmetic: how to compute with elements.
        store: what keeping a scalar state does to its value, unless it is kept in float64.
        epsilon: the machine epsilon of the parameters' dtype.

    Returns:
        The steps of the members, in order.
    """
    machines = [
        _Machine(
            rule,
            _given(rule, one.values),
            one.state,
            one.param,
            one.grad,
            arithmetic,
            store,
            shape_numbers(one.shape, epsilon),
        )
        for one in members
    ]
    for statement in rule.body:
        if not isinstance(statement, Assign) or not is_total(statement.value):
            for machine in machines:
                machine.run((statement,))
            continue
        assert isinstance(statement.value, Call)
        (operand,) = statement.value.args
        terms = [machine.host(operand) for machine in machines]
        in_group = scope_of(statement.value) is Scope.GROUP
        for member, machine in zip(members, machines, strict=True):
            mine = [t for t, one in zip(terms, members, strict=True) if not in_group or one.group == member.group]
            machine.names[statement.target] = ieee.total(mine)
    return [machine.result() for machine in machines]


class _Machine(Generic[Number]):
    """The names and their latest values while a step runs."""

    def __init__(
        self,
        rule: Rule,
        values: Mapping[str, float | bool],
        state: Mapping[str, Number | float],
        param: Number,
        grad: Number,
        arithmetic: Arithmetic[Number],
        store: Callable[[float], float],
        of_param: Mapping[str, float],
    ) -> None:
        self.arithmetic = arithmetic
        self.of_param = of_param  # the numbers of its shape and dtype
        self.store = store
        self.names: dict[str, Number | float] = {
            name: value if isinstance(value, bool) else float(value) for name, value in values.items()
        }
        self.names |= {"param": param, "grad": grad}
        self.names |= {SHAPE_NUMBERS[name].variable: number for name, number in of_param.items()}
        self.scalars = frozenset(rule.names_of(StateKind.SCALAR))
        self.exact = frozenset(state.name for state in rule.states if state.float64)
        existing = [s for s in rule.states if s.when is None or self.holds(s.when)]
        self.states = tuple(s.name for s in existing)
        self.created = frozenset(self.states) - state.keys()
        for shared in rule.shared:
            if shared.name not in values:
                self.names[shared.name] = self.host(shared.init)
        self.vectors = rule.vectors[:1]  # what a flat piece is there to assign
        self.shared = tuple(shared.name for shared in rule.shared)
        # All starting values come from hyperparameters or the parameter before the step: none sees a state.
        starts = {s.name: self.host(s.init) for s in existing if s.name in self.created and s.init != Ref("param")}
        self.sizes = {s.name: self.host(s.init) for s in existing if s.kind is StateKind.HISTORY}
        for name in rule.vectors:
            self.names[name] = state[name] if name in state else arithmetic.fill(grad, 0.0)
        for s in existing:
            if s.kind is StateKind.HISTORY and s.name in self.created:
                self.names[s.name] = ()  # type: ignore[assignment]  # no pairs
            elif s.name not in self.created:
                self.names[s.name] = state[s.name]
            elif s.name not in starts:
                self.names[s.name] = param
            elif s.kind is StateKind.TENSOR:
                like = param
                axes = (0, 1) if s.of_matrix else (-2, -1)
                for axis in (axis for axis, dim in zip(axes, s.dims, strict=True) if dim is Dim.ONE):
                    like = arithmetic.reduce("max", like, axis)  # type: ignore[assignment]  # along an axis: numbers
                self.names[s.name] = arithmetic.fill(like, starts[s.name])
            else:
                self.names[s.name] = self.stored(s.name, starts[s.name])
            if s.kind is StateKind.COUNTER:
                self.names[s.name] = self.host(Call("add", (Ref(s.name), Const(1))))

    def result(self) -> Step[Number]:
        """Return the new parameter and the new states."""
        param = self.names["param"]
        shared = {name: self.names[name] for name in self.shared}
        return Step(param, {name: self.names[name] for name in (*self.vectors, *self.states)}, shared)  # type: ignore[arg-type]

    def run(self, body: tuple[Stmt, ...]) -> None:
        """Run statements, each of which changes what later ones read."""
        for statement in body:
            match statement:
                case Assign(target=target, value=expression):
                    if target in self.scalars:
                        self.names[target] = self.stored(target, self.host(expression))
                    else:
                        self.names[target] = self.value(expression)
                case If(condition=condition, then=then, orelse=orelse):
                    self.run(then if self.holds(condition) else orelse)
                case _:
                    assert_never(statement)

    def stored(self, name: str, value: float) -> float:
        """Return the value that a scalar state has after it was assigned."""
        return value if name in self.exact else self.store(value)

    def value(self, expression: Expr) -> Number | float:
        """Return the value of an expression: a host scalar, or one of the interpreter's arithmetic."""
        match expression:
            case Const(value=value):
                return value if isinstance(value, bool) else float(value)
            case Ref(name=name):
                return self.names[name]
            case Call(op="first", args=(Ref(name=name),)):
                return name in self.created
            case Call(op=op) if op in self.of_param:
                return self.of_param[op]
            case Call(op=op) if OPS[op].shape is Shape.REDUCTION:
                if OPS[op].defined:
                    return self.value(expanded(expression))
                (operand,), axis = split_axis(expression)
                return self.arithmetic.reduce(op, self.value(operand), axis)  # type: ignore[arg-type]
            case Call(op=op, args=(Ref(name=pairs), *others)) if OPS[op].shape in (Shape.REMEMBER, Shape.OF_HISTORY):
                return self.of_history(op, pairs, [self.value(one) for one in others])
            case Call(args=(of_rows, number)) if is_of_blocks(expression):
                return self.arithmetic.blocks(self.value(of_rows), self.host(number))  # type: ignore[arg-type]
            case Call(op=op, args=args):
                operands = [self.value(argument) for argument in args]
                if all(type(operand) in (float, bool) for operand in operands):
                    return FLOATS.operations[op](*operands)
                return self.arithmetic.operations[op](*operands)
            case _:
                assert_never(expression)

    def of_history(self, op: str, name: str, others: Sequence[Any]) -> Number:
        """Return a history with one more pair, or the product of a vector with the inverse Hessian of its pairs."""
        operations, pairs = self.arithmetic.operations, cast(Any, self.names[name])

        def dot(x: Any, y: Any) -> float:
            product = self.arithmetic.reduce("sum", operations["mul"](x, y), None)
            assert isinstance(product, float)
            return product

        if OPS[op].shape is Shape.REMEMBER:
            s, y, bound = others
            kept: Any = histories.remember(pairs, s, y, bound=bound, size=int(self.sizes[name]), dot=dot)
            return cast(Number, kept)
        (q,) = others
        product: Number = histories.inverse_hessian(
            pairs, q, dot=dot, combine=lambda x, factor, y: operations["add"](x, operations["mul"](factor, y))
        )
        return product

    def host(self, expression: Expr) -> float:
        """Return the value of an expression that must be a host scalar."""
        value = self.value(expression)
        assert isinstance(value, float), f"{expression} is no number of the host"
        return value

    def holds(self, condition: Expr) -> bool:
        """Return the value of a condition that must be a truth value of the host."""
        value = self.value(condition)
        assert isinstance(value, bool), f"{condition} is no truth value of the host"
        return value
