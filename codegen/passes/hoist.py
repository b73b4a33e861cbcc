"""Separate what the host computes once per step from what a fused kernel computes per element.

In: a Rule after passes/features.py. Out: a `Fused`: the scalar program of the host, the scalar row that kernels
read, the conditions that kernels are specialised on, and the statements on elements, in which everything of the host
is a name. Must not know any target language.

The row holds the value that a name has where it is read: a later assignment does not change it. Nothing is computed
outside its branch; an entry that belongs to a branch not taken is 0, and no kernel uses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Entry, Fused, Pass, Specialisation, Total
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    Const,
    Expr,
    If,
    Ref,
    Rule,
    StateKind,
    Stmt,
    assigned,
    expression_of,
    names_read,
    walk_statements,
)
from thetac.codegen.ir.totals import is_total, scope_of
from thetac.codegen.ir.value_kinds import HOST_TRUTH
from thetac.codegen.passes.analysis.kinds import infer, is_on_host, is_static, kind_of
from thetac.codegen.passes.analysis.streams import streams
from thetac.codegen.passes.host_program import finish, names_read_in
from thetac.codegen.passes.host_stages import in_stages
from thetac.codegen.passes.naming import RESERVED, entry_name, first_argument, role_name, specialisation_name, unique
from thetac.options import IN_UPDATE
from thetac.shape_numbers import VARIABLES

__all__ = ["Fused", "hoist"]


def hoist(rule: Rule) -> Fused:
    """Return the rule split into the host's part and the elements' part."""
    hoister = _Hoister(rule)
    host, body = hoister.block(rule.body)
    entries = tuple(hoister.entries.values())
    host, row = finish((*hoister.copies.values(), *host), entries, hoister.find_unchanged(), hoister.inputs)
    if hoister.totals:
        host, row = in_stages(host, row)
    names = ("param", "grad", *rule.element_states)
    passes = (Pass(streams(names, body), body),)
    scalars = tuple(name for name in rule.names_of(StateKind.SCALAR) if name in assigned(rule.body))
    shared = tuple(one.name for one in rule.shared)
    read = {*scalars, *shared, *(entry.variable for entry in row), *names_read_in(host)}
    inputs = tuple(name for name in hoister.inputs if name in read)
    truths = frozenset(name for name, kind in hoister.kinds.items() if kind.truth and not kind.is_on_host)
    return Fused(
        inputs,
        scalars,
        host,
        row,
        tuple(hoister.specialisations.values()),
        names,
        passes,
        truths,
        totals=tuple(hoister.totals),
        shared=shared,
    )


def _inputs(rule: Rule) -> tuple[str, ...]:
    firsts = dict.fromkeys(
        first_argument(name) for statement in walk_statements(rule.body) for name in _firsts(expression_of(statement))
    )
    return (
        *rule.names_of(StateKind.COUNTER),
        *rule.names_of(StateKind.SCALAR),
        *(shared.name for shared in rule.shared),
        *(first_argument(state.name) for state in rule.states if first_argument(state.name) in firsts),
        *(name for hyperparameter in rule.hyperparameters for name in hyperparameter.value_names),
        *(flag.name for flag in rule.flags),
        *IN_UPDATE,
        *VARIABLES,
    )


def _firsts(expression: Expr) -> Iterable[str]:
    match expression:
        case Call(op="first", args=(Ref(name=name),)):
            yield name
        case Call(args=args):
            for argument in args:
                yield from _firsts(argument)
        case Const() | Ref():
            pass
        case _:
            assert_never(expression)


@dataclass(frozen=True, slots=True)
class _Capture:
    """A host expression with the values that its names had: the same capture is the same number."""

    expression: Expr
    versions: tuple[int, ...]  # of the names it reads, in order


class _Hoister:
    """Walks a body once, in order, and collects what leaves the element loop."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kinds = infer(rule)
        self.inputs = _inputs(rule)
        self.specialisations: dict[Expr, Specialisation] = {}
        self.entries: dict[_Capture, Entry] = {}
        self.versions: dict[str, int] = dict.fromkeys(self.inputs, 0)  # which value of a host name is current
        self.latest = 0
        self.copies: dict[str, Assign] = {}  # of inputs that elements read, in case the program changes them
        self.computed: frozenset[_Capture] = frozenset()  # what every path up to this statement has computed
        self.kinds |= {name: HOST_TRUTH for name in self.inputs if name not in self.kinds}
        self.totals: list[Total] = []
        self.host: list[Stmt] = []  # of the block being walked
        # Names that elements read; a host scalar must not share its name with one of them.
        self.times_assigned = Counter(s.target for s in walk_statements(rule.body) if isinstance(s, Assign))
        self.times_assigned.update(self.inputs)
        self.taken = set(RESERVED) | {name for name, kind in self.kinds.items() if not kind.is_on_host}
        self.host_names = set(self.inputs) | {name for name, kind in self.kinds.items() if kind.is_on_host}

    def block(self, body: tuple[Stmt, ...]) -> tuple[tuple[Stmt, ...], tuple[ElementStmt, ...]]:
        """Return the host's part and the elements' part of statements."""
        outer, self.host = self.host, []
        elements: list[ElementStmt] = []
        for statement in body:
            match statement:
                case Assign(value=Call() as call) if is_total(call):
                    elements += self._total(statement, call)
                case Assign(target=target, value=value) if self.kinds[target].is_on_host:
                    self.host.append(replace(statement, value=_plain(value)))
                    self._new_version(target)
                case Assign(target=target, value=value):
                    lowered = self._element(value, f"{target}_value", target)
                    elements.append(ElementAssign(target, lowered, statement))
                case If():
                    elements += self._branch(statement)
                case _:
                    assert_never(statement)
        host, self.host = tuple(self.host), outer
        return host, tuple(elements)

    def _total(self, statement: Assign, call: Call) -> Iterable[ElementAssign]:
        """Add a total, and yield the statement on elements that its terms need beside those that there are."""
        (operand,) = call.args
        assert isinstance(operand, Ref), "a total is over a name"
        term, target = operand.name, statement.target
        if is_on_host(operand, self.kinds):
            term = unique([f"{target}_term"], self.taken)
            self.taken.add(term)
            yield ElementAssign(term, self._element(operand, term, term), replace(statement, target=term))
        name = unique([target], self.host_names) if self.times_assigned[target] > 1 else target
        self.host_names.add(name)
        self.host.append(replace(statement, target=name, value=replace(call, args=(Ref(term),))))
        if name != target:
            self.host.append(Assign(target, Ref(name)))
        self.totals.append(Total(name, term, scope_of(call)))
        self._new_version(target)

    def _branch(self, statement: If) -> tuple[ElementIf, ...]:
        static = is_static(statement.condition, self.rule)
        condition = _plain(statement.condition)
        reaches_elements = any(
            isinstance(inner, Assign) and not self.kinds[inner.target].is_on_host
            for inner in walk_statements((*statement.then, *statement.orelse))
        )
        on_elements: Expr = Const(False)
        if reaches_elements and static:
            on_elements = self._specialise(condition)
        elif reaches_elements:
            entry = self._capture(condition, "condition")
            on_elements, condition = Ref(entry.name), Ref(entry.variable)
        before, computed_before = dict(self.versions), self.computed
        host_then, then = self.block(statement.then)
        after_then, computed_then = self.versions, self.computed
        self.versions, self.computed = dict(before), computed_before
        host_orelse, orelse = self.block(statement.orelse)
        self._join(before, after_then)
        self.computed &= computed_then
        if host_then or host_orelse:
            self.host.append(replace(statement, condition=condition, then=host_then, orelse=host_orelse))
        return (ElementIf(on_elements, static, then, orelse, statement),) if reaches_elements else ()

    def _join(self, before: Mapping[str, int], after_then: Mapping[str, int]) -> None:
        """Merge the versions after the two sides of a branch: a name with two values gets a new version."""
        for name in {**after_then, **self.versions}:
            there, here = after_then.get(name), self.versions.get(name)
            if there is not None and here is not None and there != here:
                self._new_version(name)
            elif here is None and there is not None:
                self.versions[name] = there

    def _new_version(self, name: str) -> None:
        self.latest += 1
        self.versions[name] = self.latest

    def _specialise(self, condition: Expr) -> Expr:
        """Return a static condition over specialisations, one for each of its parts."""
        match condition:
            case Const():
                return condition
            case Call(op="and" | "or" | "not" as op, args=args):
                return Call(op, tuple(self._specialise(argument) for argument in args))
            case Ref() | Call():
                if condition not in self.specialisations:
                    name = unique([specialisation_name(condition)], self.taken)
                    self.taken.add(name)
                    self.specialisations[condition] = Specialisation(name, condition)
                return Ref(self.specialisations[condition].name)
            case _:
                assert_never(condition)

    def _element(self, expression: Expr, role: str, target: str) -> Expr:
        """Return an expression with its largest host parts read from the row."""
        if is_on_host(expression, self.kinds):
            constant = _constant(expression)
            return constant if constant is not None else Ref(self._capture(_plain(expression), role).name)
        match expression:
            case Call(op=op, args=args):
                return Call(
                    op,
                    tuple(self._element(a, role_name(op, i, args, target), target) for i, a in enumerate(args)),
                    expression.location,
                )
            case Ref() | Const():
                return expression
            case _:
                assert_never(expression)

    def _capture(self, expression: Expr, role: str) -> Entry:
        """Return the entry of the row that holds the current value of a host expression."""
        capture = _Capture(expression, tuple(self.versions[name] for name in names_read(expression)))
        entry = self.entries.get(capture)
        if entry is None:
            name = entry_name(expression, role, self.taken)
            self.taken.add(name)
            variable = unique([f"old_{name}" if isinstance(expression, Ref) else name], self.host_names)
            self.host_names.add(variable)
            truth = kind_of(expression, self.kinds).truth
            entry = self.entries[capture] = Entry(name, variable, expression, truth)
        if isinstance(expression, Ref) and capture.versions == (0,):
            self.copies[entry.variable] = Assign(entry.variable, expression)  # of an input: known before any branch
        elif capture not in self.computed:
            self.host.append(Assign(entry.variable, expression))
            self.computed |= {capture}
        return entry

    def find_unchanged(self) -> dict[str, str]:
        """Return the variables of the row that are copies of names which keep their value to the end."""
        return {
            entry.variable: capture.expression.name
            for capture, entry in self.entries.items()
            if isinstance(capture.expression, Ref) and capture.versions == (self.versions[capture.expression.name],)
        }


def _plain(expression: Expr) -> Expr:
    """Return a host expression with `first(s)` as the name that it has among the inputs."""
    match expression:
        case Call(op="first", args=(Ref(name=name),)):
            return Ref(first_argument(name))
        case Call(op=op, args=args):
            return Call(op, tuple(_plain(argument) for argument in args), expression.location)
        case Const() | Ref():
            return expression
        case _:
            assert_never(expression)


def _constant(expression: Expr) -> Const | None:
    """Return the number itself if an expression is one as written, sign included; None otherwise."""
    match expression:
        case Const():
            return expression
        case Call(op="neg", args=(Const(value=value),)) if not isinstance(value, bool):
            return Const(-value)
        case _:
            return None
