"""Replace branches by selections: compute both sides, and choose one of two values for each name.

In: statements of a rule or of a scalar program, and which of their branches Python takes. Out: statements whose only
branches are those. A side assigns to names of its own, so that the other side and the condition read the earlier
values. Must not know any target language, nor which branches an implementation can take: its caller does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Stmt, always_assigned, assigned, names_read
from thetac.codegen.ir.ops import OPS, Shape
from thetac.codegen.passes.analysis.kinds import Kinds, kind_of
from thetac.codegen.passes.naming import entry_name, unique

SELECTION = "selection"  # the origin of statements that only choose or copy


@dataclass(frozen=True, slots=True)
class Selected:
    """Statements in which all branches that Python does not take are selections."""

    body: tuple[Stmt, ...]
    names: Mapping[str, str]  # each name of a side -> the name whose value it holds
    kinds: Kinds  # of all names, new ones included


def select(
    body: Iterable[Stmt],
    *,
    kinds: Kinds,
    is_taken: Callable[[Expr], bool],
    defined: Iterable[str],
    taken: Iterable[str],
    exists: Mapping[str, Expr],
) -> Selected:
    """Return the statements with a selection in place of each branch that is not taken.

    Args:
        body: The statements.
        kinds: Of all names that they read or assign.
        is_taken: Tells of a condition whether Python decides it, so that the branch stays.
        defined: Names that have a value before the statements. What only one side assigns has a value after a
            selection only if it is among them.
        taken: Names that a new one must differ from.
        exists: Of names that have a value only under a condition, which Python decides.
    """
    selector = _Selector(kinds, is_taken, exists)
    statements, _ = selector.block(body, _Scope({}, {}, frozenset(taken)), frozenset(defined))
    return Selected(statements, selector.names, selector.kinds)


@dataclass(slots=True)
class _Scope:
    """How names are written on one side of a selection, or outside of any."""

    now: dict[str, str]  # the names that have been assigned, and what they are called
    own: dict[str, str]  # what each name will be called once it is assigned
    taken: frozenset[str]  # with the own names of this and all surrounding sides, and of the other side of each

    def name(self, name: str) -> str:
        """Return what a name is called here."""
        return self.now.get(name, name)

    def assign(self, name: str) -> str:
        """Return the name to assign to, by which `name` is called from here on."""
        if name in self.own:
            self.now[name] = self.own[name]
        return self.name(name)

    def rename(self, expression: Expr) -> Expr:
        """Return an expression with every name as it is called here."""
        match expression:
            case Ref(name=name, location=here):
                return Ref(self.name(name), here)
            case Call(op=op) if OPS[op].shape is Shape.PREDICATE:
                return expression
            case Call(args=args):
                return replace(expression, args=tuple(self.rename(argument) for argument in args))
            case Const():
                return expression
            case _:
                assert_never(expression)


class _Selector:
    def __init__(self, kinds: Kinds, is_taken: Callable[[Expr], bool], exists: Mapping[str, Expr]) -> None:
        self.kinds = dict(kinds)
        self.is_taken = is_taken
        self.exists = exists
        self.names: dict[str, str] = {}

    def block(
        self, body: Iterable[Stmt], scope: _Scope, defined: frozenset[str]
    ) -> tuple[tuple[Stmt, ...], frozenset[str]]:
        """Return the statements with the scope's names, and the names that have a value after them."""
        statements: list[Stmt] = []
        for statement in body:
            match statement:
                case Assign(target=target, value=value):
                    value = scope.rename(value)
                    statements.append(replace(statement, target=scope.assign(target), value=value))
                    defined |= {target}
                case If(condition=condition, then=then, orelse=orelse) if self.is_taken(condition):
                    statements += self._settle(statement, scope, defined)
                    condition = scope.rename(condition)
                    then, after_then = self.block(then, scope, defined)
                    orelse, after_orelse = self.block(orelse, scope, defined)
                    statements.append(replace(statement, condition=condition, then=then, orelse=orelse))
                    defined = after_then & after_orelse
                case If():
                    chosen, defined = self._selection(statement, scope, defined)
                    statements += chosen
                case _:
                    assert_never(statement)
        return tuple(statements), defined

    def _selection(self, branch: If, scope: _Scope, defined: frozenset[str]) -> tuple[list[Stmt], frozenset[str]]:
        """Return both sides under names of their own, then a choice of each name that has a value after either."""
        statements: list[Stmt] = []
        changed = tuple(name for name in assigned((branch,)) if name in defined | always_assigned((branch,)))
        condition, taken = scope.rename(branch.condition), set(scope.taken)
        uses = sum(2 if self.kinds[name].truth else 1 for name in changed)
        lasts = isinstance(condition, Ref) and set(changed).isdisjoint(names_read(branch.condition))
        if uses > 1 and not lasts:
            name = entry_name(condition, "condition", taken)
            taken.add(name)
            self.kinds[name] = kind_of(condition, self.kinds)
            statements.append(Assign(name, condition, origin=SELECTION))
            condition = Ref(name)
        sides = []
        for body, suffix in ((branch.then, "if_so"), (branch.orelse, "if_not")):
            own = {}
            for name in assigned(body):
                own[name] = unique([f"{name}_{suffix}"], taken)
                taken.add(own[name])
                self.names[own[name]] = name
                self.kinds[own[name]] = self.kinds[name]
            side = _Scope({**scope.now}, own, frozenset(taken))
            inner, _ = self.block(body, side, defined)
            statements += inner
            sides.append(side)
        for name in changed:
            choice = self._choice(name, condition, *(Ref(side.name(name)) for side in sides))
            statements.append(self._assign_where_present(name, scope.assign(name), choice))
        return statements, defined | set(changed)

    def _choice(self, name: str, condition: Expr, chosen: Expr, other: Expr) -> Expr:
        """Return one of two values of a name. `where` takes no truth values."""
        if not self.kinds[name].truth:
            return Call("where", (condition, chosen, other))
        return Call("or", (Call("and", (condition, chosen)), Call("and", (Call("not", (condition,)), other))))

    def _settle(self, branch: If, scope: _Scope, defined: frozenset[str]) -> list[Stmt]:
        """Return copies to the new names of what a taken branch assigns, so that they have a value on every path."""
        late = [n for n in assigned((branch,)) if n in scope.own and n in defined and scope.name(n) != scope.own[n]]
        values = [Ref(scope.name(name)) for name in late]
        return [
            self._assign_where_present(name, scope.assign(name), value)
            for name, value in zip(late, values, strict=True)
        ]

    def _assign_where_present(self, name: str, target: str, value: Expr) -> Stmt:
        """Return the assignment of a value of a name, where the name has one."""
        statement = Assign(target, value, origin=SELECTION)
        return If(self.exists[name], (statement,), origin=SELECTION) if name in self.exists else statement
