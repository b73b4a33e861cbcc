"""Whether the parts of an expression fit together: numbers, elements and truth values each where they belong.

In: expressions whose ops are known; a function that says what a name is. Out: kinds, and a mistake for each misfit.
Goes on after a mistake: the kind of what is wrong is None, and nothing more is said about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from thetac.codegen.errors import Mistakes, quoted
from thetac.codegen.ir.nodes import Call, Const, Expr, Kind, Ref, names_read
from thetac.codegen.ir.ops import OPS, Op, Shape
from thetac.codegen.ir.printer import expression_text

Read = Callable[[Ref], Kind | None]  # the kind of a name, or None after a mistake has been noted
Ask = Callable[[str, Ref], bool]  # whether a predicate may be asked of a name; notes a mistake if not

EXPONENTS = (2, 3, 0.5)  # of an element

_NUMBERS = (Kind.HOST, Kind.ELEMENT)
_TRUTHS = (Kind.FLAG, Kind.MASK)


class ExpressionCheck:
    """Checks expressions that all stand in one place, such as an update or a state's condition."""

    def __init__(self, read: Read, ask: Ask, mistakes: Mistakes) -> None:
        self._read = read
        self._ask = ask
        self._mistakes = mistakes

    def kind(self, expression: Expr) -> Kind | None:
        """The kind of an expression; None if something in it is wrong."""
        match expression:
            case Const(value=bool()):
                return Kind.FLAG
            case Const():
                return Kind.HOST
            case Ref():
                return self._read(expression)
            case Call(op=op):
                return self._call(expression, OPS[op])
            case _:
                assert_never(expression)

    def number(self, expression: Expr, what: str) -> bool:
        """Whether it is a number of the host; notes a mistake if not."""
        kind = self.kind(expression)
        if kind is None or kind is Kind.HOST:
            return kind is not None
        remedy = "compute it from hyperparameters" if kind is Kind.ELEMENT else "write `where(c, 1, 0)`"
        self._mistakes.add(expression.location, f"{what} is a number, not {NAMED[kind]}", remedy)
        return False

    def condition(self, expression: Expr, what: str) -> bool:
        """Whether it is a truth value of the host that reads something; notes a mistake if not."""
        match self.kind(expression):
            case None:
                return False
            case Kind.FLAG:
                if not names_read(expression):
                    self._mistakes.add(
                        expression.location, f"{what} never changes", "a condition reads at least one name"
                    )
                    return False
                return True
            case Kind.MASK:
                remedy = "branch on numbers; choose for each element with `where(c, a, b)`"
                self._mistakes.add(expression.location, f"{what} differs between elements", remedy)
            case Kind.ELEMENT:
                remedy = "branch on numbers; choose for each element with `where(c, a, b)`"
                self._mistakes.add(expression.location, f"{what} is a truth value, not one number per element", remedy)
            case Kind.HOST:
                self._mistakes.add(
                    expression.location, f"{what} is a truth value, not a number", _compared(expression, Kind.HOST)
                )
        return False

    def _call(self, call: Call, op: Op) -> Kind | None:
        match op.shape:
            case Shape.PREDICATE:
                return self._predicate(call, op)
            case Shape.ELEMENTWISE:
                return self._elementwise(call, op)
            case Shape.COMPARISON:
                return self._comparison(call, op)
            case Shape.LOGIC:
                kinds = [self._truth(argument, f"`{op.name}`") for argument in call.args]
                return None if None in kinds else Kind.MASK if Kind.MASK in kinds else Kind.FLAG
            case Shape.SELECT:
                choice = self._truth(call.args[0], "the first argument of `where`")
                values = [self._number(argument, op) for argument in call.args[1:]]
                if choice is None or None in values:
                    return None
                return Kind.ELEMENT if choice is Kind.MASK or Kind.ELEMENT in values else Kind.HOST
            case _:
                assert_never(op.shape)

    def _elementwise(self, call: Call, op: Op) -> Kind | None:
        kinds = [self._number(argument, op) for argument in call.args]
        if None in kinds:
            return None
        if Kind.ELEMENT not in kinds:
            return Kind.HOST
        if op.host_only:
            self._mistakes.add(
                call.location,
                f"`{op.name}` takes numbers, not elements",
                "elements have `sqrt`, `abs`, `sign` and powers",
            )
            return None
        if op.name == "pow" and not self._power(call, kinds):
            return None
        return Kind.ELEMENT

    def _power(self, call: Call, kinds: list[Kind | None]) -> bool:
        exponent = call.args[1]
        if kinds[1] is Kind.ELEMENT:
            self._mistakes.add(exponent.location, "an exponent that differs between elements", "exponents are numbers")
        elif not (isinstance(exponent, Const) and exponent.value in EXPONENTS):
            remedy = "of elements there are `** 2`, `** 3` and `** 0.5`"
            self._mistakes.add(
                exponent.location, f"the power {quoted(expression_text(exponent))} of an element", remedy
            )
        else:
            return True
        return False

    def _comparison(self, call: Call, op: Op) -> Kind | None:
        kinds = [self.kind(argument) for argument in call.args]
        if None in kinds:
            return None
        if kinds == [Kind.FLAG, Kind.FLAG] and op.name in ("eq", "ne"):
            return Kind.FLAG
        for argument, kind in zip(call.args, kinds, strict=True):
            if kind in _TRUTHS:
                sign = op.syntax.split()[1]
                self._mistakes.add(
                    argument.location,
                    f"a truth value beside `{sign}`",
                    "use it as it is, or join with `and`, `or`, `not`",
                )
                return None
        return Kind.MASK if Kind.ELEMENT in kinds else Kind.FLAG

    def _predicate(self, call: Call, op: Op) -> Kind | None:
        argument = call.args[0]
        if not isinstance(argument, Ref):
            self._mistakes.add(
                argument.location, f"`{op.name}` is asked of a name, not of an expression", f"`{op.syntax}`: {op.doc}"
            )
            return None
        return Kind.FLAG if self._ask(op.name, argument) else None

    def _number(self, expression: Expr, op: Op) -> Kind | None:
        kind = self.kind(expression)
        if kind in _TRUTHS:
            remedy = f"write `where({_short(expression)}, 1, 0)`"
            self._mistakes.add(expression.location, f"a truth value where `{_sign(op)}` needs a number", remedy)
            return None
        return kind

    def _truth(self, expression: Expr, what: str) -> Kind | None:
        kind = self.kind(expression)
        if kind in _NUMBERS:
            assert kind is not None
            self._mistakes.add(
                expression.location, f"{what} takes a truth value, not {NAMED[kind]}", _compared(expression, kind)
            )
            return None
        return kind


NAMED = {
    Kind.HOST: "a number",
    Kind.ELEMENT: "one number per element",
    Kind.FLAG: "a truth value",
    Kind.MASK: "one truth value per element",
}


def _sign(op: Op) -> str:
    """The op as an author knows it: its sign or its name."""
    return (
        op.syntax.replace("a ", "").replace(" b", "")
        if op.syntax.startswith("a ")
        else op.syntax.split("(")[0].removesuffix("a")
    )


def _short(expression: Expr) -> str:
    text = expression_text(expression)
    return text if len(text) <= 20 else "c"


def _compared(expression: Expr, kind: Kind) -> str:
    """How a number becomes a truth value."""
    return f"compare it, such as `{_short(expression) if kind is Kind.HOST else 'a'} != 0`"
