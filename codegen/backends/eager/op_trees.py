"""Lower element expressions to trees of torch operations.

In: an expression and the kinds of its names. Out: a tree whose operations are torch's. They are those that give
torch.optim's bits, found by syntax alone: the right operand of a sum, with its number leftmost, is contracted
(`x + s * a * b` is `x.addcmul(a, b, value=s)`); no operation commutes, no name is replaced by its value, no numbers
are folded. A number per parameter is an argument like a number of the host: Python computes with both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.backends.eager.torch_ops import TORCH_OPS
from thetac.codegen.backends.printing.host_python import guarded, negated
from thetac.codegen.ir.nodes import Call, Const, Expr, Range, Ref, names_read
from thetac.codegen.ir.ops import OPS
from thetac.codegen.ir.printer import row_along
from thetac.codegen.ir.reductions import is_reduction, split_axis
from thetac.codegen.ir.value_kinds import EVERY_ELEMENT, Dim, Dims, join_dims
from thetac.codegen.passes.analysis.kinds import Kinds, is_number, kind_of

_ONE: Dims = (Dim.ONE, Dim.ONE)


@dataclass(frozen=True, slots=True)
class Number:
    """A Python number or truth value, as an argument of a torch operation."""

    value: Expr

    @property
    def dims(self) -> Dims:
        return _ONE


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor, by its name."""

    name: str
    dims: Dims


@dataclass(frozen=True, slots=True)
class Apply:
    """A torch operation on its first argument (`self`) and the others."""

    op: str
    args: tuple[Tree, ...]
    dims: Dims  # of the result
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


def numbers_read(tree: Tree) -> tuple[str, ...]:
    """Return the names that the numbers in a tree read, each once, in order."""
    return tuple(dict.fromkeys(n for t in trees_in(tree) if isinstance(t, Number) for n in names_read(t.value)))


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


def apply(op: str, *args: Tree) -> Apply:
    """Return an operation that computes number by number, with its arguments broadcast."""
    return Apply(op, args, join_dims(argument.dims for argument in args))


def _like_param(tree: Tree) -> Tree:
    """Return the tree, or for a number a tensor like the parameter."""
    return Apply("full_like", (tree,), EVERY_ELEMENT) if isinstance(tree, Number) else tree


class TreeBuilder:
    """Lowers expressions over names of known kinds to trees, all out of place."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds

    def tree(self, expression: Expr) -> Tree:
        """Return the torch operations of an expression over tensors, all out of place."""
        if self._is_number(expression):
            return Number(expression)
        match expression:
            case Ref(name=name):
                dims = self.kinds[name].dims
                assert dims is not None
                return Leaf(name, dims)
            case Call() if is_reduction(expression):
                return self.reduction(expression)
            case Call(op="remember" | "inverse_hessian" as op, args=(Ref(name=name), *others)):
                return Apply(op, (Leaf(name, _ONE), *(self.tree(argument) for argument in others)), EVERY_ELEMENT)
            case Call(op="add" | "sub" as op, args=(left, right)):
                return self._sum(op, left, right)
            case Call(op="mul" | "div" as op, args=(left, right)):
                return self._product(op, left, right)
            case Call(op="lerp", args=(start, end, weight)):
                if self._is_number(start) or self._is_number(end):
                    # torch.lerp takes no numbers there; the definition does.
                    difference = Call("sub", (end, start))
                    return self.tree(Call("add", (start, Call("mul", (weight, difference)))))
                return apply("lerp", self.tree(start), self.tree(end), self.tree(weight))
            case Call(op="maximum" | "minimum" as op, args=(left, right)):
                bound = {"maximum": "clamp_min", "minimum": "clamp_max"}[op]
                if self._is_number(right):
                    return apply(bound, self.tree(left), Number(right))
                if self._is_number(left):
                    return apply(bound, self.tree(right), Number(left))
                return apply(op, self.tree(left), self.tree(right))
            case Call(op="clamp", args=(value, low, high)):
                if self._is_number(low) and self._is_number(high) and not self._is_number(value):
                    return apply("clamp", self.tree(value), Number(low), Number(high))
                return self.tree(Call("minimum", (Call("maximum", (value, low)), high)))
            case Call(op="pow", args=(base, exponent)):
                if self._is_number(base):
                    return apply("pow_of_number", self.tree(exponent), Number(base))
                suffix = "_number" if self._is_number(exponent) else ""
                return apply(f"pow{suffix}", self.tree(base), self.tree(exponent))
            case Call(op="atan2", args=(height, width)):
                if self._is_number(height):  # torch takes tensors alone
                    return apply("atan2_of_number", self.tree(width), apply("full", Number(height)))
                second = apply("full", Number(width)) if self._is_number(width) else self.tree(width)
                return apply("atan2", self.tree(height), second)
            case Call(op="where", args=(condition, chosen, other)):
                return self._where(condition, chosen, other)
            case Call(op="and" | "or" as op, args=(left, right)) if self._is_number(left):
                return apply(op, self.tree(right), apply("full", Number(left)))
            case Call(op="gt" | "ge" | "lt" | "le" | "eq" | "ne" as op, args=args):
                return apply(op, *(self.tree(argument) for argument in args))
            case Call(op="and" | "or" as op, args=(left, right)):
                second = apply("full", Number(right)) if self._is_number(right) else self.tree(right)
                return apply(op, self.tree(left), second)
            case Call(op=op, args=args):
                assert op in TORCH_OPS, f"no torch operation for {op}"
                return apply(op, *(self.tree(argument) for argument in args))
            case Const():
                raise AssertionError("a constant is a number")
            case _:
                assert_never(expression)

    def reduction(self, call: Call) -> Apply:
        """Return the torch operation of a reduction: a 0-d tensor, or one that keeps the axis with the size 1."""
        (operand,), axis = split_axis(call)
        if axis is None:
            return Apply(call.op, (self.tree(operand),), _ONE)
        dims = kind_of(call, self.kinds).dims
        assert dims is not None
        return Apply(row_along(OPS[call.op], axis), (self.tree(operand),), dims)

    def _is_number(self, expression: Expr) -> bool:
        return is_number(expression, self.kinds)

    def _where(self, condition: Expr, chosen: Expr, other: Expr) -> Tree:
        first, second = self.tree(chosen), self.tree(other)
        if self._is_number(condition):
            if all(isinstance(side, Number) or side.dims == EVERY_ELEMENT for side in (first, second)):
                either = map(_like_param, (first, second))
                return apply("clone", apply("choose", Number(condition), *either))
            mask: Tree = apply("truth", Number(condition))  # one of the sides has to be broadcast, chosen or not
        else:
            mask = self.tree(condition)
        if isinstance(first, Number) and isinstance(second, Number):
            second = apply("full", second)  # else torch takes the default dtype
        return apply("where", mask, first, second)

    def _product(self, op: str, left: Expr, right: Expr) -> Tree:
        if self._is_number(left):
            # Of `s / a` torch computes the reciprocal, then the product: two roundings.
            factor = self.tree(right) if op == "mul" else apply("reciprocal", self.tree(right))
            return apply("mul_number", factor, Number(left))
        suffix = "_number" if self._is_number(right) else ""
        return apply(op + suffix, self.tree(left), self.tree(right))

    def _sum(self, op: str, left: Expr, right: Expr) -> Tree:
        if self._is_number(left):
            term = self.tree(right) if op == "add" else apply("neg", self.tree(right))
            return apply("add_number", term, Number(left))
        into = self.tree(left)
        if self._is_number(right):
            return apply(f"{op}_number", into, Number(right))
        match self._contraction(right):
            case ("add", number, (factor,)) if number is not None:
                return apply("add_scaled", into, self.tree(factor), self._sign(op, number))
            case ("addcmul" | "addcdiv" as fused, number, (first, second)):
                return apply(fused, into, self.tree(first), self.tree(second), self._sign(op, number or Const(1)))
            case _:
                return apply(op, into, self.tree(right))

    def _sign(self, op: str, number: Expr) -> Number:
        return Number(negated(number) if op == "sub" else number)

    def _contraction(self, right: Expr) -> tuple[str, Expr | None, tuple[Expr, ...]]:
        """Return how the right operand of a sum contracts: operation, number s or None, and tensors.

        The forms are `s * a`, `s * a * b` and `s * a / b`, where s may be absent; the operation is empty for any other.
        """
        match right:
            case Call(op="mul" | "div" as op, args=(left, last)) if not self._is_number(last):
                fused = {"mul": "addcmul", "div": "addcdiv"}[op]
                if self._is_number(left):
                    return ("add", left, (last,)) if op == "mul" else ("", None, ())
                match left:
                    case Call(op="mul", args=(number, first)) if self._is_number(number):
                        return fused, number, (first, last)
                    case _:
                        return fused, None, (left, last)
            case _:
                return "", None, ()
