"""Conditions of a rule as functions of a parameter group, and of a parameter's shape where they read that.

In: a Rule after features. Out: the Python text of its conditions, for the schema of its class; which numbers of a
parameter it reads; and how often kernels access each stream. Must not know the schema's other parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from thetac.codegen.backends.printing.escaping import literal
from thetac.codegen.backends.printing.host_python import PYTHON, guarded, known_numbers
from thetac.codegen.ir.fused import Fused, Specialisation
from thetac.codegen.ir.nodes import Assign, Call, Const, DecayStyle, Expr, If, Ref, Rule, names_read, walk_statements
from thetac.codegen.ir.printer import Precedence, expression_text
from thetac.codegen.passes.analysis.kinds import is_static
from thetac.codegen.passes.analysis.traffic import accesses
from thetac.options import OPTIONS
from thetac.shape_numbers import PARAM_FACTS, SHAPE_NUMBERS, VARIABLES


class GroupAccess:
    """Conditions as functions of a parameter group."""

    def __init__(self, rule: Rule) -> None:
        self.known = known_numbers(rule)
        self.printed: list[str] = []
        self.texts = {flag.name: f'group["{flag.name}"]' for flag in rule.flags if flag.asks is None}
        self.texts |= {name: f'group.get("{name}", {option.default})' for name, option in OPTIONS.items()}
        for h in rule.hyperparameters:
            for index, name in enumerate(h.value_names):
                self.texts[name] = f'group["{h.name}"][{index}]' if h.elements else f'group["{h.name}"]'
        self.texts |= {one.variable: f'shape["{one.name}"]' for one in SHAPE_NUMBERS.values()}
        self.texts |= {variable: f'shape["{name}"]' for name, variable in PARAM_FACTS.items()}
        for flag in rule.flags:
            if flag.asks is not None:
                held = self.texts.get(flag.asks.name, f'group["{flag.asks.name}"]')
                value = "is None" if flag.asks.value is None else f"== {literal(flag.asks.value)}"
                self.texts[flag.name] = f"({held} {value})"

    def text(self, expression: Expr) -> str:
        """Return a condition as Python code that reads `group`, and note the code as printed."""
        text = expression_text(guarded(expression, self.known), PYTHON, lambda name: self.texts[name])
        self.printed.append(text)
        return text


def reads_shape(condition: Expr | None) -> bool:
    """Return whether a condition, if there is one, asks something of the parameter."""
    variables = {*VARIABLES, *PARAM_FACTS.values()}
    return condition is not None and not variables.isdisjoint(names_read(condition))


def shape_numbers_read(rule: Rule, fused: Fused) -> list[str]:
    """Return the names of the numbers of a parameter that some implementation reads, or that decide about its states.

    Args:
        rule: After features.
        fused: Of the rule: kernels also need how many numbers a mean is of.
    """
    deciding = shape_numbers_that_decide(rule)
    read = set(fused.inputs)
    for statement in walk_statements(rule.body):
        match statement:
            case If(condition=expression) | Assign(value=expression):
                read.update(names_read(expression))
    return [one.name for one in SHAPE_NUMBERS.values() if one.variable in read or one.name in deciding]


def shape_numbers_that_decide(rule: Rule) -> list[str]:
    """Return the names of the numbers of a parameter that decide which statements and states its step has.

    A branch on a number that is computed from them is none of these: the host takes it where it knows the number.
    """
    conditions = [state.when for state in rule.states if state.when is not None]
    branches = (s.condition for s in walk_statements(rule.body) if isinstance(s, If))
    conditions += (condition for condition in branches if is_static(condition, rule))
    read = {name for condition in conditions for name in names_read(condition)}
    return [one.name for one in SHAPE_NUMBERS.values() if one.variable in read]


def specialisation(one: Specialisation, group: GroupAccess) -> str:
    """Return the arguments of a `Specialisation`."""
    takes = "group, shape" if reads_shape(one.condition) else "group"
    keyword = "holds_for" if reads_shape(one.condition) else "holds"
    return f'"{one.name}", {keyword}=lambda {takes}: {group.text(one.condition)}'


def traffic(fused: Fused) -> list[tuple[str, str]]:
    """Return the name of each stream and small state, and how often a step accesses it, as Python code.

    The code reads `known`, the values of the specialisations by name.
    """
    return [(name, _count(conditions)) for name, conditions in accesses(fused).items()]


def _count(conditions: Iterable[Expr]) -> str:
    """Return how many conditions on specialisations hold, as Python code; equal ones are written once."""
    counts = Counter(condition for condition in conditions if condition != Const(False))
    always = counts.pop(Const(True), 0)
    terms = [str(always)] if always else []
    for condition, count in counts.items():
        text = expression_text(condition, PYTHON, lambda name: f'known["{name}"]', Precedence.PRODUCT)
        terms.append(text if count == 1 else f"{count} * {text}")
    return " + ".join(terms) or "0"


def decays_gradient(rule: Rule) -> Expr:
    """Return the condition, over the values of a group, under which weight decay is added to the gradient."""
    holds: Expr = Const(False)
    for condition, style in reversed(rule.decay):
        decays: Expr = Const(style is DecayStyle.L2)
        if condition is None:
            holds = decays
        elif decays == Const(True):
            holds = condition if holds == Const(False) else Call("or", (condition, holds))
        else:
            opposite = Call("not", (condition,))
            holds = (
                Const(False)
                if holds == Const(False)
                else opposite
                if holds == Const(True)
                else Call("and", (opposite, holds))
            )
    if holds == Const(False):
        return holds
    some = Call("ne", (Ref("weight_decay"), Const(0)))
    return some if holds == Const(True) else Call("and", (some, holds))
