"""Spread the statements of a kernel over passes, so that each sum over elements is complete before it is read.

In: a `Fused` of a rule in kernel form (passes/kernel_form.py), in which one pass holds all statements, and the kinds of
its names. Out: the `Fused` with as few passes as the longest chain of reductions needs. Must not know targets.

What a statement needs decides its level. The old value of a state is there in pass 0; a sum of values of level n is
there in the tensor program before pass n + 1; elements that read such a number are of its level. A sweep is the slice
of the statements that its folds and the states that it stores need, so that elements are computed anew rather than kept
in memory. A state may be stored in any pass from its level on, and later passes then read it back instead of computing
it: of all such choices the one that moves the fewest streams is taken, then the one that computes least.

A total is known to all passes after the one that gives its terms, and all parameters wait for it there. Totals become
known in the order of the text, whatever they need, since every implementation waits for them in that order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from typing import assert_never

from thetac.codegen.ir.fused import (
    Barrier,
    ElementAssign,
    ElementIf,
    ElementStmt,
    Fold,
    Fused,
    Pass,
    SmallState,
    Stream,
    TensorValue,
    elements_assigned,
    elements_read,
    walk_elements,
)
from thetac.codegen.ir.nodes import Call, Const, Ref, names_read, walk_expression
from thetac.codegen.ir.reductions import is_reduction
from thetac.codegen.ir.value_kinds import TENSOR_NUMBER, Dims
from thetac.codegen.passes.analysis.kinds import Kinds
from thetac.codegen.passes.analysis.liveness import needed_by_folds
from thetac.codegen.passes.analysis.reaching import BEFORE, Reaching, reaching
from thetac.codegen.passes.analysis.streams import loaded_where_needed, streams
from thetac.codegen.passes.host_program import names_read_in, without_unread
from thetac.codegen.passes.naming import unique

MOST_CHOICES = 4096  # of passes in which states are stored; where there are more, states are decided one by one


def phases(fused: Fused, kinds: Kinds, small: Mapping[str, Dims | None]) -> Fused:
    """Return the kernel with its statements spread over passes.

    Args:
        fused: With a single pass of all statements.
        kinds: Of all names that statements assign, and of states.
        small: The dimensions of states that are not like the parameter, in the rule's order.
    """
    kinds = {**{total.term: TENSOR_NUMBER for total in fused.totals}, **kinds}
    plan = _Plan(fused, kinds, frozenset(small))
    if not small and not plan.folds and not plan.has_tensor_programs:
        return fused
    stored = _choose(plan)
    passes = tuple(plan.make_pass(number, stored) for number in range(plan.programs))
    values = _tensor_values(passes, kinds, small, [total.term for total in fused.totals])
    names = {value.name for value in values}
    passes = tuple(
        replace(one, reads=tuple(name for name in elements_read(one.body) if name in names)) for one in passes
    )
    everything = tuple(statement for one in passes for statement in one.before)
    done = replace(
        fused,
        passes=passes,
        small=tuple(
            SmallState(use.name, small[use.name], use.loaded, use.stored) for use in streams(tuple(small), everything)
        ),
        tensor_values=values,
        totals=plan.totals,
    )
    return _without_unread_numbers(done)


class _Plan:
    """The levels of statements, and the slices that passes are made of."""

    def __init__(self, fused: Fused, kinds: Kinds, small: frozenset[str]) -> None:
        (only,) = fused.passes
        self._streams = fused.streams
        self._kinds = kinds
        self._small = small
        self._body, self.folds = _with_folds(only.body, kinds, {*kinds, *_entry_names(fused)}, small)
        self.found: Reaching = reaching(self._body)
        self._of_sweep = tuple(self._is_sweep(one) for one in self.found.assignments)
        self._totals_needed = _totals_needed(self._body, {entry.name: entry.after for entry in fused.row})
        places = {one.target: place for place, one in enumerate(self.found.assignments)}
        self._terms = tuple(places[total.term] for total in fused.totals)
        self._known_slices: dict[tuple[frozenset[int], frozenset[str]], frozenset[int] | None] = {}
        self._known_uses: dict[frozenset[int], tuple[Stream, ...]] = {}
        self.level = self._levels()
        self.totals = tuple(
            replace(total, passes=self._passes_before(index + 1, self.level))
            for index, total in enumerate(fused.totals)
        )
        needed = [self.level[place] for name in self.states for place in self._final(name)]
        needed += [self.level[self._operand(place)] for place in self._folds_at]
        self.last = max(needed, default=0)  # sweep
        self.programs = max([self.last, *self.level_of_programs], default=0) + 1

    def _is_sweep(self, one: ElementAssign) -> bool:
        return not is_reduction(one.value) and self._kinds[one.target].is_sweep

    @cached_property
    def _folds_at(self) -> tuple[int, ...]:
        """The places of the reductions of elements."""
        return tuple(place for place, one in enumerate(self.found.assignments) if self._is_fold(one))

    def _is_fold(self, one: ElementAssign) -> bool:
        return one.target in self.folds

    def _operand(self, place: int) -> int:
        """Return the place of the assignment of the values that a fold adds up."""
        (places,) = self.found.read[place].values()
        (only,) = places
        return only

    @cached_property
    def level_of_programs(self) -> tuple[int, ...]:
        return tuple(
            self.level[place]
            for place, one in enumerate(self.found.assignments)
            if not self._of_sweep[place] and not self._is_fold(one)
        )

    @property
    def has_tensor_programs(self) -> bool:
        return bool(self.level_of_programs)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The streams that statements assign, beside the gradient, whose memory is the user's."""
        return tuple(name for name in self._streams if name != "grad" and name in self.found.final)

    def _final(self, name: str) -> list[int]:
        return [place for place in self.found.final[name] if place != BEFORE]

    def _levels(self) -> list[int]:
        """Return of each assignment the pass before which, or in which, it can be computed at the earliest."""
        levels: list[int] = []
        touched: dict[str, int] = {}  # by name of a number or vector: the level of the last program that uses it
        for place, one in enumerate(self.found.assignments):
            level = max(
                (levels[of] for places in self.found.read[place].values() for of in places if of != BEFORE), default=0
            )
            level = max(level, self._passes_before(self._totals_needed[place], levels))
            if self._is_fold(one):
                level += 1
            elif not self._of_sweep[place]:
                # Programs keep the order in which the text reads and assigns a name.
                level = max(level, touched.get(one.target, 0))
                touched |= {name: max(level, touched.get(name, 0)) for name in (one.target, *self.found.read[place])}
            levels.append(level)
        return levels

    def _passes_before(self, totals: int, levels: Sequence[int]) -> int:
        """Return how many passes come before so many totals are known, from the levels of their terms."""
        of_terms = ((self.found.assignments[place], levels[place]) for place in self._terms[:totals])
        return max((level if self._is_fold(one) else level + 1 for one, level in of_terms), default=0)

    def level_of_state(self, name: str) -> int:
        """Return the first pass that can store a state."""
        return max(self.level[place] for place in self._final(name))

    def _slice_of(self, roots: frozenset[int], earlier: frozenset[str]) -> frozenset[int] | None:
        if (roots, earlier) not in self._known_slices:
            self._known_slices[roots, earlier] = self._slice(tuple(roots), earlier)
        return self._known_slices[roots, earlier]

    def slices(self, stored: Mapping[str, int]) -> list[frozenset[int]] | None:
        """Return the assignments of each sweep, for the passes that store states; None if it cannot be done so."""
        found: list[frozenset[int]] = []
        for number in range(self.last + 1):
            roots = [place for name, at in stored.items() if at == number for place in self._final(name)]
            roots += [self._operand(place) for place in self._folds_at if self.level[place] == number + 1]
            earlier = frozenset(name for name, at in stored.items() if at < number)
            one = self._slice_of(frozenset(roots), earlier)
            if one is None:
                return None
            found.append(one)
        return found

    def _slice(self, roots: Sequence[int], earlier: frozenset[str]) -> frozenset[int] | None:
        """Return what the roots are computed from, where some states are read as they are after the step."""
        needed: set[int] = set()
        waiting = list(roots)
        while waiting:
            place = waiting.pop()
            if place in needed:
                continue
            needed.add(place)
            for name, places in self.found.read[place].items():
                if name in earlier:
                    if places != self.found.final[name]:
                        return None
                elif name in self._streams or (name in self._kinds and self._kinds[name].is_sweep):
                    waiting += [of for of in places if of != BEFORE]
        return frozenset(needed)

    def body(self, places: frozenset[int]) -> tuple[ElementStmt, ...]:
        """Return the statements with those assignments only, in the branches that they are in."""
        counter = iter(range(len(self.found.assignments)))
        return _restricted(self._body, lambda: next(counter) in places)

    def uses(self, places: frozenset[int], number: int, stored: Mapping[str, int]) -> tuple[Stream, ...]:
        """Return the use that a sweep makes of each stream."""
        if places not in self._known_uses:
            self._known_uses[places] = streams(self._streams, self.body(places))
        return tuple(
            use if stored.get(use.name) == number else replace(use, stored=Const(False))
            for use in self._known_uses[places]
        )

    def make_pass(self, number: int, stored: Mapping[str, int]) -> Pass:
        """Return one pass."""
        slices = self.slices(stored)
        assert slices is not None
        places = slices[number] if number < len(slices) else frozenset[int]()
        program = frozenset(
            place
            for place, one in enumerate(self.found.assignments)
            if not self._of_sweep[place] and not self._is_fold(one) and self.level[place] == number
        )
        body = self.body(places)
        folds = []
        for place in self._folds_at:
            if self.level[place] == number + 1:
                fold = self.folds[self.found.assignments[place].target]
                (use,) = streams((fold.target,), self.body(frozenset({place})))  # its value has more uses
                folds.append(replace(fold, needed=use.stored))
        waits = any(total.passes == number + 1 for total in self.totals)
        barrier = Barrier.TOTAL if waits else Barrier.NONE
        uses = loaded_where_needed(self.uses(places, number, stored), body, needed_by_folds(folds))
        return Pass(uses, body, self.body(program), folds=tuple(folds), barrier=barrier)


def _without_unread_numbers(fused: Fused) -> Fused:
    """Return the kernel without what the host computes for statements that no pass needs."""
    read = frozenset(name for one in fused.passes for name in elements_read((*one.before, *one.body)))
    row = tuple(entry for entry in fused.row if entry.name in read)
    if row == fused.row:
        return fused
    totals = (total.target for total in fused.totals)
    kept = frozenset((*fused.scalars, *fused.shared, *totals, *(entry.variable for entry in row)))
    host = without_unread(fused.host, kept)
    needed = kept | names_read_in(host)
    return replace(fused, row=row, host=host, inputs=tuple(name for name in fused.inputs if name in needed))


def _choose(plan: _Plan) -> Mapping[str, int]:
    """Return for each state the pass that stores it."""
    possible = {name: range(plan.level_of_state(name), plan.last + 1) for name in plan.states}
    if math.prod(map(len, possible.values())) <= MOST_CHOICES:
        choices = (dict(zip(possible, numbers, strict=True)) for numbers in product(*possible.values()))
        best = min(choices, key=lambda stored: _cost(plan, stored))
    else:
        best = dict.fromkeys(possible, plan.last)
        for name in reversed(possible):
            best = min(({**best, name: number} for number in possible[name]), key=lambda stored: _cost(plan, stored))
    assert _cost(plan, best)[0] < math.inf, "all states can be stored in the last pass"
    return best


def _cost(plan: _Plan, stored: Mapping[str, int]) -> tuple[float, int, tuple[int, ...]]:
    """Return streams moved, then operations, then what makes the choice the same on every run."""
    slices = plan.slices(stored)
    if slices is None:
        return math.inf, 0, ()
    moved = sum(
        (use.loaded != Const(False)) + (use.stored != Const(False))
        for number, places in enumerate(slices)
        for use in plan.uses(places, number, stored)
    )
    values = [plan.found.assignments[place].value for places in slices for place in places]
    operations = sum(isinstance(part, Call) for value in values for part in walk_expression(value))
    return moved, operations, tuple(stored.values())


def _with_folds(
    body: Sequence[ElementStmt], kinds: Kinds, taken: set[str], small: frozenset[str]
) -> tuple[tuple[ElementStmt, ...], dict[str, Fold]]:
    """Return statements in which what a reduction of elements gives is assigned once, and those reductions by name."""
    times: dict[str, int] = dict.fromkeys(small, 1)
    for one in walk_elements(body):
        if isinstance(one, ElementAssign):
            times[one.target] = times.get(one.target, 0) + 1
    folds: dict[str, Fold] = {}

    def rewrite(statement: ElementStmt) -> Iterable[ElementStmt]:
        match statement:
            case ElementIf(then=then, orelse=orelse):
                sides = [tuple(inner for one in side for inner in rewrite(one)) for side in (then, orelse)]
                yield replace(statement, then=sides[0], orelse=sides[1])
            case ElementAssign(target=target, value=Call(op="sum" | "max" as op, args=(Ref(name=value), *_))) if kinds[
                value
            ].is_sweep:
                name = target if times[target] == 1 else unique([f"{op}_for_{target}"], taken)
                taken.add(name)
                folds[name] = Fold(name, op, value, kinds[target].dims, Const(True))
                yield replace(statement, target=name)
                if name != target:
                    yield replace(statement, value=Ref(name))
            case ElementAssign():
                yield statement
            case _:
                assert_never(statement)

    return tuple(inner for one in body for inner in rewrite(one)), folds


def _restricted(body: Sequence[ElementStmt], keeps: Callable[[], bool]) -> tuple[ElementStmt, ...]:
    """Return the statements of which `keeps`, asked in the order of the text, holds."""
    kept: list[ElementStmt] = []
    for statement in body:
        match statement:
            case ElementAssign():
                if keeps():
                    kept.append(statement)
            case ElementIf(then=then, orelse=orelse):
                then, orelse = _restricted(then, keeps), _restricted(orelse, keeps)
                if then or orelse:
                    kept.append(replace(statement, then=then, orelse=orelse))
            case _:
                assert_never(statement)
    return tuple(kept)


def _totals_needed(body: Iterable[ElementStmt], after: Mapping[str, int], least: int = 0) -> tuple[int, ...]:
    """Return of each assignment how many totals the numbers of the row need that it or its branch reads."""
    found: list[int] = []
    for statement in body:
        match statement:
            case ElementAssign(value=value):
                found.append(max([least, *(after.get(name, 0) for name in names_read(value))]))
            case ElementIf(condition=condition, then=then, orelse=orelse):
                inside = max([least, *(after.get(name, 0) for name in names_read(condition))])
                found += _totals_needed((*then, *orelse), after, inside)
            case _:
                assert_never(statement)
    return tuple(found)


def _tensor_values(
    passes: Sequence[Pass], kinds: Kinds, small: Iterable[str], terms: Iterable[str]
) -> tuple[TensorValue, ...]:
    """Return the numbers and vectors that are kept until later programs, sweeps or the host have read them."""
    found: dict[str, TensorValue] = {}
    assigned_in: dict[str, int] = {}
    for number, one in enumerate(passes):
        for name in elements_assigned(one.before):
            assigned_in.setdefault(name, number)
        for fold in one.folds:
            found[fold.target] = TensorValue(fold.target, fold.dims, False)
    for number, one in enumerate(passes):
        later = [name for name in elements_read(one.before) if assigned_in.get(name, number) != number]
        swept = [name for name in elements_read(one.body) if name in assigned_in]
        for name in (*later, *swept):
            if name not in small:
                found.setdefault(name, TensorValue(name, kinds[name].dims, kinds[name].truth))
    for name in terms:
        found.setdefault(name, TensorValue(name, None, truth=False))
    return tuple(found.values())


def _entry_names(fused: Fused) -> set[str]:
    return {entry.name for entry in fused.row} | {one.name for one in fused.specialisations}
