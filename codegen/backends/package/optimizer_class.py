"""The class itself: documentation, constructor with torch's signature, and the schema that drives the runtime.

In: a Rule as written and the same after features, with its specialisations. Out: the text of `optimizer.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

import jinja2

from thetac import __contract__
from thetac.codegen.backends.documentation.docstring import docstring as documentation
from thetac.codegen.backends.eager import foreach
from thetac.codegen.backends.eager.inplace import find_refusable
from thetac.codegen.backends.package.conditions import (
    GroupAccess,
    decays_gradient,
    reads_shape,
    shape_numbers_read,
    shape_numbers_that_decide,
    specialisation,
    traffic,
)
from thetac.codegen.backends.printing.arguments import asks_first, list_names, tensor_names
from thetac.codegen.backends.printing.escaping import docstring, literal, uses
from thetac.codegen.emit import header
from thetac.codegen.ir.nodes import (
    Choice,
    ComplexMode,
    Const,
    Flag,
    Hyperparameter,
    Range,
    Ref,
    Rule,
    Shared,
    State,
    StateKind,
    assigned,
    names_of,
)
from thetac.codegen.ir.printer import number
from thetac.codegen.ir.reductions import axes_in, has_reductions, is_of_matrix
from thetac.codegen.ir.totals import has_totals
from thetac.codegen.ir.value_kinds import EVERY_ELEMENT
from thetac.codegen.passes.analysis.combinations import kernels_are_few
from thetac.codegen.passes.check.totals import uniform
from thetac.codegen.passes.hoist import Fused
from thetac.codegen.passes.pieces import rule_of
from thetac.drivers import DRIVERS, ENTRY_PATH, ENTRY_PIECE, MODES, MODES_PATH, STEPS_TAKEN
from thetac.options import OPTIONS

PLAIN_PATH = "thetac.runtime.optimizer:Optimizer"  # the class behind optimizers that no driver runs
_LABELS = {"lr": "learning rate", "eps": "epsilon value"}  # torch's words for two values everybody has


def render(rule: Rule, lowered: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of `optimizer.py`.

    Args:
        rule: As the spec says it: it has the flags that users cannot set, which groups hold all the same.
        lowered: With the features in its body, and without those flags.
        fused: Of `lowered`.
        environment: Of the templates.
    """
    by_name: dict[str, Hyperparameter | Flag | Choice] = {h.name: h for h in rule.hyperparameters}
    by_name |= {flag.name: flag for flag in rule.flags} | {choice.name: choice for choice in rule.choices}
    ours = tuple(option for option in OPTIONS if option not in (*rule.positional, *rule.keyword_only))
    schema = _Schema(rule, lowered, fused)
    return environment.get_template("optimizer.py.jinja").render(
        header=header(rule.source),
        name=rule.name,
        bases=_bases(rule),
        documentation=docstring(documentation(rule)),
        positional=[_argument(name, by_name) for name in rule.positional],
        keyword_only=[_argument(name, by_name) for name in (*rule.keyword_only, *ours)],
        group=[
            (name, "None" if name in names_of(rule.shared) else _fixed_value(by_name.get(name), name))
            for name in rule.group_keys
        ],
        schema=schema.text(environment),
        classes=schema.classes(),
        uses_scalar_math=schema.uses_scalar_math,
        needs_torch=schema.needs_torch,
        needs_tensor=any(h.tensor for h in rule.hyperparameters),
        keeps_arguments=any(h.starts_as for h in rule.hyperparameters),
        needs_literal=any(not choice.fixed for choice in rule.choices),
        entry=rule.entry,
        entry_piece=ENTRY_PIECE,
    )


def render_piece(piece: str, rule: Rule, lowered: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of the `schema.py` of a piece.

    Args:
        piece: Its name.
        rule: The rule whose update the piece is.
        lowered: With what every optimizer has in its body.
        fused: Of `lowered`.
        environment: Of the templates.
    """
    schema = _Schema(rule, lowered, fused)
    return environment.get_template("piece_schema.py.jinja").render(
        header=header(rule.source),
        name=rule.name,
        piece=piece,
        schema=schema.text(environment),
        classes=schema.classes(),
        uses_scalar_math=schema.uses_scalar_math,
        needs_torch=schema.needs_torch,
    )


def _bases(rule: Rule) -> list[tuple[str, str]]:
    """Return the classes that the optimizer's derives from, each with its module, in order."""
    paths = [
        *([MODES_PATH] if any(piece.name in MODES for piece in rule.pieces) else []),
        *([DRIVERS[rule.driver].path] if rule.driver else []),
        *([ENTRY_PATH] if rule.entry else []),
    ]
    return [(module, base) for module, _, base in (path.partition(":") for path in paths or [PLAIN_PATH])]


def _of_driver(rule: Rule) -> tuple[str, ...]:
    """Return the keys of groups that a driver reads, once for all groups."""
    if not rule.driver:
        return ()
    driver = DRIVERS[rule.driver]
    return (*driver.reads, *((STEPS_TAKEN,) if driver.counts_steps else ()))


class _Schema:
    """Prints a `Schema` of a rule, and knows what it needs of other modules."""

    def __init__(self, rule: Rule, lowered: Rule, fused: Fused) -> None:
        self._rule, self._lowered, self._fused = rule, lowered, fused
        self._group = GroupAccess(lowered)
        self._arguments = self._find_arguments()
        self.uses_scalar_math = uses("scalar_math", self._group.printed)
        self.needs_torch = any("torch." in self._group.text(r.condition) for r in lowered.requirements)

    def text(self, environment: jinja2.Environment) -> str:
        """Return the expression."""
        return environment.get_template("schema.jinja").render(self._arguments).rstrip("\n")

    def classes(self) -> str:
        """Return the names that the expression needs of the module of schemas."""
        rule, lowered = self._rule, self._lowered
        return ", ".join(
            [
                *(["Choice"] if rule.choices else []),
                *(["DerivedFlag"] if any(flag.asks is not None for flag in lowered.flags) else []),
                *("Hyperparameter", "Interval", "Requirement", "Schema"),
                *(["ShapeRequirement"] if any(reads_shape(r.condition) for r in lowered.requirements) else []),
                *(["Shared"] if rule.shared else []),
                *("Specialisation", "State"),
            ]
        )

    def _find_arguments(self) -> dict[str, object]:
        """Return the values of the template."""
        rule, lowered, fused, group = self._rule, self._lowered, self._fused, self._group
        # What starts as an argument is loaded from checkpoints, so that a run goes on with it.
        starting = {h.name for h in rule.hyperparameters if h.starts_as}
        declared: tuple[Hyperparameter | Flag | Choice, ...] = (*rule.hyperparameters, *rule.flags, *rule.choices)
        fixed = [one.name for one in declared if one.fixed and one.name not in starting]
        ours = tuple(option for option in OPTIONS if option not in (*rule.positional, *rule.keyword_only))
        return {
            "contract": __contract__,
            "name": rule.name,
            "hyperparameters": [_hyperparameter(h) for h in rule.hyperparameters],
            "flags": _names(flag.name for flag in lowered.flags if flag.asks is None),
            "choices": [_choice(choice) for choice in rule.choices if not choice.fixed],
            "derived": [(flag.name, group.text(Ref(flag.name))) for flag in lowered.flags if flag.asks is not None],
            "states": _states(lowered, group),
            "requirements": [
                (group.text(r.condition), literal(r.message))
                for r in lowered.requirements
                if not reads_shape(r.condition)
            ],
            "shape_requirements": [
                (group.text(r.condition), literal(r.message)) for r in lowered.requirements if reads_shape(r.condition)
            ],
            "specialisations": [specialisation(s, group) for s in fused.specialisations],
            "options": _names(option for option in OPTIONS if option not in ours),
            "sparse": rule.sparse_mode.value,
            "half_precision": rule.half_precision.value,
            "refusable": _names(find_refusable(lowered)),
            "sparse_error": literal(rule.sparse_error),
            "decays_gradient": group.text(decays_gradient(lowered)),
            "state_at_construction": rule.state_at_construction,
            "foreach_temporaries": foreach.count_temporaries(lowered),
            "traffic": traffic(fused),
            "fixed": _names(fixed) if fixed else "",
            "reduces": has_reductions(lowered.body),
            "has_axes": fused.has_axes,
            "reread": _names(reread) if (reread := [name for name in fused.reread if name != "param"]) else "",
            "view": _view(lowered),
            "separate_kernels": not kernels_are_few(fused),
            "shape_numbers": _names(numbers) if (numbers := shape_numbers_read(lowered, fused)) else "",
            "shape_conditions": _names(numbers) if (numbers := shape_numbers_that_decide(lowered)) else "",
            "shared": [_shared(one, group) for one in lowered.shared],
            "uniform": _names(names) if (names := (*uniform(rule), *_of_driver(rule))) else "",
            "counts_steps": bool(rule.driver) and DRIVERS[rule.driver].counts_steps,
            "waits": has_totals(rule),
            "complex_unsupported": rule.complex_mode is ComplexMode.UNSUPPORTED,
            "dense_error": literal(rule.dense_error) if rule.dense_error else "",
            "pieces": _names(piece.name for piece in rule.pieces) if rule.pieces else "",
        }


def _view(rule: Rule) -> str:
    """Return what rows and columns are to a rule, as `Schema.view` has it."""
    seen = {is_of_matrix(axis) for axis in axes_in(rule.body)}
    seen |= {state.of_matrix for state in rule.states if state.dims != EVERY_ELEMENT}
    return "both" if len(seen) > 1 else "matrix" if True in seen else "last_axes"


Declared = Mapping[str, Hyperparameter | Flag | Choice]  # by name


def _names(names: Iterable[str]) -> str:
    """Return a tuple of names, as Python text."""
    return _tuple(literal(name) for name in names)


def _tuple(items: Iterable[str]) -> str:
    """Return a tuple of expressions, as Python text."""
    texts = list(items)
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def _argument(name: str, by_name: Declared) -> str:
    """Return one argument of the constructor, with type and default."""
    match by_name.get(name):
        case None:
            return f"{name}: {OPTIONS[name].type} = {OPTIONS[name].default}"
        case Flag(default=default):
            return f"{name}: bool = {default}"
        case Choice(choices=choices, default=chosen):
            texts = ", ".join(literal(text) for text in choices if text is not None)
            kind = f"Literal[{texts}]{' | None' if None in choices else ''}"
            return f"{name}: {kind} = {_text(chosen)}"
        case Hyperparameter() as h:
            kinds = [_annotation(h, name) for name in h.value_names]
            kind = f"tuple[{', '.join(kinds)}]" if h.elements else kinds[0]
            return f"{name}: {kind}" if h.required else f"{name}: {kind} = {_default(h)}"
        case unexpected:
            assert_never(unexpected)


def _annotation(h: Hyperparameter, name: str) -> str:
    """Return the type of one value of a hyperparameter."""
    one = "int" if h.integer else "float"
    return f"{one}{' | Tensor' if h.tensor else ''}{' | None' if name in h.may_be_none else ''}"


def _text(text: str | None) -> str:
    return "None" if text is None else literal(text)


def _default(h: Hyperparameter) -> str:
    if isinstance(h.default, tuple):
        return _tuple("None" if value is None else number(value) for value in h.default)
    return "None" if h.default is None else number(h.default)


def _choice(choice: Choice) -> list[str]:
    """Return the arguments of a `Choice`, one per line."""
    error = choice.error or f"Invalid {choice.name} value: {{0}}; it must be {_alternatives(choice)}"
    return [
        f'"{choice.name}"',
        f"choices={_tuple(map(_text, choice.choices))}",
        f"error={literal(error)}",
        *(["in_step=True"] if choice.in_step else []),
    ]


def _alternatives(choice: Choice) -> str:
    """Return what a choice may be, as it is written in Python, in a sentence."""
    *others, last = map(_text, choice.choices)
    return f"{', '.join(others)} or {last}" if others else last


def _fixed_value(value: Hyperparameter | Flag | Choice | None, name: str) -> str:
    """Return what a group holds under the name: the argument, or the value of what is not an argument."""
    match value:
        case Flag(fixed=True, default=default):
            return str(default)
        case Hyperparameter(fixed=True, starts_as=argument):
            return f"plain_number({argument})" if argument else _default(value)
        case Choice(fixed=True, default=chosen):
            return _text(chosen)
        case _:
            return name


def _hyperparameter(h: Hyperparameter) -> list[str]:
    """Return the arguments of a `Hyperparameter`, one per line."""
    return [
        f'"{h.name}"',
        f"elements={_tuple(literal(name) for name in h.value_names)}",
        f"intervals={_tuple(_interval(interval) for interval in h.ranges)}",
        f"is_tuple={bool(h.elements)}",
        f"tensor={h.tensor}",
        f"error={_error(h)}",
        *(["integer=True"] if h.integer else []),
        *([f"none={_tuple(_in_place_of_none(h))}"] if h.may_be_none else []),
        *([f'starts_as="{h.starts_as}"'] if h.starts_as else []),
    ]


def _in_place_of_none(h: Hyperparameter) -> Iterator[str]:
    """Yield for each value a number of its range that implementations get where it is None, and None if it never is."""
    for name, interval in zip(h.value_names, h.ranges, strict=True):
        if name not in h.may_be_none:
            yield "None"
        elif interval is None or 0.0 in interval:
            yield "0.0"
        else:
            yield number(1.0 if 1.0 in interval else (interval.low + interval.high) / 2)


def _error(h: Hyperparameter) -> str:
    """Return the wording of the error, as Python text: one for all values, or a tuple with one for each."""
    if len(h.errors) > 1:
        return _names(h.errors)
    return literal(h.errors[0] if h.errors else _usual_error(h))


def _usual_error(h: Hyperparameter) -> str:
    if h.name == "betas":
        return "Invalid beta parameter at index {index}: {value}"
    if h.elements:
        return f"Invalid {h.name} value at index {{index}}: {{value}}"
    return f"Invalid {_LABELS.get(h.name, f'{h.name} value')}: {{value}}"


def _interval(interval: Range | None) -> str:
    if interval is None:
        return "None"
    return f"Interval({number(interval.low)}, {number(interval.high)}, {interval.low_closed}, {interval.high_closed})"


def _states(lowered: Rule, group: GroupAccess) -> list[list[str]]:
    """Return the arguments of each `State`, one per line."""
    lists, asked, written = list_names(lowered), asks_first(lowered), assigned(lowered.body)
    for piece in lowered.pieces if lowered.driver and DRIVERS[lowered.driver].replaces_update else ():
        lists |= {state.name: state.name for state in lowered.states} | tensor_names(rule_of(lowered, piece))
    return [
        [
            *_state(state, lists[state.name], group),
            *([f'first="first_{state.name}"'] if state.name in asked else []),
            *(["copies_param=True"] if state.init == Ref("param") else []),
            *(
                [f"when_shape=lambda group, shape: {group.text(state.when)}"]
                if state.when is not None and reads_shape(state.when)
                else []
            ),
            *(["float64=True"] if state.float64 else []),
            *(["integer=True"] if state.integer else []),
            *(["constant=True"] if state.kind is StateKind.SCALAR and state.name not in written else []),
            *([f"dims={_names(dim.value for dim in state.dims)}"] if state.dims != EVERY_ELEMENT else []),
            *(["of_matrix=True"] if state.dims != EVERY_ELEMENT and state.of_matrix else []),
        ]
        for state in lowered.states
    ]


def _state(state: State, argument: str, group: GroupAccess) -> list[str]:
    """Return the arguments that every `State` has."""
    by_shape = reads_shape(state.when)
    zero = state.init == Ref("param") or (isinstance(state.init, Const) and state.init.value == 0)
    return [
        f'"{state.name}"',
        f'argument="{argument}"',
        f'kind="{state.kind.value}"',
        "init=None" if zero else f"init=lambda group: {group.text(state.init)}",
        "when=None" if state.when is None or by_shape else f"when=lambda group: {group.text(state.when)}",
        f"on_param_device={state.on_param_device}",
    ]


def _shared(shared: Shared, group: GroupAccess) -> str:
    """Return the arguments of a `Shared`."""
    return f'"{shared.name}", scope="{shared.scope.value}", init=lambda group: {group.text(shared.init)}'
