"""docs/catalogue.md says of every optimizer what is true, and names no optimizer that there is not."""

from __future__ import annotations

import re
from functools import cache

import pytest
from transformers.training_args import OptimizerNames

from tests.oracles.closed_loop import LIMIT
from tests.oracles.measure import rows as measured
from tests.oracles.oracles import ORACLES
from tests.references.torch_inputs import IN_TORCH
from tests.support.every_optimizer import MINIMIZERS, NAMES
from tests.support.paths import ROOT
from thetac.codegen.backends.documentation.catalogue import HEAD, Facts
from thetac.codegen.cli.facts import our_facts

PAGE = ROOT / "docs" / "catalogue.md"
# Textbooks have no code, and that of these two is in C++.
WITHOUT_PYTHON = {
    "Signum",
    "SignSGD",
    "GradientDescent",
    "MomentumSGD",
    "NesterovSGD",
    "TextbookAdagrad",
    "TextbookRMSprop",
    "AdamNoBiasCorrection",
    "PolakRibiere",
    "BarzilaiBorwein",
}
EVERY = (*NAMES, *MINIMIZERS)
# transformers' names of rules that are not here.
MISSING = re.compile(r"(.*galore|.*lomo|grokadamw|schedule_free|apollo)")


@cache
def facts() -> Facts:
    return our_facts()


def test_the_page_has_a_row_for_every_optimizer() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Names in frameworks")[0]
    assert sorted(re.findall(r"^\| \[(\w+)\]", table, re.MULTILINE)) == sorted(EVERY), "run `make generate`"
    lines = [line for line in table.split("\n") if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(HEAD) + 1}


def test_the_authors_code_is_named_for_every_optimizer() -> None:
    assert set(EVERY) - facts().authors.keys() == WITHOUT_PYTHON, "add it to specs/catalogue.toml"
    assert not facts().authors.keys() - set(EVERY)
    assert all(code.lines > 0 and code.name for code in facts().authors.values())


def test_frameworks_have_names_of_optimizers_that_are_here() -> None:
    for framework in facts().frameworks:
        assert not set(framework.names.values()) - set(EVERY), framework.name
        assert list(framework.names) == sorted(framework.names), f"sort the names of {framework.name}"


def test_every_name_of_the_trainer_is_listed_or_known_to_be_missing() -> None:
    (transformers,) = (one for one in facts().frameworks if one.name == "transformers")
    theirs = {name.value for name in OptimizerNames}
    assert not transformers.names.keys() - theirs
    unlisted = {name for name in theirs - transformers.names.keys() if not MISSING.match(name)}
    assert unlisted == {"adafactor"}, "transformers has one of its own, with relative steps"


def test_torch_s_own_are_listed_as_torch_s() -> None:
    (torch,) = (one for one in facts().frameworks if one.name == "torch.optim")
    assert sorted(torch.names) == sorted(torch.names.values()) == sorted([*IN_TORCH, "LBFGS"])


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_is_the_one_that_the_tests_use(name: str) -> None:
    row = measured()[name]
    assert row["oracle"] == ORACLES[name][0].label, f"run `make oracles NAMES={name}`"
    assert float(row["deviation"]) <= LIMIT


def test_nothing_is_measured_that_there_is_not() -> None:
    assert not measured().keys() - set(NAMES), "run `make oracles`"
