"""Every operation of the registry: its row is complete, and what targets call under its name is there."""

from __future__ import annotations

import re

import pytest
import torch
import triton.language

from tests.support.paths import ROOT
from thetac.codegen.backends.documentation.formulas import LATEX
from thetac.codegen.backends.eager.functional import ON_TENSORS as FUNCTIONAL
from thetac.codegen.backends.eager.torch_ops import TORCH_OPS
from thetac.codegen.backends.kernels.cpp_tables import CPP
from thetac.codegen.backends.kernels.scalar_program import ON_TENSORS
from thetac.codegen.backends.kernels.triton_expressions import TRITON
from thetac.codegen.backends.printing.host_python import PYTHON
from thetac.codegen.ir.definitions import expanded
from thetac.codegen.ir.nodes import Call, Ref, names_read, walk_expression
from thetac.codegen.ir.ops import CONSTANTS, NUMBER_BY_NUMBER, OPS, TOTALS, Op, Shape
from thetac.codegen.ir.printer import SPEC, Row, row_along
from thetac.codegen.ir.reductions import ALL_AXES, along, reductions_in, split_axis
from thetac.runtime import scalar_math, tensors, totals, triton_ops
from thetac.shape_numbers import PARAM_FACTS

VALUES = [op for op in OPS.values() if op.shape in NUMBER_BY_NUMBER]
REDUCTIONS = [op for op in OPS.values() if op.shape is Shape.REDUCTION]
PRIMITIVE = [op for op in VALUES if not op.defined]
COMPOSED = [op for op in (*VALUES, *REDUCTIONS) if op.defined]
ON_ELEMENTS = [op for op in VALUES if (op.whole_on_elements if op.defined else not op.host_only)]


def name_of(op: Op) -> str:
    return op.name


@pytest.mark.parametrize("op", [*VALUES, *REDUCTIONS], ids=name_of)
def test_an_operation_has_a_meaning_or_a_definition(op: Op) -> None:
    assert (op.meaning is None) == bool(op.defined)


@pytest.mark.parametrize("op", COMPOSED, ids=name_of)
def test_a_definition_is_of_operations_and_of_all_its_arguments(op: Op) -> None:
    assert len(op.parameters) == op.arity
    definition = expanded(Call(op.name, tuple(Ref(name) for name in op.parameters)))
    assert set(names_read(definition)) == set(op.parameters)
    for part in walk_expression(definition):
        match part:
            case Call(op=name):
                assert name != op.name, f"{name} is defined by itself"
                assert op.host_only or not OPS[name].host_only, f"{op.name} is `host_only`, because {name} is"
    assert isinstance(definition, Call)
    if op.shape is Shape.REDUCTION:
        assert any(reductions_in(definition))
    else:
        assert OPS[definition.op].shape is op.shape


@pytest.mark.parametrize("op", [op for op in REDUCTIONS if op.defined], ids=name_of)
@pytest.mark.parametrize("axis", [None, -1, -2])
def test_the_definition_of_a_reduction_is_along_its_axis(op: Op, axis: int | None) -> None:
    call = along(Call(op.name, tuple(Ref(name) for name in op.parameters)), axis)
    assert split_axis(call) == (call.args[: op.arity], axis)
    inner = list(reductions_in(expanded(call)))
    assert inner
    assert all(split_axis(one)[1] == axis for one in inner)


def test_a_row_for_every_operation() -> None:
    """Operators have a row in each table, functions one by default. Composed operations and powers are expanded."""
    everything, numbers = set(OPS), {op.name for op in PRIMITIVE}
    predicates = {op.name for op in OPS.values() if op.shape is Shape.PREDICATE} - PARAM_FACTS.keys()
    elements = {op.name for op in ON_ELEMENTS} - {"pow"}  # powers of elements are expanded
    along_axes = {row_along(op, axis) for op in REDUCTIONS for axis in ALL_AXES}
    assert SPEC.keys() == everything | along_axes | CONSTANTS.keys()
    assert LATEX.keys() == everything
    assert PYTHON.keys() >= numbers | predicates
    assert ON_TENSORS.keys() >= numbers
    assert FUNCTIONAL.keys() >= numbers | elements
    assert TRITON.keys() >= elements
    assert CPP.keys() >= elements
    assert TORCH_OPS.keys() >= elements


def called(row: Row, module: str) -> list[str]:
    """The functions of a module that the text of a row calls; an empty module: those without one before them."""
    return re.findall(rf"(?<![\w.:]){re.escape(module)}(\w+)\(", row.template)


def missing(path: str, module: object, names: list[str]) -> list[str]:
    return [f"{path} has no function `{name}`" for name in names if not hasattr(module, name)]


@pytest.mark.parametrize("op", sorted({*PYTHON, *ON_TENSORS, *FUNCTIONAL}))
def test_the_functions_of_numbers_are_there(op: str) -> None:
    of_python = ("abs", "is_tensor")  # of its own
    faults = missing("runtime/scalar_math.py", scalar_math, called(PYTHON[op], "scalar_math.")) if op in PYTHON else []
    faults += missing("runtime/tensors.py", tensors, called(ON_TENSORS[op], "tensors.")) if op in ON_TENSORS else []
    if op in {one.name for one in TOTALS}:
        faults += missing("runtime/totals.py", totals, called(FUNCTIONAL[op], ""))
    elif op not in of_python:
        faults += missing("runtime/tensors.py", tensors, called(FUNCTIONAL[op], ""))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("op", ON_ELEMENTS, ids=name_of)
def test_the_functions_of_elements_are_there(op: Op) -> None:
    if op.name == "pow":
        return
    header = (ROOT / "runtime" / "cpp" / "elements.h").read_text(encoding="utf-8")
    faults = [
        f"runtime/cpp/elements.h has no function `{name}`"
        for name in called(CPP[op.name], "ops::")
        if re.search(rf"\b{name}\(", header) is None
    ]
    faults += missing("runtime/triton_ops.py", triton_ops, called(TRITON[op.name], "ops."))
    faults += missing("triton.language", triton.language, called(TRITON[op.name], "tl."))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("op", sorted(TORCH_OPS))
def test_torch_has_what_rows_are_made_of(op: str) -> None:
    """Where torch has a method and no list form, a row by default is wrong: `TORCH_OPS` needs one of its own."""
    row = TORCH_OPS[op]
    for text in (row.new, row.in_place):
        for name in re.findall(r"\{0\}\.(\w+)\(", text):
            assert hasattr(torch.Tensor, name), f"torch.Tensor has no method `{name}`"
    for text in (row.new, row.in_place, row.foreach, row.foreach_in_place):
        for name in re.findall(r"torch\.(\w+)\(", text):
            assert hasattr(torch, name), f"torch has no function `{name}`"
    for name in re.findall(r"(?m)^(\w+)\(", row.foreach_in_place):
        assert hasattr(tensors, name), f"runtime/tensors.py has no function `{name}`"
