"""foreach equals the for-loop in every bit, for the optimizers that torch does not have.

test_torch_parity.py says the same of those that torch has.
"""

from __future__ import annotations

import random
from functools import partial

import pytest
import torch

import thetac
from tests.references.rules import rules
from tests.references.settings import settings_of
from tests.references.torch_inputs import IN_TORCH
from tests.references.training import run
from tests.support.comparing import assert_same_bits
from tests.support.every_optimizer import MINIMIZERS, one_in

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.complex128)
AT_MOST = 12  # settings of one optimizer


@pytest.mark.parametrize("dtype", one_in(2, DTYPES), ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("name", sorted(rules().keys() - {*IN_TORCH, *MINIMIZERS}))
def test_same_bits_as_the_for_loop(name: str, dtype: torch.dtype) -> None:
    """All shapes and layouts, two groups, a late gradient, special values, maximize, several step counts at once."""
    if dtype.is_complex and getattr(thetac, name).schema.complex_error:
        return  # refused: `test_torch_cases.py`
    settings = list(settings_of(name))
    generator = random.Random(str(dtype))
    for case in generator.sample(settings, min(AT_MOST, len(settings))):
        make = partial(getattr(thetac, name), maximize=generator.random() < 0.5, **case)
        compare = partial(_compare, f"{name} with {case}")
        constructs = [partial(make, foreach=False), partial(make, foreach=True)]
        run(constructs, dtype, steps=7, other={"lr": 0.1}, preload={5: 68}, compare=compare)


def _compare(case: str, expected: torch.optim.Optimizer, actual: torch.optim.Optimizer, message: str) -> None:
    assert_same_bits(expected, actual, f"{case}, {message}")
