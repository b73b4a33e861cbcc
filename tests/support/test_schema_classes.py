"""The default run tries an optimizer of every class of schemas, and each class is told from the schemas themselves."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

import thetac
from tests.support.every_optimizer import NAMES, REPRESENTATIVES, of_every_class, ours
from tests.support.schema_classes import CLASSES, classes_of, representatives
from thetac.runtime.schema import ShapeRequirement

SCHEMAS = [ours(name).schema for name in NAMES]
KNOWN = {name for schema in SCHEMAS for name in classes_of(schema)}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_with_members_has_a_representative(name: str) -> None:
    assert name not in KNOWN or any(name in classes_of(ours(each).schema) for each in REPRESENTATIVES)


def test_every_optimizer_shares_each_of_its_classes_with_a_representative() -> None:
    represented = {name for each in REPRESENTATIVES for name in classes_of(ours(each).schema)}
    assert all(classes_of(schema) <= represented for schema in SCHEMAS)


def test_they_are_few_and_the_same_in_every_process() -> None:
    assert representatives(SCHEMAS) == REPRESENTATIVES
    assert set(REPRESENTATIVES) <= set(NAMES)
    assert len(REPRESENTATIVES) <= 20
    assert not set(of_every_class()) - set(NAMES)
    assert set(REPRESENTATIVES) <= set(of_every_class())


def test_an_optimizer_of_a_new_class_becomes_a_representative() -> None:
    """A counter that is an integer, a requirement of shapes: among optimizers that have none of them."""
    lion = thetac.Lion.schema
    assert lion.name not in REPRESENTATIVES
    counter = replace(thetac.AdamW.schema.states[0], integer=True)
    required = ShapeRequirement(lambda group, shape: True, "")
    for name, new in (
        ("a counter that is an integer", replace(lion, states=(*lion.states, counter))),
        ("requirements of shapes", replace(lion, shape_requirements=(required,))),
    ):
        assert name in classes_of(new)
        others = [schema for schema in SCHEMAS if schema.name != lion.name and name not in classes_of(schema)]
        assert lion.name not in representatives([*others, lion])
        assert lion.name in representatives([*others, new])


def test_all_optimizers_share_the_cases_of_a_test() -> None:
    """What is collected with `--all` of one test: representatives have all cases, each other one has at least one."""
    file = "tests/runtime/stepping/test_modes.py"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--all", "--collect-only", "-q", f"{file}::test_maximize"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    collected = [line.partition("[")[2].rstrip("]") for line in found.stdout.splitlines() if "[" in line]
    cases = {name: [case for case in collected if name in case.split("-")] for name in NAMES}
    assert {len(cases[name]) for name in REPRESENTATIVES} == {4}
    assert {len(cases[name]) for name in NAMES if name not in REPRESENTATIVES} == {1}
    others = {case.replace(name, "") for name in NAMES if name not in REPRESENTATIVES for case in cases[name]}
    assert others == {case.replace("SGD", "") for case in cases["SGD"]}
