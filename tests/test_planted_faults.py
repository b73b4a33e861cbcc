"""The faults that `make faults` plants still have a place in the source, and their tests are there."""

from __future__ import annotations

import pytest

from tests.planted_faults import FAULTS, Fault, planted
from tests.support.paths import ROOT, TESTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_has_one_place(fault: Fault) -> None:
    text = (ROOT / fault.path).read_text(encoding="utf-8")
    assert planted(text, fault) != text
    assert all((TESTS / test.partition("::")[0]).exists() for test in fault.tests)


def test_there_are_faults_in_every_room() -> None:
    rooms = {
        "codegen/frontend",
        "codegen/passes",
        "codegen/backends/eager",
        "codegen/backends/documentation",
        "runtime/building",
        "runtime/checkpoints",
        "runtime/cpp",
        "runtime/implementations",
        "runtime/param_groups",
        "runtime/stepping",
        "runtime/tensor_facts",
        "runtime/torch_compile",
        "thetac",
    }
    assert not {room for room in rooms if not any(fault.path.startswith(f"{room}/") for fault in FAULTS)}
