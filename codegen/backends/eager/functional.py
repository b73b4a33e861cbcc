"""The rule on tensors throughout: nothing is overwritten before the end, and numbers may be 0-d tensors.

In: a Rule after features. Out: the body of `step_on_tensors`, for capturable (no synchronisation with the host:
a branch on a counter becomes a selection) and differentiable (autograd keeps what was read).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.backends.eager.lines import (
    INDENT,
    commented,
    loop_lines,
    numbers_read,
    other_side,
    pair_lines,
    with_declared_types,
)
from thetac.codegen.backends.printing.arguments import (
    RESERVED,
    asks_first,
    list_names,
    names_in,
    names_read_in,
    optional_states,
    state_arguments,
    tensor_names,
    unique,
)
from thetac.codegen.backends.printing.escaping import comment
from thetac.codegen.backends.printing.host_python import PYTHON, TENSOR_FUNCTIONS, guarded, known_numbers, on_tensors
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
    names_read,
    walk_statements,
)
from thetac.codegen.ir.printer import Precedence, Row, Table, expression_text
from thetac.codegen.ir.value_kinds import HOST_NUMBER
from thetac.codegen.passes.analysis.kinds import infer, is_static, on_host

# torch.lerp does not take a weight of another dtype, nor torch.clamp bounds of which one is a tensor.
ON_TENSORS: Table = {
    **on_tensors(""),
    "clamp": Row("minimum(maximum({0}, {1}), {2})", Precedence.ATOM, (Precedence.CONDITIONAL,) * 3),
    "first": Row("is_first_{0}", Precedence.ATOM, (Precedence.ATOM,)),
}

FUNCTIONS = tuple(sorted({"as_pairs", "copied", "store", *TENSOR_FUNCTIONS.values()}))  # of runtime/tensors.py


def body(rule: Rule) -> list[str]:
    """The loop over parameters."""
    return _OnTensors(rule).render()


@dataclass(slots=True)
class _Scope:
    """How names are written inside one side of a selection, where assignments go to names of the side's own."""

    now: dict[str, str]  # the names that have been assigned, and what they are called
    own: dict[str, str]  # what each name will be called once assigned
    taken: frozenset[str]  # with the own names of this and all surrounding sides, and of the other side of each
    capturable: bool | None  # whether these lines run only if capturable (True), only if not (False), or always (None)

    def name(self, name: str) -> str:
        return self.now.get(name, name)

    def assign(self, name: str) -> str:
        if name in self.own:
            self.now[name] = self.own[name]
        return self.name(name)

    def settle(self, branch: If, defined: frozenset[str]) -> list[str]:
        """Before a branch that Python takes: what one path assigns must go by its new name on the other path too."""
        late = [n for n in _assigned((branch,)) if n in self.own and n in defined and self.name(n) != self.own[n]]
        old = [self.name(name) for name in late]
        return [f"{self.assign(name)} = {before}" for name, before in zip(late, old, strict=True)]


class _OnTensors:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kinds, self.known = infer(rule), known_numbers(rule)
        taken = {*names_in(rule), *list_names(rule).values(), *RESERVED}
        stored = ["param", *(state.name for state in rule.states if state.kind is not StateKind.COUNTER)]
        self.targets = {name: unique(f"{name}_out", taken) for name in stored}  # what is stored into at the end
        self.counters = {n: t for n, t in tensor_names(rule).items() if n in rule.names_of(StateKind.COUNTER)}
        self.scalars = set(rule.names_of(StateKind.SCALAR))
        self.tensors = [name for name in stored if name not in self.scalars]
        self.optional = optional_states(rule)
        self.present: set[str] = set()  # names, as they are written, of optional states that are known to exist
        self.host_names = {name: kind for name, kind in self.kinds.items() if kind.is_on_host}
        self.taken = taken | set(self.targets.values()) | set(self.counters.values())

    def render(self) -> list[str]:
        firsts = asks_first(self.rule)
        variables = [self.targets["param"], "grad"]
        variables += [self.targets.get(state.name) or self.counters[state.name] for state in self.rule.states]
        variables += [f"is_first_{name}" for name in firsts]
        over = ["params", "grads", *state_arguments(self.rule), *(f"first_{name}" for name in firsts)]
        of_states = self.tensors[1:]
        required = [self.targets[name] for name in of_states if name not in self.optional]
        optional = [self.targets[name] for name in of_states if name in self.optional]
        lines = [
            f"if torch.is_complex({self.targets['param']}):",
            *(INDENT + line for line in pair_lines([self.targets["param"], "grad", *required], optional)),
            *(f"{name} = {self.targets[name]}" for name in self.tensors),
            "if differentiable:  # autograd may keep these; what is stored at the end must not change them",
            *(f"{INDENT}{name} = {self._clone(name)}" for name in self.tensors),
        ]
        small = {**self.counters, **{name: self.targets[name] for name in self.rule.names_of(StateKind.SCALAR)}}
        lines += [
            f"{state.name} = None" for state in self.rule.states if state.when is not None and state.name in small
        ]
        lines += numbers_read(
            self.rule,
            names_read_in(self.rule),
            count=lambda name: f"{small[name]} += 1",
            read=lambda name: self._number_read(name, small[name]),
            assertion=lambda name: f"assert {small[name]} is not None",
        )
        defined = frozenset(names_in(replace(self.rule, body=()))) | {"param", "grad"}
        lines += self._block(self.rule.body, _Scope({}, {}, frozenset(), None), defined)[0]
        lines += [f"store({target}, {name})" for name, target in self.targets.items()]
        return loop_lines(variables, over, with_declared_types(lines, self._types()))

    def _types(self) -> dict[str, str]:
        """Return the types of host scalars, which may be numbers first and tensors later."""
        types = {name: "Scalar" if kind == HOST_NUMBER else "bool | Tensor" for name, kind in self.host_names.items()}
        optional = {name: f"{kind} | None" for name, kind in types.items() if name in self.optional}
        return {**types, **optional}

    def _number_read(self, name: str, tensor: str) -> str:
        """No gradients flow through a counter, so it may be a number; a scalar state stays a tensor."""
        if name in self.scalars:
            return f"{name} = {tensor}.clone() if differentiable else {tensor}"
        return f"{name} = {tensor} if capturable else {tensor}.item()"

    def _clone(self, name: str) -> str:
        state = self.rule.state(name)
        clone = f"{self.targets[name]}.clone()"
        return (
            clone if state is None or state.when is None else f"{clone} if {self.targets[name]} is not None else None"
        )

    def _block(self, body: Sequence[Stmt], scope: _Scope, defined: frozenset[str]) -> tuple[list[str], frozenset[str]]:
        """Lines of the statements, and the names defined after them."""
        lines: list[str] = []
        for statement in body:
            match statement:
                case Assign(target=target, value=value):
                    lines += self._assertions(value, scope)
                    text = self._text(value, scope)
                    if target in self.tensors and (
                        isinstance(value, Ref) or (isinstance(value, Call) and value.op == "where")
                    ):
                        text = f"copied({text})"  # the tensor behind it may be stored into before this one is
                    line = f"{scope.assign(target)} = {text}"
                    if not scope.own:  # a selected side repeats statements that stand commented in the plain branch
                        lines += commented(statement, [line])
                    lines.append(line)
                    self.present.add(scope.name(target))
                    if target in self.host_names:
                        self.host_names[scope.name(target)] = self.host_names[target]
                    defined |= {target}
                case If(condition=condition):
                    if is_static(condition, self.rule) or is_static(_without_first(condition), self.rule):
                        lines += scope.settle(statement, defined)
                        branch, defined = self._branch(self._condition(condition), statement, scope, defined)
                    else:
                        branch, defined = self._dynamic(statement, scope, defined)
                    lines += branch
                case _:
                    assert_never(statement)
        return lines or ["pass"], defined

    def _branch(
        self, condition: str, statement: If, scope: _Scope, defined: frozenset[str]
    ) -> tuple[list[str], frozenset[str]]:
        """A branch that Python takes."""
        present = set(self.present)
        then, after = self._block(statement.then, scope, defined)
        after_then, self.present = self.present, present
        lines = [f"if {condition}:", *(INDENT + line for line in then)]
        if not statement.orelse:
            return lines, after & defined
        orelse, after_else = self._block(statement.orelse, scope, defined)
        self.present &= after_then
        return [*lines, *other_side(orelse)], after & after_else

    def _dynamic(self, statement: If, scope: _Scope, defined: frozenset[str]) -> tuple[list[str], frozenset[str]]:
        """A branch on a number that is a tensor if capturable: then both sides are computed and one is selected."""
        opening = [f"# {comment(statement.comment)}"] if comment(statement.comment) else []
        opening += self._assertions(statement.condition, scope)
        if scope.capturable is True:
            lines, after = self._select(statement, scope, defined)
            return [*opening, *lines], after
        plain_scope = replace(scope, capturable=False)
        plain, after = self._branch(self._text(statement.condition, scope), statement, plain_scope, defined)
        if scope.capturable is False:
            return [*opening, *plain], after
        selected, _ = self._select(statement, scope, defined)
        plain[0] = f"el{plain[0]}"
        return [*opening, "if capturable:", *(INDENT + line for line in selected), *plain], after

    def _select(self, statement: If, scope: _Scope, defined: frozenset[str]) -> tuple[list[str], frozenset[str]]:
        """Both sides under names of their own, then `where` for what is defined after either."""
        condition, read = self._text(statement.condition, scope), names_read(statement.condition)
        lines: list[str] = []
        taken = self.taken | scope.taken
        if not set(read).isdisjoint(_assigned((statement,))):  # the selections must not change what they go by
            name = unique("condition", taken)
            taken.add(name)
            lines.append(f"{name} = {condition}")
            condition = name
        sides: list[_Scope] = []
        after = []
        for body, suffix in ((statement.then, "if_so"), (statement.orelse, "if_not")):
            own = {}
            for name in _assigned(body):
                own[name] = unique(f"{scope.name(name)}_{suffix}", taken)
                taken.add(own[name])
            side = _Scope({**scope.now}, own, frozenset(taken), capturable=True)
            inner, defined_after = self._block(body, side, defined) if body else ([], defined)
            lines += inner
            sides.append(side)
            after.append(defined_after)
        both = after[0] & after[1]
        for name in dict.fromkeys((*sides[0].own, *sides[1].own)):
            if name in both:
                chosen, other = sides[0].name(name), sides[1].name(name)
                lines += self._assertions_of(name, chosen, other)
                lines.append(f"{scope.assign(name)} = where({condition}, {chosen}, {other})")
        return lines, both

    def _assertions(self, expression: Expr, scope: _Scope) -> list[str]:
        """Return what tells a reader of types that the states exist which an expression reads."""
        return [line for name in names_read(expression) for line in self._assertions_of(name, scope.name(name))]

    def _assertions_of(self, state: str, *names: str) -> list[str]:
        """Return the same for names that a state is written by."""
        missing = [name for name in names if state in self.optional and name not in self.present]
        self.present |= set(missing)
        return [f"assert {name} is not None" for name in missing]

    def _condition(self, condition: Expr) -> str:
        """A condition of the host: a plain truth value."""
        return expression_text(guarded(condition, self.known), {**PYTHON, "first": ON_TENSORS["first"]})

    def _text(self, expression: Expr, scope: _Scope) -> str:
        return expression_text(self._guarded(expression), ON_TENSORS, scope.name)

    def _guarded(self, expression: Expr) -> Expr:
        """Numbers of the host may not fail where they are floats; elements cannot."""
        if isinstance(expression, Call) and not on_host(expression, self.kinds):
            return replace(expression, args=tuple(self._guarded(argument) for argument in expression.args))
        return guarded(expression, self.known)


def _assigned(body: Sequence[Stmt]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.target for s in walk_statements(tuple(body)) if isinstance(s, Assign)))


def _without_first(expression: Expr) -> Expr:
    match expression:
        case Call(op="first"):
            return Const(True)
        case Call(op=op, args=args):
            return Call(op, tuple(_without_first(argument) for argument in args))
        case Ref() | Const():
            return expression
        case _:
            assert_never(expression)
