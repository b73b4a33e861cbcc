"""Optimizers that torch does not have, written a second time from the source that each names: never from the specs."""

from __future__ import annotations

from tests.references.algorithms import adaptive, elementary, momentum, per_tensor, published, textbook
from tests.references.algorithms.forms import Reference

REFERENCES: dict[str, Reference] = {
    **published.REFERENCES,
    **adaptive.REFERENCES,
    **momentum.REFERENCES,
    **elementary.REFERENCES,
    **per_tensor.REFERENCES,
    **textbook.REFERENCES,
}
