"""Check that the parts of an expression fit together: numbers, elements and truth values each where they belong.

In: expressions whose ops are known; a function from names to kinds. Out: kinds, and a diagnostic for each misfit.
The check goes on after an error: the kind of a wrong expression is None, and it is reported only once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from thetac.codegen.errors import Diagnostics, join_names, quote
from thetac.codegen.ir.nodes import UNREADABLE, Call, Const, Expr, Ref, names_read
from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS, OF_HISTORIES, OPS, Op, Shape
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.ir.reductions import split_axis, written_axis
from thetac.codegen.ir.value_kinds import (
    ELEMENT,
    HISTORY,
    HOST_NUMBER,
    HOST_TRUTH,
    ROW_VECTOR,
    Dim,
    Kind,
    Place,
    join,
    reduced,
)

Read = Callable[[Ref], Kind | None]  # the kind of a name, or None after an error has been noted
Ask = Callable[[str, Ref], bool]  # whether something may be asked of a name, by op; notes an error if not


_OF_ELEMENTS = ", ".join(f"`{op.name}`" for op in ELEMENT_FUNCTIONS if op.arity == 1)


class ExpressionCheck:
    """Checks expressions of one part of a spec, such as an update or a state's condition."""

    def __init__(
        self, read: Read, ask: Ask, diagnostics: Diagnostics, has_axes: Callable[[], bool] | None = None
    ) -> None:
        """Take what names mean.

        Args:
            read: Returns the kind of a name.
            ask: Returns whether a predicate may be asked of a name.
            diagnostics: Gets a diagnostic for each error.
            has_axes: Returns whether every parameter that gets here has at least two axes; None outside of an update.
        """
        self._read = read
        self._has_axes = has_axes or (lambda: False)
        self._may_wait = has_axes is not None  # for other parameters: in an update
        self._ask = ask
        self._diagnostics = diagnostics

    def kind(self, expression: Expr) -> Kind | None:
        """Return the kind of an expression; None if something in it is wrong."""
        match expression:
            case Const(value=bool()):
                return HOST_TRUTH
            case Const():
                return HOST_NUMBER
            case Ref():
                return self._read(expression)
            case Call(op=op):
                return self._call(expression, OPS[op])
            case _:
                assert_never(expression)

    def check_number(self, expression: Expr, what: str) -> bool:
        """Check that an expression is a host number; note an error and return False if not."""
        kind = self.kind(expression)
        if kind is None or kind.is_host_number:
            return kind is not None
        remedy = "write `where(c, 1, 0)`" if kind.truth else "compute it from hyperparameters"
        self._diagnostics.add(expression.location, f"{what} is a number, not {kind}", remedy)
        return False

    def check_condition(self, expression: Expr, what: str) -> bool:
        """Check that an expression is a host truth value that reads a name; note an error and return False if not."""
        kind = self.kind(expression)
        if kind is None:
            return False
        cause = f"{what} never changes" if kind.truth else f"{what} is a truth value, not {kind}"
        remedy = "a condition reads at least one name" if kind.truth else _comparison_remedy(expression, kind)
        if kind.place is Place.TENSOR:
            cause = f"{what} is {kind}, which only the device knows" if kind.truth else cause
            remedy = "branch on numbers of the host; choose with `where(c, a, b)`"
        elif not kind.is_on_host:
            cause = f"{what} differs between elements" if kind.truth else cause
            remedy = "branch on numbers; choose for each element with `where(c, a, b)`"
        elif kind.truth and names_read(expression):
            return True
        self._diagnostics.add(expression.location, cause, remedy)
        return False

    def _call(self, call: Call, op: Op) -> Kind | None:
        match op.shape:
            case Shape.PREDICATE:
                return self._predicate(call, op)
            case Shape.OF_PARAM:
                return self._of_param(call, op)
            case Shape.ELEMENTWISE:
                return self._elementwise(call, op)
            case Shape.COMPARISON:
                return self._comparison(call, op)
            case Shape.LOGIC:
                return _join([self._truth(argument, f"`{op.name}`") for argument in call.args], truth=True)
            case Shape.REDUCTION:
                return self._reduction(call, op)
            case Shape.BLOCKS:
                return self._blocks(call, op)
            case Shape.TOTAL:
                return self._total(call, op)
            case Shape.REMEMBER | Shape.OF_HISTORY:
                return self._of_history(call, op)
            case Shape.SELECT:
                choice = self._truth(call.args[0], "the first argument of `where`")
                return _join([choice, *(self._number(argument, op) for argument in call.args[1:])], truth=False)
            case _:
                assert_never(op.shape)

    def _elementwise(self, call: Call, op: Op) -> Kind | None:
        kinds = [self._number(argument, op) for argument in call.args]
        kind = _join(kinds, truth=False)
        if kind is None or kind.is_on_host:
            return kind
        if op.host_only:
            self._diagnostics.add(
                call.location,
                f"`{_sign(op)}` takes numbers, not elements",
                f"elements have {_OF_ELEMENTS} and powers",
            )
            return None
        return kind

    def _reduction(self, call: Call, op: Op) -> Kind | None:
        operands, axis = split_axis(call)
        kinds = [self._number(operand, op) for operand in operands]
        kind = _join(kinds, truth=False)
        if kind is None:
            return None
        if kind.dims is None:
            example = Call(op.name, (Ref("grad"),) * op.arity)
            remedy = f"it takes one number per element, row or column, as in `{expression_text(example)}`"
            self._diagnostics.add(operands[0].location, f"`{op.name}` of {kind}", remedy)
            return None
        if axis is not None and kind.dims[axis] is Dim.ONE:
            nothing = f"there is nothing along the axis {written_axis(axis)}"
            cause = f"{quote(expression_text(operands[0]))} is {kind}: {nothing}"
            remedy = f"`{expression_text(Call(op.name, operands))}` is over all of it"
            self._diagnostics.add(call.location, cause, remedy)
            return None
        if axis is not None and not self._has_axes():
            cause = "an axis of parameters that may have fewer than two"
            self._diagnostics.add(call.location, cause, "use it under `if rank(param) > 1:`, or `require` that")
            return None
        return reduced(kind, axis)

    def _blocks(self, call: Call, op: Op) -> Kind | None:
        kinds = [self._number(argument, op) for argument in call.args]
        for kind, wanted, argument in zip(kinds, (Kind(Place.SHAPED, ROW_VECTOR), HOST_NUMBER), call.args, strict=True):
            if kind is not None and kind != wanted:
                remedy = f"`{op.syntax}` takes {Kind(Place.SHAPED, ROW_VECTOR)}, and the number of blocks"
                self._diagnostics.add(argument.location, f"{quote(expression_text(argument))} is {kind}", remedy)
                return None
        return kinds[0] if None not in kinds else None

    def _total(self, call: Call, op: Op) -> Kind | None:
        kind = self._number(call.args[0], op)
        if kind is None or kind.place is not Place.SHAPED:
            if not self._may_wait:
                cause = f"`{op.name}` where no parameter waits for others"
                self._diagnostics.add(call.location, cause, "totals are computed in the update")
                return None
            return None if kind is None else HOST_NUMBER
        remedy = f"add up first: `{op.name}(sum({_short(call.args[0], 'x')}))`"
        self._diagnostics.add(call.args[0].location, f"`{op.name}` of {kind}", remedy)
        return None

    def _refuse_history(self, expression: Expr, op: Op) -> None:
        cause = f"{quote(expression_text(expression))} is a history, and `{_sign(op)}` needs a number"
        functions = join_names((one.syntax for one in OF_HISTORIES), "and")
        self._diagnostics.add(expression.location, cause, f"{functions} take a history")

    def _of_history(self, call: Call, op: Op) -> Kind | None:
        """Check a function of a history, flat vectors and, behind them, numbers of the host."""
        history, *others = call.args
        if isinstance(history, Call) and OPS[history.op].shape is Shape.REMEMBER:
            remedy = f"assign it first: `pairs = {OPS[history.op].syntax}`"
            self._diagnostics.add(history.location, f"`{history.op}` within an expression", remedy)
            return None
        kinds = [self.kind(history), *(self._number(argument, op) for argument in others)]
        wanted = (HISTORY, ELEMENT, ELEMENT, HOST_NUMBER)
        names = op.parameters
        for argument, kind, needed, name in zip(call.args, kinds, wanted, names, strict=False):
            if kind is None:
                return None
            if kind == needed or (needed == HOST_NUMBER and kind.dims is None and kind.place is Place.TENSOR):
                continue
            what = {HISTORY: "a history", ELEMENT: "a flat vector", HOST_NUMBER: "a number"}[needed]
            cause = f"`{name}` of `{op.syntax}` is {what}, and {quote(expression_text(argument))} is {kind}"
            remedy = "a state `{history: size}`" if needed == HISTORY else f"give {what}"
            self._diagnostics.add(argument.location, cause, remedy)
            return None
        return HISTORY if op.shape is Shape.REMEMBER else ELEMENT

    def _comparison(self, call: Call, op: Op) -> Kind | None:
        kinds = [self.kind(argument) for argument in call.args]
        if HISTORY in kinds:
            self._refuse_history(call.args[kinds.index(HISTORY)], op)
            return None
        joined = _join(kinds, truth=True)
        if joined is None:
            return None
        if kinds == [HOST_TRUTH, HOST_TRUTH] and op.name in ("eq", "ne"):
            return joined
        for argument, kind in zip(call.args, kinds, strict=True):
            if kind is not None and kind.truth:
                sign = op.syntax.split()[1]
                self._diagnostics.add(
                    argument.location,
                    f"a truth value beside `{sign}`",
                    "use it as it is, or join with `and`, `or`, `not`",
                )
                return None
        return joined

    def _predicate(self, call: Call, op: Op) -> Kind | None:
        argument = call.args[0]
        if not isinstance(argument, Ref):
            self._diagnostics.add(
                argument.location, f"`{op.name}` is asked of a name, not of an expression", f"`{op.syntax}`: {op.doc}"
            )
            return None
        return HOST_TRUTH if self._ask(op.name, argument) else None

    def _of_param(self, call: Call, op: Op) -> Kind | None:
        argument = call.args[0]
        if not isinstance(argument, Ref) or argument.name not in ("param", UNREADABLE):
            cause = f"`{op.name}` is asked of `param` alone"
            self._diagnostics.add(argument.location, cause, f"`{op.syntax}`: {op.doc}")
            return None
        return HOST_NUMBER if self._ask(op.name, argument) else None

    def _number(self, expression: Expr, op: Op) -> Kind | None:
        kind = self.kind(expression)
        if kind == HISTORY:
            self._refuse_history(expression, op)
            return None
        if kind is not None and kind.truth:
            remedy = f"write `where({_short(expression)}, 1, 0)`"
            self._diagnostics.add(expression.location, f"a truth value where `{_sign(op)}` needs a number", remedy)
            return None
        return kind

    def _truth(self, expression: Expr, what: str) -> Kind | None:
        kind = self.kind(expression)
        if kind is not None and not kind.truth:
            cause = f"{what} takes a truth value, not {kind}"
            self._diagnostics.add(expression.location, cause, _comparison_remedy(expression, kind))
            return None
        return kind


def _join(kinds: list[Kind | None], *, truth: bool) -> Kind | None:
    """Return the kind of an operation on arguments of such kinds; None if one of them is wrong."""
    known = [kind for kind in kinds if kind is not None]
    return join(known, truth=truth) if len(known) == len(kinds) else None


def _sign(op: Op) -> str:
    """Return the operation as an author knows it: its sign or its name."""
    return (
        op.syntax.replace("a ", "").replace(" b", "")
        if op.syntax.startswith("a ")
        else op.syntax.split("(")[0].removesuffix("a")
    )


def _short(expression: Expr, otherwise: str = "c") -> str:
    text = expression_text(expression)
    return text if len(text) <= 20 else otherwise


def _comparison_remedy(expression: Expr, kind: Kind) -> str:
    """Return the remedy that makes a truth value of a number."""
    return f"compare it, such as `{_short(expression) if kind.is_on_host else 'a'} != 0`"
