"""The default run tries an optimizer of every class of schemas, and each class is told from the schemas themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

import thetac
from tests.support.every_optimizer import NAMES, REPRESENTATIVES, of_every_class, ours
from tests.support.schema_classes import CLASSES, classes_of, representatives

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
    assert len(REPRESENTATIVES) <= 12
    assert not set(of_every_class()) - set(NAMES)
    assert set(REPRESENTATIVES) <= set(of_every_class())


def test_an_optimizer_of_a_new_class_becomes_a_representative() -> None:
    """A state that starts as a copy of the parameter, a kernel for each value: no optimizer of today has them."""
    lion = thetac.Lion.schema
    assert lion.name not in REPRESENTATIVES
    copying = replace(lion, states=tuple(replace(state, copies_param=True) for state in lion.states))
    for new in (copying, replace(lion, separate_kernels=True)):
        others = [schema for schema in SCHEMAS if schema.name != lion.name]
        assert lion.name in representatives([*others, new])
