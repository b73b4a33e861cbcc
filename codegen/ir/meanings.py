"""What arguments of well-known names mean, for specs that do not say it.

Names that are not here, and not `weight_decay`, whose meaning follows from its style, need a `doc` in the spec. Must
not know any spec.
"""

from __future__ import annotations

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "lr": "learning rate",
    "max_lr": "largest learning rate of the schedule",
    "betas": "coefficients of the running averages",
    "eps": "term added to the denominator for numerical stability",
    "momentum": "momentum factor",
    "dampening": "dampening for momentum",
    "nesterov": "enable Nesterov momentum",
    "amsgrad": "use the maximum of all second moments so far",
}
"""By name, in torch's words where torch documents the name."""


def has_usual_meaning(name: str) -> bool:
    """Return whether an argument of this name is documented without a `doc` in the spec."""
    return name in MEANINGS or name == "weight_decay"
