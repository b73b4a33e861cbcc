"""Write trees of torch operations as operations on lists: one list item per parameter, the bits of the for-loop.

In: trees with destinations (inplace.py). Out: statements, and the lists of tensors that they make. Where torch has no
list operation with the for-loop's bits, or a number differs between parameters, a statement loops over the tensors with
the for-loop's text. Must not know statements of the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from thetac.codegen.backends.eager.forloop import tree_text
from thetac.codegen.backends.eager.op_trees import Apply, Leaf, Number, Tree, leaf_names, numbers_read, trees_in
from thetac.codegen.backends.eager.torch_ops import TORCH_OPS
from thetac.codegen.backends.printing.arguments import underscored
from thetac.codegen.backends.printing.host_python import PYTHON
from thetac.codegen.errors import join_names
from thetac.codegen.ir.ops import OPS
from thetac.codegen.ir.printer import Precedence, Row, Table, expression_text
from thetac.codegen.ir.value_kinds import EVERY_ELEMENT

# Names of temporary lists by the torch operation that made them, where the registry has no operation of that name.
_NOUNS = {
    "add_scaled": "sums",
    "addcmul": "sums",
    "addcdiv": "sums",
    "reciprocal": "inverses",
    "pow_of_number": "powers",
    "atan2_of_number": "angles",
    "clamp_min": "maxima",
    "clamp_max": "minima",
}


# Host scalars of a whole bucket.
LISTS: Table = {**PYTHON, "fitting": Row("fitting({0}, params[0].dtype)", Precedence.ATOM, (Precedence.CONDITIONAL,))}


class ListOperations:
    """Writes statements on the lists of one function."""

    def __init__(self, lists: Mapping[str, str], numbers: Mapping[str, str], taken: set[str]) -> None:
        """Take the names.

        Args:
            lists: The list of tensors of each name.
            numbers: The list of numbers of each name that is one number per parameter.
            taken: Names that a new list must not have; those of new ones are added.
        """
        self.lists = lists
        self.numbers = numbers
        self.taken = taken
        self.made: dict[str, bool] = {}  # lists that the function allocates; whether of tensors like the parameter
        self.lines: list[str] = []

    def named(self, name: str) -> str:
        """Return the name, or one like it that is free, and take it."""
        free = underscored(name, self.taken)
        self.taken.add(free)
        return free

    def reduce(self, target: str, tree: Tree) -> tuple[str, list[str]]:
        """Return the list of the 0-d tensors of a reduction, and the statements that compute it."""
        self.lines = []
        tensors = self.named(f"{target}_tensors")
        assert isinstance(tree, Apply)
        (operand,) = tree.args
        form = TORCH_OPS[tree.op].foreach
        if form and not self._is_by_tensor(operand):
            self.lines.append(f"{tensors} = {form.format(self._argument(operand))}")
        else:
            text, names, lists = self._text_and_loop(tree)
            self.lines += [f"{tensors} = [", f"    {text}", f"    {loop_text(names, lists)}", "]"]
        return tensors, self.lines

    def set_tensor(self, target: str, tree: Tree, how: str) -> list[str]:
        """Return the statements that give a list of tensors its values; `how` is that of `SetTensor`."""
        self.lines = []
        tensors = self.lists[target]
        if how == "fill":
            text, names, lists = self._text_and_loop(tree, target)
            self.lines += [f"{loop_text(names, lists)}:", f"    {target}.fill_({text})"]
        elif how == "bind" and isinstance(tree, Leaf):
            self.lines.append(f"{tensors} = {self.lists[tree.name]}")
            if self.lists[tree.name] in self.made:
                self.made.setdefault(tensors, False)  # another name of a list that is counted already
        elif missing := _without_list_form(tree):
            self.lines.append(f"# tensor by tensor: torch has no list operation for {join_names(missing)}")
            self._tensor_by_tensor(target, tree, how)
        elif self._is_by_tensor(tree):
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
        return self.lines

    def _is_by_tensor(self, tree: Tree) -> bool:
        """Return whether a tree has an operation without list form, or reads a number per parameter."""
        return bool(_without_list_form(tree)) or not self.numbers.keys().isdisjoint(numbers_read(tree))

    def _text_and_loop(self, tree: Tree, target: str = "") -> tuple[str, list[str], list[str]]:
        """Return the for-loop's text of a tree, the variables of a loop that computes it, and what it iterates over.

        The target, if there is one, is among the variables.
        """
        text = tree_text(tree, numbers=LISTS)
        tensors = list(leaf_names(tree))
        if target and target not in tensors:
            tensors.insert(0, target)
        if ("param." in text or "(param," in text) and "param" not in tensors:
            tensors.append("param")
        numbers = [name for name in numbers_read(tree) if name in self.numbers]
        lists = [*(self.lists[name] for name in tensors), *(self.numbers[name] for name in numbers)]
        return text, [*tensors, *numbers], lists

    def _tensor_by_tensor(self, target: str, tree: Tree, how: str) -> None:
        """Append a loop with the for-loop's text."""
        text, names, lists = self._text_and_loop(tree, "" if how == "bind" else target)
        loop = loop_text(names, lists)
        match how:
            case "bind":
                self.made[self.lists[target]] = tree.dims == EVERY_ELEMENT
                self.lines += [f"{self.lists[target]} = [", f"    {text}", f"    {loop}", "]"]
            case "write":
                self.lines += [f"{loop}:", f"    {text}"]
            case "copy":
                self.lines += [f"{loop}:", f"    {target}.copy_({text})"]

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
                self.made[wanted] = self.made.get(wanted, False) or tree.dims == EVERY_ELEMENT
                self.lines.append(f"{wanted} = {row.foreach.format(receiver, *others)}")
                return wanted
            case _:
                assert_never(tree)

    def _argument(self, tree: Tree) -> str:
        """Return an argument as text: a name, a number, or one operation on names; append statements for more."""
        if isinstance(tree, Apply):
            if not all(isinstance(argument, Leaf | Number) for argument in tree.args):
                return self._emit(tree, self._noun(tree))
            self.made[f"{tree.op} of {leaf_names(tree)}"] = tree.dims == EVERY_ELEMENT
            return TORCH_OPS[tree.op].foreach.format(*(self._emit(argument, "") for argument in tree.args))
        return self._emit(tree, "")

    def _noun(self, tree: Tree) -> str:
        assert isinstance(tree, Apply)
        innermost = tree
        while isinstance(innermost.receiver, Apply):
            innermost = innermost.receiver
        name = underscored(_noun_of(innermost.op), self.taken | self.made.keys())
        self.made[name] = False  # until it is known what it holds
        return name


def loop_text(names: Sequence[str], lists: Sequence[str]) -> str:
    """Return the head of a loop over parallel lists, without the colon."""
    over = lists[0] if len(lists) == 1 else f"zip({', '.join(lists)}, strict=True)"
    return f"for {', '.join(names)} in {over}"


def _noun_of(op: str) -> str:
    """Return the name of a list that a torch operation makes."""
    if op in _NOUNS:
        return _NOUNS[op]
    row = OPS[op.removesuffix("_number").partition(" ")[0]]
    return row.noun or f"{row.name}s"


def _without_list_form(tree: Tree) -> list[str]:
    """Return the operations of a tree for which torch has no list operation, each once."""
    missing: list[str] = []
    for part in trees_in(tree):
        if isinstance(part, Apply):
            row = TORCH_OPS[part.op]
            name, along, _ = part.op.removesuffix("_of_number").partition(" along")
            name += along
            if not (row.foreach_in_place if part.in_place else row.foreach) and name not in missing:
                missing.append(name)
    # A constant is an argument of another operation.
    return [op for op in missing if op not in ("full", "full_like", "truth")] or missing


def _read_late(tree: Tree) -> set[str]:
    """Return the tensors that are read after the first operation of the spine has made its list."""
    late: set[str] = set()
    while isinstance(tree, Apply) and isinstance(tree.receiver, Apply):
        late.update(name for argument in tree.args[1:] for name in leaf_names(argument))
        tree = tree.receiver
    return late
