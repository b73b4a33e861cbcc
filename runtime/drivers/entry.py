"""Optimizers with a method that runs a piece on gradients of the user's own, outside of a step.

In: gradients that another backward pass has left. Out: states that the piece has updated. The generated class has the
method, under the name that the spec gives it.
"""

from __future__ import annotations

from torch._compile import _disable_dynamo

from thetac.drivers import ENTRY_PIECE
from thetac.runtime.drivers.driven import Driven


class Entry(Driven):
    """An optimizer whose rule has a piece that users run."""

    @_disable_dynamo
    def run_entry(self) -> None:
        """Run the piece for every parameter that has a gradient."""
        self._pieces.run(ENTRY_PIECE, self.param_groups, self.state)
