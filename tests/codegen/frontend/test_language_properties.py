"""Whatever stands in a spec, its author gets a SpecError or an optimizer, never a stack trace."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.every_optimizer import examples
from tests.support.paths import ROOT
from tests.support.reducing_specs import reducing_specs
from tests.support.strategies import NASTY, Hostile, hostile_specs, legal_specs
from thetac.codegen.errors import Diagnostics, SpecError
from thetac.codegen.frontend.load import KEYS, load_spec
from thetac.codegen.frontend.lower import lower_specs
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.ir.ops import FUNCTIONS
from thetac.codegen.passes.check.rule import check
from thetac.codegen.pipeline import lower

SPECS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "specs").glob("*.yaml"))}
FAMILY = {
    name: text
    for name, text in SPECS.items()
    if name in ("adam.yaml", "sgd.yaml", "asgd.yaml", "rprop.yaml", "nadam.yaml")
}

fast = settings(
    deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def joined(blocks: list[list[str]]) -> list[str]:
    return [line for block in blocks for line in block]


def accepted(text: str) -> Rule | None:
    """The rule of a spec, which then keeps what the next passes rely on; None if it was refused as it should be."""
    diagnostics = Diagnostics()
    try:
        rules = lower_specs([load_spec(text, "spec.yaml", diagnostics)], diagnostics)
        for rule in rules:
            check(rule, diagnostics)
        diagnostics.raise_any()
    except SpecError as error:
        lines = str(error).split("\n")
        assert all(line.isprintable() for line in lines), "a message must not control a terminal"
        return None
    (rule,) = rules
    lower(rule)  # which verifies every stage
    return rule


@fast
@given(st.text(max_size=300))
@example("\0")
@example("%YAML 9.9\n---\na")
@example('"\\ud800"')
@example('"\\U00110000"')
@example("? a\n: b")
@example("a: &b [*b]")
def test_arbitrary_text(text: str) -> None:
    assert accepted(text) is None


@fast
@given(st.text(alphabet="[]{}:,-?|>&*!%#@'\"\\ \n\tab0.~`<=", max_size=200))
def test_arbitrary_yaml(text: str) -> None:
    assert accepted(text) is None
    accepted("optimizer: A\nsummary: b\n" + text)
    accepted("optimizer: A\nsummary: b\nupdate: |\n" + "".join(f"  {line}\n" for line in text.split("\n")))


_TEXTS = ("zeros", "grad", "counter", "required", "l2", "[0, 1]", "lr", "step", "param = param - lr * grad", "a > 0")
_KEYS = ("default", "names", "init", "when", "range", "lr", "betas", "m", "else")
_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=8),
        st.sampled_from(_TEXTS),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.text(max_size=4), st.sampled_from(_KEYS)),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@fast
@given(st.dictionaries(st.sampled_from(KEYS), _VALUES, min_size=1))
def test_arbitrary_values_under_known_keys(spec: dict[str, object]) -> None:
    accepted(json.dumps(spec))
    accepted(json.dumps({"optimizer": "A", "summary": "a", **spec}))


@fast
@given(st.data())
def test_mutations_of_real_specs(data: st.DataObject) -> None:
    text = FAMILY[data.draw(st.sampled_from(sorted(FAMILY)))]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 6)))
        words = st.sampled_from(
            sorted({*text.split(), *NASTY, "\n", "\n  ", "(", ")", "grad", "*", "=", "if ", "-", "0"})
        )
        text = text[:start] + data.draw(st.one_of(st.just(""), words, st.text(max_size=3))) + text[end:]
    accepted(text)


_NAMES = (
    "lr",
    "beta",
    "flag",
    "step",
    "buffer",
    "weight",
    "grad",
    "param",
    "x",
    "y",
    "True",
    "0",
    "1",
    "2",
    "0.5",
    "betas",
)
_EXPRESSIONS = st.recursive(
    st.sampled_from(_NAMES),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", ">", "<=", "==", "and", "or"]), inner).map(
            lambda t: f"({' '.join(t)})"
        ),
        inner.map(lambda e: f"-{e}"),
        inner.map(lambda e: f"(not {e})"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner, inner, inner).map(
            lambda t: f"{t[0]}({', '.join(t[1 : 1 + FUNCTIONS[t[0]].arity])})"
        ),
    ),
    max_leaves=6,
)
_TARGETS = st.sampled_from(("x", "y", "param", "buffer", "weight", "flag", "step"))


def _statements(depth: int) -> st.SearchStrategy[list[str]]:
    simple = st.tuples(_TARGETS, _EXPRESSIONS).map(lambda t: [f"{t[0]} = {t[1]}"])
    if depth == 0:
        return st.lists(simple, min_size=1, max_size=3).map(joined)
    inner = _statements(depth - 1)
    condition = st.one_of(st.sampled_from(("flag", "beta > 0", "step > 3", "first(buffer)", "not flag")), _EXPRESSIONS)
    branch = st.tuples(condition, inner, inner).map(
        lambda t: [f"if {t[0]}:", *(f"  {line}" for line in t[1]), "else:", *(f"  {line}" for line in t[2])]
    )
    return st.lists(st.one_of(simple, branch), min_size=1, max_size=4).map(joined)


@fast
@given(_statements(2))
def test_arbitrary_updates(lines: list[str]) -> None:
    """Well-formed statements over known names: what is accepted of them keeps every promise to the passes behind."""
    update = "".join(
        f"  {line}\n" for line in ["x = 1", *lines, "param = param - lr * buffer * weight * x * where(flag, beta, 1)"]
    )
    accepted(f"""\
optimizer: A
summary: arbitrary
hyperparameters: {{lr: {{default: 1}}, beta: {{default: 0.5, doc: decay}}, flag: {{default: false, doc: a flag}}}}
state: {{step: counter, buffer: {{init: zeros}}, weight: {{scalar: true, init: 1}}}}
update: |
  buffer = buffer + grad
  weight = weight * beta
{update}""")


@fast
@given(st.one_of(legal_specs(), reducing_specs()))
def test_legal_programs_are_accepted(text: str) -> None:
    assert accepted(text) is not None


@fast
@given(hostile_specs())
def test_hostile_but_legal_specs_load_with_their_texts_untouched(hostile: Hostile) -> None:
    rule = accepted(hostile.text)
    assert rule is not None
    summary, reference, note, *_ = (" ".join(text.split()) for text in hostile.prose)
    assert (rule.summary, rule.references[0], rule.notes[0]) == (summary, reference, note)


@fast
@given(
    st.sampled_from(("summary", "references", "notes", "doc", "error", "symbol", "message", "sparse", "comment")),
    st.text(max_size=60),
)
def test_arbitrary_prose(place: str, text: str) -> None:
    """Any text at any place for prose: it is refused or kept."""
    written = dict.fromkeys(
        ("summary", "references", "notes", "doc", "error", "symbol", "message", "sparse"), '"plain"'
    )
    written |= {
        "symbol": "x",
        "sparse": '"no sparse gradients"',
        place: json.dumps(text, ensure_ascii=len(text) % 2 == 0),
    }
    comment = text if place == "comment" else ""
    accepted(f"""\
optimizer: A
summary: {written["summary"]}
references: [{written["references"]}]
notes: [{written["notes"]}]
hyperparameters:
  lr: {{default: 1, doc: {written["doc"]}, error: {written["error"]}, symbol: {written["symbol"]}}}
require: {{lr > 0: {written["message"]}}}
sparse: {written["sparse"]}
update: |
  param = param - lr * grad  # {comment}
""")


SPEC = "optimizer: A\nsummary: b\nhyperparameters:\n  lr: {default: 1}\nupdate: |\n"
N = 20_000
ENORMOUS = {
    "brackets": "[" * N,
    "braces": "{" * N,
    "closing brackets": "]" * N,
    "sequences": "- " * N,
    "mappings": "".join(f"{' ' * i}a:\n" for i in range(400)),
    "mappings on a line": "a: " * N,
    "complex keys": "? " * N,
    "quotes": '"' * N,
    "anchors": "".join(f"a{i}: &a{i} b\n" for i in range(5_000)),
    "billion laughs": "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(24)),
    "directives": "%TAG ! tag:a,2000:b\n" * 2_000,
    "keys": "".join(f"k{i}: 1\n" for i in range(5_000)),
    "hyperparameters": "optimizer: A\nhyperparameters:\n" + "".join(f"  h{i}: {{default: 1}}\n" for i in range(3_000)),
    "parentheses": SPEC + "  param = " + "(" * N + "grad" + ")" * N,
    "parentheses that open": SPEC + "  param = " + "(" * N,
    "calls": SPEC + "  param = " + "sqrt(" * 3_000 + "grad" + ")" * 3_000,
    "functions that name an argument twice": SPEC + "  param = " + "torch.nan_to_num(" * 28 + "grad" + ")" * 28 + "\n",
    "methods that name a value twice": SPEC + "  param = " + "grad.hypot(" * 28 + "grad" + ")" * 28 + "\n",
    "signs": SPEC + "  param = " + "-" * N + "grad",
    "negations": SPEC + "  param = " + "not " * 10_000 + "grad",
    "sums": SPEC + "  param = " + "grad + " * 10_000 + "grad",
    "powers": SPEC + "  param = " + "grad ** " * 9_000 + "grad",
    "powers of numbers": SPEC + "  param = grad * 9 ** 9 ** 9 ** 9 ** 9",
    "chains": SPEC + "  param = " + "grad < " * 9_000 + "grad",
    "attributes": SPEC + "  param = grad" + ".grad" * 9_000,
    "subscripts": SPEC + "  param = grad" + "[0]" * 9_000,
    "lambdas": SPEC + "  param = " + "lambda: " * 9_000 + "grad",
    "conditionals": SPEC + "  param = " + "1 if 2 else " * 7_000 + "3",
    "assignments": SPEC + "  " + "param = " * 9_000 + "grad",
    "branches": SPEC + "".join(f"{' ' * i}  if lr > 0:\n" for i in range(400)),
    "alternatives": SPEC + "  if lr > 0:\n    param = grad\n" + "  elif lr > 1:\n    param = grad\n" * 2_000,
    "indentations": SPEC + "".join(f"{' ' * i}  param = grad\n" for i in range(400)),
    "statements": SPEC + "  param = param - lr * grad\n" * 3_000 + "  x = x\n",
    "wrong statements": SPEC + "  a.b = c[d]\n" * 5_000,
    "digits": SPEC + "  param = " + "9" * N,
    "exponents": SPEC + "  param = 1e" + "9" * N,
    "spaces in a default": "optimizer: A\nsummary: b\nhyperparameters:\n  lr: {default: (1" + " " * N + "x}\n",
    "default": "optimizer: A\nsummary: b\nhyperparameters:\n  lr: {default: " + "9" * N + "}\n",
    "range": "optimizer: A\nsummary: b\nhyperparameters:\n  lr: {default: 1, range: \"[0, " + "9" * N + "]\"}\n",
    "symbol": "optimizer: A\nsummary: b\nhyperparameters:\n  lr: {default: 1, symbol: \"" + "{" * N + "\"}\n",
    "name": "optimizer: " + "A" * N,
    "summary": "optimizer: A\nsummary: " + "b" * N,
    "comment": SPEC + "  param = param.x #" + "c" * N,
    "lines": "\n" * 90_000,
    "characters": "x" * 10_000_000,
}  # fmt: skip


@pytest.mark.parametrize("text", ENORMOUS.values(), ids=ENORMOUS.keys())
def test_enormous_specs_are_refused_quickly(text: str) -> None:
    start = time.perf_counter()
    assert accepted(text) is None
    assert time.perf_counter() - start < 20, "a spec of any size is refused in seconds"
