"""Check what parameters share: where totals may stand, and what shared numbers are computed from.

In: a Rule whose names are bound and whose kinds fit. Out: a diagnostic for each total in a branch or outside of the
update, and for each assignment to a shared number that could differ between the parameters which share it. `uniform`
returns the values of groups that have to agree for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from thetac.codegen.errors import Diagnostics, quote
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    Const,
    Expr,
    If,
    Ref,
    Rule,
    Scope,
    SparseMode,
    Stmt,
    compared,
    expression_of,
    names_of,
    walk_statements,
)
from thetac.codegen.ir.ops import OF_NAMES, OPS
from thetac.codegen.ir.totals import is_total, scope_of, totals_in


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a value is computed from, in so far as it may differ between parameters."""

    scope: Scope | None  # which parameters have the same value; None: it may differ between any two
    differs: Expr | None = None  # what makes it differ
    read: frozenset[str] = frozenset()  # the values of groups that it reads

    def __or__(self, other: _Origin) -> _Origin:
        """Return the origin of what is computed from both."""
        order = (None, Scope.GROUP, Scope.OPTIMIZER)
        worst = min(self, other, key=lambda one: order.index(one.scope))
        return _Origin(worst.scope, worst.differs, self.read | other.read)


_ANYWHERE = _Origin(Scope.OPTIMIZER)


def check_totals(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error for each total and each shared number that cannot be computed."""
    before = len(diagnostics)
    for branch in (statement for statement in rule.body if isinstance(statement, If)):
        for statement in walk_statements((branch,)):
            for total in totals_in(expression_of(statement)):
                cause = f"`{total.op}` in a branch, where every parameter has to wait for the others"
                diagnostics.add(total.location, cause, "compute it before the branch, and give it a name")
    if len(diagnostics) > before:
        return
    if rule.sparse_mode is not SparseMode.UNSUPPORTED:
        assignments = (one for one in walk_statements(rule.body) if isinstance(one, Assign))
        for total in (total for one in assignments for total in totals_in(one.value)):
            cause = f"`{total.op}` in a rule with `sparse: {rule.sparse_mode.value}`"
            diagnostics.add(total.location, cause, "delete `sparse`")
    flow = _Flow(rule, diagnostics)
    flow.run()
    for shared in rule.shared:
        if shared.name not in flow.assigned:
            remedy = "a value that never changes is a hyperparameter"
            diagnostics.add(shared.location, f"shared number `{shared.name}` is never assigned", remedy)


def uniform(rule: Rule) -> tuple[str, ...]:
    """Return the names of hyperparameters, flags and choices that have to agree in all groups, in order.

    Numbers of the optimizer are computed from them, so that every group would compute another one.
    """
    flow = _Flow(rule, Diagnostics())
    flow.run()
    read = {compared(name) for name in flow.uniform}
    names = [h.name for h in rule.hyperparameters if not read.isdisjoint((h.name, *h.elements))]
    return (*names, *(name for name in names_of(rule.flags, rule.choices) if name in read))


class _Flow:
    """Follows values through the update."""

    def __init__(self, rule: Rule, diagnostics: Diagnostics) -> None:
        self._rule = rule
        self._diagnostics = diagnostics
        self._scopes = {shared.name: shared.scope for shared in rule.shared}
        self._none = {n: m for h in rule.hyperparameters for n, m in zip(h.value_names, h.none, strict=False)}
        self._of_group = {name for h in rule.hyperparameters for name in h.value_names}
        self._of_group |= {flag.name for flag in rule.flags}
        self._of_group |= {name for choice in rule.choices for name, _ in choice.comparisons}
        self._origins: dict[str, _Origin] = {}  # of locals
        self.uniform: set[str] = set()  # values of groups that numbers of the optimizer are computed from
        self.assigned: set[str] = set()  # shared numbers

    def run(self) -> None:
        """Follow the whole update."""
        for shared in self._rule.shared:
            if shared.scope is Scope.OPTIMIZER:
                self.uniform |= self._of(shared.init).read
        self._block(self._rule.body, _ANYWHERE)

    def _block(self, body: tuple[Stmt, ...], condition: _Origin) -> None:
        for statement in body:
            match statement:
                case Assign(value=value):
                    self._assign(statement, self._of(value) | condition)
                case If(condition=decides, then=then, orelse=orelse):
                    inner = condition | self._of(decides)
                    before = dict(self._origins)
                    self._block(then, inner)
                    after_then, self._origins = self._origins, before
                    self._block(orelse, inner)
                    for name, origin in after_then.items():
                        self._origins[name] = origin | self._origins.get(name, origin)
                case _:
                    assert_never(statement)

    def _assign(self, statement: Assign, origin: _Origin) -> None:
        target = statement.target
        scope = self._scopes.get(target)
        if scope is None:
            self._origins[target] = origin
            return
        self.assigned.add(target)
        if scope is Scope.OPTIMIZER:
            self.uniform |= origin.read
        if origin.scope is scope or origin.scope is Scope.OPTIMIZER:
            return
        whose = "the optimizer" if scope is Scope.OPTIMIZER else "a group"
        if origin.scope is None:
            function = "total" if scope is Scope.OPTIMIZER else "group_total"
            remedy = f"add up over parameters with `{function}(...)`; else it reads hyperparameters and shared numbers"
        else:
            remedy = "it reads totals over all groups, such as `total(...)`, or declare it with `per: group`"
        what = _shown(origin.differs)
        between = "parameters" if origin.scope is None else "groups"
        cause = f"`{target}` is one number of {whose}, but {what} differs between {between}"
        self._diagnostics.add(statement.value.location, cause, remedy)

    def _of(self, expression: Expr) -> _Origin:
        """Return the origin of the value of an expression."""
        match expression:
            case Const():
                return _ANYWHERE
            case Ref(name=name):
                return self._of_name(expression, name)
            case Call() if is_total(expression):
                scope = scope_of(expression)
                return _Origin(scope, None if scope is Scope.OPTIMIZER else expression)
            case Call(op=op) if OPS[op].shape in OF_NAMES:
                return _Origin(None, expression)
            case Call(args=args):
                origin = _ANYWHERE
                for argument in args:
                    origin |= self._of(argument)
                return origin
            case _:
                assert_never(expression)

    def _of_name(self, ref: Ref, name: str) -> _Origin:
        if name in self._of_group:
            none = self._none.get(name)
            behind = frozenset[str]() if none is None else self._of(none).read
            return _Origin(Scope.OPTIMIZER, None, frozenset({name}) | behind)
        if name in self._scopes:
            scope = self._scopes[name]
            return _Origin(scope, None if scope is Scope.OPTIMIZER else ref)
        known = self._origins.get(name)
        if known is not None:
            return known
        return _Origin(None, ref)


def _shown(expression: Expr | None) -> str:
    match expression:
        case Ref(name=name):
            return quote(name)
        case Call(op=op):
            return f"`{op}(...)`"
        case _:
            return "it"
