"""Totals stand alone over names, what has to agree between groups is found, and no step waits with tensors in vain."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from tests.references.elements import ELEMENTS
from tests.support.sharing import compiled
from thetac.codegen.backends.documentation.algorithm_box import algorithm
from thetac.codegen.backends.documentation.docstring import docstring
from thetac.codegen.backends.documentation.pages import pages
from thetac.codegen.ir.interpret import Member, exact, interpret, interpret_all
from thetac.codegen.ir.listing import rule_listing
from thetac.codegen.ir.nodes import Assign, Ref
from thetac.codegen.ir.totals import is_total, totals_in
from thetac.codegen.passes.check.totals import uniform
from thetac.codegen.pipeline import BACKENDS, Compiled, Source, compile_specs

HEAD = "optimizer: Test\nsummary: A test.\nhyperparameters: {lr: {default: 1.0}}\nstate:\n  buffer: {init: zeros}\n"


def compile_update(update: str, states: str = "  d: {per: optimizer, init: lr}\n") -> Compiled:
    lines = "".join(f"  {line}\n" for line in update.splitlines())
    (made,) = compile_specs([Source("test.yaml", f"{HEAD}{states}complex: unsupported\nupdate: |\n{lines}")])
    return made


def test_a_total_is_alone_over_a_name() -> None:
    rule = compiled().rule
    totals = [s for s in rule.body if isinstance(s, Assign) and any(totals_in(s.value))]
    assert len(totals) == 4
    for statement in totals:
        assert is_total(statement.value)
        assert isinstance(statement.value.args[0], Ref)  # type: ignore[union-attr]  # a total is a call


def test_a_total_of_a_total_is_two_statements() -> None:
    update = "buffer = grad\nd = d + total(1 / (1 + total(2 * norm(buffer))))\nparam = param - d * buffer"
    rule = compile_update(update).rule
    assert len([s for s in rule.body if isinstance(s, Assign) and is_total(s.value)]) == 2
    members = [Member({}, {}, np.ones(n), np.ones(n)) for n in (1, 4)]
    found = interpret_all(rule, members, arithmetic=ELEMENTS, store=exact)
    assert [one.shared for one in found] == [{"d": 1 + 2 / (1 + 2 * 1 + 2 * 2)}] * 2


def test_a_state_of_a_parameter_keeps_a_total() -> None:
    made = compile_update(
        "buffer = grad\nseen = total(norm(buffer))\nparam = param - lr * seen * buffer",
        "  seen: {scalar: true, init: 0}\n",
    )
    members = [Member({}, {}, np.ones(n), np.ones(n)) for n in (1, 4)]
    found = interpret_all(made.rule, members, arithmetic=ELEMENTS, store=exact)
    assert [one.state["seen"] for one in found] == [3.0, 3.0]
    assert "store(seen_t, " in made.files["forloop.py"]


def test_one_parameter_is_all_of_them_for_the_interpreter() -> None:
    rule = compile_update("buffer = grad\nd = total(sum(buffer))\nparam = param - d * buffer + 0 * lr").rule
    one = interpret(rule, {}, {}, np.zeros(2), np.ones(2), arithmetic=ELEMENTS)
    assert one.shared == {"d": 2.0}
    np.testing.assert_array_equal(one.param, [-2.0, -2.0])


@pytest.mark.parametrize(
    ("terms", "expected"),
    [([1e300, 1.0, -1e300], 1.0), ([math.inf, 1.0], math.inf), ([math.inf, -math.inf], math.nan)],
)
def test_a_total_is_rounded_once(terms: list[float], expected: float) -> None:
    rule = compile_update("buffer = grad\nd = total(sum(buffer))\nparam = param - d * buffer + 0 * lr").rule
    members = [Member({}, {}, np.zeros(1), np.array([term])) for term in terms]
    for one in interpret_all(rule, members, arithmetic=ELEMENTS):
        np.testing.assert_equal(one.shared["d"], expected)


def test_groups_agree_in_what_the_optimizers_numbers_follow_from() -> None:
    assert uniform(compiled().written) == ("betas", "start", "mode")
    update = "buffer = grad\nif lr > 1:\n  d = d / 2\nparam = param - d * buffer"
    assert uniform(compile_update(update).written) == ("lr",), "a condition decides, and a first value"
    per_group = "  d: {per: group, init: lr}\n"
    assert uniform(compile_update(update, per_group).written) == ()


def test_no_step_waits_with_tensors_that_it_does_not_need() -> None:
    update = (
        "doubled = 2 * grad\nsize = total(norm(doubled))\nbuffer = buffer + grad\n"
        "whole = total(sum(buffer))\nd = d + size / whole\nparam = param - d * buffer + 0 * lr"
    )
    made = compile_update(update)
    for file, names in (("forloop.py", ("doubled", "grad")), ("foreach.py", ("doubleds", "grads"))):
        deleted = re.findall(r"del (.*)\n", made.files[file])
        assert [name for line in deleted for name in line.split(", ") if name in names][:2] == list(names), file


def test_every_backend_writes_its_file() -> None:
    assert compiled().files.keys() == BACKENDS.keys()


def test_documentation_has_the_numbers_that_parameters_share() -> None:
    written = compiled().written
    box = algorithm(written)
    assert r"\rho_0 \leftarrow \mathrm{start}" in box
    assert r"\sum_{\theta} " in box
    assert r"\sum_{\theta \in \text{group}} " in box
    assert "rate: a float of the optimizer, the same in all groups, start at first; the rate" in " ".join(
        docstring(written).split()
    )
    assert (
        "| `share` | $\\mathrm{share}$ | a key of parameter groups, one number per group | 8 |"
        in (pages([written])["sharing.md"])
    )
    assert "  rate: per optimizer from start" in rule_listing(written)
