"""The facts that documentation states about an optimizer, and the docstring of its class.

In: a Rule as the spec writes it. Out: plain text, which the caller escapes for the file it is put into (escaping.py).
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import assert_never

from thetac.codegen.backends.printing.escaping import one_line
from thetac.codegen.ir.listing import listing
from thetac.codegen.ir.meanings import MEANINGS
from thetac.codegen.ir.nodes import (
    Const,
    DecayStyle,
    HalfPrecision,
    Hyperparameter,
    Range,
    Ref,
    Rule,
    Scope,
    Shared,
    State,
    StateKind,
)
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.ir.value_kinds import ROW_VECTOR
from thetac.codegen.passes import features
from thetac.codegen.passes.fixed_flags import decide_fixed_flags
from thetac.codegen.passes.pieces import rule_of
from thetac.drivers import DRIVERS, MODES, PIECES
from thetac.options import OPTIONS

WIDTH = 100  # of docstrings
FLOAT32 = 4  # bytes

_DECAY = {
    DecayStyle.NONE: "weight decay is part of the rule",
    DecayStyle.L2: "weight_decay * param is added to the gradient",
    DecayStyle.DECOUPLED: "each step takes away lr * weight_decay of the parameter",
    DecayStyle.FULLY_DECOUPLED: "each step takes away lr / max_lr * weight_decay of the parameter",
    DecayStyle.CORRECTED: "each step takes away lr ** 2 / max_lr * weight_decay of the parameter",
    DecayStyle.ABSOLUTE: "each step takes away weight_decay of the parameter",
    DecayStyle.CAUTIOUS: (
        "each step takes away lr * weight_decay of the parameter where the update moves it towards 0, or not at all"
    ),
    DecayStyle.DECOUPLED_AFTER: "each step ends with taking away lr * weight_decay of the new parameter",
    DecayStyle.ABSOLUTE_AFTER: "each step ends with taking away weight_decay of the new parameter",
}


def state_size(rule: Rule) -> str:
    """Return the bytes that tensor states take per element of a float32 parameter: `8, 4 more if amsgrad`."""
    tensors = [state for state in rule.states if state.kind is StateKind.TENSOR]
    kept = [f"{2 * FLOAT32} * {start(state)}" for state in rule.states if state.kind is StateKind.HISTORY]
    of_driver = FLOAT32 * len(PIECES[DRIVERS[rule.driver].piece].vectors) if rule.driver else 0
    always = _sum_of_sizes([state for state in tensors if state.when is None], of_driver)
    parts = [" + ".join((always, *kept))]
    for condition in dict.fromkeys(state.when for state in tensors if state.when is not None):
        more = _sum_of_sizes([state for state in tensors if state.when == condition])
        parts.append(f"{more} more if {expression_text(condition)}")
    return ", ".join(parts)


def _sum_of_sizes(tensors: Sequence[State], beside: int = 0) -> str:
    """Return the bytes per element of several tensor states, and of what is beside them: `8 + 4/columns`."""
    vectors = [size_per_element(state) for state in tensors if not state.is_like_param]
    whole = beside + FLOAT32 * (len(tensors) - len(vectors))
    return " + ".join([*([str(whole)] if whole or not vectors else []), *vectors])


def size_per_element(state: State) -> str:
    """Return the bytes that a tensor state takes per element of a float32 parameter."""
    if state.kind is StateKind.HISTORY:
        return f"{2 * FLOAT32} * {start(state)}"
    if state.is_like_param:
        return str(FLOAT32)
    return f"{FLOAT32}/columns" if state.dims == ROW_VECTOR else f"{FLOAT32}/rows"


def arguments(rule: Rule) -> tuple[str, ...]:
    """Return the names of the constructor's arguments after `params`, in order."""
    named = (*rule.positional, *rule.keyword_only)
    return (*named, *(option for option in OPTIONS if option not in named))


def argument(rule: Rule, name: str) -> tuple[str, str, str, str]:
    """Return type, default, range and meaning of an argument, each as text; no range is an empty text."""
    for h in rule.hyperparameters:
        if h.name == name:
            return _type(h), _default(h), _range(h), _with_none(h, one_line(h.doc) or _meaning(rule, h))
    for flag in rule.flags:
        if flag.name == name:
            return "bool", str(flag.default), "", one_line(flag.doc) or MEANINGS.get(flag.name, "")
    for choice in rule.choices:
        if choice.name == name:
            texts = " or ".join("None" if text is None else f'"{text}"' for text in choice.choices)
            default = "None" if choice.default is None else f'"{choice.default}"'
            return texts, default, "", one_line(choice.doc) or MEANINGS.get(choice.name, "")
    option = OPTIONS[name]
    return option.type.replace(" | ", " or "), str(option.default), "", option.doc


def _type(h: Hyperparameter) -> str:
    one = f"{'int' if h.integer else 'float'}{' or Tensor' if h.tensor else ''}{' or None' if h.may_be_none else ''}"
    return f"tuple of {len(h.elements)}, {one}" if h.elements else one


def _default(h: Hyperparameter) -> str:
    return "required" if h.required else f"{h.default!r}"


def _with_none(h: Hyperparameter, meaning: str) -> str:
    """Return the meaning of a hyperparameter, and what None stands for."""
    if not h.may_be_none:
        return meaning
    pairs = [(n, m) for n, m in zip(h.value_names, h.none, strict=True) if m is not None]
    texts = [f"{f'{n} ' if h.elements else ''}None stands for {expression_text(m)}" for n, m in pairs]
    return "; ".join(filter(None, (meaning, *texts)))


def _range(h: Hyperparameter) -> str:
    if h.elements and len(set(h.ranges)) == 1:
        return _bounds("each", h.ranges[0])
    return "; ".join(filter(None, map(_bounds, h.value_names, h.ranges)))


def _bounds(name: str, interval: Range | None) -> str:
    """Return a range as a condition on the named number: `lr >= 0`, or `beta1 in [0, 1)` between two finite ends."""
    if interval is None:
        return ""
    low, high = interval.low, interval.high
    if math.isfinite(low) and math.isfinite(high):
        return f"{name} in {interval}"
    finite = "" if math.inf in interval or -math.inf in interval else "finite"
    bound = ""
    if math.isfinite(low):
        bound = f"{name} {'>=' if interval.low_closed else '>'} {low:g}"
    elif math.isfinite(high):
        bound = f"{name} {'<=' if interval.high_closed else '<'} {high:g}"
    return " and ".join(filter(None, (bound, finite)))


def _meaning(rule: Rule, h: Hyperparameter) -> str:
    if h.name == "weight_decay":
        cases = [_DECAY[s] + ("" if c is None else f" if {expression_text(c)}") for c, s in rule.decay]
        return ", else ".join(cases) or _DECAY[DecayStyle.NONE]
    return MEANINGS.get(h.name, "")


def start(state: State) -> str:
    """Return the first value of a state, in words."""
    match state.init:
        case Const(value=value):
            return f"{value:g}"
        case Ref(name="grad"):
            return "the first gradient"
        case Ref(name="param"):
            return "the parameter"
        case expression:
            return expression_text(expression)


def kind(state: State) -> str:
    """Return the form of a state, in words."""
    match state.kind:
        case StateKind.COUNTER:
            return "0-d, the number of steps"
        case StateKind.SCALAR:
            return "0-d, a number"
        case StateKind.NUMBER:
            return "0-d, a number on the parameter's device"
        case StateKind.HISTORY:
            return "pairs of flat vectors, which torch keeps in `old_stps` and `old_dirs`"
        case StateKind.TENSOR if state.is_like_param:
            return "like the parameter"
        case StateKind.TENSOR:
            return str(state.value_kind)
        case _:
            assert_never(state.kind)


def half_precision(rule: Rule) -> str:
    """Return a sentence about the dtype in which float16 and bfloat16 parameters are computed."""
    if rule.driver and DRIVERS[rule.driver].replaces_update:
        return "float16 and bfloat16 vectors are computed in their own dtype."
    match rule.half_precision:
        case HalfPrecision.FLOAT32:
            return "float16 and bfloat16 parameters are computed in float32, and results rounded once."
        case HalfPrecision.NATIVE:
            return (
                "float16 and bfloat16 parameters are computed in float32 by kernels, and results rounded once. The "
                "for-loop and foreach compute in the parameter's own dtype, as torch.optim does: in float16, squares "
                "of small gradients become 0 and large ones infinite."
            )
        case _:
            assert_never(rule.half_precision)


# As a docstring.


def docstring(rule: Rule) -> str:
    """Return the docstring of the class, not escaped."""
    rule = decide_fixed_flags(rule)
    blocks = [one_line(rule.summary)]
    update = listing(features.apply(rule).body)
    counter = next(
        (f" (`{state.name}` is 1 in the first)" for state in rule.states if state.kind is StateKind.COUNTER), ""
    )
    if update:
        blocks.append("\n".join([f"Each step{counter} does this to every parameter::", "", *_indented(update)]))
    for piece in rule.pieces:
        body = listing(features.apply(rule_of(rule, piece)).body)
        blocks.append("\n".join([f"`{piece.name}`, which {PIECES[piece.name].doc}, does this::", "", *_indented(body)]))
    parameters = ("params", "parameters, or groups of them, to optimize")
    blocks.append(_section("Args:", [parameters, *_argument_entries(rule)]))
    blocks.append(_section("Raises:", _errors(rule)))
    if rule.states:
        size = state_size(rule).partition(",")
        title = f"State of a parameter, in float32 {size[0]} bytes per element{''.join(size[1:])}:"
        blocks.append(_section(title, [(state.name, _state_text(state)) for state in rule.states]))
    if rule.shared:
        entries = [(one.name, _shared_text(one)) for one in rule.shared]
        blocks.append(_section("Numbers in the parameter groups that steps write:", entries))
    if kept := [h for h in rule.hyperparameters if h.starts_as]:
        entries = [(h.name, f"the {h.starts_as} that the constructor was given") for h in kept]
        blocks.append(_section("Numbers in the parameter groups that no argument sets:", entries))
    blocks.append(_bullets("Half precision:", [half_precision(rule)]))
    if rule.notes:
        blocks.append(_bullets("Notes:", rule.notes))
    if rule.references:
        blocks.append(_bullets("References:", rule.references))
    blocks.append("\n".join(["Example::", "", *_indented(_example(rule))]))
    return "\n\n".join(blocks)


def _shared_text(shared: Shared) -> str:
    whose = "the optimizer, the same in all groups" if shared.scope is Scope.OPTIMIZER else "the group"
    text = f"a float of {whose}, {expression_text(shared.init)} at first"
    return f"{text}; {one_line(shared.doc)}" if shared.doc else text


def _wrapped(text: str, first: str, later: str) -> list[str]:
    whole = textwrap.TextWrapper(
        WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return whole.wrap(text)


def _indented(lines: Iterable[str]) -> list[str]:
    """Return lines of code indented by four spaces; long ones continue further right."""
    indented: list[str] = []
    for line in lines:
        begin, code = " " * (4 + len(line) - len(line.lstrip())), line.lstrip()
        branch = re.fullmatch(r"(if|elif) (.*?):(  # .*)?", code)
        if branch is not None and len(begin) + len(code) > WIDTH:  # a line may end within parentheses
            code = f"{branch[1]} ({branch[2]}):{branch[3] or ''}"
        indented += _wrapped(code, begin, begin + "    ") or [""]
    return indented


def _argument_entries(rule: Rule) -> list[tuple[str, str]]:
    entries = []
    for name in arguments(rule):
        form, default, interval, meaning = argument(rule, name)
        about = "required" if default == "required" else f"default: {default}"
        where = f", {interval}" if interval else ""
        entries.append((f"{name} ({form}, {about}{where})", meaning))
    return entries


def _errors(rule: Rule) -> list[tuple[str, str]]:
    """Return the types of error that the constructor raises, each with its causes."""
    causes = ["params is empty", "a hyperparameter is NaN or out of its range"]
    causes += [f'"{one_line(requirement.message)}"' for requirement in rule.requirements]
    if rule.driver and DRIVERS[rule.driver].replaces_update:
        causes.append("there is more than one group")
        refused = "capturable, differentiable or clip_grad_norm is asked for; fused is, and is not there"
        return [
            ("ValueError", "; ".join(causes)),
            ("TypeError", "params holds something other than tensors, or a hyperparameter has the wrong type"),
            ("RuntimeError", refused),
        ]
    return [
        ("ValueError", "; ".join(causes)),
        ("TypeError", "params holds something other than tensors, or a hyperparameter is not a number"),
        ("RuntimeError", "fused is combined with foreach or differentiable"),
    ]


def _state_text(state: State) -> str:
    at_first = "" if state.kind is StateKind.COUNTER else f", at first {start(state)}"
    at_first = f", at most {start(state)}" if state.kind is StateKind.HISTORY else at_first
    when = "" if state.when is None else f", if {expression_text(state.when)}"
    doc = f"{one_line(state.doc)}; " if state.doc else ""
    return f"{doc}{kind(state)}{at_first}{when}"


def _section(title: str, entries: Sequence[tuple[str, str]]) -> str:
    lines = _wrapped(title, "", "        ")
    for term, text in entries:
        lines += _wrapped(f"{term}: {text}" if text else term, "    ", "        ")
    return "\n".join(lines)


def _bullets(title: str, texts: Iterable[str]) -> str:
    lines = [title]
    for text in texts:
        lines += _wrapped(one_line(text), "    - ", "      ")
    return "\n".join(lines)


def _example(rule: Rule) -> list[str]:
    required = [f"{h.name}=..." for h in rule.hyperparameters if h.required]
    lines = [f"optimizer = {rule.name}({', '.join(['model.parameters()', *required])})"]
    if any(piece.name in MODES for piece in rule.pieces):
        lines.append("optimizer.train()")
    if rule.driver and DRIVERS[rule.driver].needs_closure:
        of_closure = ["optimizer.zero_grad()", "value = loss(model(input), target)", "value.backward()", "return value"]
        lines += ["def closure():", *(f"    {line}" for line in of_closure), "optimizer.step(closure)"]
    else:
        lines += ["loss(model(input), target).backward()", "optimizer.step()", "optimizer.zero_grad()"]
    return lines
