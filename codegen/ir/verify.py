"""What must hold of a Rule at each stage. A failure is a bug of the compiler, never an author's mistake.

In: a Rule and the name of its stage: "checked" (as the front end leaves it) or "features" (everything that all
optimizers share is in the body). Out: nothing, or an AssertionError that names what does not hold.
"""

from __future__ import annotations

import math

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
    walk_expression,
    walk_statements,
)
from thetac.codegen.ir.ops import OPS
from thetac.options import OPTIONS

STAGES = ("checked", "features")


def verify(rule: Rule, stage: str) -> None:
    """Asserts that the rule is legal at the stage."""
    assert stage in STAGES, f"unknown stage {stage}"
    declared = _declared(rule)
    counters = set(rule.names_of(StateKind.COUNTER))
    read_only = declared - {state.name for state in rule.states} | counters
    assigned = {s.target for s in walk_statements(rule.body) if isinstance(s, Assign)}
    given = {"param", "grad", *declared}
    where = f"{rule.name}, stage {stage}"

    assert "param" in assigned, f"{where}: the parameter is never assigned"
    assert not assigned & read_only, f"{where}: {sorted(assigned & read_only)} cannot be assigned to"
    for statement in walk_statements(rule.body):
        assert stage == "features" or not statement.origin, f"{where}: {statement} was invented too early"
    _bound(rule.body, given | (set(OPTIONS) if stage == "features" else set()), where)
    _expressions(rule, where, expanded=stage == "features")
    for state in rule.states:
        reads = set(_names(state.init)) - ({"grad", "param"} if stage == "checked" else {"param"})
        assert reads <= declared, f"{where}: {state.name} starts from {sorted(reads - declared)}"
    if stage == "checked":
        assert "grad" not in assigned, f"{where}: only features change the gradient"


def _declared(rule: Rule) -> set[str]:
    """Names of hyperparameter values, flags and states; each stands for one thing."""
    names = [name for h in rule.hyperparameters for name in h.value_names]
    names += [flag.name for flag in rule.flags]
    names += [state.name for state in rule.states]
    assert len(names) == len(set(names)), f"{rule.name}: a name stands for two things: {sorted(names)}"
    assert not {"param", "grad", *OPTIONS} & set(names), f"{rule.name}: a declared name is reserved: {sorted(names)}"
    return set(names)


def _bound(body: tuple[Stmt, ...], known: set[str], where: str) -> set[str]:
    """Asserts that every name has a value on every path to where it is read; the names that have one at the end."""
    known = set(known)
    for statement in body:
        match statement:
            case Assign(target=target, value=value):
                assert set(_names(value)) <= known, (
                    f"{where}: {sorted(set(_names(value)) - known)} read before it is set"
                )
                known.add(target)
            case If(condition=condition, then=then, orelse=orelse):
                assert set(_names(condition)) <= known, (
                    f"{where}: {sorted(set(_names(condition)) - known)} read before it is set"
                )
                known |= _bound(then, known, where) & _bound(orelse, known, where)
    return known


def _expressions(rule: Rule, where: str, *, expanded: bool) -> None:
    """Assert that operations exist, have as many arguments as they take, and are written out if `expanded`."""
    expressions: list[Expr] = [s.condition if isinstance(s, If) else s.value for s in walk_statements(rule.body)]
    expressions += [state.init for state in rule.states]
    expressions += [state.when for state in rule.states if state.when is not None]
    expressions += [requirement.condition for requirement in rule.requirements]
    expressions += [condition for condition, _ in rule.decay if condition is not None]
    for part in (part for expression in expressions for part in walk_expression(expression)):
        match part:
            case Call(op=op, args=args):
                assert op in OPS, f"{where}: unknown op {op}"
                assert len(args) == OPS[op].arity, f"{where}: {op} with {len(args)} arguments"
                may_stay = not expanded or not OPS[op].defined or OPS[op].whole_on_elements
                assert may_stay, f"{where}: {op} is not expanded"
            case Const(value=value):
                assert math.isfinite(value), f"{where}: the constant {value}"
            case Ref(name=name):
                assert name, f"{where}: a part that the front end could not read"


def _names(expression: Expr) -> tuple[str, ...]:
    return tuple(part.name for part in walk_expression(expression) if isinstance(part, Ref))
