"""Write tensor programs in Triton: what is computed once per tensor between two sweeps, in float64.

In: a pass, and the folds of the one before it. Out: the body of a kernel with one program per tensor (or per group of
its matrices). Numbers are scalars of the program. Vectors lie in scratch and are computed in loops over blocks of
entries: statements on vectors of one sort that do not wait for others share a loop. Must not know sweeps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from thetac.codegen.backends.eager.lines import comment_lines, indent
from thetac.codegen.backends.kernels.triton_expressions import condition_text, text, typed_text
from thetac.codegen.backends.kernels.triton_scratch import Scratch, either, number_folds
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fold, Fused, SmallState
from thetac.codegen.ir.nodes import Call, Const, Expr, chain, names_read
from thetac.codegen.ir.reductions import is_of_blocks
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR, ROW_VECTOR, Dim, Dims
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.naming import safe

# For each sort of vector: how many entries a matrix has, and how many tiles an entry crosses.
_LENGTHS = {ROW_VECTOR: "height", COLUMN_VECTOR: "width"}
_TILES = {ROW_VECTOR: "across", COLUMN_VECTOR: "down"}


@dataclass(frozen=True, slots=True)
class _Item:
    """One value to compute: a statement without its branches, or a fold to complete."""

    target: str
    dims: Dims | None
    value: Expr | Fold
    reads: frozenset[str]
    static: tuple[Expr, ...]  # conditions on specialisations under which it is computed
    dynamic: tuple[Expr, ...]  # truth values of the row under which the target changes
    comment: tuple[str, ...]

    def waits_for(self, other: _Item) -> bool:
        """Return whether it has to come after another item that precedes it in the text."""
        return other.target in self.reads or self.target in other.reads or self.target == other.target


@dataclass(frozen=True, slots=True)
class _Unit:
    """Items that are computed together: numbers one after the other, or vectors of one sort in one loop."""

    dims: Dims | None
    items: tuple[_Item, ...]


class TensorProgram:
    """The tensor program before the pass of that index, planned when it is made and written by `lines`."""

    def __init__(self, fused: Fused, index: int, scratch: Scratch, *, only: Collection[str] | None = None) -> None:
        """Plan the program.

        Args:
            fused: The kernels that it is one of.
            index: Of the pass that it precedes; there need not be one.
            scratch: Where it keeps values; it may add vectors of its own.
            only: The folds of the pass before that it completes, and nothing else; None: the whole program.
        """
        self._fused = fused
        self._index = index
        self._scratch = scratch
        self._small = {state.name: state for state in fused.small}
        self._row_truths = frozenset(entry.name for entry in fused.row if entry.truth)
        self._truths = fused.truths | {value.name for value in fused.tensor_values if value.truth}
        self._previous = fused.passes[index - 1] if index else None
        self._dims: dict[str, Dims | None] = {**scratch.dims, **{state.name: state.dims for state in fused.small}}
        folds = self._previous.folds if self._previous else ()
        items = [self._completed(fold) for fold in folds if only is None or fold.target in only]
        items += self._flattened(fused.passes[index].before, (), ()) if only is None else []
        self._units = _sorted_into_units(items)
        self._kept = {value.name for value in fused.tensor_values}
        self._assigned_in = {
            name: [unit for unit in self._units if any(item.target == name for item in unit.items)]
            for name in {item.target for item in items}
        }
        for unit in self._units:
            for name in self._from_memory(unit):
                if name not in self._small and (dims := self._dims[name]) is not None:
                    scratch.keep(name, dims)
                    self._kept.add(name)

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to compute."""
        return not self._units

    @property
    def divides(self) -> bool:
        """Return whether several programs may compute one tensor, each some of its matrices.

        All of them compute its numbers, so that none may be made of all matrices or be read where it is stored.
        """
        numbers = [item for unit in self._units if unit.dims is None for item in unit.items]
        of_vectors = any(_is_reduction(item.value) for item in numbers)
        stored = {item.target for item in numbers}
        return not of_vectors and not stored & set(self._loaded_numbers())

    @property
    def row(self) -> list[tuple[int, str]]:
        """Return the entries of the scalar row that it reads, each with its index."""
        read = {name for item in self._items() for name in item.reads}
        return [(i, safe(entry.name)) for i, entry in enumerate(self._fused.row) if entry.name in read]

    @property
    def small(self) -> list[tuple[int, str]]:
        """Return the names of the small states that it uses, each with its index among the small states."""
        used = {name for item in self._items() for name in (*item.reads, item.target)}
        return [(i, state.name) for i, state in enumerate(self._fused.small) if state.name in used]

    def lines(self) -> list[str]:
        """Return the body of the kernel."""
        lines = self._load_numbers()
        for unit in self._units:
            lines += self._numbers(unit) if unit.dims is None else self._loop(unit, unit.dims)
        return lines

    def _items(self) -> list[_Item]:
        return [item for unit in self._units for item in unit.items]

    def _completed(self, fold: Fold) -> _Item:
        static = () if fold.needed == Const(True) else (fold.needed,)
        return _Item(fold.target, fold.dims, fold, frozenset(), static, (), ())

    def _flattened(
        self, body: Sequence[ElementStmt], static: tuple[Expr, ...], dynamic: tuple[Expr, ...]
    ) -> list[_Item]:
        """Return the statements with the conditions of the branches that they are in."""
        items: list[_Item] = []
        for statement in body:
            if isinstance(statement, ElementIf):
                for condition, inner in (
                    (statement.condition, statement.then),
                    (Call("not", (statement.condition,)), statement.orelse),
                ):
                    conditions = (
                        ((*static, condition), dynamic) if statement.static else (static, (*dynamic, condition))
                    )
                    items += self._flattened(inner, *conditions)
            else:
                items.append(self._item(statement, static, dynamic))
        return items

    def _item(self, statement: ElementAssign, static: tuple[Expr, ...], dynamic: tuple[Expr, ...]) -> _Item:
        target, value = statement.target, self._without_empty_reduction(statement.value)
        reads = {name for expression in (value, *dynamic) for name in names_read(expression)}
        if dynamic and target in self._dims:
            reads.add(target)  # where the conditions do not hold, the old value stays
        self._dims.setdefault(target, self._dims_of(value))
        comment = tuple(comment_lines(statement.source))
        return _Item(target, self._dims[target], value, frozenset(reads), static, dynamic, comment)

    def _without_empty_reduction(self, value: Expr) -> Expr:
        """Return the operand of a reduction along an axis of size 1, and everything else as it is."""
        return value.args[0] if isinstance(value, Call) and _is_reduction(value) and self._is_same(value) else value

    def _is_same(self, reduction: Call) -> bool:
        return len(reduction.args) > 1 and self._dims_of(reduction) == self._dims_of(reduction.args[0])

    def _dims_of(self, value: Expr) -> Dims | None:
        """Return the dimensions of a value; None for a number per parameter."""
        if isinstance(value, Call) and _is_reduction(value):
            operand = self._dims_of(value.args[0])
            if len(value.args) == 1 or operand is None:
                return None
            return (operand[0], Dim.ONE) if value.args[1] == Const(-1) else (Dim.ONE, operand[1])
        found = [dims for name in names_read(value) if (dims := self._dims.get(name)) is not None]
        if not found:
            return None
        rows, columns = ({dims[axis] for dims in found} - {Dim.ONE} for axis in (0, 1))
        return (rows.pop() if rows else Dim.ONE, columns.pop() if columns else Dim.ONE)

    def _from_memory(self, unit: _Unit) -> list[str]:
        """Return the vectors that a unit reads and has not computed itself, in order."""
        found: dict[str, None] = {}
        for position, item in enumerate(unit.items):
            for name in sorted(item.reads):
                if self._dims.get(name) is not None and not self._is_at_hand(name, unit, position, item):
                    found[name] = None
        return list(found)

    def _is_at_hand(self, name: str, unit: _Unit, position: int, reader: _Item) -> bool:
        """Return whether items of a unit before this position have computed a vector whenever the reader needs it."""
        if self._dims[name] != unit.dims or _reads_entries(reader.value):
            return False
        own = [item for item in unit.items[:position] if item.target == name]
        elsewhere = name in self._scratch.dims or name in self._small or len(self._assigned_in.get(name, ())) > 1
        return any(set(item.static) <= set(reader.static) for item in own) or (bool(own) and not elsewhere)

    def _loaded_numbers(self) -> list[str]:
        """Return the numbers per parameter that are read before, or without, being assigned here, in order."""
        found: dict[str, None] = {}
        done: list[_Item] = []
        for item in self._items():
            for name in sorted(item.reads):
                known = any(one.target == name and set(one.static) <= set(item.static) for one in done)
                if self._dims.get(name, ROW_VECTOR) is None and self._has_memory(name) and not known:
                    found[name] = None
            done.append(item)
        return list(found)

    def _has_memory(self, name: str) -> bool:
        return name in self._kept or name in self._small

    def _load_numbers(self) -> list[str]:
        loaded = self._loaded_numbers()
        lines: list[str] = []
        for name in loaded:
            if name in self._small:
                lines += _under(_exists(self._small[name]), [f"{safe(name)} = ops.load({name}_ptr, None, math)"])
            else:
                truth = " != 0" if name in self._truths else ""
                lines.append(f"{safe(name)} = tl.load({self._scratch.number(name)}){truth}")
        stored = {item.target for item in self._items()}
        # One thread stores what all of them have loaded.
        return [*lines, "tl.debug_barrier()"] if stored & set(loaded) else lines

    def _numbers(self, unit: _Unit) -> list[str]:
        """Return the lines of a unit of numbers."""
        lines = self._pointers(unit)
        return lines + self._items_lines(unit)

    def _loop(self, unit: _Unit, dims: Dims) -> list[str]:
        """Return the loop of a unit of vectors."""
        length = _LENGTHS.get(dims)
        block = "folds.BLOCK" if length else "tile_matrices"
        first, last = (f"{end}_matrix * {length}" if length else f"{end}_matrix" for end in ("first", "last"))
        body = [f"at = first + tl.arange(0, {block})", f"inside = at < {last}"]
        for name in self._from_memory(unit):
            if not any(_reads_entries(item.value) and name in item.reads for item in unit.items):
                index = "at" if self._dims[name] == dims else f"at // {length}"
                truth = " != 0" if name in self._truths else ""
                load = f"{safe(name)} = ops.load({name}_ptr + {index}, inside, math){truth}"
                body += _under(_exists(self._small[name]), [load]) if name in self._small else [load]
        body += self._items_lines(unit)
        lines = [*self._pointers(unit), f"for first in range({first}, {last}, {block}):", *indent(body)]
        if unit is not self._units[-1]:
            lines.append("tl.debug_barrier()  # what follows reads what other threads stored")
        return _under(either(item.static for item in unit.items), lines)

    def _pointers(self, unit: _Unit) -> list[str]:
        """Return the lines that make the pointers into scratch which a unit needs."""
        stored = [item.target for item in unit.items if item.dims is not None and item.target in self._kept]
        names = dict.fromkeys((*self._from_memory(unit), *stored))
        lines = [f"{name}_ptr = {self._scratch.vector(name)}" for name in names if name not in self._small]
        for item in unit.items:
            if isinstance(item.value, Fold) and item.dims is not None:
                assert self._previous is not None
                pointer = self._scratch.partials(self._index - 1, self._previous, item.target)
                lines.append(f"{item.target}_partials_ptr = {pointer}")
        return lines

    def _items_lines(self, unit: _Unit) -> list[str]:
        """Return the lines of all items, those under one condition together."""
        lines: list[str] = []
        last: tuple[Expr, ...] = ()
        for item in unit.items:
            own = self._item_lines(item)
            if not item.static:
                lines += own
            elif item.static == last:
                lines += indent(own)
            else:
                lines += _under(chain("and", item.static), own)
            last = item.static
        return lines

    def _item_lines(self, item: _Item) -> list[str]:
        """Return the lines that compute an item and store what others read."""
        target, is_truth = safe(item.target), item.target in self._truths
        value = self._value(item)
        if item.dynamic:
            when = text(chain("and", item.dynamic), self._row_truths)
            if item.target in item.reads:
                value = f"tl.where({when}, {value}, {target})"
            else:
                value = f"tl.where({when}, {value}, 0){' != 0' if is_truth else ''}"
        lines = [*item.comment, f"{target} = {value}"]
        stored = f"{target}.to(math)" if is_truth else target
        if item.target in self._small:
            place, mask = (f"{item.target}_ptr", "None") if item.dims is None else (f"{item.target}_ptr + at", "inside")
            lines.append(f"ops.store({place}, {target}, {mask})")
        elif item.target in self._kept and item.dims is None:
            lines.append(f"tl.store({self._scratch.number(item.target)}, {stored})")
        elif item.target in self._kept:
            lines.append(f"tl.store({item.target}_ptr + at, {stored}, mask=inside)")
        return lines

    def _value(self, item: _Item) -> str:
        """Return the text of what an item computes."""
        if isinstance(item.value, Fold):
            return self._completion(item.value)
        if _is_of_blocks(item.value):
            assert isinstance(item.value, Call)
            vector, number = names_read(item.value)
            return f"folds.mean_of_blocks({vector}_ptr, at, inside, height, {safe(number)})"
        if not _is_reduction(item.value):
            return typed_text(item.value, self._row_truths)
        assert isinstance(item.value, Call)
        (operand,) = names_read(item.value)
        dims = self._dims[operand]
        assert dims is not None
        length = _LENGTHS.get(dims)
        if item.dims is not None:
            return f"folds.{item.value.op}_each({operand}_ptr, at, inside, {length})"
        first, last = (f"{end}_matrix * {length}" if length else f"{end}_matrix" for end in ("first", "last"))
        return f"folds.{item.value.op}_range({operand}_ptr, {first}, {last}, 1)"

    def _completion(self, fold: Fold) -> str:
        """Return the text that adds up, or compares, the partial results of a fold."""
        assert self._previous is not None
        if fold.dims is None:
            column = self._scratch.first_program(self._index - 1)
            every = number_folds(self._previous)
            first = f"partials + {len(every)} * tl.load(place + {column}) + {every.index(fold.target)}"
            return f"folds.{fold.op}_range({first}, 0, tl.load(place + {column + 1}).to(tl.int32), {len(every)})"
        length = _LENGTHS.get(fold.dims)
        tiles = _TILES.get(fold.dims, "across * down")
        entries = f"matrices * {length}" if length else "matrices"
        return f"folds.{fold.op}_tiles({fold.target}_partials_ptr, at, inside, {tiles}, {entries})"


def _sorted_into_units(items: Sequence[_Item]) -> tuple[_Unit, ...]:
    """Return the items in units, in an order that gives the same values: numbers as early as they can be."""
    units: list[_Unit] = []
    left = list(items)
    while left:
        ready = [item for item in left if not any(item.waits_for(other) for other in left[: left.index(item)])]
        dims = None if any(item.dims is None for item in ready) else left[0].dims
        taken: list[_Item] = []
        skipped: list[_Item] = []
        for item in left:
            fits = item.dims == dims and not any(item.waits_for(other) for other in skipped)
            fits &= not taken or not any(_is_of_blocks(one.value) for one in (item, *taken))  # entries wait for others
            (taken if fits else skipped).append(item)
        units.append(_Unit(dims, tuple(taken)))
        left = skipped
    return tuple(units)


def _is_of_blocks(value: Expr | Fold) -> bool:
    """Return whether a value is a mean of blocks of rows."""
    return isinstance(value, Call) and is_of_blocks(value)


def _reads_entries(value: Expr | Fold) -> bool:
    """Return whether each entry of a value is made of many of a vector, which it reads where it is stored."""
    return _is_reduction(value) or _is_of_blocks(value)


def _is_reduction(value: Expr | Fold) -> bool:
    """Return whether a value is a reduction of a vector."""
    return isinstance(value, Call) and value.op in ("sum", "max")


def _exists(state: SmallState) -> Expr:
    """Return where a state may be read: what an earlier program has stored is read, too, where it was not before."""
    used = (boolean_algebra.condition(one) for one in (state.loaded, state.stored))
    return boolean_algebra.expression(boolean_algebra.either(*used))


def _under(condition: Expr, lines: Sequence[str]) -> list[str]:
    """Return lines that run where a condition on specialisations holds."""
    if condition == Const(True):
        return list(lines)
    return [] if condition == Const(False) else [f"if {condition_text(condition)}:", *indent(lines)]
