"""The form of a reference.

A reference takes the starting point, the gradients of all steps, and hyperparameters with the source's defaults.
It gives the last point and what it remembers, under the names that the specs give to the same quantities.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Memory = dict[str, Array | float]
Result = tuple[Array, Memory]
Reference = Callable[..., Result]
Pair = tuple[float, float]
Triple = tuple[float, float, float]
