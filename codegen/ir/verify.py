"""Assert what must hold of a rule at each stage. A failure is a bug of the compiler, never an author's error.

In: a Rule and the name of its stage, or a Fused. Out: nothing, or an AssertionError that names the rule, the stage and
what does not hold. Must not know how a stage is reached. What kernels read and write on the way is not checked: the
tests execute the Fused program for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from thetac.codegen.ir.fused import (
    Barrier,
    ElementAssign,
    ElementIf,
    ElementStmt,
    Fused,
    elements_assigned,
    elements_read,
)
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
    always_assigned,
    assigned,
    expression_of,
    names_read,
    walk_expression,
    walk_statements,
)
from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS, FUNCTIONS, NUMBER_BY_NUMBER, OF_BLOCKS, OPS, Shape
from thetac.codegen.ir.reductions import is_reduction, reductions_in, split_axis
from thetac.codegen.ir.totals import is_total
from thetac.drivers import DRIVERS
from thetac.options import IN_UPDATE, OPTIONS
from thetac.shape_numbers import PARAM_FACTS, VARIABLES


@dataclass(frozen=True, slots=True)
class Stage:
    """What is legal at one stage of a Rule."""

    ops: frozenset[str]
    fixed_flags: bool  # there may be flags that users cannot set
    reads: frozenset[str]  # names that the body reads beside the parameter, the gradient and what the rule declares
    assigns: frozenset[str]  # names that the body assigns beside states and locals
    starts: frozenset[str]  # names that states start from beside hyperparameters and flags
    conditions: frozenset[str]  # names that other conditions read beside those
    invented: bool  # there may be statements that no author wrote


_EXPANDED = frozenset(
    op.name
    for op in OPS.values()
    if (not op.defined or op.whole_on_elements) and op.shape is not Shape.OF_PARAM and op.name not in PARAM_FACTS
)
_BOTH = frozenset({"param", "grad"})
_PARAM = frozenset({"param"})

STAGES: dict[str, Stage] = {
    # As the front end and the checks leave it; then with fixed flags decided; then with all that optimizers share.
    "checked": Stage(frozenset(OPS), True, frozenset(), _PARAM, _BOTH, frozenset(), False),
    "decided": Stage(frozenset(OPS), False, frozenset(), _PARAM, _BOTH, frozenset(), False),
    "features": Stage(_EXPANDED, False, frozenset({*IN_UPDATE, *VARIABLES}), _BOTH, _PARAM, frozenset(VARIABLES), True),
}

# Of a Fused: what its host program computes with, its elements, and its static conditions.
_HOST_OPS = frozenset(op.name for op in OPS.values() if not op.defined and op.shape in NUMBER_BY_NUMBER)
_OPERATORS = {op.name for op in OPS.values() if op.shape in NUMBER_BY_NUMBER} - FUNCTIONS.keys()
_ELEMENT_OPS = frozenset(_OPERATORS - {"mod"} | {op.name for op in ELEMENT_FUNCTIONS})
_PROGRAM_OPS = _HOST_OPS | {"sum", "max", *(op.name for op in OF_BLOCKS)}
_LOGIC = frozenset(op.name for op in OPS.values() if op.shape is Shape.LOGIC)


def verify(rule: Rule, stage: Literal["checked", "decided", "features"]) -> None:
    """Assert that a rule is legal at a stage."""
    legal, where = STAGES[stage], f"{rule.name}, stage {stage}"
    declared = _declared(rule)
    targets = set(assigned(rule.body))
    states = {state.name for state in rule.states} - set(rule.names_of(StateKind.COUNTER))
    writable = states | {shared.name for shared in rule.shared}
    read_only = (declared | _BOTH | OPTIONS.keys()) - writable - legal.assigns - {*rule.vectors[:1]}
    driven = bool(rule.driver) and DRIVERS[rule.driver].replaces_update
    assert targets & {"param", *states, *rule.vectors} or driven, f"{where}: nothing is assigned that lives on"
    assert not targets & read_only, f"{where}: {sorted(targets & read_only)} cannot be assigned to"
    fixed = [flag.name for flag in rule.flags if flag.fixed]
    assert legal.fixed_flags or not fixed, f"{where}: {fixed} are still flags"
    if legal.invented:
        optional = [name for h in rule.hyperparameters for name in h.may_be_none]
        assert not rule.choices, f"{where}: {rule.choices} are no flags"
        assert not optional, f"{where}: {optional} may be None"
    for statement in walk_statements(rule.body):
        assert legal.invented or not statement.origin, f"{where}: {statement} was invented too early"
    _bound(rule.body, declared | {*rule.vectors, *rule.numbers} | _BOTH | legal.reads, where)
    for what, expression in _outside_of_the_body(rule):
        besides = legal.starts if what.startswith("the start of") else legal.conditions
        besides |= {*OPTIONS, *PARAM_FACTS.values()} if what == "a requirement" else frozenset()
        unknown = _values_read(expression) - declared - besides
        assert not unknown, f"{where}: {what} reads {sorted(unknown)}"
        _check_expression(expression, legal.ops, where)
    for statement in walk_statements(rule.body):
        _check_expression(expression_of(statement), legal.ops, where)


def verify_fused(fused: Fused, rule: Rule) -> None:
    """Assert that a rule, split for kernels, is legal."""
    where = f"{rule.name}, fused"
    _verify_host(fused, where)
    specialisations = [one.name for one in fused.specialisations]
    entries = [entry.name for entry in fused.row]
    names = [*entries, *specialisations, *fused.streams]
    assert len(names) == len(set(names)), f"{where}: a name of kernels stands for two things: {sorted(names)}"
    assert fused.streams[:2] == ("param", "grad"), f"{where}: the streams begin with {fused.streams[:2]}"
    fixed = (_declared(rule) - {state.name for state in rule.states}) | {*IN_UPDATE, *VARIABLES}
    for one in fused.specialisations:
        _check_expression(one.condition, _HOST_OPS, where)
        unknown = set(names_read(one.condition)) - fixed
        assert not unknown, f"{where}: the specialisation {one.name} reads {sorted(unknown)}"
    read: set[str] = set()
    kept: set[str] = set()  # streams that have been stored
    known: set[str] = set()  # numbers and vectors that have a value
    values, small = {value.name for value in fused.tensor_values}, {state.name for state in fused.small}
    assert not (values | small) & set(names), f"{where}: a name of kernels stands for two things: {sorted(values)}"
    for index, one_pass in enumerate(fused.passes):
        here = f"{where}, pass {index}"
        streams = tuple(stream.name for stream in one_pass.streams)
        assert streams == fused.streams, f"{here}: the streams are {streams}"
        for stream in one_pass.streams:
            for condition in (stream.loaded, stream.stored):
                _check_static(condition, specialisations, here)
        stored = {stream.name for stream in one_pass.streams if stream.stored != Const(False)}
        assert "grad" not in stored, f"{here}: the gradient is stored"
        assert stored <= set(elements_assigned(one_pass.body)), f"{here}: a stream is stored that nothing assigns"
        assert not stored & kept, f"{here}: {sorted(stored & kept)} are stored twice"
        kept |= stored
        programs = known | small | set(entries)
        _bound_elements(one_pass.before, frozenset(programs), fused, f"{here}, before", _PROGRAM_OPS)
        strangers = set(elements_assigned(one_pass.before)) & (set(entries) | set(fused.streams))
        assert not strangers, f"{here}: the tensor program assigns {sorted(strangers)}"
        known |= set(elements_assigned(one_pass.before)) & values
        unset = set(one_pass.reads) - known
        assert not unset, f"{here}: {sorted(unset)} are read and have no value"
        swept = frozenset((*entries, *fused.streams, *one_pass.reads))
        _bound_elements(one_pass.body, swept, fused, here, _ELEMENT_OPS)
        for fold in one_pass.folds:
            assert fold.value in elements_assigned(one_pass.body), f"{here}: nothing assigns {fold.value}"
            assert fold.target in values, f"{here}: {fold.target} is not kept"
            assert fold.target not in known, f"{here}: {fold.target} has a value already"
            _check_static(fold.needed, specialisations, here)
        ends = {total.passes for total in fused.totals}
        assert (one_pass.barrier is Barrier.TOTAL) == (index + 1 in ends), f"{here}: the barrier is {one_pass.barrier}"
        waited = sum(total.passes <= index for total in fused.totals)
        now = set(elements_read((*one_pass.before, *one_pass.body)))
        early = [entry.name for entry in fused.row if entry.name in now and entry.after > waited]
        assert not early, f"{here}: {early} are read before the totals that they need are known"
        known |= {fold.target for fold in one_pass.folds}
        unset = {total.term for total in fused.totals if total.passes == index + 1} - known
        assert not unset, f"{here}: the terms {sorted(unset)} have no value"
        read |= now
    left = set(fused.streams) & {name for one in fused.passes for name in elements_assigned(one.body)} - kept - {"grad"}
    assert not left, f"{where}: {sorted(left)} are assigned and not stored"
    assert set(entries) <= read, f"{where}: no element reads {sorted(set(entries) - read)} of the row"


def _verify_host(fused: Fused, where: str) -> None:
    """Assert that the program of the host is legal and computes every number of the row."""
    terms = {total.term for total in fused.totals}
    known = _bound(fused.host, set(fused.inputs) | terms, f"{where}, host")
    found = tuple(s.target for s in fused.host if isinstance(s, Assign) and is_total(s.value))
    assert found == tuple(total.target for total in fused.totals), f"{where}: the host waits for {found}"
    unset = [entry.variable for entry in fused.row if entry.variable not in known]
    assert not unset, f"{where}: {unset} of the row may have no value"
    changed = set(assigned(fused.host)) & set(fused.inputs) - {*fused.scalars, *fused.shared}
    assert not changed, f"{where}: the host assigns the inputs {sorted(changed)}"
    for statement in walk_statements(fused.host):
        expression = expression_of(statement)
        if not is_total(expression):
            _check_expression(expression, _HOST_OPS, f"{where}, host")


def _bound_elements(
    body: Sequence[ElementStmt], known: frozenset[str], fused: Fused, where: str, ops: frozenset[str]
) -> frozenset[str]:
    """Assert that statements read what has a value, by operations that they have; return what has one afterwards."""
    truths = {entry.name for entry in fused.row if entry.truth}
    for statement in body:
        match statement:
            case ElementAssign(target=target, value=value):
                _check_expression(value, ops, where)
                _check_known(value, known, where)
                for part in value.args if isinstance(value, Call) else ():
                    assert not any(reductions_in(part)), f"{where}: a reduction within an expression: {value}"
                if is_reduction(value):
                    assert isinstance(value, Call)
                    assert isinstance(value.args[0], Ref), f"{where}: {value} is not of a name"
                known |= {target}
            case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                if static:
                    _check_static(condition, [one.name for one in fused.specialisations], where)
                else:
                    dynamic = isinstance(condition, Ref) and condition.name in truths
                    assert dynamic, f"{where}: a branch on {condition}, which is no truth value of the row"
                sides = [_bound_elements(side, known, fused, where, ops) for side in (then, orelse)]
                known = sides[0] & sides[1]
    return known


def _declared(rule: Rule) -> set[str]:
    """Return the names of hyperparameter values, flags and states; assert that each stands for one thing."""
    names = [name for h in rule.hyperparameters for name in h.value_names]
    names += [flag.name for flag in rule.flags]
    names += [name for choice in rule.choices for name, _ in choice.comparisons]
    names += [one.name for one in rule.kept]
    assert len(names) == len(set(names)), f"{rule.name}: a name stands for two things: {sorted(names)}"
    assert not {"param", "grad", *OPTIONS} & set(names), f"{rule.name}: a declared name is reserved: {sorted(names)}"
    return set(names)


def _outside_of_the_body(rule: Rule) -> list[tuple[str, Expr]]:
    """Return the other expressions of a rule, and what each is."""
    expressions = [(f"the start of {state.name}", state.init) for state in rule.kept]
    expressions += [(f"the condition of {s.name}", s.when) for s in rule.states if s.when is not None]
    expressions += [("a requirement", requirement.condition) for requirement in rule.requirements]
    expressions += [
        (f"what None stands for in {h.name}", n) for h in rule.hyperparameters for n in h.none if n is not None
    ]
    expressions += [("weight decay", condition) for condition, _ in rule.decay if condition is not None]
    return expressions


def _values_read(expression: Expr) -> set[str]:
    """Return the names whose values an expression reads: not `param` where something is asked of it."""
    match expression:
        case Ref(name=name):
            return {name}
        case Call(op=op, args=args) if op not in PARAM_FACTS and (op not in OPS or OPS[op].shape is not Shape.OF_PARAM):
            return set().union(*map(_values_read, args))
        case _:
            return set()


def _bound(body: tuple[Stmt, ...], known: set[str], where: str) -> set[str]:
    """Assert that every name has a value wherever it is read; return the names that have one at the end."""
    for statement in body:
        match statement:
            case Assign(value=value):
                _check_known(value, known, where)
            case If(condition=condition, then=then, orelse=orelse):
                _check_known(condition, known, where)
                _bound(then, known, where)
                _bound(orelse, known, where)
        known = known | always_assigned((statement,))
    return known


def _check_known(expression: Expr, known: Iterable[str], where: str) -> None:
    unknown = set(names_read(expression)) - set(known)
    assert not unknown, f"{where}: {sorted(unknown)} read before it is set"


def _check_static(condition: Expr, specialisations: Iterable[str], where: str) -> None:
    """Assert that a condition joins specialisations."""
    _check_expression(condition, _LOGIC, where)
    unknown = set(names_read(condition)) - set(specialisations)
    assert not unknown, f"{where}: {sorted(unknown)} decide when a kernel is compiled"


def _check_expression(expression: Expr, ops: frozenset[str], where: str) -> None:
    """Assert that operations are legal and have as many arguments as they take, and that constants are numbers."""
    for part in walk_expression(expression):
        match part:
            case Call(op=op, args=args):
                assert op in ops, f"{where}: the operation {op}"
                operands = split_axis(part)[0] if is_reduction(part) else args
                assert len(operands) == OPS[op].arity, f"{where}: {op} with {len(args)} arguments"
            case Const(value=value):
                assert not math.isnan(value), f"{where}: the constant {value}"
            case Ref():
                pass
            case _:
                assert_never(part)
