"""The base class of all drivers: an optimizer whose rule has pieces, and what it says of them.

In: an optimizer. Out: its pieces, made when they are first needed, and the text of `explain`. Must not know when a
piece runs.
"""

from __future__ import annotations

import torch

from thetac.runtime.drivers.pieces import Pieces
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups.integer_counters import as_tensors
from thetac.runtime.stepping.stepper import Stepper


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

    def _check_update(self) -> None:
        """Raise what the update would raise before it writes anything, since what comes before it may write, too."""
        if self._stepper is None:
            self._stepper = Stepper(self.schema)
        with torch.no_grad(), as_tensors(self.schema, self.param_groups, self.state):
            self._stepper.check(self.param_groups, self.state)

    def _refuse_scaler(self, why: str) -> None:
        """Raise RuntimeError if a GradScaler has called the step; the class and `why` are what it says."""
        if getattr(self, "found_inf", None) is None:
            return
        del self.grad_scale, self.found_inf  # type: ignore[attr-defined]  # the scaler leaves them after an error
        raise RuntimeError(f"{type(self).__name__} {why}")
