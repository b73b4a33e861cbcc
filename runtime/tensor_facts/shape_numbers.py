"""The numbers of a parameter's shape and dtype, as conditions and updates read them.

In: a parameter as users have it: of a DTensor, whose shape is that of the global tensor. Out: its numbers by name
(`thetac/shape_numbers.py`). Must not know who reads them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.shape_numbers import shape_numbers


def shape_numbers_of(param: Tensor) -> dict[str, float]:
    """Return all numbers of a parameter, by name; of a complex one those of the complex tensor."""
    return shape_numbers(param.shape, _epsilon(param.dtype))


def _epsilon(dtype: torch.dtype) -> float:
    """Return the machine epsilon of a dtype; 1, the distance to the next whole number, of one of integers."""
    return torch.finfo(dtype).eps if dtype.is_floating_point or dtype.is_complex else 1.0
