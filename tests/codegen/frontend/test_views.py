"""`view: matrix`: what axes, numbers of rows and columns, and states by row and column then are."""

from __future__ import annotations

import pytest

from tests.support.front_end import front_end
from thetac.codegen.errors import SpecError
from thetac.codegen.ir.listing import listing
from thetac.codegen.ir.nodes import Rule, walk_statements
from thetac.codegen.ir.reductions import axes_in
from thetac.codegen.pipeline import Source, compile_specs

TEXT = """\
optimizer: Viewed
summary: Reads everything that a view changes.
hyperparameters:
  lr:    {default: 0.1}
  least: {default: none, none: 1 / rows(param), doc: the least}
require:
  rank(param) > 1: "no matrix"
  columns(param) > 1: "a column"
view: matrix
complex: unsupported
state:
  slow:       {init: zeros}
  per_row:    {init: zeros, shape: rows}
  per_column: {init: zeros, shape: columns, when: rank(param) > 1 and rows(param) > 1}
update: |
  slow = slow + grad
  per_row = per_row + dot(grad, slow, axis=-1) + least * columns(param)
  if rank(param) > 1 and rows(param) > 1:
    per_column = per_column + max(grad, axis=-2)
    slow = slow / (1 + abs(per_column))
  param = param - lr * slow / (1 + abs(per_row))
"""


def rule(text: str = TEXT, **others: str) -> Rule:
    return front_end({"viewed.yaml": text, **{f"{name}.yaml": other for name, other in others.items()}})[0]


def conditions(of: Rule) -> str:
    return str([one.condition for one in of.requirements] + [state.when for state in of.states])


def test_all_that_a_view_changes_is_of_the_matrix() -> None:
    seen, plain = rule(), rule(TEXT.replace("view: matrix\n", ""))
    assert (axes_in(seen.body), axes_in(plain.body)) == ({0, 1}, {-1, -2})
    assert "matrix_columns" in conditions(seen)
    assert "matrix_rows" in conditions(seen)
    assert "matrix" not in conditions(plain)
    assert "matrix_rows" in str([h.none for h in seen.hyperparameters])
    assert "matrix_columns" in str(list(walk_statements(seen.body)))
    assert [state.of_matrix for state in seen.states] == [True] * 3
    assert listing(seen.body) == listing(plain.body), "authors write the same"


@pytest.mark.parametrize(("key", "axes"), [("", {0, 1}), ("view: matrix\n", {0, 1}), ("view: last_axes\n", {-1, -2})])
def test_an_heir_sees_what_its_parent_sees_unless_it_says_otherwise(key: str, axes: set[int]) -> None:
    heir = f"optimizer: Heir\nextends: Viewed\nsummary: More.\n{key}update: |\n  super()\n  param = param * 0.9\n"
    assert axes_in(rule(heir, parent=TEXT).body) == axes


def test_the_numbers_of_a_matrix_are_no_functions_of_the_language() -> None:
    with pytest.raises(SpecError, match="unknown function `matrix_rows`"):
        rule(TEXT.replace("1 / rows(param)", "1 / matrix_rows(param)"))


@pytest.mark.parametrize(
    ("view", "feature", "seen"),
    [
        ("view: matrix\n", "", '"matrix"'),
        ("view: matrix\n", "features: {agc: true}\n", '"matrix"'),
        ("", "features: {agc: true}\n", '"both"'),
        ("", "features: {ema: true}\n", None),
    ],
)
def test_the_runtime_is_told_of_each_view(view: str, feature: str, seen: str | None) -> None:
    text = TEXT.replace("view: matrix\n", view + feature)
    (compiled,) = compile_specs([Source("viewed.yaml", text)])
    lines = [line.strip() for line in compiled.files["optimizer.py"].split("\n")]
    assert [line for line in lines if line.startswith("view=")] == ([f"view={seen},"] if seen else [])
