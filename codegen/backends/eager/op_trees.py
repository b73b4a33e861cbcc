"""Lower element expressions to trees of torch operations.

In: an expression and the kinds of its names. Out: a tree whose operations are torch's. They are those that give
torch.optim's bits, found by syntax alone: the right operand of a sum, with its number leftmost, is contracted
(`x + s * a * b` is `x.addcmul(a, b, value=s)`); no operation commutes, no name is replaced by its value, no numbers
are folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.backends.eager.torch_ops import TORCH_OPS
from thetac.codegen.backends.printing.host_python import guarded, negated
from thetac.codegen.ir.nodes import Call, Const, Expr, Range, Ref
from thetac.codegen.passes.analysis.kinds import Kinds, is_on_host


@dataclass(frozen=True, slots=True)
class Number:
    """A number or truth value of the host, as an argument of a torch operation."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor, by its name."""

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


def trees_in(tree: Tree) -> Iterator[Tree]:
    """Yield the tree and everything in it, outermost first."""
    trees = [tree]
    while trees:
        one = trees.pop()
        yield one
        if isinstance(one, Apply):
            trees.extend(reversed(one.args))


def leaf_names(tree: Tree) -> tuple[str, ...]:
    """Return the names of the tensors that a tree reads, each once, in order."""
    return tuple(dict.fromkeys(t.name for t in trees_in(tree) if isinstance(t, Leaf)))


def guard_numbers(tree: Tree, known: Mapping[str, Range]) -> Tree:
    """Return the tree with guards where computing a number could raise an error."""
    match tree:
        case Number(value=value):
            return Number(guarded(value, known))
        case Leaf():
            return tree
        case Apply(args=args):
            return replace(tree, args=tuple(guard_numbers(argument, known) for argument in args))
        case _:
            assert_never(tree)


class TreeBuilder:
    """Lowers expressions over names of known kinds to trees, all out of place."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds

    def tree(self, expression: Expr) -> Tree:
        """Return the torch operations of an expression over elements, all out of place."""
        if is_on_host(expression, self.kinds):
            return Number(expression)
        match expression:
            case Ref(name=name):
                return Leaf(name)
            case Call(op="add" | "sub" as op, args=(left, right)):
                return self._sum(op, left, right)
            case Call(op="mul" | "div" as op, args=(left, right)):
                return self._product(op, left, right)
            case Call(op="lerp", args=(start, end, weight)):
                if is_on_host(start, self.kinds) or is_on_host(end, self.kinds):
                    # torch.lerp takes no numbers there; the definition does.
                    difference = Call("sub", (end, start))
                    return self.tree(Call("add", (start, Call("mul", (weight, difference)))))
                return Apply("lerp", (self.tree(start), self.tree(end), self.tree(weight)))
            case Call(op="maximum" | "minimum" as op, args=(left, right)):
                bound = {"maximum": "clamp_min", "minimum": "clamp_max"}[op]
                if is_on_host(right, self.kinds):
                    return Apply(bound, (self.tree(left), Number(right)))
                if is_on_host(left, self.kinds):
                    return Apply(bound, (self.tree(right), Number(left)))
                return Apply(op, (self.tree(left), self.tree(right)))
            case Call(op="clamp", args=(value, low, high)):
                if is_on_host(low, self.kinds) and is_on_host(high, self.kinds) and not is_on_host(value, self.kinds):
                    return Apply("clamp", (self.tree(value), Number(low), Number(high)))
                return self.tree(Call("minimum", (Call("maximum", (value, low)), high)))
            case Call(op="pow", args=(base, exponent)):
                if is_on_host(base, self.kinds):
                    return Apply("pow_of_number", (self.tree(exponent), Number(base)))
                suffix = "_number" if is_on_host(exponent, self.kinds) else ""
                return Apply(f"pow{suffix}", (self.tree(base), self.tree(exponent)))
            case Call(op="atan2", args=(height, width)):
                if is_on_host(height, self.kinds):  # torch takes tensors alone
                    return Apply("atan2_of_number", (self.tree(width), Apply("full", (Number(height),))))
                second = Apply("full", (Number(width),)) if is_on_host(width, self.kinds) else self.tree(width)
                return Apply("atan2", (self.tree(height), second))
            case Call(op="where", args=(condition, chosen, other)):
                return self._where(condition, chosen, other)
            case Call(op="and" | "or" as op, args=(left, right)) if is_on_host(left, self.kinds):
                return Apply(op, (self.tree(right), Apply("full", (Number(left),))))
            case Call(op="gt" | "ge" | "lt" | "le" | "eq" | "ne" as op, args=args):
                return Apply(op, tuple(self.tree(argument) for argument in args))
            case Call(op="and" | "or" as op, args=(left, right)):
                second = Apply("full", (Number(right),)) if is_on_host(right, self.kinds) else self.tree(right)
                return Apply(op, (self.tree(left), second))
            case Call(op=op, args=args):
                assert op in TORCH_OPS, f"no torch operation for {op}"
                return Apply(op, tuple(self.tree(argument) for argument in args))
            case Const():
                raise AssertionError("a constant lives on the host")
            case _:
                assert_never(expression)

    def _where(self, condition: Expr, chosen: Expr, other: Expr) -> Tree:
        if is_on_host(condition, self.kinds):
            either = [Apply("full_like", (t,)) if isinstance(t, Number) else t for t in map(self.tree, (chosen, other))]
            return Apply("clone", (Apply("choose", (Number(condition), *either)),))
        mask, first, second = self.tree(condition), self.tree(chosen), self.tree(other)
        if isinstance(first, Number) and isinstance(second, Number):
            second = Apply("full", (second,))  # else torch takes the default dtype
        return Apply("where", (mask, first, second))

    def _product(self, op: str, left: Expr, right: Expr) -> Tree:
        if is_on_host(left, self.kinds):
            # Of `s / a` torch computes the reciprocal, then the product: two roundings.
            factor = self.tree(right) if op == "mul" else Apply("reciprocal", (self.tree(right),))
            return Apply("mul_number", (factor, Number(left)))
        suffix = "_number" if is_on_host(right, self.kinds) else ""
        return Apply(op + suffix, (self.tree(left), self.tree(right)))

    def _sum(self, op: str, left: Expr, right: Expr) -> Tree:
        if is_on_host(left, self.kinds):
            term = self.tree(right) if op == "add" else Apply("neg", (self.tree(right),))
            return Apply("add_number", (term, Number(left)))
        into = self.tree(left)
        if is_on_host(right, self.kinds):
            return Apply(f"{op}_number", (into, Number(right)))
        match self._contraction(right):
            case ("add", number, (factor,)) if number is not None:
                return Apply("add_scaled", (into, self.tree(factor), self._sign(op, number)))
            case ("addcmul" | "addcdiv" as fused, number, (first, second)):
                return Apply(fused, (into, self.tree(first), self.tree(second), self._sign(op, number or Const(1))))
            case _:
                return Apply(op, (into, self.tree(right)))

    def _sign(self, op: str, number: Expr) -> Number:
        return Number(negated(number) if op == "sub" else number)

    def _contraction(self, right: Expr) -> tuple[str, Expr | None, tuple[Expr, ...]]:
        """Return how the right operand of a sum contracts: operation, number s or None, and tensors.

        The forms are `s * a`, `s * a * b` and `s * a / b`, where s may be absent; the operation is empty for any other.
        """
        match right:
            case Call(op="mul" | "div" as op, args=(left, last)) if not is_on_host(last, self.kinds):
                fused = {"mul": "addcmul", "div": "addcdiv"}[op]
                if is_on_host(left, self.kinds):
                    return ("add", left, (last,)) if op == "mul" else ("", None, ())
                match left:
                    case Call(op="mul", args=(number, first)) if is_on_host(number, self.kinds):
                        return fused, number, (first, last)
                    case _:
                        return fused, None, (left, last)
            case _:
                return "", None, ()
