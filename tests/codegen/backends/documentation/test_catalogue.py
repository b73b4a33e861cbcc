"""Rows of the catalogue: bytes, passes and classes follow from the rule, and texts are shown as they are."""

from __future__ import annotations

import pytest

from thetac.codegen.backends.documentation.catalogue import HEAD, Code, Comparison, Entry, Facts, Framework, page, row
from thetac.codegen.passes.analysis.traffic import bytes_moved
from thetac.codegen.pipeline import Source, compile_specs, front_end, lower

NOTHING = Facts({}, {}, ())

SPEC = """
optimizer: Weighed
summary: Momentum that may be centered.
hyperparameters:
  lr:       {default: 1e-2}
  momentum: {default: MOMENTUM}
  centered: {default: CENTERED, doc: "subtract the mean"}
state:
  step:   counter
  buffer: {init: zeros, when: momentum != 0, doc: "decaying sum of gradients"}
  center: {init: zeros, when: centered, doc: "running average of the gradient"}
update: |
  direction = grad
  if centered:
    center = lerp(center, grad, 1 / step)
    direction = grad - center
  if momentum != 0:
    buffer = momentum * buffer + direction
    direction = buffer
  param = param - lr * direction
"""


def entry(text: str, lines: int = 3) -> Entry:
    (one,) = compile_specs([Source("weighed.yaml", text)])
    return Entry(one.written, one.rule, one.fused, lines)


@pytest.mark.parametrize(
    ("momentum", "centered", "streams"),
    [("0", "false", 3), ("0.9", "false", 5), ("0", "true", 5), ("0.9", "true", 7)],
)
def test_bytes_are_those_of_the_streams_that_the_defaults_need(momentum: str, centered: str, streams: int) -> None:
    """The parameter is loaded and stored, the gradient loaded, and each state that there is loaded and stored."""
    found = entry(SPEC.replace("MOMENTUM", momentum).replace("CENTERED", centered))
    assert bytes_moved(found.lowered, found.fused) == 4 * streams


def test_a_row_says_what_follows_from_the_rule_and_what_is_known_beside_it() -> None:
    facts = Facts(
        {"Weighed": Code("weighed 1.0, weighed.py", 120)},
        {"Weighed": Comparison("weighed 1.0", 2.4e-15)},
        (Framework("one", "1", {"weighed": "Weighed"}), Framework("two", "2", {"other": "Other"})),
    )
    found = entry(SPEC.replace("MOMENTUM", "0.9").replace("CENTERED", "false"), lines=20)
    assert dict(zip(HEAD, row(found, facts), strict=True)) == {
        "name": "Weighed",
        "class": "elementwise",
        "source": "weighed 1.0, weighed.py",
        "lines of YAML": "20",
        "of the source": "120",
        "state bytes": "0, 4 more if momentum != 0, 4 more if centered",
        "passes": "1",
        "bytes per step": "20",
        "oracle": "weighed 1.0",
        "deviation": "2e-15",
        "shipped by": "one",
    }


def test_what_is_not_known_is_left_empty() -> None:
    cells = dict(
        zip(HEAD, row(entry(SPEC.replace("MOMENTUM", "0").replace("CENTERED", "false")), NOTHING), strict=True)
    )
    assert [cells[column] for column in ("source", "of the source", "oracle", "deviation", "shipped by")] == [""] * 5


def test_the_same_bits_are_a_deviation_of_0() -> None:
    facts = Facts({}, {"Weighed": Comparison("torch 2", 0.0)}, ())
    assert "0" in row(entry(SPEC.replace("MOMENTUM", "0").replace("CENTERED", "false")), facts)


SUMS = """
optimizer: Ratio
summary: Steps as long as the parameter.
hyperparameters:
  lr: {default: 1e-2}
update: |
  param = param - lr * norm(param) / norm(grad) * grad
"""


def test_a_rule_with_sums_reads_the_parameter_and_the_gradient_twice() -> None:
    (written,) = front_end([Source("ratio.yaml", SUMS)])
    rule, fused = lower(written)
    cells = dict(zip(HEAD, row(Entry(written, rule, fused, 7), NOTHING), strict=True))
    assert (cells["class"], cells["passes"], cells["bytes per step"]) == ("sums over a parameter", "2", str(4 * 5))


def test_what_shapes_decide_is_decided_for_a_matrix() -> None:
    text = SUMS.replace(
        "  param = param - lr * norm(param) / norm(grad) * grad",
        "  scale = 1.0\n  if rank(param) > 2:\n    scale = 2.0\n  change = scale * grad\n"
        "  if rank(param) == 2 and columns(param) > 8:\n    change = change * norm(param)\n"
        "  param = param - lr * change",
    )
    (written,) = front_end([Source("ratio.yaml", text)])
    assert bytes_moved(*lower(written)) == 4 * 4  # the gradient, the parameter twice, and the result


def test_texts_in_the_page_cannot_break_out_of_their_cells() -> None:
    facts = Facts({"Weighed": Code("a|b_c*d", 1)}, {}, ())
    text = page([entry(SPEC.replace("MOMENTUM", "0").replace("CENTERED", "false"))], facts)
    assert r"| a\|b\_c\*d |" in text
