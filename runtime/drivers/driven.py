"""The base class of all drivers: an optimizer whose rule has pieces, and what it says of them.

In: an optimizer. Out: its pieces, made when they are first needed, and the text of `explain`. Must not know when a
piece runs.
"""

from __future__ import annotations

from thetac.runtime.drivers.pieces import Pieces
from thetac.runtime.optimizer import Optimizer


class Driven(Optimizer):
    """An optimizer whose rule has pieces beside its update."""

    _kept_pieces: Pieces | None = None  # never pickled

    @property
    def _pieces(self) -> Pieces:
        if self._kept_pieces is None:
            self._kept_pieces = Pieces(self.schema)
        return self._kept_pieces

    def explain(self) -> str:
        """Return a text: what updates which parameters and why, then the same of each piece that has run."""
        return "\n".join([super().explain(), *self._pieces.explain(self.param_groups, self.state)])
