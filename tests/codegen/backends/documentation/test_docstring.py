"""What docstrings and pages say of an argument."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tests.references.rules import rules
from thetac.codegen.backends.documentation.docstring import argument
from thetac.codegen.ir.nodes import Range


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Range(0, math.inf, True, True), "lr >= 0"),
        (Range(0, math.inf, True, False), "lr >= 0 and finite"),
        (Range(0, math.inf, False, True), "lr > 0"),
        (Range(-math.inf, 1, True, True), "lr <= 1"),
        (Range(-math.inf, 1, True, False), "lr < 1"),
        (Range(0, 1, True, False), "lr in [0, 1)"),
    ],
    ids=str,
)
def test_a_range_is_a_condition(interval: Range, words: str) -> None:
    rule = rules()["Lion"]
    changed = tuple(dataclasses.replace(h, ranges=(interval,)) if h.name == "lr" else h for h in rule.hyperparameters)
    assert argument(dataclasses.replace(rule, hyperparameters=changed), "lr")[2] == words
