"""Conditions on specialisations: when streams are loaded and stored, and when a condition makes a difference at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Pass
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, names_read, walk_expression
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.combinations import relevant_conditions
from thetac.codegen.passes.analysis.streams import loaded_where_needed, streams

NAMES = ("a", "b", "c", "d")
STREAMS = ("param", "grad", "momentum")
NOTHING = Assign("param", Ref("grad"))

truths = st.recursive(
    st.sampled_from([Ref(name) for name in NAMES]),
    lambda inner: (
        st.builds(lambda x: Call("not", (x,)), inner)
        | st.builds(lambda op, x, y: Call(op, (x, y)), st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=8,
)
assignments = st.builds(
    lambda target, first, second: ElementAssign(target, Call("add", (Ref(first), Ref(second))), NOTHING),
    st.sampled_from(STREAMS),
    st.sampled_from(STREAMS),
    st.sampled_from(STREAMS),
)
bodies = st.recursive(
    st.lists(assignments, max_size=3).map(tuple),
    lambda inner: st.lists(
        assignments
        | st.builds(
            lambda condition, then, orelse: ElementIf(condition, True, then, orelse, If(condition, (), ())),
            truths,
            inner,
            inner,
        ),
        max_size=3,
    ).map(tuple),
    max_leaves=6,
)
values_of_names = st.fixed_dictionaries({name: st.booleans() for name in NAMES})


def holds(expression: Expr, values: Mapping[str, bool], asked: set[str] | None = None) -> bool:
    """The truth value, as Python finds it: what decides already is all that it looks at."""
    match expression:
        case Const(value=value):
            return bool(value)
        case Ref(name=name):
            if asked is not None:
                asked.add(name)
            return values[name]
        case Call(op="not", args=(inner,)):
            return not holds(inner, values, asked)
        case Call(op="and", args=(left, right)):
            return holds(left, values, asked) and holds(right, values, asked)
        case Call(op=op, args=(left, right)):
            assert op == "or"
            return holds(left, values, asked) or holds(right, values, asked)
    raise AssertionError(expression)


def taken(body: Sequence[ElementStmt], values: Mapping[str, bool], asked: set[str]) -> list[ElementAssign]:
    """The assignments on the one path that is taken, and the names that decide it."""
    path: list[ElementAssign] = []
    for statement in body:
        match statement:
            case ElementAssign():
                path.append(statement)
            case ElementIf(condition=condition, then=then, orelse=orelse):
                path += taken(then if holds(condition, values, asked) else orelse, values, asked)
    return path


@given(truths, values_of_names)
def test_a_condition_that_is_shortened_is_the_same_condition(expression: Expr, values: dict[str, bool]) -> None:
    condition = boolean_algebra.condition(expression)
    short = boolean_algebra.expression(condition)
    assert holds(short, values) == holds(expression, values) == boolean_algebra.holds(condition, values)
    names = [[part for part in walk_expression(each) if isinstance(part, Ref)] for each in (short, expression)]
    assert len(names[0]) <= len(names[1]), "it is never longer"


@given(bodies, values_of_names)
def test_what_a_path_uses_is_loaded_and_stored_there(body: tuple[ElementStmt, ...], values: dict[str, bool]) -> None:
    path = taken(body, values, set())
    for stream in streams(STREAMS, body):
        written = [i for i, one in enumerate(path) if one.target == stream.name]
        before = path[: written[0] + 1] if written else path
        read = any(stream.name in names_read(one.value) for one in before)
        assert holds(stream.loaded, values) or not read
        assert holds(stream.stored, values) == bool(written and stream.name != "grad")
        if not any(stream.name in names_read(one.value) for one in path):
            assert not holds(stream.loaded, values), "nothing on this path reads it"


@given(bodies, truths)
def test_what_a_path_loads_is_what_something_comes_of(body: tuple[ElementStmt, ...], kept: Expr) -> None:
    """A stream is loaded exactly where its old value reaches what is stored, or a local where that is kept."""
    body = (*body, ElementAssign("local", Call("mul", (Ref("momentum"), Ref("momentum"))), NOTHING))
    uses = streams(STREAMS, body)
    values_kept = {"local": boolean_algebra.condition(kept)}
    loaded = {use.name: use.loaded for use in loaded_where_needed(uses, body, values_kept)}
    expected: dict[str, list[bool]] = {name: [] for name in STREAMS}
    every = [dict(zip(NAMES, truths, strict=True)) for truths in product((False, True), repeat=len(NAMES))]
    for values in every:
        live = {use.name for use in uses if holds(use.stored, values)} | ({"local"} if holds(kept, values) else set())
        for statement in reversed(taken(body, values, set())):
            if statement.target in live:
                live = live - {statement.target} | set(names_read(statement.value))
        for name in STREAMS:
            expected[name].append(name in live)
    for name, when in expected.items():
        if any(when):
            assert [holds(loaded[name], values) for values in every] == when
        else:
            assert [use.loaded for use in uses if use.name == name] == [loaded[name]], "it stays as it is read"


@given(bodies, values_of_names)
def test_a_condition_makes_a_difference_where_it_is_asked(
    body: tuple[ElementStmt, ...], values: dict[str, bool]
) -> None:
    """A kernel is one for all combinations that agree in what is asked: every name counts that decided the path."""
    asked: set[str] = set()
    taken(body, values, asked)
    found = relevant_conditions((Pass((), body),), NAMES)
    assert relevant_conditions((Pass((), (), before=body),), NAMES) == found
    assert {name for name in NAMES if boolean_algebra.holds(found[name], values)} == asked


def test_conditions_are_shortened() -> None:
    def shortened(expression: Expr) -> str:
        return expression_text(boolean_algebra.expression(boolean_algebra.condition(expression)))

    a, b, c = Ref("a"), Ref("b"), Ref("c")
    not_a = Call("not", (a,))
    assert shortened(Call("or", (a, not_a))) == "True"
    assert shortened(Call("and", (a, not_a))) == "False"
    assert shortened(Call("or", (a, Call("and", (b, a))))) == "a"
    assert shortened(Call("or", (Call("and", (not_a, b)), a))) == "a or b"
    assert shortened(Call("not", (Call("and", (b, Call("or", (a, c)))),))) == "not a and not c or not b"
    same = boolean_algebra.condition(b)
    assert boolean_algebra.choice(
        boolean_algebra.condition(a), boolean_algebra.ALWAYS, boolean_algebra.NEVER
    ) == boolean_algebra.condition(a)
    assert boolean_algebra.choice(boolean_algebra.condition(a), same, same) == same


def test_a_load_that_no_combination_needs_stays_as_it_is_read() -> None:
    """What needs it contradicts itself, but not in one term."""

    def add(target: str, first: str, second: str) -> ElementAssign:
        return ElementAssign(target, Call("add", (Ref(first), Ref(second))), NOTHING)

    def branch(name: str, then: tuple[ElementStmt, ...], orelse: tuple[ElementStmt, ...]) -> ElementIf:
        return ElementIf(Ref(name), True, then, orelse, If(Ref(name), (), ()))

    inner = (
        branch("b", (), (add("param", "param", "grad"),)),
        branch("c", (), (add("param", "grad", "grad"),)),
    )
    body = (
        branch("a", (add("grad", "param", "param"),), (add("param", "grad", "grad"),)),
        branch("a", (), inner),
    )
    uses = streams(STREAMS, body)
    found = {use.name: use.loaded for use in loaded_where_needed(uses, body, {})}
    assert expression_text(found["param"]) == next(expression_text(use.loaded) for use in uses if use.name == "param")
