"""Lowering for the two backends that call torch: which operations, and which of them overwrite what.

In: a Rule after features. Out: `Step`s: the same statements, element expressions turned into trees of torch
operations with destinations chosen, complex views put where torch.optim has them. The text is made elsewhere.

The operations are those that give torch.optim's bits, found by syntax alone: the right operand of a sum, with its
number leftmost, is contracted (`x + s * a * b` is `x.addcmul(a, b, value=s)`); nothing commutes, no names are
looked through, no numbers are folded. States and `param` are written into their own storage at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.backends.host import negated
from thetac.codegen.backends.torch_ops import TORCH_OPS
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    ComplexMode,
    Const,
    Expr,
    If,
    Kind,
    Ref,
    Rule,
    StateKind,
    Stmt,
    names_read,
    walk_statements,
)
from thetac.codegen.passes.kinds import Kinds, infer, kind_of, on_host


@dataclass(frozen=True, slots=True)
class Number:
    """A number or truth value of the host, as an argument of a torch operation."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Leaf:
    """The tensor that a name stands for."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """A torch operation on its first argument (`self`) and the others."""

    op: str
    args: tuple[Tree, ...]
    in_place: bool = False  # overwrites its first argument

    @property
    def receiver(self) -> Tree:
        return self.args[0]


Tree = Number | Leaf | Apply


@dataclass(frozen=True, slots=True)
class SetNumber:
    """A number of the host gets a value."""

    statement: Assign


@dataclass(frozen=True, slots=True)
class SetScalarState:
    """A scalar state gets a value, rounded by its dtype; `s = s op h` runs in that dtype."""

    statement: Assign
    self_update: str  # the torch operation of a self-update, else empty
    operand: Expr  # what the operation takes, or the whole value
    read_again: bool  # whether a later statement reads it


@dataclass(frozen=True, slots=True)
class SetTensor:
    """A tensor gets a value."""

    statement: Assign
    tree: Tree
    how: str  # "bind" a local, "write" in place by the tree itself, "copy" the tree into the target, "fill" with a number


@dataclass(frozen=True, slots=True)
class Branch:
    statement: If
    then: tuple[Step, ...]
    orelse: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Complex tensors become pairs of reals (or, `as_complex`, pairs become complex again), if param was complex."""

    names: tuple[str, ...]
    as_complex: bool = False


Step = SetNumber | SetScalarState | SetTensor | Branch | View


def lower(rule: Rule) -> tuple[Step, ...]:
    """The body as steps, in order."""
    return _Lowering(rule).run()


def trees_in(tree: Tree) -> Iterator[Tree]:
    """The tree and everything in it, outermost first."""
    yield tree
    if isinstance(tree, Apply):
        for argument in tree.args:
            yield from trees_in(argument)


def leaves(tree: Tree) -> tuple[str, ...]:
    """Names of the tensors a tree reads, each once, in order."""
    return tuple(dict.fromkeys(t.name for t in trees_in(tree) if isinstance(t, Leaf)))


class _Lowering:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kinds: Kinds = infer(rule)
        self.storage = {"param", *rule.names_of(StateKind.TENSOR)}  # names with memory of their own
        self.scalars = set(rule.names_of(StateKind.SCALAR))
        self.statements = list(walk_statements(rule.body))
        self.owned: set[str] = set()  # locals whose tensor is nobody else's: they may be overwritten

    def run(self) -> tuple[Step, ...]:
        early, late = self._split_at_own_update()
        if self.rule.complex_mode is ComplexMode.PAIRS_BEFORE_DECAY:
            # torch negates before it views: the sign of the whole complex number.
            early, between = early[:1], early[1:]
            return (*self._block(early), self._view(), *self._block((*between, *late)))
        if self.rule.complex_mode is ComplexMode.NATIVE:
            return self._block((*early, *late))
        return (*self._block(early), self._view(), *self._block(late))

    def _split_at_own_update(self) -> tuple[tuple[Stmt, ...], tuple[Stmt, ...]]:
        """Maximize and weight decay, and what follows them."""
        early = tuple(s for s in self.rule.body if s.origin in ("maximize", "weight decay"))
        assert self.rule.body[: len(early)] == early
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
                    before = set(self.owned)
                    then = self._block(statement.then)
                    after_then, self.owned = self.owned, before
                    orelse = self._block(statement.orelse)
                    self.owned &= after_then
                    steps.append(Branch(statement, then, orelse))
                case Assign():
                    steps.extend(self._assign(statement))
                case _:
                    assert_never(statement)
        return tuple(steps)

    def _assign(self, statement: Assign) -> Iterator[Step]:
        target, value = statement.target, statement.value
        if target in self.scalars:
            yield self._set_scalar_state(statement)
        elif self.kinds[target] in (Kind.HOST, Kind.FLAG):
            yield SetNumber(statement)
        elif on_host(value, self.kinds):
            yield SetTensor(statement, Number(value), "fill")
        else:
            if target == "param" and self.rule.complex_mode is ComplexMode.PAIRS_EXCEPT_PARAM:
                pairs = tuple(n for n in names_read(value) if self.kinds[n] is Kind.ELEMENT and n != "param")
                assert not self.storage.intersection(pairs), "a complex parameter takes locals only"
                if pairs:
                    yield View(pairs, as_complex=True)
            yield self._set_tensor(statement, self.tree(value))

    def _set_scalar_state(self, statement: Assign) -> SetScalarState:
        """`s = s op h` is an in-place operation of the 0-d tensor, any other value is stored."""
        later = self.statements[self._position(statement) + 1 :]
        read_again = any(statement.target in _names_read_by(s) for s in later)
        match statement.value:
            case Call(op="add" | "sub" | "mul" | "div" as op, args=(Ref(name=name), operand)) if (
                name == statement.target and name not in names_read(operand)
            ):
                return SetScalarState(statement, op, operand, read_again)
            case _:
                return SetScalarState(statement, "", statement.value, read_again)

    def _set_tensor(self, statement: Assign, tree: Tree) -> SetTensor:
        target = statement.target
        if target in self.storage:
            written = _overwriting(tree, target)
            if written is not None:
                return SetTensor(statement, written, "write")
            return SetTensor(statement, _fresh(tree), "copy")
        if isinstance(tree, Leaf):  # another name for the same tensor
            self.owned -= {target, tree.name}
            if self._overwritten_before_last_read(statement, tree.name):
                self.owned.add(target)
                tree = Apply("clone", (tree,))
            return SetTensor(statement, tree, "bind")
        written = _overwriting(tree, target) if target in self.owned else None
        self.owned.add(target)
        return SetTensor(statement, written or _fresh(tree), "write" if written else "bind")

    def _overwritten_before_last_read(self, alias: Assign, storage: str) -> bool:
        """Whether the tensor behind an alias may be written while the alias is still to be read (branches taken as one line)."""
        later = self.statements[self._position(alias) + 1 :]
        writes = [
            i for i, s in enumerate(later) if isinstance(s, Assign) and s.target == storage and storage in self.storage
        ]
        return bool(writes) and any(alias.target in _names_read_by(s) for s in later[writes[0] :])

    def _position(self, statement: Stmt) -> int:
        return next(i for i, s in enumerate(self.statements) if s is statement)

    # Expressions

    def tree(self, expression: Expr) -> Tree:
        """The torch operations of an expression over elements, all out of place."""
        if on_host(expression, self.kinds):
            return Number(expression)
        match expression:
            case Ref(name=name):
                return Leaf(name)
            case Call(op="add" | "sub" as op, args=(left, right)):
                return self._sum(op, left, right)
            case Call(op="mul" | "div" as op, args=(left, right)):
                return self._product(op, left, right)
            case Call(op="lerp", args=(start, end, weight)):
                if on_host(start, self.kinds) or on_host(end, self.kinds):
                    # torch.lerp takes no numbers there; the definition does.
                    difference = Call("sub", (end, start))
                    return self.tree(Call("add", (start, Call("mul", (weight, difference)))))
                return Apply("lerp", (self.tree(start), self.tree(end), self.tree(weight)))
            case Call(op="maximum" | "minimum" as op, args=(left, right)):
                bound = {"maximum": "clamp_min", "minimum": "clamp_max"}[op]
                if on_host(right, self.kinds):
                    return Apply(bound, (self.tree(left), Number(right)))
                if on_host(left, self.kinds):
                    return Apply(bound, (self.tree(right), Number(left)))
                return Apply(op, (self.tree(left), self.tree(right)))
            case Call(op="clamp", args=(value, low, high)):
                if on_host(low, self.kinds) and on_host(high, self.kinds) and not on_host(value, self.kinds):
                    return Apply("clamp", (self.tree(value), Number(low), Number(high)))
                return self.tree(Call("minimum", (Call("maximum", (value, low)), high)))
            case Call(op="where", args=(condition, chosen, other)):
                return self._where(condition, chosen, other)
            case Call(op="and" | "or" as op, args=(left, right)) if on_host(left, self.kinds):
                return Apply(op, (self.tree(right), Apply("full", (Number(left),))))
            case Call(op="gt" | "ge" | "lt" | "le" | "eq" | "ne" as op, args=args):
                return Apply(op, tuple(self.tree(argument) for argument in args))
            case Call(op="and" | "or" as op, args=(left, right)):
                second = Apply("full", (Number(right),)) if on_host(right, self.kinds) else self.tree(right)
                return Apply(op, (self.tree(left), second))
            case Call(op=op, args=args):
                assert op in TORCH_OPS, f"no torch operation for {op}"
                return Apply(op, tuple(self.tree(argument) for argument in args))
            case Const():
                raise AssertionError("a constant lives on the host")
            case _:
                assert_never(expression)

    def _where(self, condition: Expr, chosen: Expr, other: Expr) -> Tree:
        if kind_of(condition, self.kinds) is Kind.FLAG:
            either = [Apply("full_like", (t,)) if isinstance(t, Number) else t for t in map(self.tree, (chosen, other))]
            return Apply("clone", (Apply("choose", (Number(condition), *either)),))
        mask, first, second = self.tree(condition), self.tree(chosen), self.tree(other)
        if isinstance(first, Number) and isinstance(second, Number):
            second = Apply("full", (second,))  # else torch takes the default dtype
        return Apply("where", (mask, first, second))

    def _product(self, op: str, left: Expr, right: Expr) -> Tree:
        if on_host(left, self.kinds):
            # Of `s / a` torch computes the reciprocal, then the product: two roundings.
            factor = self.tree(right) if op == "mul" else Apply("reciprocal", (self.tree(right),))
            return Apply("mul_number", (factor, Number(left)))
        suffix = "_number" if on_host(right, self.kinds) else ""
        return Apply(op + suffix, (self.tree(left), self.tree(right)))

    def _sum(self, op: str, left: Expr, right: Expr) -> Tree:
        if on_host(left, self.kinds):
            term = self.tree(right) if op == "add" else Apply("neg", (self.tree(right),))
            return Apply("add_number", (term, Number(left)))
        into = self.tree(left)
        if on_host(right, self.kinds):
            return Apply(f"{op}_number", (into, Number(right)))
        match self._contraction(right):
            case ("add", number, (factor,)) if number is not None:
                return Apply("add_scaled", (into, self.tree(factor), self._signed(op, number)))
            case ("addcmul" | "addcdiv" as fused, number, (first, second)):
                return Apply(fused, (into, self.tree(first), self.tree(second), self._signed(op, number or Const(1))))
            case _:
                return Apply(op, (into, self.tree(right)))

    def _signed(self, op: str, number: Expr) -> Number:
        return Number(negated(number) if op == "sub" else number)

    def _contraction(self, right: Expr) -> tuple[str, Expr | None, tuple[Expr, ...]]:
        """How the right operand of a sum contracts: `s * a`, `s * a * b` or `s * a / b`, s a number that may be absent."""
        match right:
            case Call(op="mul" | "div" as op, args=(left, last)) if not on_host(last, self.kinds):
                fused = {"mul": "addcmul", "div": "addcdiv"}[op]
                if on_host(left, self.kinds):
                    return ("add", left, (last,)) if op == "mul" else ("", None, ())
                match left:
                    case Call(op="mul", args=(number, first)) if on_host(number, self.kinds):
                        return fused, number, (first, last)
                    case _:
                        return fused, None, (left, last)
            case _:
                return "", None, ()


def _names_read_by(statement: Stmt) -> tuple[str, ...]:
    return names_read(statement.value if isinstance(statement, Assign) else statement.condition)


def _spine(tree: Tree) -> list[Apply]:
    """The operations from the innermost receiver outwards."""
    spine: list[Apply] = []
    while isinstance(tree, Apply):
        spine.append(tree)
        tree = tree.receiver
    return spine[::-1]


def _root(tree: Tree) -> Tree:
    while isinstance(tree, Apply):
        tree = tree.receiver
    return tree


def _overwriting(tree: Tree, target: str) -> Tree | None:
    """The tree with every operation on its spine in place, if that leaves the value in `target`'s own storage.

    The arguments of the first operation are computed before it writes; those of the later ones must not read the target.
    """
    spine = _spine(tree)
    if not spine or _root(tree) != Leaf(target) or not all(TORCH_OPS[step.op].in_place for step in spine):
        return None
    if any(target in leaves(argument) for step in spine[1:] for argument in step.args[1:]):
        return None
    return _rebuild(spine, Leaf(target), from_first=True)


def _fresh(tree: Tree) -> Tree:
    """The tree with its first operation making a new tensor and the later ones overwriting that."""
    spine = _spine(tree)
    return _rebuild(spine, spine[0].receiver, from_first=False) if spine else tree


def _rebuild(spine: list[Apply], root: Tree, *, from_first: bool) -> Tree:
    """The spine on a new root, with in-place forms where the receiver is ours: from its first operation on, or the second."""
    tree, ours = _argument(root), from_first
    for step in spine:
        may = ours and bool(TORCH_OPS[step.op].in_place)
        tree = replace(step, args=(tree, *(_argument(argument) for argument in step.args[1:])), in_place=may)
        # A comparison or `choose` may hand on a tensor of another dtype or owner.
        ours = may or step.op not in ("choose", "gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not")
    return tree


def _argument(tree: Tree) -> Tree:
    return _fresh(tree) if isinstance(tree, Apply) and not tree.in_place else tree
