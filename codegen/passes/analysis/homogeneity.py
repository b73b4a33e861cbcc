"""How every number of a kernel grows if gradients grow: by which power of that factor.

In: the streams, row and statements on elements of a `Fused`. Out: for each stream and each number of the row a degree
such that multiplying it by `factor ** degree` multiplies every result of the rule by `factor` to its own degree and
changes nothing else. Gradients have degree 1, the parameter 0; of Adam's states the mean has 1, the mean of squares 2,
and `eps`, which is added to its root, 1. Factors that are powers of two change no bit of any result, so that a kernel
may step what would underflow at another scale. Must not know any target language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref
from thetac.codegen.ir.ops import OPS, Shape

Form = dict[str, Fraction]  # a sum of unknown degrees with factors; the name "" stands for 1
_ONE = ""

_LARGEST, _SMALLEST = 64, 23  # exponents
_MOST_WORK = 50_000  # terms of forms; the largest rule of ours takes 1,000


@dataclass(frozen=True, slots=True)
class Degrees:
    """The degrees of a rule that has any."""

    streams: Mapping[str, Fraction]
    row: Mapping[str, Fraction]  # of its numbers; truth values have none
    all: frozenset[Fraction]  # of everything that is computed on the way

    @property
    def highest(self) -> Fraction:
        return max(max(map(abs, self.all)), Fraction(1))


@dataclass(frozen=True, slots=True)
class Exponents:
    """A change of scale by powers of two: of each stream, of each entry of the row."""

    streams: tuple[int, ...]
    row: tuple[int, ...]


class _NoDegrees(Exception):
    """The rule adds or compares what grows differently, or it would take too long to tell."""


def degrees(fused: Fused) -> Degrees | None:
    """Degrees that fit the rule, as many of them 0 as come to it in order.

    None if there are none, or if the rule is so large that looking for them would take too long.
    """
    solver = _Solver(fused)
    try:
        return solver.solve(fused)
    except _NoDegrees:
        return None


def powers_of_two(fused: Fused) -> Exponents | None:
    """The largest change of scale that kernels can work with: everything on the way is scaled by a power of two.

    At most 2**64, half of float32's range; for a stream, whose numbers may be below the smallest normal one, at least
    2**23, so that they all become normal; or not at all.
    """
    found = degrees(fused)
    if found is None:
        return None
    for unit in range(int(_LARGEST / found.highest), 0, -1):
        streams = tuple(unit * found.streams[name] for name in fused.streams)
        row = tuple(unit * found.row.get(entry.name, Fraction(0)) for entry in fused.row)
        on_the_way = (unit * degree for degree in found.all)
        if all(power.denominator == 1 for power in (*streams, *row, *on_the_way)):
            if any(0 < power < _SMALLEST or power < 0 for power in streams):
                return None
            return Exponents(tuple(int(power) for power in streams), tuple(int(power) for power in row))
    return None


class _Solver:
    """Linear equations between degrees, solved as they come."""

    def __init__(self, fused: Fused) -> None:
        self.truths = {entry.name for entry in fused.row if entry.truth}
        self.names: dict[str, Form] = {name: {name: Fraction(1)} for name in fused.streams}
        self.names |= {entry.name: {entry.name: Fraction(1)} for entry in fused.row if not entry.truth}
        self.solved: dict[str, Form] = {}
        self.forms: list[Form] = []  # of all that is computed
        self.fresh = 0
        self.work = 0

    def solve(self, fused: Fused) -> Degrees:
        """The degrees of everything."""
        self.known({"grad": Fraction(1), _ONE: Fraction(-1)})
        for one in fused.passes:
            self.walk(one.body)
        stored = {stream.name for one in fused.passes for stream in one.streams if stream.stored != Const(False)}
        for name in (name for name in fused.streams if name in stored):
            self.equal(self.names[name], {name: Fraction(1)})
        self.known({"param": Fraction(1)})
        numbers = [entry.name for entry in fused.row if not entry.truth]
        for name in (*numbers, *fused.streams):
            self.prefer_zero(name)
        return Degrees(
            {name: self.value({name: Fraction(1)}) for name in fused.streams},
            {name: self.value({name: Fraction(1)}) for name in numbers},
            frozenset(self.value(form) for form in self.forms),
        )

    def known(self, form: Form) -> None:
        """The form is 0."""
        left = self.reduced(form)
        unknown = next((name for name in left if name != _ONE), None)
        if unknown is not None:
            factor = left.pop(unknown)
            self.solved[unknown] = {name: -value / factor for name, value in left.items()}
        elif left:
            raise _NoDegrees

    def equal(self, left: Form, right: Form) -> None:
        self.known(_sum(left, right, Fraction(-1)))

    def prefer_zero(self, name: str) -> None:
        form = self.reduced({name: Fraction(1)})
        if form.keys() - {_ONE}:
            self.known({name: Fraction(1)})

    def reduced(self, form: Form) -> Form:
        """The form in unknowns that nothing is known about."""
        while found := next((name for name in form if name in self.solved), None):
            factor = form[found]
            form = _sum({name: value for name, value in form.items() if name != found}, self.solved[found], factor)
            self._spend(form)
        return dict(form)

    def value(self, form: Form) -> Fraction:
        """The degree itself; what nothing fixes is 0."""
        return self.reduced(form).get(_ONE, Fraction(0))

    def walk(self, body: Sequence[ElementStmt]) -> None:
        for statement in body:
            match statement:
                case ElementAssign(target=target, value=value):
                    form = self.form(value)
                    if form is not None:
                        self.names[target] = form
                case ElementIf(then=then, orelse=orelse):
                    before = dict(self.names)
                    self.walk(then)
                    after_then, self.names = self.names, before
                    self.walk(orelse)
                    for name, form in after_then.items():
                        self.equal(self.names.setdefault(name, form), form)
                case _:
                    assert_never(statement)

    def form(self, expression: Expr) -> Form | None:
        """The degree of a number; None for a truth value."""
        form = self._form(expression)
        if form is not None:
            self.forms.append(form)
            self._spend(form)
        return form

    def _form(self, expression: Expr) -> Form | None:
        match expression:
            case Const(value=bool()):
                return None
            case Const(value=value):
                return {} if value else self._any()
            case Ref(name=name):
                return self.names.get(name)  # none: a truth value
            case Call(op=op, args=args):
                return self._call(op, [self.form(argument) for argument in args])
            case _:
                assert_never(expression)

    def _call(self, op: str, args: list[Form | None]) -> Form | None:
        numbers = [form for form in args if form is not None]
        match op:
            case "mul":
                return _sum(numbers[0], numbers[1], Fraction(1))
            case "div":
                return _sum(numbers[0], numbers[1], Fraction(-1))
            case "sqrt":
                return {name: value / 2 for name, value in numbers[0].items()}
            case "sign":
                return {}
            case "lerp":
                self.known(numbers.pop())
        for form in numbers[1:]:
            self.equal(numbers[0], form)
        return numbers[0] if numbers and OPS[op].shape in (Shape.ELEMENTWISE, Shape.SELECT) else None

    def _spend(self, form: Form) -> None:
        """Count what it took to make a form."""
        self.work += 1 + len(form)
        if self.work > _MOST_WORK:
            raise _NoDegrees

    def _any(self) -> Form:
        """Of 0, which is 0 at any scale."""
        self.fresh += 1
        return {f"any {self.fresh}": Fraction(1)}


def _sum(left: Form, right: Form, factor: Fraction) -> Form:
    total = dict(left)
    for name, value in right.items():
        total[name] = total.get(name, Fraction(0)) + factor * value
    return {name: value for name, value in total.items() if value}
