"""Write foreach: one list operation for many tensors, with the bits of the for-loop.

In: a Rule after features. Out: the text of `foreach.py`, and how many parameter-sized lists of its own it holds at
once. It runs on one bucket: same device and dtypes, same counters and scalar states. Gradients are never written.

Numbers per parameter are lists of Python numbers. Reductions stay tensors until the first of them is needed; then all
are read together, so that the host waits for the device once and not for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import jinja2

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
    call_lines,
    comment_lines,
    declare_types,
    else_lines,
    imported,
    indent,
    number_lines,
    release_lines,
    shared_lines,
    view_lines,
)
from thetac.codegen.backends.eager.list_operations import ListOperations, loop_text
from thetac.codegen.backends.eager.number_reads import find_number_reads
from thetac.codegen.backends.eager.op_trees import numbers_read
from thetac.codegen.backends.eager.torch_ops import FUNCTIONS_OF_ROWS
from thetac.codegen.backends.printing.arguments import (
    RESERVED,
    asks_first,
    list_names,
    names_in,
    shape_arguments,
    state_arguments,
    tensor_names,
    typed_values,
    underscored,
)
from thetac.codegen.backends.printing.escaping import comment, uses
from thetac.codegen.backends.printing.host_python import python
from thetac.codegen.emit import header
from thetac.codegen.ir.nodes import Assign, Call, Expr, Rule, names_read
from thetac.codegen.ir.ops import TOTALS
from thetac.codegen.ir.totals import has_totals
from thetac.codegen.ir.value_kinds import Place
from thetac.codegen.passes.analysis.kinds import infer

_LIST_FUNCTIONS = ("as_lists_of_pairs", "cube_roots", "increment", "read_numbers", "scale_")
FUNCTIONS = tuple(  # of runtime/tensors.py
    sorted((*_LIST_FUNCTIONS, "cbrt", "fitting", "largest", "smallest", "store", *FUNCTIONS_OF_ROWS))
)


def render(rule: Rule, environment: jinja2.Environment) -> str:
    """Return the text of `foreach.py`."""
    lowered = _Foreach(rule)
    functions, (body,) = imported(FUNCTIONS, rule, lowered.render())
    waiting, (body,) = imported([op.name for op in TOTALS], rule, body)
    return environment.get_template("foreach.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        states=state_arguments(rule),
        firsts=[f"first_{name}" for name in asks_first(rule)],
        shape_numbers=[one.variable for one in shape_arguments(rule)],
        values=typed_values(rule),
        body=body,
        uses_scalar_math=uses("scalar_math", body),
        waiting=["Waiting", *waiting] if has_totals(rule) else [],
        functions=["TensorList", *functions],
    )


def count_temporaries(rule: Rule) -> int:
    """Return an upper bound of the parameter-sized lists that one call holds at once.

    Each list is counted as alive until the end of the call.
    """
    lowered = _Foreach(rule)
    lowered.render()
    return sum(lowered.write.made.values())


class _Foreach:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kinds = infer(rule)
        self.lists = list_names(rule)  # of tensors and, for a number per parameter that is no state, of numbers
        self.tensors = tensor_names(rule)
        taken = {*names_in(rule), *self.lists.values(), *self.tensors.values(), *RESERVED}
        of_numbers = [name for name, kind in self.kinds.items() if kind.place is Place.TENSOR]
        self.numbers = {name: self.lists[name] for name in of_numbers}  # the lists of the numbers per parameter
        self.write = ListOperations(self.lists, self.numbers, taken)
        self.numbers |= {n: self.write.named(f"{n}_numbers") for n in of_numbers if rule.state(n) is not None}
        self.unread: dict[str, str] = {}  # reductions whose numbers have not been read; the lists of their tensors
        self.lines: list[str] = []

    def render(self) -> list[str]:
        """Return the lines of the function's body."""
        arguments = {"params", "grads", *state_arguments(self.rule)}
        lines = [*self._counters(), *self._block(lower(self.rule))]
        types = dict.fromkeys((name for name in self.write.made if name not in arguments), "TensorList")
        for name, numbers in self.numbers.items():
            types[numbers] = "list[bool]" if self.kinds[name].truth else "list[float]"
        lines = declare_types(lines, types)
        if not has_totals(self.rule):
            return lines
        return [*release_lines(lines, ["grads"], self.write.made.keys() - arguments), *shared_lines(self.rule)]

    def _counters(self) -> list[str]:
        return number_lines(
            self.rule,
            find_number_reads(self.rule).at_start,
            count=lambda name: f"increment({self.lists[name]})",
            read=self._number_read,
        )

    def _number_read(self, state: str) -> str:
        """Return the line that reads the number, or numbers, of a state."""
        if state in self.numbers:
            return f"({self.numbers[state]},) = read_numbers({self.lists[state]})"
        return f"{state} = {self.lists[state]}[0].item()"

    def _block(self, steps: Sequence[Step]) -> list[str]:
        outer, self.lines = self.lines, []
        for step in steps:
            self._step(step)
        self._read_numbers()
        inner, self.lines = self.lines, outer
        return inner or ["pass"]

    def _read_numbers(self) -> None:
        """Append the statement that reads all reductions which have not been read."""
        if self.unread:
            names = [self.numbers[name] for name in self.unread]
            self.lines += call_lines(_targets(names), "read_numbers", tuple(self.unread.values()))
            self.unread.clear()

    def _before(self, step: Step) -> None:
        """Read reductions if a step needs one of them, or if it is a branch."""
        match step:
            case Branch():
                self._read_numbers()
            case SetNumber(statement=statement) | SetTotal(statement=statement) | SetScalarState(statement=statement):
                if not self.unread.keys().isdisjoint((statement.target, *names_read(statement.value))):
                    self._read_numbers()
            case SetTensor(tree=tree) | Reduce(tree=tree):
                if not self.unread.keys().isdisjoint(numbers_read(tree)):
                    self._read_numbers()
            case View():
                pass
            case _:
                assert_never(step)

    def _step(self, step: Step) -> None:
        self._before(step)
        match step:
            case SetNumber(statement=statement, value=number):
                self._set_number(statement, number)
            case SetTotal(statement=statement, operand=operand):
                assert isinstance(statement.value, Call), "a total is a call"
                terms = self.numbers.get(operand, f"[{operand}] * len(params)")
                self.lines += comment_lines(statement)
                self.lines.append(f"{statement.target} = yield {statement.value.op}(*{terms})")
            case Reduce(statement=statement, tree=tree):
                self.unread[statement.target], lines = self.write.reduce(statement.target, tree)
                self.lines += [*comment_lines(statement), *lines]
            case SetScalarState(statement=statement, self_update=self_update, operand=operand, read_again=read_again):
                tensors, one = self.lists[statement.target], self.tensors[statement.target]
                self.lines += comment_lines(statement)
                if self_update:
                    self.lines.append(f"torch._foreach_{self_update}_({tensors}, {python(operand)})")
                elif statement.target in self.numbers:
                    self._store_numbers(statement.target, operand)
                else:
                    value = underscored(f"new_{statement.target}", self.write.taken)
                    self.lines += [
                        f"{value} = {python(operand)}",
                        f"for {one} in {tensors}:",
                        f"    store({one}, {value})",
                    ]
                if read_again:
                    self.lines.append(self._number_read(statement.target))
            case SetTensor(statement=statement, tree=tree, how=how):
                lines = self.write.set_tensor(statement.target, tree, how)
                self.lines += [*comment_lines(statement, lines), *lines]
            case Branch(statement=statement, then=then, orelse=orelse):
                self.lines += [
                    *comment_lines(statement),
                    f"if {python(statement.condition)}:",
                    *indent(self._block(then)),
                ]
                if orelse:
                    self.lines += else_lines(self._block(orelse))
            case View(names=names, as_complex=as_complex):
                self._view(names, as_complex)
            case _:
                assert_never(step)

    def _view(self, names: tuple[str, ...], as_complex: bool) -> None:
        lists = [self.lists[name] for name in names]
        if as_complex:
            views = [
                f"{each} = [torch.view_as_complex({n}) for {n} in {each}]" for n, each in zip(names, lists, strict=True)
            ]
        else:
            views = view_lines(lists, "as_lists_of_pairs")
        self.lines += ["if torch.is_complex(params[0]):", *indent(views)]

    def _per_parameter(self, expression: Expr) -> list[str]:
        """Return the numbers per parameter that an expression reads."""
        return [name for name in names_read(expression) if name in self.numbers]

    def _set_number(self, statement: Assign, value: Expr) -> None:
        """Append the statement that gives a number its value, or a list of numbers their values."""
        target = statement.target
        if target not in self.numbers:
            self.lines += [f"# {comment(statement.comment)}"] if comment(statement.comment) else []
            self.lines.append(f"{target} = {python(value)}")
            return
        self.lines += comment_lines(statement)
        names = self._per_parameter(value)
        loop = loop_text(names, [self.numbers[name] for name in names]) if names else "for _ in params"
        self.lines += [f"{self.numbers[target]} = [", f"    {python(value)}", f"    {loop}", "]"]

    def _store_numbers(self, state: str, value: Expr) -> None:
        """Append a loop that stores one number in each tensor of a state."""
        names, one = self._per_parameter(value), self.tensors[state]
        over = [self.lists[state], *(self.numbers[name] for name in names)]
        self.lines += [f"{loop_text([one, *names], over)}:", f"    store({one}, {python(value)})"]


def _targets(names: Sequence[str]) -> Sequence[str]:
    """Return the targets of an assignment from a tuple."""
    return names if len(names) > 1 else [f"({names[0]},)"]
