"""What all generated optimizers share: groups, state, serialization, backend choice, launching. Names no algorithm.

`thetac.runtime.optimizer.Optimizer` is the class behind every generated one, `thetac.runtime.schema` how generated
code describes itself, `GenericOptimizer` the base class for rules written by hand. Importing this package imports none
of them: a class costs nothing until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thetac.runtime.generic_optimizer import GenericOptimizer as GenericOptimizer


def _member(name: str) -> object:
    if name != "GenericOptimizer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from thetac.runtime.generic_optimizer import GenericOptimizer

    return GenericOptimizer


if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for one of ours
    __getattr__ = _member
