"""Generated C++ kernels against the definition of the spec and beside the for-loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.support.accuracy import complaints, dtypes_of, unlike_the_for_loop
from tests.support.cpp_support import CppTraining, Options
from tests.support.triton_support import Training, combinations, every_spec

SPECS = every_spec()
CASES = [(name, dtype) for name in SPECS for dtype in dtypes_of(name)]


@pytest.mark.parametrize(("name", "dtype"), CASES, ids=str)
def test_kernels_are_as_close_to_the_definition_as_the_for_loop(name: str, dtype: torch.dtype) -> None:
    compiled = SPECS[name]
    options = Options(optimised=dtype.itemsize > 2)  # what is between conversions is optimised for float32

    def step(kernel: Training, grad: Tensor) -> None:
        assert isinstance(kernel, CppTraining)
        kernel.step_cpp(grad, options)

    found: list[str] = []
    for values in combinations(compiled):
        # Negating the gradient is exact in every dtype: one will do.
        if dtype is torch.float32 or not values["maximize"]:
            found += complaints(compiled, values, dtype, step, CppTraining.start)
    assert not found, "\n".join(found)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")
@pytest.mark.parametrize(("name", "dtype"), [case for case in CASES if case[1].itemsize >= 4], ids=str)
def test_nan_and_infinity_propagate_as_in_the_for_loop(name: str, dtype: torch.dtype) -> None:
    compiled = SPECS[name]
    found: list[str] = []
    for values in combinations(compiled):
        found += unlike_the_for_loop(compiled, values, dtype, CppTraining.step_cpp, CppTraining.start)
    assert not found, "\n".join(found)
