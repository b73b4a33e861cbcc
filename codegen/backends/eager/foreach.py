"""Write foreach: one list operation for many tensors, with the bits of the for-loop.

In: a Rule after features. Out: the text of `foreach.py`, and how many parameter-sized lists of its own it holds at
once. It runs on one bucket: same device and dtypes, same counters and scalar states. Gradients are never written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import jinja2

from thetac.codegen.backends.eager.forloop import tree_text
from thetac.codegen.backends.eager.inplace import Branch, SetNumber, SetScalarState, SetTensor, Step, View, lower
from thetac.codegen.backends.eager.lines import (
    comment_lines,
    declare_types,
    else_lines,
    indent,
    number_lines,
    view_lines,
)
from thetac.codegen.backends.eager.number_reads import find_number_reads
from thetac.codegen.backends.eager.op_trees import Apply, Leaf, Number, Tree, leaf_names, trees_in
from thetac.codegen.backends.eager.torch_ops import TORCH_OPS
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
from thetac.codegen.backends.printing.escaping import calls, comment, uses
from thetac.codegen.backends.printing.host_python import PYTHON, python
from thetac.codegen.emit import header
from thetac.codegen.errors import join_names
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.ir.ops import OPS
from thetac.codegen.ir.printer import Precedence, Row, Table, expression_text

# Names of temporary lists by the torch operation that made them, where the registry has no operation of that name.
_NOUNS = {
    "add_scaled": "sums",
    "addcmul": "sums",
    "addcdiv": "sums",
    "reciprocal": "inverses",
    "clamp_min": "maxima",
    "clamp_max": "minima",
}


# Host scalars of a whole bucket.
LISTS: Table = {**PYTHON, "fitting": Row("fitting({0}, params[0].dtype)", Precedence.ATOM, (Precedence.CONDITIONAL,))}
FUNCTIONS = ("as_lists_of_pairs", "fitting", "increment", "scale_", "store")


def render(rule: Rule, environment: jinja2.Environment) -> str:
    """Return the text of `foreach.py`."""
    lowered = _Foreach(rule)
    body = lowered.render()
    return environment.get_template("foreach.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        states=state_arguments(rule),
        firsts=[f"first_{name}" for name in asks_first(rule)],
        shape_numbers=[one.variable for one in shape_arguments(rule)],
        values=typed_values(rule),
        body=body,
        uses_scalar_math=uses("scalar_math", body),
        functions=["TensorList", *(name for name in FUNCTIONS if calls(name, body))],
    )


def count_temporaries(rule: Rule) -> int:
    """Return an upper bound of the parameter-sized lists that one call holds at once.

    Each list is counted as alive until the end of the call.
    """
    lowered = _Foreach(rule)
    lowered.render()
    return len(lowered.made)


class _Foreach:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.lists = list_names(rule)
        self.tensors = tensor_names(rule)
        self.taken = {*names_in(rule), *self.lists.values(), *self.tensors.values(), *RESERVED}
        self.made: set[str] = set()  # lists of tensors that this function allocates
        self.lines: list[str] = []

    def render(self) -> list[str]:
        """Return the lines of the function's body."""
        arguments = {"params", "grads", *state_arguments(self.rule)}
        lines = [*self._counters(), *self._block(lower(self.rule))]
        return declare_types(lines, dict.fromkeys(self.made - arguments, "TensorList"))

    def _counters(self) -> list[str]:
        return number_lines(
            self.rule,
            find_number_reads(self.rule).at_start,
            count=lambda name: f"increment({self.lists[name]})",
            read=lambda name: f"{name} = {self.lists[name]}[0].item()",
        )

    def _block(self, steps: Sequence[Step]) -> list[str]:
        outer, self.lines = self.lines, []
        for step in steps:
            self._step(step)
        inner, self.lines = self.lines, outer
        return inner or ["pass"]

    def _step(self, step: Step) -> None:
        match step:
            case SetNumber(statement=statement):
                self.lines += [f"# {comment(statement.comment)}"] if comment(statement.comment) else []
                self.lines.append(f"{statement.target} = {python(statement.value)}")
            case SetScalarState(statement=statement, self_update=self_update, operand=operand, read_again=read_again):
                tensors, one = self.lists[statement.target], self.tensors[statement.target]
                self.lines += comment_lines(statement)
                if self_update:
                    self.lines.append(f"torch._foreach_{self_update}_({tensors}, {python(operand)})")
                else:
                    value = underscored(f"new_{statement.target}", self.taken)
                    self.lines += [
                        f"{value} = {python(operand)}",
                        f"for {one} in {tensors}:",
                        f"    store({one}, {value})",
                    ]
                if read_again:
                    self.lines.append(f"{statement.target} = {tensors}[0].item()")
            case SetTensor(statement=statement, tree=tree, how=how):
                start = len(self.lines)
                self._set_tensor(statement.target, tree, how)
                self.lines[start:start] = comment_lines(statement, self.lines[start:])
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

    def _set_tensor(self, target: str, tree: Tree, how: str) -> None:
        tensors = self.lists[target]
        if how == "fill":
            self.lines += [f"for {target} in {tensors}:", f"    {target}.fill_({tree_text(tree, numbers=LISTS)})"]
        elif how == "bind" and isinstance(tree, Leaf):
            self.lines.append(f"{tensors} = {self.lists[tree.name]}")
        elif missing := _without_list_form(tree):
            self.lines.append(f"# tensor by tensor: torch has no list operation for {join_names(missing)}")
            self._tensor_by_tensor(target, tree, how)
        elif how == "write":
            assert self._emit(tree, tensors) == tensors
        elif how == "bind":
            # A list must not get its new value while later operations still read the old one.
            made = tensors if target not in _read_late(tree) else self._noun(tree)
            self._emit(tree, made)
            if made != tensors:
                self.lines.append(f"{tensors} = {made}")
        else:
            value = self._emit(tree, self._noun(tree) if isinstance(tree, Apply) else "")
            self.lines.append(f"torch._foreach_copy_({tensors}, {value})")

    def _tensor_by_tensor(self, target: str, tree: Tree, how: str) -> None:
        """Append a loop with the for-loop's text where torch has no list operation; numbers are the bucket's."""
        names = list(leaf_names(tree))
        text = tree_text(tree, numbers=LISTS)
        if how != "bind" and target not in names:
            names.insert(0, target)
        if ("param." in text and "param" not in names) or ("(param," in text and "param" not in names):
            names.append("param")
        variables = ", ".join(names)
        over = ", ".join(self.lists[name] for name in names)
        over = over if len(names) == 1 else f"zip({over}, strict=True)"
        match how:
            case "bind":
                self.made.add(self.lists[target])
                self.lines += [f"{self.lists[target]} = [", f"    {text}", f"    for {variables} in {over}", "]"]
            case "write":
                self.lines += [f"for {variables} in {over}:", f"    {text}"]
            case "copy":
                self.lines += [f"for {variables} in {over}:", f"    {target}.copy_({text})"]

    def _emit(self, tree: Tree, wanted: str) -> str:
        """Append statements that compute the tree, and return the list or number that holds its value.

        A new list is called `wanted`.
        """
        match tree:
            case Number(value=value):
                return expression_text(value, LISTS)
            case Leaf(name=name):
                return self.lists[name]
            case Apply(op=op, args=args, in_place=in_place):
                row = TORCH_OPS[op]
                receiver = self._emit(args[0], wanted)
                others = [self._argument(argument) for argument in args[1:]]
                if in_place:
                    self.lines += row.foreach_in_place.format(receiver, *others).split("\n")
                    return receiver
                self.made.add(wanted)
                self.lines.append(f"{wanted} = {row.foreach.format(receiver, *others)}")
                return wanted
            case _:
                assert_never(tree)

    def _argument(self, tree: Tree) -> str:
        """Return an argument as text: a name, a number, or one operation on names; append statements for more."""
        if isinstance(tree, Apply):
            if not all(isinstance(argument, Leaf | Number) for argument in tree.args):
                return self._emit(tree, self._noun(tree))
            self.made.add(f"{tree.op} of {leaf_names(tree)}")
            return TORCH_OPS[tree.op].foreach.format(*(self._emit(argument, "") for argument in tree.args))
        return self._emit(tree, "")

    def _noun(self, tree: Tree) -> str:
        assert isinstance(tree, Apply)
        innermost = tree
        while isinstance(innermost.receiver, Apply):
            innermost = innermost.receiver
        name = underscored(_noun_of(innermost.op), self.taken | self.made)
        self.made.add(name)
        return name


def _noun_of(op: str) -> str:
    """Return the name of a list that a torch operation makes."""
    if op in _NOUNS:
        return _NOUNS[op]
    row = OPS[op.removesuffix("_number")]
    return row.noun or f"{row.name}s"


def _without_list_form(tree: Tree) -> list[str]:
    """Return the operations of a tree for which torch has no list operation, each once."""
    missing: list[str] = []
    for part in trees_in(tree):
        if isinstance(part, Apply):
            row = TORCH_OPS[part.op]
            if not (row.foreach_in_place if part.in_place else row.foreach) and part.op not in missing:
                missing.append(part.op)
    return [op for op in missing if op not in ("full", "full_like")] or missing  # a constant is an argument of another


def _read_late(tree: Tree) -> set[str]:
    """Return the tensors that are read after the first operation of the spine has made its list."""
    late: set[str] = set()
    while isinstance(tree, Apply) and isinstance(tree.receiver, Apply):
        late.update(name for argument in tree.args[1:] for name in leaf_names(argument))
        tree = tree.receiver
    return late
