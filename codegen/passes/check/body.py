"""Check that the statements of an update make sense one after the other.

In: a Rule's body, in which UNREADABLE may replace what the front end could not read. Out: diagnostics, and which names
were read and written; after an unreadable part, nothing is concluded from names that were not seen. The check follows
every path through the branches: a local must have a value wherever it is read, and a state with a condition may be
used only where the condition holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from thetac.codegen.errors import Diagnostics, did_you_mean, quote
from thetac.codegen.ir import reserved_names
from thetac.codegen.ir.nodes import (
    UNREADABLE,
    Assign,
    Call,
    Const,
    Expr,
    If,
    Ref,
    Rule,
    State,
    StateKind,
    Stmt,
    compared,
    names_of,
    walk_expression,
    walk_statements,
)
from thetac.codegen.ir.ops import OPS, Shape
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.ir.value_kinds import HISTORY, Dim, Kind
from thetac.codegen.passes.check import names
from thetac.codegen.passes.check.expressions import ExpressionCheck
from thetac.options import OPTIONS

_MIRRORED = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge", "eq": "eq"}
_OPPOSITES = {"gt": "le", "le": "gt", "ge": "lt", "lt": "ge", "eq": "ne", "ne": "eq"}


class BodyCheck:
    """Checks a body once; afterwards, `read` and `written` are the names that it used."""

    def __init__(self, rule: Rule, given: Mapping[str, Kind], unsure: frozenset[str], diagnostics: Diagnostics) -> None:
        self.read: set[str] = set()
        self.written: set[str] = set()
        self._rule = rule
        self._unsure = unsure  # states whose conditions are wrong
        self._diagnostics = diagnostics
        self._incomplete = names.is_incomplete(rule)
        self._kinds: dict[str, Kind | None] = dict(given)  # hyperparameters, flags, states, param, grad; then locals
        self._given = frozenset(given)
        self._set = set(given)  # has a value on every path to here
        self._facts: frozenset[Expr] = frozenset()  # conditions that hold here
        self._locals = {
            s.target: s for s in walk_statements(rule.body) if isinstance(s, Assign) and s.target not in given
        }
        self._reported: set[str] = set()  # names without a value, which are reported once
        self.complete = not self._incomplete  # nothing was unreadable
        self._check = ExpressionCheck(self._name, self._predicate, diagnostics, self._has_axes)

    def run(self) -> None:
        """Check the body; note unused locals if all of it could be read."""
        self._block(self._rule.body)
        if not self.complete:
            return
        for local, assignment in self._locals.items():
            if local in self.read:
                continue
            targets = ["param", *names_of(self._rule.kept)]
            remedy = did_you_mean(local, targets, "delete the line, or use the value")
            if names.match_given(local) == "param" and "param" not in self.written:
                remedy = "did you mean `param`?"
                self.written.add("param")  # as far as the author knows
            elif self._kinds.get(local) is None:
                continue
            self._diagnostics.add(assignment.location, f"`{local}` is never used", remedy)

    def _block(self, body: tuple[Stmt, ...]) -> None:
        for statement in body:
            match statement:
                case Assign():
                    self._assign(statement)
                case If():
                    self._branch(statement)
                case _:
                    assert_never(statement)

    def _branch(self, branch: If) -> None:
        facts, before = self._facts, self._set
        for condition in conjuncts(
            branch.condition
        ):  # `first(s)` behind `flag and` is evaluated only where the flag is set
            self._check.check_condition(condition, "the condition of a branch")
            self._facts |= {condition}
        self._set = set(before)
        self._block(branch.then)
        after_then = self._set
        self._facts = facts | conjuncts(negation(branch.condition))
        self._set = set(before)
        self._block(branch.orelse)
        self._facts, self._set = facts, self._set & after_then

    def _assign(self, assignment: Assign) -> None:
        kind = self._check.kind(assignment.value)
        if assignment.target == UNREADABLE:
            return
        lost = isinstance(assignment.value, Ref) and assignment.value.name == UNREADABLE  # the line was reported
        if not lost and self._check_assignable(assignment):
            self._store(assignment, kind)
        self._set.add(assignment.target)
        self.written.add(assignment.target)

    def _check_assignable(self, assignment: Assign) -> bool:
        """Check that the target may be assigned to; note an error and return False if not."""
        target, here = assignment.target, assignment.location
        state = self._rule.state(target)
        if state is not None and state.kind is StateKind.COUNTER:
            self._diagnostics.add(
                here, f"`{target}` is a counter and counts by itself", "delete the line; it is 1 in the first step"
            )
        elif state is not None:
            return self._check_exists(state, Ref(target, here))
        elif target == "grad":
            self._diagnostics.add(
                here, "the gradient cannot be assigned to", "call the changed one something else, such as `direction`"
            )
        elif target in names_of(self._rule.shared) or target in self._rule.vectors[:1]:
            return True
        elif target in (*self._rule.vectors, *self._rule.numbers):
            self._diagnostics.add(here, f"`{target}` is what was before", "call the new value something else")
        elif target in self._given and target != "param":
            what = "flag" if (kind := self._kinds[target]) is not None and kind.truth else "hyperparameter"
            self._diagnostics.add(
                here, f"`{target}` is a {what} and cannot be assigned to", "call the changed value something else"
            )
        elif target in names_of(self._rule.hyperparameters, self._rule.choices):
            self._diagnostics.add(
                here, f"`{target}` is a hyperparameter and cannot be assigned to", "call the value something else"
            )
        elif target != "param" and (problem := reserved_names.why_not(target)) is not None:
            self._diagnostics.add(here, *problem)
        else:
            return True
        return False

    def _store(self, assignment: Assign, kind: Kind | None) -> None:
        """Record the kind of a target; note an error if it had another one before."""
        target, here = assignment.target, assignment.value.location
        known = self._kinds.get(target)
        if kind == HISTORY and not _goes_on(assignment):
            cause = f"{quote(target)} would be another name of a history"
            self._diagnostics.add(here, cause, "a history changes by `pairs = remember(pairs, s, y, bound)` alone")
            kind = None
        if target not in self._kinds or known is None:
            self._kinds[target] = kind
            return
        if kind is None or kind == known:
            return
        self._kinds[target] = None  # one error is enough
        if known.is_element and not kind.is_element and not kind.truth:
            remedy = "there is one per element: start from an expression of elements, such as `0 * grad`"
            what = "one number for all of" if kind.dims is None else f"{kind} for"
            self._diagnostics.add(here, f"{what} {quote(target)}", remedy)
        elif target in self._given:
            is_shared = target in names_of(self._rule.shared)
            remedy = _shared_remedy(kind) if is_shared else _shape_remedy(known, kind)
            remedy = "write `where(c, 1, 0)`" if kind.truth else remedy
            self._diagnostics.add(here, f"`{target}` holds {known}, not {kind}", remedy)
        else:
            cause = f"`{target}` was {known} before and is {kind} here"
            self._diagnostics.add(assignment.location, cause, "give one of them another name")

    def _has_axes(self) -> bool:
        """Return whether every parameter that gets here has at least two axes, as far as conditions say."""
        required = (one.condition for one in self._rule.requirements)
        known = self._facts.union(*map(conjuncts, required))
        return any(map(means_two_axes, known)) or not self.complete

    def _name(self, ref: Ref) -> Kind | None:
        """Return the kind of a name where it is read; None after an error has been noted."""
        name = ref.name
        if name == UNREADABLE:
            self.complete = False
            return None
        self.read |= {name, compared(name)}
        if name in self._given:
            state = self._rule.state(name)
            if state is not None and not self._check_exists(state, ref):
                return None
            return self._kinds[name]
        if name in self._set:
            return self._kinds.get(name)
        if name in self._locals:
            if self.complete and name not in self._reported:
                self._unset(ref)
        elif name not in self._reported and not self._incomplete:
            self._diagnostics.add(ref.location, *self._unknown(name))
        self._note(name)
        return None

    def _note(self, name: str) -> None:
        """Report no further errors about a name, nor that the name it probably means is unused."""
        self._reported.add(name)
        if usual := names.match_given(name):
            self.read.add(usual)
            self.written.add(usual)

    def _unset(self, ref: Ref) -> None:
        first = next(s for s in walk_statements(self._rule.body) if isinstance(s, Assign) and s.target == ref.name)
        if ref.name in self.written:
            remedy = f"assign it before the branch of line {first.location.line} too, or in every branch"
            self._diagnostics.add(ref.location, f"`{ref.name}` has no value on some path to here", remedy)
        else:
            remedy = names.suggest_for_unset(self._rule, first, self._kinds)
            self._diagnostics.add(ref.location, f"`{ref.name}` is used before it is set", remedy)

    def _unknown(self, name: str) -> tuple[str, str]:
        if name in OPTIONS:
            return (
                f"`{name}` is an option that no update needs to know",
                "every optimizer has it: write the rule as if there were none",
            )
        known = [*self._given, *self._locals]
        return names.explain_unknown(self._rule, name, known, "declare it, or set it in an earlier line")

    def _check_exists(self, state: State, ref: Ref) -> bool:
        """Check that a state exists on every path to this location; note an error and return False if not."""
        if state.when is None or state.name in self._unsure or conjuncts(state.when) <= self._facts:
            return True
        if any(isinstance(e, Ref) and e.name == UNREADABLE for fact in self._facts for e in walk_expression(fact)):
            return True  # it is unknown what holds here
        if state.name in self._reported:
            return False
        self._reported.add(state.name)
        condition = expression_text(state.when)
        self._diagnostics.add(
            ref.location,
            f"`{state.name}` does not exist unless {quote(condition)}",
            f"use it under `if {condition}:` only",
        )
        return False

    def _predicate(self, predicate: str, ref: Ref) -> bool:
        if OPS[predicate].shape is Shape.OF_PARAM:
            self.complete &= ref.name != UNREADABLE
            return True
        if predicate != "first":
            asked = "a value is a tensor" if predicate == "is_tensor" else f"a parameter is {predicate[3:]}"
            self._diagnostics.add(ref.location, f"an update cannot ask whether {asked}", "only `require` can")
            return False
        self.read.add(ref.name)
        state = self._rule.state(ref.name)
        if state is None:
            remedy = did_you_mean(ref.name, [s.name for s in self._rule.states], "`first` is asked of a state")
            self._diagnostics.add(ref.location, f"{quote(ref.name)} is no state", remedy)
            return False
        if state.kind is StateKind.COUNTER:
            self._diagnostics.add(ref.location, "`first` is not asked of a counter", f"write `{ref.name} == 1`")
            return False
        return self._check_exists(state, ref)


def _goes_on(assignment: Assign) -> bool:
    """Return whether a history gets its own value with one more pair."""
    match assignment.value:
        case Call(op=op, args=(Ref(name=name), *_)):
            return OPS[op].shape is Shape.REMEMBER and name == assignment.target
        case _:
            return False


def means_two_axes(condition: Expr) -> bool:
    """Return whether a condition says that the parameter has at least two axes."""
    match condition:
        case Call(op=op, args=(Const() as number, right)) if op in _MIRRORED:
            return means_two_axes(Call(_MIRRORED[op], (right, number)))
        case Call(op="gt" | "ge" | "eq" as op, args=(Call(op="rank"), Const(value=least))):
            return least >= (1 if op == "gt" else 2)
        case _:
            return False


def _shape_remedy(known: Kind, kind: Kind) -> str:
    """Return how a state that holds a kind of numbers is declared if it is to hold another."""
    if kind.is_element:
        what = "a scalar state holds numbers: declare it without `scalar`"
        return what if known.is_on_host else "declare it without `shape`"
    if kind.dims is None:
        return "declare it with `shape: number`" if known.is_on_host else "it holds more numbers than that"
    shape = {(Dim.ROWS, Dim.ONE): "rows", (Dim.ONE, Dim.COLUMNS): "columns"}.get(kind.dims)
    return f"declare it with `shape: {shape}`" if shape else "reduce it to one number"


def _shared_remedy(kind: Kind) -> str:
    """Return how a number that parameters share gets a value from a kind of numbers."""
    return "add up over parameters with `total(...)`" if kind.dims is None else "add up first: `total(sum(...))`"


def conjuncts(condition: Expr) -> frozenset[Expr]:
    """Return the conditions that all hold if this one does."""
    match condition:
        case Call(op="and", args=(left, right)):
            return conjuncts(left) | conjuncts(right)
        case Call(op="not", args=(inner,)) if (turned := negation(inner)) != condition:
            return conjuncts(turned)
        case _:
            return frozenset({condition})


def negation(condition: Expr) -> Expr:
    """Return the negation of a condition, without a `not` where it can be written otherwise.

    Hyperparameters are never NaN, so that for them `not a > b` is `a <= b`.
    """
    match condition:
        case Call(op="not", args=(inner,)):
            return inner
        case Call(op="or", args=(left, right), location=here):
            return Call("and", (negation(left), negation(right)), here)
        case Call(op=op, args=args, location=here) if op in _OPPOSITES:
            return Call(_OPPOSITES[op], args, here)
        case _:
            return Call("not", (condition,), condition.location)
