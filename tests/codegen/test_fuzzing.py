"""Specs with faults that somebody might make: refused in words, or compiled to implementations that agree.

`pytest tests/codegen/test_fuzzing.py --mutants 5000` tries so many. Each is named by its seed, and the same everywhere.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.every_optimizer import examples
from tests.support.fuzzing import compiled_or_refused, cpp_farther_than_for_loop, foreach_unlike_for_loop
from tests.support.mutants import Mutant, mutant, origins
from tests.support.reducing_specs import reducing_specs

ONE_IN = 6  # optimizers whose C++ kernel is compiled, which takes a second or two
_built: set[str] = set()  # without comments


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--mutants")))


def check(one: Mutant, *, with_cpp: bool) -> None:
    compiled = compiled_or_refused(one)
    if compiled is None:
        return
    if "foreach.py" not in compiled.files:  # a rule without an update has one implementation
        return
    found = foreach_unlike_for_loop(compiled, one.seed)
    kernel = re.sub(r"//.*", "", compiled.files.get("kernels.cpp", ""))  # rules with totals have none
    if with_cpp and kernel and kernel not in _built:
        _built.add(kernel)
        found += cpp_farther_than_for_loop(compiled, one.seed)
    assert not found, "\n".join((one.text, *found))


def test_a_mutant_is_refused_in_words_or_its_implementations_agree(seed: int) -> None:
    check(mutant(seed), with_cpp=seed // 3 % ONE_IN == 0)  # of every level alike


@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(reducing_specs(), st.integers(0, 9))
def test_implementations_of_any_rule_that_reduces_agree(text: str, seed: int) -> None:
    check(Mutant(seed, "drawn", "text", text), with_cpp=False)


def test_mutants_are_worth_trying() -> None:
    """Some are accepted on every level, and most differ from the spec that they were made of."""
    tried = [mutant(seed) for seed in range(180)]  # about one in ten trees is accepted
    assert {one.level for one in tried if compiled_or_refused(one) is not None} == {"text", "tree", "expressions"}
    assert sum(one.text == origins()[one.origin] for one in tried) < 30
    assert mutant(7) == mutant(7)


HEAD = """\
optimizer: Once
summary: A spec that was compiled wrong once.
hyperparameters:
  lr: {default: 0.1}
  flag: {default: false, doc: a flag}
state:
  buffer: {init: zeros}
update: |
"""
WRONG_ONCE = {
    "a number chosen by what is asked of a state": """\
buffer = buffer + grad
direction = where(not first(buffer) or flag, grad, 0)
param = param - lr * direction
""",
    "a number for all elements chosen by what is asked of a state": """\
buffer = buffer + where(first(buffer), lr, 2 * lr) * grad
buffer = where(first(buffer) or flag, 1, 2) + 0 * buffer
param = param - lr * where(first(buffer), 1, buffer)
""",
}


@pytest.mark.parametrize("update", WRONG_ONCE.values(), ids=WRONG_ONCE)
def test_what_was_wrong_once_is_right(update: str) -> None:
    text = HEAD + "".join(f"  {line}\n" for line in update.splitlines())
    one = Mutant(0, "here", "text", text)
    assert compiled_or_refused(one) is not None
    check(one, with_cpp=True)
