"""Guess what an author meant by a name that a spec reads and does not declare.

In: a Rule and a name. Out: cause and remedy. Knows the names that the field gives to parameters, gradients, counters,
hyperparameters and states; each counts only where the spec declares nothing else by that name.
"""

from __future__ import annotations

from collections.abc import Iterable

from thetac.codegen.errors import did_you_mean, join_names, quote
from thetac.codegen.ir.nodes import (
    UNREADABLE,
    Assign,
    Call,
    Const,
    Ref,
    Rule,
    StateKind,
    compared,
    comparison,
    names_of,
    names_read,
)
from thetac.codegen.ir.ops import FUNCTIONS
from thetac.codegen.ir.value_kinds import Kind

_PARAM = "p theta x w weight weights W params parameter parameters param_t theta_t p_t var"
_GRAD = "g grads d_p gradient gradients G g_t grad_t dp dw dW dx d_param p_grad param_grad nabla"
_GIVEN = {**dict.fromkeys(_PARAM.split(), "param"), **dict.fromkeys(_GRAD.split(), "grad")}
_COUNTERS = "step steps t k n i step_t step_count steps_taken num_steps iteration iterations iter it"
_PAIR = "betas: {default: [0.9, 0.999], names: [beta1, beta2]}"
_HYPERPARAMETERS = {
    "lr": "lr: {default: 1e-3}",
    "learning_rate": "learning_rate: {default: 1e-3}",
    **dict.fromkeys(("beta1", "beta2", "betas"), _PAIR),
    "weight_decay": "weight_decay: {default: 0}",
    **{name: f"{name}: {{default: 1e-8}}" for name in ("eps", "epsilon")},
    **{name: f"{name}: {{default: 0.9}}" for name in ("momentum", "beta", "rho", "mu", "alpha", "gamma", "decay")},
    **{name: f"{name}: {{default: false}}" for name in ("nesterov", "amsgrad", "centered")},
}
_STATES = (
    "exp_avg exp_avg_sq exp_avg_diff max_exp_avg_sq exp_inf momentum_buffer buf buffer square_avg grad_avg acc_delta"
    " acc sum m v s h u z m_t v_t velocity moment moment1 moment2 prev prev_grad previous_grad last_grad"
)


def match_given(name: str) -> str:
    """Return `param` or `grad` if the field uses this name for it; else empty."""
    return name.lower() if name.lower() in ("param", "grad") else _GIVEN.get(name, "")


def is_incomplete(rule: Rule) -> bool:
    """Return whether some declaration could not be read, so that no name is known to be undeclared."""
    unnamed = any(isinstance(h.default, tuple) and not h.elements for h in rule.hyperparameters)
    return unnamed or UNREADABLE in (*(h.name for h in rule.hyperparameters), *names_of(rule.kept))


def explain_unknown(rule: Rule, name: str, known: Iterable[str], otherwise: str) -> tuple[str, str]:
    """Return cause and remedy for a name that is read and not declared.

    Args:
        rule: The rule.
        name: The name.
        known: The names that may be read.
        otherwise: The remedy if nothing better is known.
    """
    for hyperparameter in rule.hyperparameters:
        if hyperparameter.name == name and hyperparameter.elements:
            return f"`{name}` is a tuple", f"use its elements {join_names(hyperparameter.elements, 'and')}"
    if (explained := _explain_choice(rule, name)) is not None:
        return explained
    if name == "ones":
        return f"unknown name `{name}`", "write `1`"
    if name in ("true", "false"):
        return f"unknown name `{name}`", f"write `{name.capitalize()}`"
    if name in FUNCTIONS:
        return f"`{name}` is a function", f"`{FUNCTIONS[name].syntax}`: {FUNCTIONS[name].doc}"
    if name == "nan":
        return "unknown name `nan`", "write `0 / 0`"
    return f"unknown name {quote(name)}", _meant(rule, name, known) or otherwise


def _explain_choice(rule: Rule, name: str) -> tuple[str, str] | None:
    """Return cause and remedy for a choice that is read as a number, and for a comparison that is never true."""
    chosen, text = compared(name), name.partition(' == "')[2][:-1]
    choice = next((choice for choice in rule.choices if choice.name == chosen), None)
    if choice is None:
        what = "is a number" if any(chosen in h.value_names for h in rule.hyperparameters) else "is no choice"
        return (f"`{chosen}` {what}, and never a text", "only a hyperparameter with `choices` is one") if text else None
    known = [known for known in choice.choices if known is not None]
    if not text:
        example = comparison(name, known[0] if known else "...")
        return f"`{name}` is one of several texts", f"compare it, such as `{example}`"
    there = f"there are {join_names(known, 'and')}" if known else "it has no choices but None"
    return f"`{chosen}` is never {quote(text)}", did_you_mean(text, known, there)


def _meant(rule: Rule, name: str, known: Iterable[str]) -> str:
    known = tuple(known)
    if (usual := match_given(name)) and usual in known:
        return f"did you mean `{usual}`?"
    if name in _COUNTERS.split():
        counters = rule.names_of(StateKind.COUNTER)
        return f"did you mean `{counters[0]}`?" if counters else f"declare it under `state`: `{name}: counter`"
    if close := did_you_mean(name, known):
        return close
    if name in _HYPERPARAMETERS:
        return f"declare it under `hyperparameters`: `{_HYPERPARAMETERS[name]}`"
    return f"declare it under `state`: `{name}: {{init: zeros}}`" if name in _STATES.split() else ""


def suggest_for_unset(rule: Rule, assignment: Assign, kinds: dict[str, Kind | None]) -> str:
    """Return the remedy for a local that is read before its assignment."""
    name, line = assignment.target, assignment.location.line
    if usual := match_given(name):
        return f"did you mean `{usual}`?"
    match assignment.value:
        case Call(op="add", args=(Ref(name=one), Const(value=1)) | (Const(value=1), Ref(name=one))) if one == name:
            counters = rule.names_of(StateKind.COUNTER)
            instead = f"`{counters[0]}` counts steps" if counters else f"declare it under `state`: `{name}: counter`"
            return f"{instead}; delete line {line}"
    read = names_read(assignment.value)
    if name not in read and name not in _STATES.split():
        here = assignment.location
        place = f"line {line}" if here.path == rule.location.path else f"{here.path}:{line}, which runs later"
        return f"it is set in {place}; what outlives a step is declared under `state`"
    others = [kinds.get(other) for other in read if other != name]
    of_host = len(read) > 1 and all(kind is not None and kind.is_host_number for kind in others)
    entry = "{scalar: true, init: 0}" if of_host else "{init: zeros}"
    return f"what outlives a step is declared under `state`: `{name}: {entry}`"
