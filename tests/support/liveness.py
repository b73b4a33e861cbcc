"""Which values a Python function assigns and never reads, on any path; for functions of ifs and loops."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field


@dataclass
class _Walk:
    """Goes through statements from the last to the first with the names that are read later."""

    dead: list[str] = field(default_factory=list)

    def before(self, body: list[ast.stmt], live: frozenset[str]) -> frozenset[str]:
        """The names read after some statement begins, given those read after it ends."""
        for statement in reversed(body):
            live = self.before_one(statement, live)
        return live

    def before_one(self, statement: ast.stmt, live: frozenset[str]) -> frozenset[str]:
        match statement:
            case ast.If(test=test, body=body, orelse=orelse):
                return self.before(body, live) | self.before(orelse, live) | _read(test)
            case ast.For(target=target, iter=over, body=body, orelse=[]):
                live |= self.quietly(body, live)  # what the next round reads
                return self.before(body, live) - _bound(target) | live - _bound(target) | _read(over)
            case ast.Assign(targets=[target], value=value):
                return self.assigned(statement, target, live) | _read(value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                return self.assigned(statement, target, live) | _read(value)
            case ast.Delete(targets=targets):  # of what was read: its memory is free before the function goes on
                return live - {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
            case ast.Pass() | ast.Expr() | ast.AugAssign() | ast.Return() | ast.Assert() | ast.Raise():
                names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
                return live | names
            case _:
                raise AssertionError(f"line {statement.lineno}: generated code has another kind of statement")

    def quietly(self, body: list[ast.stmt], live: frozenset[str]) -> frozenset[str]:
        return _Walk().before(body, live)

    def assigned(self, statement: ast.stmt, target: ast.expr, live: frozenset[str]) -> frozenset[str]:
        names = _bound(target)
        if names and not names & live:  # of a tuple that is unpacked, one is enough
            self.dead.append(f"line {statement.lineno}: {', '.join(sorted(names))} is assigned and never read")
        return live - names


def _bound(target: ast.expr) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def _read(expression: ast.expr) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(expression) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def dead_assignments(function: ast.FunctionDef) -> list[str]:
    """What the function assigns in vain, with the lines."""
    walk = _Walk()
    walk.before(function.body, frozenset())
    return walk.dead


def unused_arguments(function: ast.FunctionDef) -> list[str]:
    """The arguments that the function never reads."""
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    read = frozenset().union(*(_read(n) for s in function.body for n in ast.walk(s) if isinstance(n, ast.expr)))
    return [argument.arg for argument in arguments if argument.arg not in read and argument.arg != "self"]
