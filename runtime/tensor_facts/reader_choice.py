"""Which tensor reader is used: the compiled one, unless it cannot be built or an environment variable turns it off.

In: the environment. Out: a reader. Must not know of optimizers.
"""

from __future__ import annotations

import os
from functools import cache

from thetac.runtime.building.compiled_objects import BuildError
from thetac.runtime.tensor_facts.compiled_reader import load_compiled_reader
from thetac.runtime.tensor_facts.python_reader import PythonReader
from thetac.runtime.tensor_facts.tensor_reader import TensorReader

_PYTHON_READER = PythonReader()


def load_reader() -> TensorReader:
    """Load the tensor reader of this process, and build the compiled one first if it was never built on this machine.

    `THETAC_COMPILED_READER=0` asks for the one in Python. Every call reads the variable. Calls are too slow for
    every step: keep what is returned.

    Returns:
        The compiled reader, or the one in Python where the compiled one cannot be built or does not fit this torch.

    Raises:
        RuntimeError: The variable has another value than 0 and 1.
    """
    asked = os.environ.get("THETAC_COMPILED_READER", "") or "1"
    if asked == "0":
        return _PYTHON_READER
    if asked == "1":
        return _load_best()
    raise RuntimeError(f"THETAC_COMPILED_READER is {asked!r}; it can be '1', or '0' to read tensors in Python alone")


@cache
def _load_best() -> TensorReader:
    """Load the compiled reader, or return the one in Python where the compiled one cannot be built or used."""
    try:
        return load_compiled_reader() or _PYTHON_READER
    except BuildError:
        return _PYTHON_READER
