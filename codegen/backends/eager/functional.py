"""Write the rule as operations that overwrite nothing before the end and take numbers as 0-d tensors.

In: a Rule after features. Out: the body of `step_on_tensors`, for capturable (no synchronisation with the host:
a branch on a counter becomes a selection) and differentiable (autograd keeps what was read).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from thetac.codegen.backends.eager.lines import (
    INDENT,
    comment_lines,
    declare_types,
    else_lines,
    indent,
    number_lines,
    pair_lines,
    release_lines,
    shared_lines,
)
from thetac.codegen.backends.eager.torch_ops import FUNCTIONS_OF_ROWS, TORCH_OPS
from thetac.codegen.backends.printing.arguments import (
    RESERVED,
    asks_first,
    list_names,
    names_in,
    names_read_in,
    optional_states,
    shape_arguments,
    tensor_names,
    underscored,
)
from thetac.codegen.backends.printing.escaping import comment
from thetac.codegen.backends.printing.host_python import PYTHON, TENSOR_FUNCTIONS, guarded, known_numbers, on_tensors
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    ComplexMode,
    Const,
    Expr,
    If,
    Ref,
    Rule,
    StateKind,
    Stmt,
    always_assigned,
    assigned,
    names_read,
)
from thetac.codegen.ir.ops import OF_BLOCKS, REDUCTIONS, TOTALS
from thetac.codegen.ir.printer import Precedence, Row, Table, expression_text, functions, row_along
from thetac.codegen.ir.reductions import ALL_AXES
from thetac.codegen.ir.totals import has_totals, is_total
from thetac.codegen.passes.analysis.kinds import Kinds, infer, is_on_host, is_static
from thetac.codegen.passes.select import SELECTION, select
from thetac.shape_numbers import VARIABLES


def _reductions() -> dict[str, Row]:
    """Return how reductions are written: as in the for-loop."""
    whole = {op.name: Row(TORCH_OPS[op.name].new, Precedence.ATOM, (Precedence.ATOM,)) for op in REDUCTIONS}
    keys = [row_along(op, axis) for op in REDUCTIONS for axis in ALL_AXES]
    return whole | {key: Row(TORCH_OPS[key].new, Precedence.ATOM, (_needed(TORCH_OPS[key].new),)) for key in keys}


def _needed(template: str) -> Precedence:
    """Return how tightly the operand of a reduction must bind: as what a method is of, or as an argument."""
    return Precedence.ATOM if template.startswith("{0}") else Precedence.CONDITIONAL


# torch.lerp does not take a weight of another dtype, nor torch.clamp bounds of which one is a tensor.
ON_TENSORS: Table = {
    **on_tensors(""),
    **_reductions(),
    **functions("", (*TOTALS, *OF_BLOCKS)),
    "clamp": Row("minimum(maximum({0}, {1}), {2})", Precedence.ATOM, (Precedence.CONDITIONAL,) * 3),
    "first": Row("is_first_{0}", Precedence.ATOM, (Precedence.ATOM,)),
}

# Of runtime/tensors.py.
FUNCTIONS = tuple(
    sorted({"as_pairs", "copied", "largest", "smallest", "store", *FUNCTIONS_OF_ROWS, *TENSOR_FUNCTIONS.values()})
)


def body(rule: Rule) -> list[str]:
    """Return the lines of one parameter."""
    return _OnTensors(rule).render()


def variables(rule: Rule) -> list[str]:
    """Return the variables of the loop over parameters, in the order of the for-loop's."""
    return _OnTensors(rule).variables()


class _OnTensors:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kinds: Kinds = infer(rule)
        self.known = known_numbers(rule)
        self.sides: dict[str, str] = {}  # names of sides of selections -> the names whose values they hold
        taken = {*names_in(rule), *list_names(rule).values(), *RESERVED}
        stored = ["param", *(state.name for state in rule.states if state.kind is not StateKind.COUNTER)]
        self.targets = {name: underscored(f"{name}_out", taken) for name in stored}  # what is stored into at the end
        self.counters = {n: t for n, t in tensor_names(rule).items() if n in rule.names_of(StateKind.COUNTER)}
        self.scalars = {*rule.names_of(StateKind.SCALAR), *rule.names_of(StateKind.NUMBER)}  # states that are a number
        self.tensors = [name for name in stored if name not in self.scalars]
        self.optional = optional_states(rule)
        self.present: frozenset[str] = frozenset()  # those of them that are known to exist at the current statement
        self.taken = taken | set(self.targets.values()) | set(self.counters.values())

    def variables(self) -> list[str]:
        """Return the variables of the loop."""
        variables = [self.targets["param"], "grad"]
        variables += [self.targets.get(state.name) or self.counters[state.name] for state in self.rule.states]
        variables += [f"is_first_{name}" for name in asks_first(self.rule)]
        return [*variables, *(one.variable for one in shape_arguments(self.rule))]

    def render(self) -> list[str]:
        """Return the lines of one parameter."""
        of_states = self.tensors[1:]
        required = [self.targets[name] for name in of_states if name not in self.optional]
        optional = [self.targets[name] for name in of_states if name in self.optional]
        lines: list[str] = []
        if self.rule.complex_mode is not ComplexMode.UNSUPPORTED:
            lines.append(f"if torch.is_complex({self.targets['param']}):")
            lines += indent(pair_lines([self.targets["param"], "grad", *required], optional))
        used = names_read_in(self.rule) | {*assigned(self.rule.body)}  # a piece need not read the parameter
        tensors = [name for name in self.tensors if name in used]
        lines += [
            *(f"{name} = {self.targets[name]}" for name in tensors),
            "if differentiable:  # autograd may keep these; what is stored at the end must not change them",
            *(f"{INDENT}{name} = {self._clone(name)}" for name in tensors),
        ]
        small = {**self.counters, **{name: target for name, target in self.targets.items() if name in self.scalars}}
        lines += [
            f"{state.name} = None" for state in self.rule.states if state.when is not None and state.name in small
        ]
        lines += number_lines(
            self.rule,
            names_read_in(self.rule) | self.scalars,  # the end stores the latter
            count=lambda name: f"{small[name]} += 1",
            read=lambda name: self._number_read(name, small[name]),
            assertion=lambda name: f"assert {small[name]} is not None",
        )
        defined = frozenset(names_in(replace(self.rule, body=()))) | {"param", "grad", *VARIABLES}
        lines += self._block(self.rule.body, defined, either_way=True)
        written = assigned(self.rule.body)
        lines += [f"store({target}, {name})" for name, target in self.targets.items() if name in written]
        lines = declare_types(lines, self._types())
        if not has_totals(self.rule):
            return lines
        released = release_lines(lines, ["grad"], {name for name, kind in self.kinds.items() if kind.dims})
        return [*released, *shared_lines(self.rule)]

    def _types(self) -> dict[str, str]:
        """Return the types of numbers, which may be Python's first and tensors later."""
        shared = {one.name for one in self.rule.shared}
        numbers = {name: kind for name, kind in self.kinds.items() if kind.dims is None and name not in shared}
        types = {name: "bool | Tensor" if kind.truth else "Scalar" for name, kind in numbers.items()}
        optional = {name: f"{kind} | None" for name, kind in types.items() if name in self.optional}
        return {**types, **optional}

    def _number_read(self, name: str, tensor: str) -> str:
        """Return the line that reads a counter or a scalar state.

        No gradients flow through a counter, so it may become a number; a scalar state stays a tensor.
        """
        if name in self.scalars:
            return f"{name} = {tensor}.clone() if differentiable else {tensor}"
        return f"{name} = {tensor} if capturable else {tensor}.item()"

    def _clone(self, name: str) -> str:
        state = self.rule.state(name)
        clone = f"{self.targets[name]}.clone()"
        return (
            clone if state is None or state.when is None else f"{clone} if {self.targets[name]} is not None else None"
        )

    def _block(self, body: Sequence[Stmt], defined: frozenset[str], *, either_way: bool) -> list[str]:
        """Return the lines of statements.

        Args:
            body: The statements.
            defined: Names that have a value before them.
            either_way: Whether the lines run if capturable and if not; else they run only if not, or have no branch
                that a counter decides.
        """
        lines: list[str] = []
        for statement in body:
            match statement:
                case Assign():
                    lines += self._assignment(statement)
                case If(condition=condition) if self._is_taken(condition):
                    lines += self._branch(self._condition(condition), statement, defined, either_way=either_way)
                case If():
                    lines += self._dynamic(statement, defined, either_way=either_way)
                case _:
                    assert_never(statement)
            defined |= always_assigned((statement,))
        return lines or ["pass"]

    def _assignment(self, statement: Assign) -> list[str]:
        target, value = statement.target, statement.value
        assertions = self._assertions(value)
        self.present |= {target}
        text = f"yield {self._text(value)}" if is_total(value) else self._text(value)
        if statement.origin == SELECTION:
            return [*assertions, f"{target} = {text}"]
        shares = isinstance(value, Ref) or (isinstance(value, Call) and value.op == "where")
        if shares and self.sides.get(target, target) in self.tensors:
            text = f"copied({text})"  # the tensor behind it may be stored into before this one is
        line = f"{target} = {text}"
        # A side of a selection repeats statements whose comments are in the plain branch.
        return [*assertions, *([] if target in self.sides else comment_lines(statement, [line])), line]

    def _branch(self, condition: str, statement: If, defined: frozenset[str], *, either_way: bool) -> list[str]:
        """Return the lines of a branch that Python takes."""
        before = self.present
        lines = [f"if {condition}:", *indent(self._block(statement.then, defined, either_way=either_way))]
        after_then, self.present = self.present, before
        if statement.orelse:
            lines += else_lines(self._block(statement.orelse, defined, either_way=either_way))
        self.present &= after_then
        return lines

    def _dynamic(self, statement: If, defined: frozenset[str], *, either_way: bool) -> list[str]:
        """Return the lines of a branch on a number, and of the selection that replaces it if capturable."""
        opening = [f"# {comment(statement.comment)}"] if comment(statement.comment) else []
        opening += self._assertions(statement.condition)
        before = self.present
        plain = self._branch(self._text(statement.condition), statement, defined, either_way=False)
        if not either_way:
            return [*opening, *plain]
        selected = select(
            [statement],
            kinds=self.kinds,
            is_taken=self._is_taken,
            defined=defined,
            taken=self.taken,
            exists={state.name: state.when for state in self.rule.states if state.when is not None},
        )
        self.kinds = selected.kinds
        self.sides |= selected.names
        # A name of a side has at most one value more than the name whose value it holds.
        self.known |= {name: self.known[of] for name, of in selected.names.items() if of in self.known}
        after_plain, self.present = self.present, before
        chosen = self._block(selected.body, defined, either_way=False)
        self.present &= after_plain
        plain[0] = f"el{plain[0]}"
        return [*opening, "if capturable:", *(INDENT + line for line in chosen), *plain]

    def _is_taken(self, condition: Expr) -> bool:
        """Return whether Python decides a branch, capturable or not."""
        return is_static(condition, self.rule) or is_static(_without_first(condition), self.rule)

    def _assertions(self, expression: Expr) -> list[str]:
        """Return assertions for a type checker that the states exist which an expression reads."""
        missing = [name for name in names_read(expression) if name in self.optional - self.present]
        self.present |= set(missing)
        return [f"assert {name} is not None" for name in missing]

    def _condition(self, condition: Expr) -> str:
        """Return a host condition as text: a plain truth value."""
        return expression_text(guarded(condition, self.known), {**PYTHON, "first": ON_TENSORS["first"]})

    def _text(self, expression: Expr) -> str:
        return expression_text(self._guard(expression), ON_TENSORS)

    def _guard(self, expression: Expr) -> Expr:
        """Return the expression with guards where a host scalar that is a float could raise an error."""
        if isinstance(expression, Call) and not is_on_host(expression, self.kinds):
            return replace(expression, args=tuple(self._guard(argument) for argument in expression.args))
        return guarded(expression, self.known)


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
