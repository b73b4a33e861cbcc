"""Write the for-loop: plain torch operations on one parameter after the other, the readable reference.

In: a Rule after features. Out: the text of `forloop.py`. `step` is torch.optim's for-loop bit for bit;
`step_on_tensors` (functional.py) is the same rule without overwriting, for capturable and differentiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import jinja2

from thetac.codegen.backends.eager import functional
from thetac.codegen.backends.eager.inplace import (
    Branch,
    Reduce,
    SetNumber,
    SetScalarState,
    SetTensor,
    SetTotal,
    Step,
    View,
    lower,
)
from thetac.codegen.backends.eager.lines import (
    comment_lines,
    else_lines,
    imported,
    indent,
    loop_lines,
    number_lines,
    pair_lines,
    release_lines,
    run_together_lines,
    shared_lines,
)
from thetac.codegen.backends.eager.number_reads import find_number_reads
from thetac.codegen.backends.eager.op_trees import Apply, Leaf, Number, Tree, leaf_names
from thetac.codegen.backends.eager.torch_ops import TORCH_OPS
from thetac.codegen.backends.printing.arguments import (
    asks_first,
    optional_states,
    shape_arguments,
    state_arguments,
    tensor_names,
    typed_states,
    typed_values,
)
from thetac.codegen.backends.printing.escaping import comment, reads, uses
from thetac.codegen.backends.printing.host_python import PYTHON
from thetac.codegen.emit import header
from thetac.codegen.ir.nodes import Call, Expr, Rule
from thetac.codegen.ir.printer import Precedence, Row, Table, expression_text
from thetac.codegen.ir.totals import has_totals
from thetac.codegen.passes.analysis.kinds import infer

# The argument `first_x` is a list, one truth value per parameter; `is_first_x` is the loop variable.
FOR_LOOP: Table = {
    **PYTHON,
    "first": Row("is_first_{0}", Precedence.ATOM, (Precedence.ATOM,)),
    "fitting": Row("fitting({0}, param.dtype)", Precedence.ATOM, (Precedence.CONDITIONAL,)),
}
OF_ONE, OF_ONE_ON_TENSORS = "_step_of_one", "_step_of_one_on_tensors"  # where parameters wait for each other
OF_TOTALS = ("group_total", "together", "total")  # of runtime/totals.py
FUNCTIONS = tuple(sorted((*functional.FUNCTIONS, "fitting")))  # of runtime/tensors.py


def render(rule: Rule, environment: jinja2.Environment) -> str:
    """Return the text of `forloop.py`."""
    lines, on_tensors = ForLoop(rule).render(), functional.body(rule)
    functions, (lines, on_tensors) = imported(FUNCTIONS, rule, lines, on_tensors)
    variables, over = loop_header(rule)
    values, tensor_values = typed_values(rule), typed_values(rule, tensors=True)
    options = [name for name in ("capturable", "differentiable") if reads(name, on_tensors)]
    waits = has_totals(rule)
    if waits:
        body = run_together_lines(OF_ONE, variables, over, [name for name, _ in values])
        names = [*(name for name, _ in tensor_values), *options]
        tensors_body = run_together_lines(OF_ONE_ON_TENSORS, functional.variables(rule), over, names)
    else:
        body = loop_lines(variables, over, lines)
        tensors_body = loop_lines(functional.variables(rule), over, on_tensors)
    waiting, (body, tensors_body, lines, on_tensors) = imported(OF_TOTALS, rule, body, tensors_body, lines, on_tensors)
    return environment.get_template("forloop.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        states=typed_states(rule),
        firsts=[f"first_{name}" for name in asks_first(rule)],
        shape_numbers=[one.listed for one in shape_arguments(rule)],
        values=values,
        tensor_values=tensor_values,
        options=options,
        body=body,
        tensors_body=tensors_body,
        generators=[
            (OF_ONE, typed_variables(rule, variables), values, [], "Waiting", lines),
            (
                OF_ONE_ON_TENSORS,
                typed_variables(rule, functional.variables(rule)),
                tensor_values,
                options,
                "WaitingOnTensors",
                on_tensors,
            ),
        ]
        if waits
        else [],
        waiting=["Waiting", "WaitingOnTensors", *waiting] if waits else [],
        uses_scalar_math=uses("scalar_math", (*lines, *on_tensors)),
        functions=functions,
        needs_scalar=reads("Scalar", on_tensors) or any(kind == "Scalar" for _, kind in tensor_values),
    )


def loop_header(rule: Rule) -> tuple[list[str], list[str]]:
    """Return the loop's variables and the lists that it iterates over.

    The variables of counters and scalar states are named as tensors.
    """
    tensors, firsts = tensor_names(rule), asks_first(rule)
    variables = ["param", "grad", *(tensors.get(state.name, state.name) for state in rule.states)]
    variables += [f"is_first_{name}" for name in firsts]
    over = ["params", "grads", *state_arguments(rule), *(f"first_{name}" for name in firsts)]
    numbers = shape_arguments(rule)
    return [*variables, *(one.variable for one in numbers)], [*over, *(one.listed for one in numbers)]


def typed_variables(rule: Rule, variables: Sequence[str]) -> list[tuple[str, str]]:
    """Return the variables of a loop over parameters with their types."""
    kinds = ["Tensor", "Tensor", *(kind for _, kind in typed_states(rule))]
    kinds += ["bool"] * len(asks_first(rule)) + ["float"] * len(shape_arguments(rule))
    return list(zip(variables, kinds, strict=True))


class ForLoop:
    """Prints the steps of a rule for one parameter."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.steps = lower(rule)
        self.tensors = tensor_names(rule)
        self.optional = optional_states(rule)
        self.present: frozenset[str] = frozenset()  # those of them that are known to exist at the current step

    def render(self) -> list[str]:
        """Return the lines of one parameter."""
        numbers = number_lines(
            self.rule,
            find_number_reads(self.rule).at_start,
            count=lambda name: f"{self.tensors[name]} += 1",
            read=lambda name: f"{name} = {self.tensors[name]}.item()",
            assertion=lambda name: f"assert {self.tensors[name]} is not None",
        )
        lines = [*numbers, *self.block(self.steps)]
        if not has_totals(self.rule):
            return lines
        kinds = infer(self.rule)
        kept = {"param", *(state.name for state in self.rule.states)}
        return [
            *release_lines(lines, ["grad"], {name for name, kind in kinds.items() if kind.dims} - kept),
            *shared_lines(self.rule),
        ]

    def block(self, steps: Sequence[Step]) -> list[str]:
        """Return the lines of steps."""
        lines: list[str] = []
        for step in steps:
            lines += [*self.assertions(step), *self.step(step)]
        return lines or ["pass"]

    def assertions(self, step: Step) -> list[str]:
        """Return assertions for a type checker that the states exist which a step uses."""
        match step:
            case SetTensor(statement=statement, tree=tree):
                used = (statement.target, *leaf_names(tree))
            case Reduce(tree=tree):
                used = leaf_names(tree)
            case SetScalarState(statement=statement):
                used = (statement.target,)
            case View(names=names):
                self.present -= set(names)
                return []
            case SetNumber() | SetTotal() | Branch():
                return []
            case _:
                assert_never(step)
        missing = [name for name in dict.fromkeys(used) if name in self.optional - self.present]
        self.present |= set(missing)
        return [f"assert {self.tensors.get(name, name)} is not None" for name in missing]

    def step(self, step: Step) -> list[str]:
        """Return the lines of one step, below the spec's line."""
        match step:
            case SetNumber(statement=statement, value=number):
                remark = [f"# {comment(statement.comment)}"] if statement.comment else []
                return [*remark, f"{statement.target} = {number_text(number)}"]
            case SetTotal(statement=statement, operand=operand):
                assert isinstance(statement.value, Call), "a total is a call"
                return [*comment_lines(statement), f"{statement.target} = yield {statement.value.op}({operand})"]
            case Reduce(statement=statement, tree=tree):
                return [*comment_lines(statement), f"{statement.target} = {tree_text(tree, Precedence.ATOM)}.item()"]
            case SetScalarState(statement=statement, self_update=self_update, operand=operand, read_again=read_again):
                tensor = self.tensors[statement.target]
                value = number_text(operand)
                update = f"{tensor}.{self_update}_({value})" if self_update else f"store({tensor}, {value})"
                again = [f"{statement.target} = {tensor}.item()"] if read_again else []
                return [*comment_lines(statement), update, *again]
            case SetTensor(statement=statement, tree=tree, how=how):
                code = self.set_tensor(statement.target, tree, how)
                return [*comment_lines(statement, [code]), code]
            case Branch(statement=statement, then=then, orelse=orelse):
                before = self.present
                lines = [
                    *comment_lines(statement),
                    f"if {number_text(statement.condition)}:",
                    *indent(self.block(then)),
                ]
                after_then, self.present = self.present, before
                if orelse:
                    lines += else_lines(self.block(orelse))
                self.present &= after_then
                return lines
            case View(names=names, as_complex=as_complex):
                return self.view(names, as_complex)
            case _:
                assert_never(step)

    def view(self, names: tuple[str, ...], as_complex: bool) -> list[str]:
        """Return the lines that view complex tensors as pairs of reals, or as complex again."""
        if as_complex:
            views = [f"{name} = torch.view_as_complex({name})" for name in names]
        else:
            views = pair_lines(*_by_presence(names, self.optional))
        return ["if torch.is_complex(param):", *indent(views)]

    def set_tensor(self, target: str, tree: Tree, how: str) -> str:
        """Return the line that gives a tensor its value."""
        match how:
            case "bind":
                return f"{target} = {tree_text(tree)}"
            case "write":
                return tree_text(tree)
            case "copy":
                return f"{target}.copy_({tree_text(tree)})"
            case "fill":
                return f"{target}.fill_({tree_text(tree)})"
        raise AssertionError(how)


def _by_presence(names: Sequence[str], optional: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return two lists: the names that always exist, and the others."""
    return [name for name in names if name not in optional], [name for name in names if name in optional]


def number_text(expression: Expr) -> str:
    """Return a number as text inside the loop."""
    return expression_text(expression, FOR_LOOP)


def tree_text(tree: Tree, at_least: Precedence = Precedence.CONDITIONAL, numbers: Table = FOR_LOOP) -> str:
    """Return a tree of torch operations as one expression of method calls on single tensors.

    Args:
        tree: The tree.
        at_least: The precedence that the text needs where it is used; parentheses are added if it is lower.
        numbers: How numbers are written.
    """
    match tree:
        case Number(value=value):
            return expression_text(value, numbers, at_least=at_least)
        case Leaf(name=name):
            return name
        case Apply(op=op, args=args, in_place=in_place):
            row = TORCH_OPS[op]
            storage = _storage_of(tree)
            # A new tensor in the middle of a chain has no name that `out=` could take.
            template = row.in_place if in_place and (storage or "{out}" not in row.in_place) else row.new
            texts = []
            for position, argument in enumerate(args):
                # Before a dot an atom is needed, between operators a product, between commas anything.
                need = Precedence.CONDITIONAL
                if row.precedence is not Precedence.ATOM:
                    need = Precedence.SIGN
                elif f"{{{position}}}." in template:
                    need = Precedence.ATOM
                texts.append(tree_text(argument, need, numbers))
            text = template.format(*texts, out=storage)
            return text if row.precedence >= at_least or in_place else f"({text})"
        case _:
            assert_never(tree)


def _storage_of(tree: Tree) -> str:
    """Return the name whose storage a chain of in-place operations overwrites; empty if there is none."""
    while isinstance(tree, Apply):
        if not tree.in_place:
            return ""
        tree = tree.receiver
    return tree.name if isinstance(tree, Leaf) else ""
