"""Lower statements for the two backends that call torch, and choose where each value is stored.

In: a Rule after features. Out: `Step`s: the same statements, with element expressions as trees of torch operations
(op_trees.py), destinations chosen, and complex views where torch.optim has them. States and `param` are written into
their own storage at once. A number per parameter is a number of Python, too: reductions are read as soon as they are
computed, as torch.optim does. Must not know how the text is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import assert_never

from thetac.codegen.backends.eager.magnitudes import Magnitudes
from thetac.codegen.backends.eager.number_reads import find_number_reads, match_self_update
from thetac.codegen.backends.eager.op_trees import (
    Apply,
    Leaf,
    Number,
    Tree,
    TreeBuilder,
    guard_numbers,
    leaf_names,
)
from thetac.codegen.backends.eager.torch_ops import TORCH_OPS
from thetac.codegen.backends.printing.host_python import guarded, known_numbers
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    ComplexMode,
    Expr,
    If,
    Ref,
    Rule,
    StateKind,
    Stmt,
    expression_of,
    names_read,
    walk_statements,
)
from thetac.codegen.ir.reductions import is_reduction
from thetac.codegen.ir.totals import is_total
from thetac.codegen.ir.value_kinds import HISTORY
from thetac.codegen.passes.analysis.kinds import Kinds, infer, is_number


@dataclass(frozen=True, slots=True)
class SetNumber:
    """A host scalar, or a number per parameter, gets a value."""

    statement: Assign
    value: Expr  # with guards


@dataclass(frozen=True, slots=True)
class Reduce:
    """A number per parameter gets the value of a reduction."""

    statement: Assign
    tree: Tree  # a 0-d tensor


@dataclass(frozen=True, slots=True)
class SetTotal:
    """A host scalar gets the value of a total, for which every parameter waits."""

    statement: Assign
    operand: str  # the name of a host scalar or a number per parameter


@dataclass(frozen=True, slots=True)
class SetScalarState:
    """A state that is one number gets a value, rounded by its dtype; `s = s op h` of a scalar runs in that dtype."""

    statement: Assign
    self_update: str  # the torch operation of a self-update, else empty
    operand: Expr  # what the operation takes, or the whole value
    read_again: bool  # whether a later statement reads it


@dataclass(frozen=True, slots=True)
class SetTensor:
    """A tensor gets a value."""

    statement: Assign
    tree: Tree
    how: str  # "bind" a local, "write" in place by the tree, "copy" the tree into the target, "fill" with a number


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of the host."""

    statement: If
    then: tuple[Step, ...]
    orelse: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Complex tensors become pairs of reals (or, `as_complex`, pairs become complex again), if param was complex."""

    names: tuple[str, ...]
    as_complex: bool = False


Step = SetNumber | SetTotal | Reduce | SetScalarState | SetTensor | Branch | View


def lower(rule: Rule) -> tuple[Step, ...]:
    """Return the body as steps, in order."""
    return _Lowering(rule).run()


def find_refusable(rule: Rule) -> tuple[str, ...]:
    """Return the hyperparameter values that reach numbers which torch's operations may refuse, in order."""
    lowering = _Lowering(rule)
    lowering.run()
    reached = set(lowering.magnitudes.refusable)
    for statement in reversed(lowering.statements):
        if isinstance(statement, Assign) and statement.target in reached:
            reached.update(names_read(statement.value))
    return tuple(name for h in rule.hyperparameters for name in h.value_names if name in reached)


class _Lowering:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kinds: Kinds = infer(rule)
        self.known = known_numbers(rule)
        self.magnitudes = Magnitudes(rule, self.kinds, self.known)
        self.trees = TreeBuilder(self.kinds)
        self.reads = find_number_reads(rule)
        self.storage = {"param", *rule.names_of(StateKind.TENSOR)}  # names with memory of their own
        self.numbers = {state.name for state in rule.states if state.kind in (StateKind.SCALAR, StateKind.NUMBER)}
        self.statements = list(walk_statements(rule.body))
        self.owned: set[str] = set()  # locals whose tensor has no other name: they may be overwritten

    def run(self) -> tuple[Step, ...]:
        """Return the steps, with the complex views where torch.optim has them."""
        early, late = self._split_at_own_update()
        if self.rule.complex_mode is ComplexMode.PAIRS_BEFORE_DECAY:
            # torch negates before it views: the sign of the whole complex number.
            early, between = early[:1], early[1:]
            return (*self._block(early), self._view(), *self._block((*between, *late)))
        if self.rule.complex_mode in (ComplexMode.NATIVE, ComplexMode.UNSUPPORTED):
            return self._block((*early, *late))
        return (*self._block(early), self._view(), *self._block(late))

    def _split_at_own_update(self) -> tuple[tuple[Stmt, ...], tuple[Stmt, ...]]:
        """Return the statements of maximize and weight decay before the update, and those that follow them."""
        early = tuple(takewhile(lambda s: s.origin in ("maximize", "weight decay"), self.rule.body))
        return early, self.rule.body[len(early) :]

    def _view(self) -> View:
        names = ["grad", *self.rule.names_of(StateKind.TENSOR)]
        if self.rule.complex_mode is not ComplexMode.PAIRS_EXCEPT_PARAM:
            names.insert(0, "param")
        return View(tuple(names))

    def _block(self, body: tuple[Stmt, ...]) -> tuple[Step, ...]:
        steps: list[Step] = []
        for statement in body:
            match statement:
                case If():
                    owned, numbers = set(self.owned), dict(self.magnitudes.names)
                    then = self._block(statement.then)
                    owned, self.owned = self.owned, owned
                    numbers, self.magnitudes.names = self.magnitudes.names, numbers
                    orelse = self._block(statement.orelse)
                    self.owned &= owned
                    self.magnitudes.join(numbers)
                    guarded_branch = replace(statement, condition=guarded(statement.condition, self.known))
                    steps.append(Branch(guarded_branch, then, orelse))
                case Assign():
                    steps.extend(self._assign(statement))
                case _:
                    assert_never(statement)
        return tuple(steps)

    def _assign(self, statement: Assign) -> Iterator[Step]:
        target, value = statement.target, statement.value
        if is_total(value):
            yield SetTotal(statement, _operand_of(value))
            self.magnitudes.assign(target, value)
        elif is_reduction(value) and is_number(value, self.kinds):
            assert isinstance(value, Call), "a reduction is a call"
            assert self.kinds[target].dims is None, "one number for many"
            yield Reduce(statement, self._guarded(self.trees.reduction(value)))
            if target in self.numbers:
                stored = replace(statement, value=Ref(target), comment="")
                yield SetScalarState(stored, "", Ref(target), self.reads.is_needed_after(statement))
            self.magnitudes.assign(target, value)
        elif self.kinds[target] == HISTORY:
            yield SetTensor(statement, _fresh(self._tree(value)), "write")
        elif target in self.numbers:
            yield self._set_scalar_state(statement)
            self.magnitudes.assign(target, value)
        elif self.kinds[target].dims is None:
            self.magnitudes.assign(target, value)
            yield SetNumber(statement, guarded(value, self.known))
        elif is_number(value, self.kinds):
            yield SetTensor(statement, Number(guarded(self.magnitudes.fit(value), self.known)), "fill")
        else:
            if target == "param" and self.rule.complex_mode is ComplexMode.PAIRS_EXCEPT_PARAM:
                yield from self._set_complex_param(statement)
            else:
                yield self._set_tensor(statement, self._tree(value))

    def _tree(self, value: Expr) -> Tree:
        """Return the operations, with numbers that neither Python nor torch refuses."""
        return self._guarded(self.trees.tree(value))

    def _guarded(self, tree: Tree) -> Tree:
        return guard_numbers(self.magnitudes.fit_tree(tree), self.known)

    def _set_complex_param(self, statement: Assign) -> Iterator[Step]:
        """Yield an update of a complex `param`: the tensors that it reads become complex for this statement."""
        pairs = tuple(n for n in names_read(statement.value) if self.kinds[n].is_element and n != "param")
        if pairs:
            yield View(pairs, as_complex=True)
        yield self._set_tensor(statement, self._tree(statement.value))
        later = self.statements[self._position(statement) + 1 :]
        again = tuple(n for n in pairs if any(n in _names_used_by(s) for s in later))
        if again:
            yield View(again)

    def _set_scalar_state(self, statement: Assign) -> SetScalarState:
        """Return the step that gives a scalar state its value: `s = s op h` in place, else stored."""
        read_again = self.reads.is_needed_after(statement)
        update = match_self_update(statement, self.rule)
        if update is None:
            return SetScalarState(statement, "", guarded(statement.value, self.known), read_again)
        return SetScalarState(statement, update.op, guarded(update.operand, self.known), read_again)

    def _set_tensor(self, statement: Assign, tree: Tree) -> SetTensor:
        target = statement.target
        if target in self.storage:
            written = _overwrite(tree, target)
            if written is not None:
                return SetTensor(statement, written, "write")
            return SetTensor(statement, _fresh(tree), "copy")
        if isinstance(tree, Leaf):  # another name for the same tensor
            self.owned -= {target, tree.name}
            if self._overwritten_before_last_read(statement, tree.name):
                self.owned.add(target)
                tree = Apply("clone", (tree,), tree.dims)
            return SetTensor(statement, tree, "bind")
        written = _overwrite(tree, target) if target in self.owned else None
        self.owned.add(target)
        return SetTensor(statement, written or _fresh(tree), "write" if written else "bind")

    def _overwritten_before_last_read(self, alias: Assign, storage: str) -> bool:
        """Return whether, on some path, the tensor of an alias is written before a read of it."""
        later = self.statements[self._position(alias) + 1 :]
        writes = [
            i for i, s in enumerate(later) if isinstance(s, Assign) and s.target == storage and storage in self.storage
        ]
        return bool(writes) and any(alias.target in _names_read_by(s) for s in later[writes[0] :])

    def _position(self, statement: Stmt) -> int:
        return next(i for i, s in enumerate(self.statements) if s is statement)


def _operand_of(total: Expr) -> str:
    """Return the name that a total is over."""
    match total:
        case Call(args=(Ref(name=name),)):
            return name
        case _:
            raise AssertionError(f"{total} is not over a name")


def _names_used_by(statement: Stmt) -> tuple[str, ...]:
    target = (statement.target,) if isinstance(statement, Assign) else ()
    return (*target, *_names_read_by(statement))


def _names_read_by(statement: Stmt) -> tuple[str, ...]:
    return names_read(expression_of(statement))


def _spine(tree: Tree) -> list[Apply]:
    """Return the operations from the innermost receiver outwards."""
    spine: list[Apply] = []
    while isinstance(tree, Apply):
        spine.append(tree)
        tree = tree.receiver
    return spine[::-1]


def _root(tree: Tree) -> Tree:
    while isinstance(tree, Apply):
        tree = tree.receiver
    return tree


def _overwrite(tree: Tree, target: str) -> Tree | None:
    """Return the tree with every operation on its spine in place, or None if that would not compute the value.

    It does where the spine begins at `target`, whose storage then holds the value, and no operation broadcasts it. The
    arguments of the first operation are computed before it writes; those of later ones must not read the target.
    """
    spine, root = _spine(tree), _root(tree)
    if not spine or not isinstance(root, Leaf) or root.name != target:
        return None
    if not all(TORCH_OPS[step.op].in_place and step.dims == root.dims for step in spine):
        return None
    if any(target in leaf_names(argument) for step in spine[1:] for argument in step.args[1:]):
        return None
    return _rebuild(spine, root, from_first=True)


def _fresh(tree: Tree) -> Tree:
    """Return the tree with its first operation making a new tensor and the later ones overwriting that."""
    spine = _spine(tree)
    return _rebuild(spine, spine[0].receiver, from_first=False) if spine else tree


def _rebuild(spine: list[Apply], root: Tree, *, from_first: bool) -> Tree:
    """Return the spine on a new root, in place from its first operation on, or else from the second."""
    tree, ours = _argument(root), from_first
    for step in spine:
        may = ours and bool(TORCH_OPS[step.op].in_place) and step.dims == step.receiver.dims
        tree = replace(step, args=(tree, *(_argument(argument) for argument in step.args[1:])), in_place=may)
        # A comparison or `choose` may return a tensor of another dtype or another name's tensor.
        ours = may or step.op not in ("choose", "gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not")
    return tree


def _argument(tree: Tree) -> Tree:
    return _fresh(tree) if isinstance(tree, Apply) and not tree.in_place else tree
