"""Specs for property tests: ones that mean nothing, and ones that are legal but as nasty as a legal spec can be."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hypothesis import strategies as st

from thetac.codegen.frontend import symbol_syntax
from thetac.codegen.ir import reserved_names
from thetac.codegen.ir.ops import FUNCTIONS, OPS, Shape

NASTY = (
    *('"""', "'''", '"', "'", "\\", "\\\\", "\\n", "\\N{DIGIT ONE}", "\\x41", "\\u0041", "`", "#", "# type: ignore"),
    *(
        "%s",
        "%(a)s",
        "{0}",
        "{value}",
        "{{ 1 / 0 }}",
        "{% raise %}",
        "{# #}",
        "#}",
        "${HOME}",
        "$(reboot)",
        "$x$",
        "$$",
    ),
    *("\\(", "\\end{document}", "\\input{/etc/passwd}", "*/", "/*", "//", "??/", "</script>", "<!-- -->", "&amp;", "|"),
    *("__import__('os')", "; import os", "f'{x}'", "b''", "->", "`:class:`", "::", ".. code::", "noqa", "fmt: off"),
    *(
        "é",
        "漢字",
        "🦆",
        "\N{LATIN SMALL LIGATURE FI}",
        "ß",
        "~",
        "^",
        "_",
        "*",
        "[a](b)",
        "@",
        "=",
        "=== ",
        "- ",
        "---",
    ),
    *("...", "!", "?", ":", ": ", " #", ",", "0", "None", "TODO", "\t", "\N{NO-BREAK SPACE}"),
)

USED_BY_GENERATED_CODE = (
    *("power", "store", "divide", "both", "fitting", "increment", "scale"),
    *(
        "mask",
        "offsets",
        "start",
        "elements",
        "block",
        "chunk",
        "chunks",
        "rows",
        "header",
        "row",
        "tensor",
        "tensors",
        "kernel",
        "ops",
    ),
    *(
        "scalars",
        "states",
        "values",
        "math_dtype",
        "ROW",
        "STREAMS",
        "CHUNK",
        "schema",
        "group",
        "closure",
        "round_to",
        "first",
    ),
    *(
        "buffers",
        "bufferss",
        "totals",
        "lrs",
        "steps",
        "buffer_t",
        "first_buffer",
        "total_list",
        "exp_avgs",
        "e",
        "i",
        "t",
        "pid",
    ),
    *(
        "one_minus_lr",
        "lr_nonzero",
        "scale_positive",
        "grad_factor",
        "buffer_weight",
        "param_value",
        "dtype",
        "device",
        "a1",
        "B",
    ),
)


SIGNS = tuple(op.syntax.split()[1] for op in OPS.values() if op.shape is Shape.COMPARISON)


def functions(arity: int, *, of_elements: bool = False) -> tuple[str, ...]:
    """The functions of so many numbers, or of so many elements and numbers."""
    return tuple(
        name
        for name, op in FUNCTIONS.items()
        if op.arity == arity and op.shape is Shape.ELEMENTWISE and not (of_elements and op.host_only)
    )


def _called(name: str, *arguments: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*arguments).map(lambda t: f"{name}({', '.join(t)})")


def texts() -> st.SearchStrategy[str]:
    """Texts that a spec accepts as prose, made of what breaks out of strings, comments, templates and LaTeX."""
    pieces = st.one_of(st.sampled_from(NASTY), st.characters(categories=("L", "N", "P", "S", "Zs")))
    return (
        st.lists(pieces, min_size=1, max_size=12)
        .map("".join)
        .filter(lambda text: text.isprintable() and bool(text.strip()))
    )


def symbols() -> st.SearchStrategy[str]:
    """LaTeX that a spec accepts as a symbol."""
    commands = [f"\\{command}" for command in sorted(symbol_syntax.COMMANDS)]
    pieces = st.sampled_from((*commands, *"abcXYZ019 ", "{", "}", "_", "^", "'", "\\,", "(", ")", "-", "="))
    return (
        st.lists(pieces, min_size=1, max_size=8)
        .map("".join)
        .filter(lambda text: text.strip() != "" and symbol_syntax.why_not(text) is None)
    )


def value_names() -> st.SearchStrategy[str]:
    """Names that a spec may give to its values, those first that generated code has a use for as well."""
    written = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True)
    legal = st.one_of(st.sampled_from(USED_BY_GENERATED_CODE), written)
    return legal.filter(lambda name: reserved_names.why_not(name) is None and name not in ("lr", "step"))


@dataclass(frozen=True, slots=True)
class Hostile:
    """A legal spec and the texts that stand in it."""

    text: str
    prose: tuple[str, ...]  # everything that is printed into comments, docstrings, messages or documentation
    symbols: tuple[str, ...]


@st.composite
def hostile_specs(draw: st.DrawFn) -> Hostile:
    """A small legal optimizer, called Hostile, in which every text, symbol and free name is drawn."""
    prose = tuple(draw(texts()) for _ in range(12))
    drawn_symbols = tuple(draw(symbols()) for _ in range(3))
    scale, low, high, flag, buffer, total, local = draw(
        st.lists(value_names(), min_size=7, max_size=7, unique_by=str.lower)
    )
    summary, reference, note, note2, error, message, doc, doc2, doc3, sparse, comment, comment2 = prose
    error = error.translate({ord("{"): "(", ord("}"): ")"})  # braces have a meaning there
    symbol, symbol2, symbol3 = (json.dumps(symbol, ensure_ascii=False) for symbol in drawn_symbols)
    spec = f"""\
optimizer: Hostile
summary: {_quoted(summary)}
references: [{_quoted(reference)}]
notes: [{_quoted(note)}, {_quoted(note2)}]
hyperparameters:
  lr: {{default: 1e-3, range: "[0, inf)", tensor: true, error: {_quoted(error)}, doc: {_quoted(doc)}, symbol: {symbol}}}
  {scale}: {{default: 0.5, doc: {_quoted(doc2)}}}
  bounds: {{default: [0.1, 1], names: [{low}, {high}], symbol: {symbol2}, doc: bounds}}
  {flag}: {{default: false, doc: {_quoted(doc3)}}}
require:
  {low} <= {high}: {_quoted(message)}
state:
  step: counter
  {buffer}: {{init: zeros, symbol: {symbol3}}}
  {total}: {{init: grad, when: {flag}, doc: {_quoted(doc3)}}}
sparse: {_quoted(f"no {sparse}")}
update: |
  {local} = {scale} * grad   # {comment}
  if {flag}:                 # {comment2}
    {total} = lerp({total}, grad, {scale})
    {local} = {local} + {total}
  {buffer} = clamp({buffer} * {high}, {low}, {high}) + {local}
  param = param - lr * {buffer} / step
"""
    return Hostile(spec, prose, drawn_symbols)


def _numbers(depth: int) -> st.SearchStrategy[str]:
    """Expressions of the host."""
    leaf = st.sampled_from(
        ("lr", "beta", "step", "weight", "h", "gain", "origin", "many", "0", "1", "0.5", "2", "1e-8", "pi", "inf")
    )
    if depth == 0:
        return leaf
    inner = _numbers(depth - 1)
    return st.one_of(
        leaf,
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from((*functions(1), "-")), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(("beta", "2")), st.sampled_from(("step", "2", "0.5"))).map(
            lambda t: f"{t[0]} ** {t[1]}"
        ),
        st.sampled_from(functions(2)).flatmap(lambda name: _called(name, inner, inner)),
        st.tuples(_conditions(0), inner, inner).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
    )


def _elements(depth: int) -> st.SearchStrategy[str]:
    """Expressions with a value per element."""
    leaf = st.sampled_from(("grad", "param", "buffer", "e"))
    if depth == 0:
        return leaf
    inner, number = _elements(depth - 1), _numbers(1)
    either = st.one_of(inner, number)
    return st.one_of(
        leaf,
        st.tuples(inner, st.sampled_from("+-*/"), either).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(number, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from((*functions(1, of_elements=True), "-")), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, st.sampled_from(("2", "3", "0.5"))).map(lambda t: f"({t[0]}) ** {t[1]}"),
        st.sampled_from(functions(2, of_elements=True)).flatmap(lambda name: _called(name, inner, either)),
        st.sampled_from(functions(3, of_elements=True)).flatmap(
            lambda name: _called(name, inner, either if name == "lerp" else number, number)
        ),
        st.tuples(_masks(), either, inner).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
        st.tuples(_conditions(0), inner, either).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
    )


def _masks() -> st.SearchStrategy[str]:
    comparison = st.tuples(_elements(0), st.sampled_from(SIGNS), st.one_of(_elements(0), _numbers(0)))
    mask = comparison.map(lambda t: f"{t[0]} {t[1]} {t[2]}")
    return st.one_of(
        mask, st.tuples(mask, mask).map(lambda t: f"{t[0]} and not {t[1]}"), mask.map(lambda m: f"flag or {m}")
    )


def _conditions(depth: int) -> st.SearchStrategy[str]:
    number = st.sampled_from(("beta", "step", "weight", "h", "lr"))
    leaf = st.one_of(
        st.sampled_from(('mode == "fast"', 'mode != "slow"', "gain > 0.3", "many == 2")),
        st.sampled_from(("flag", "not flag", "beta > 0", "step == 1", "first(buffer)", "beta != 0 and flag")),
        st.tuples(number, st.sampled_from((">", "<=", "==")), st.sampled_from(("0", "1", "3", "beta"))).map(" ".join),
    )
    if depth == 0:
        return leaf
    inner = _conditions(depth - 1)
    return st.one_of(
        leaf, st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    )


def _lines(depth: int) -> st.SearchStrategy[list[str]]:
    simple = st.one_of(
        st.tuples(st.sampled_from(("e", "buffer", "param")), _elements(2)).map(lambda t: [f"{t[0]} = {t[1]}"]),
        st.tuples(st.sampled_from(("h", "weight")), _numbers(2)).map(lambda t: [f"{t[0]} = {t[1]}"]),
    )
    if depth == 0:
        return st.lists(simple, min_size=1, max_size=3).map(_joined)
    inner, condition = _lines(depth - 1), _conditions(1)
    guarded = inner.map(lambda lines: [*lines, "extra = lerp(extra, e, beta)", "e = e + extra"])
    branches = st.one_of(
        st.tuples(condition, inner).map(lambda t: [f"if {t[0]}:", *_indented(t[1])]),
        st.tuples(condition, inner, inner).map(lambda t: [f"if {t[0]}:", *_indented(t[1]), "else:", *_indented(t[2])]),
        guarded.map(lambda lines: ["if flag:", *_indented(lines)]),
    )
    return st.lists(st.one_of(simple, simple, branches), min_size=1, max_size=4).map(_joined)


def _joined(blocks: list[list[str]]) -> list[str]:
    return [line for block in blocks for line in block]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


@st.composite
def legal_specs(draw: st.DrawFn) -> str:
    """A legal optimizer, called Arbitrary, whose update is any program over numbers, elements, states and branches."""
    extra = draw(st.sampled_from(("zeros", "grad", "param", "beta")))
    decay = draw(st.sampled_from(("none", "l2", "decoupled", "absolute", "{flag: decoupled, else: l2}")))
    mode, gain = draw(st.sampled_from(("none", "slow", "fast"))), draw(st.sampled_from(("none", "0.5", "2")))
    dtype = draw(st.sampled_from(("", ", dtype: float64")))
    step = draw(st.sampled_from(("counter", "{counter: true, integer: true}")))
    lines = ["e = grad + weight_decay * param", "h = lr + beta", *draw(_lines(2))]
    return f"""\
optimizer: Arbitrary
summary: An arbitrary legal program.
hyperparameters:
  lr: {{default: 1e-2}}
  beta: {{default: 0.9, range: "[0, 1)", doc: decay}}
  weight_decay: {{default: 0.1}}
  flag: {{default: false, doc: a flag}}
  mode: {{default: {mode}, choices: [none, slow, fast], doc: a choice}}
  gain: {{default: {gain}, none: lr + beta / 4, range: "[0, inf)", doc: a number or None}}
  many: {{default: 2, integer: true, doc: an integer}}
state:
  step: {step}
  buffer: {{init: zeros}}
  weight: {{scalar: true, init: 1{dtype}}}
  origin: {{scalar: true, init: lr * gain, dtype: float64}}
  extra: {{init: {extra}, when: flag}}
weight_decay: {decay}
update: |
{"".join(f"  {line}" + chr(10) for line in lines)}\
  weight = weight * beta + h * origin * many
  if mode == "slow":
    buffer = buffer / (1 + gain)
  buffer = beta * buffer + e
  if flag:
    extra = extra + buffer
  param = param - lr * buffer * where(flag, weight, 1)
"""


def _quoted(text: str) -> str:
    """The text as a YAML scalar between double quotes, which JSON's strings are."""
    return json.dumps(text, ensure_ascii=False)
