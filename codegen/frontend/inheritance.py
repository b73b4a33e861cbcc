"""What inherited texts mean where some of what they read is dropped, and what `super()` stands for.

In: parsed texts of a family and the entries that its specs drop. Out: the same without the dropped flags; a
diagnostic, in the line that drops it, for anything else that is still needed. Must not know how texts are parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.errors import Diagnostics, Location
from thetac.codegen.frontend.spec import Spec
from thetac.codegen.ir.known_flags import decide, decide_expression
from thetac.codegen.ir.nodes import UNREADABLE, Assign, Call, Const, Expr, If, Ref, Stmt, names_read


@dataclass(frozen=True, slots=True)
class DroppedName:
    """A name that one spec of a family drops and that the specs further up may read."""

    name: str
    is_flag: bool
    location: Location  # where it is dropped


class Inheritance:
    """Settles the texts of a family: each is seen by the specs nearer than its own, which may have dropped names."""

    def __init__(self, family: tuple[Spec, ...], dropped: tuple[DroppedName, ...], diagnostics: Diagnostics) -> None:
        self._depth = {spec.path: depth for depth, spec in enumerate(family)}
        self._dropped = dropped
        self._diagnostics = diagnostics
        self._needed: set[DroppedName] = set()  # reported once

    def is_dropped(self, name: str, seen_from: Location) -> bool:
        """Return whether a name in a text at this location is dropped by a nearer spec."""
        return any(one.name == name for one in self._dropped_below(seen_from))

    def lacks(self, expression: Expr, seen_from: Location) -> bool:
        """Return whether an expression in a text at this location reads a dropped name that is no flag."""
        read = names_read(expression)
        return any(one.name in read and not one.is_flag for one in self._dropped_below(seen_from))

    def settle_expression(self, expression: Expr, seen_from: Location) -> Expr:
        """Return an expression of a text at this location without dropped names."""
        if not (dropped := self._dropped_below(seen_from)):
            return expression
        if flags := _flags(dropped):
            expression = decide_expression(expression, flags)
        return self._require(expression, {one.name: one for one in dropped})

    def settle_body(self, body: tuple[Stmt, ...], seen_from: Location) -> tuple[Stmt, ...]:
        """Return the statements of an update at this location without dropped names."""
        if not (dropped := self._dropped_below(seen_from)):
            return body
        if flags := _flags(dropped):
            body = decide(body, flags)
        return tuple(self._require_in(statement, {one.name: one for one in dropped}) for statement in body)

    def _dropped_below(self, location: Location) -> tuple[DroppedName, ...]:
        depth = self._depth[location.path]
        return tuple(one for one in self._dropped if self._depth[one.location.path] < depth)

    def _require_in(self, statement: Stmt, dropped: Mapping[str, DroppedName]) -> Stmt:
        match statement:
            case Assign(target=target, value=value):
                target = self._name(target, statement.location, dropped)
                return replace(statement, target=target, value=self._require(value, dropped))
            case If(condition=condition, then=then, orelse=orelse):
                return replace(
                    statement,
                    condition=self._require(condition, dropped),
                    then=tuple(self._require_in(inner, dropped) for inner in then),
                    orelse=tuple(self._require_in(inner, dropped) for inner in orelse),
                )
            case _:
                assert_never(statement)

    def _require(self, expression: Expr, dropped: Mapping[str, DroppedName]) -> Expr:
        match expression:
            case Ref(name=name, location=here):
                return Ref(self._name(name, here, dropped), here)
            case Call(args=args):
                return replace(expression, args=tuple(self._require(argument, dropped) for argument in args))
            case Const():
                return expression
            case _:
                assert_never(expression)

    def _name(self, name: str, here: Location, dropped: Mapping[str, DroppedName]) -> str:
        """Return the name; note an error and return UNREADABLE if it is dropped."""
        if name not in dropped:
            return name
        if dropped[name] not in self._needed:
            self._needed.add(dropped[name])
            cause = f"`{name}` is dropped here, but {here.path}:{here.line} needs it"
            self._diagnostics.add(dropped[name].location, cause, "keep it, or write anew what needs it")
        return UNREADABLE


def _flags(dropped: tuple[DroppedName, ...]) -> dict[str, bool]:
    return {one.name: False for one in dropped if one.is_flag}


class ParentUpdate:
    """What `super()` stands for in one update: the statements that it inherits, once.

    Args:
        statements: Returns the inherited statements; None if the spec extends no other.
    """

    def __init__(self, statements: Callable[[], tuple[Stmt, ...]] | None) -> None:
        self._statements = statements
        self._used_in = 0  # the line

    def take(self, location: Location, diagnostics: Diagnostics) -> tuple[Stmt, ...]:
        """Return the inherited statements; note an error and return a stand-in where there are none.

        Args:
            location: Where the update says `super()`.
            diagnostics: Gets the diagnostic.
        """
        if self._statements is None:
            cause, remedy = "`super()` in a spec that extends no other", "name the other one with `extends`"
        elif self._used_in:
            cause, remedy = f"`super()` is in line {self._used_in} already", "the inherited update runs once"
        else:
            self._used_in = location.line
            return self._statements()
        diagnostics.add(location, cause, remedy)
        return (Assign(UNREADABLE, Ref(UNREADABLE)),)
