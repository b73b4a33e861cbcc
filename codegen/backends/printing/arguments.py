"""What implementations are called with: the names of their arguments and of the lists inside them.

In: a Rule. Out: names that cannot clash with each other or with the rule's own.
"""

from __future__ import annotations

import keyword
from collections.abc import Container

from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    If,
    Ref,
    Rule,
    StateKind,
    expression_of,
    names_read,
    walk_expression,
    walk_statements,
)
from thetac.options import IN_UPDATE
from thetac.shape_numbers import SHAPE_NUMBERS, ShapeNumber

# Names that generated functions use for themselves.
RESERVED = (
    "params",
    "grads",
    "param",
    "grad",
    "torch",
    "math",
    "Tensor",
    "Sequence",
    "capturable",
    "differentiable",
    "total",
    "group_total",
    "together",
    *IN_UPDATE,
    *(name for one in SHAPE_NUMBERS.values() for name in (one.variable, one.listed)),
)


def names_in(rule: Rule) -> tuple[str, ...]:
    """Return every name that the rule gives a meaning: values, flags, states, locals."""
    names = [name for h in rule.hyperparameters for name in h.value_names]
    names += [flag.name for flag in rule.flags]
    names += [one.name for one in rule.kept]
    names += [s.target for s in walk_statements(rule.body) if isinstance(s, Assign)]
    return tuple(dict.fromkeys(names))


def underscored(name: str, taken: Container[str]) -> str:
    """Return the name with as many underscores after it as make it new and no keyword (`as_`, of a state `a`)."""
    while name in taken or keyword.iskeyword(name):
        name += "_"
    return name


def plural(name: str) -> str:
    """Return the name of the list of such values, one per parameter."""
    return f"{name}es" if name.endswith("s") else f"{name}s"


def list_names(rule: Rule) -> dict[str, str]:
    """Return the name of each name's list: `params`, `grads`, `exp_avgs`, and of locals `denoms`."""
    lists = {"param": "params", "grad": "grads"}
    taken = {*names_in(rule), *RESERVED}
    for name in names_in(rule):
        if name not in lists:
            lists[name] = underscored(plural(name), taken)
            taken.add(lists[name])
    return lists


def names_read_in(rule: Rule) -> frozenset[str]:
    """Return the names that some statement of the body reads."""
    expressions = map(expression_of, walk_statements(rule.body))
    return frozenset(name for expression in expressions for name in names_read(expression))


def typed_values(rule: Rule, *, tensors: bool = False) -> tuple[tuple[str, str], ...]:
    """Return the values of groups that the body reads, with their types.

    They are hyperparameter values, shared numbers, flags and options, in this order. Shared numbers are read in any
    case, since a step returns them.
    """
    values = [
        (name, "float | Tensor" if tensors and h.tensor else "float")
        for h in rule.hyperparameters
        for name in h.value_names
    ]
    values += [(shared.name, "Scalar" if tensors else "float") for shared in rule.shared]
    values += [(name, "bool") for name in (*(flag.name for flag in rule.flags), *IN_UPDATE)]
    read = names_read_in(rule).union(shared.name for shared in rule.shared)
    return tuple((name, kind) for name, kind in values if name in read)


def shape_arguments(rule: Rule) -> tuple[ShapeNumber, ...]:
    """Return the numbers of the parameter that the body reads, or that decide which counters and scalars exist."""
    conditions = (s.when for s in rule.states if s.when is not None and s.kind is not StateKind.TENSOR)
    read = names_read_in(rule).union(*map(names_read, conditions))
    return tuple(one for one in SHAPE_NUMBERS.values() if one.variable in read)


def state_arguments(rule: Rule) -> tuple[str, ...]:
    """Return the keywords of the lists of states, in the order of the rule."""
    lists = list_names(rule)
    return tuple(lists[state.name] for state in rule.states)


def typed_states(rule: Rule) -> tuple[tuple[str, str], ...]:
    """Return the keywords of the lists of states with the type of their items: None where a state may not exist."""
    kinds = ("Tensor" if state.when is None else "Tensor | None" for state in rule.states)
    return tuple(zip(state_arguments(rule), kinds, strict=True))


def optional_states(rule: Rule) -> frozenset[str]:
    """Return the states that do not exist in every group."""
    return frozenset(state.name for state in rule.states if state.when is not None)


def asks_first(rule: Rule) -> tuple[str, ...]:
    """Return the states whose creation the body asks about, in the order of the rule."""
    conditions = [s.condition for s in walk_statements(rule.body) if isinstance(s, If)]
    conditions += [s.value for s in walk_statements(rule.body) if isinstance(s, Assign)]
    asked = {
        argument.name
        for condition in conditions
        for e in walk_expression(condition)
        if isinstance(e, Call) and e.op == "first"
        for argument in e.args
        if isinstance(argument, Ref)
    }
    return tuple(state.name for state in rule.states if state.name in asked)


def tensor_names(rule: Rule) -> dict[str, str]:
    """Return the name of the 0-d tensor of each counter and scalar state, whose plain name is its number."""
    small = [state.name for state in rule.states if state.kind not in (StateKind.TENSOR, StateKind.HISTORY)]
    taken = {*names_in(rule), *list_names(rule).values(), *RESERVED}
    return {name: underscored(f"{name}_t", taken) for name in small}
