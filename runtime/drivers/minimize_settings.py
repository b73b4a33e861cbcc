"""What a group says about minimizations, and which options they do not have.

In: a parameter group. Out: its values as a step reads them, or errors in torch's wording. Must not know what a step
does with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from thetac.runtime.param_groups.groups import option
from thetac.runtime.schema import Group

STRONG_WOLFE, NONMONOTONE = "strong_wolfe", "nonmonotone"

_UNSUPPORTED = {
    "capturable": "the host decides after every evaluation how to go on",
    "differentiable": "it calls backward itself",
    "clip_grad_norm": "its searches need the gradient of the loss that they see",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of a group that decide when a step ends."""

    lr: float | Tensor  # a tensor is 0-d, and a copy
    max_iter: int
    max_eval: int
    tolerance_grad: float
    tolerance_change: float
    search: str | None
    maximize: bool


def settings_of(name: str, group: Group) -> Settings:
    """Return the settings of a group.

    Args:
        name: The optimizer's, for messages.
        group: The group.

    Raises:
        RuntimeError: The search is unknown, or an option is not supported.
    """
    check_supported(name, group)
    search = group["line_search_fn"]
    if search not in (None, STRONG_WOLFE, NONMONOTONE):
        raise RuntimeError(f"only '{STRONG_WOLFE}' is supported, and '{NONMONOTONE}', not {search!r}")
    lr: Any = group["lr"]
    return Settings(
        lr=lr.detach().clone().squeeze() if isinstance(lr, Tensor) else lr,
        max_iter=group["max_iter"],
        max_eval=default_evaluations(group),
        tolerance_grad=group["tolerance_grad"],
        tolerance_change=group["tolerance_change"],
        search=search,
        maximize=bool(option(group, "maximize")),
    )


def check_supported(name: str, group: Group) -> None:
    """Raise RuntimeError if a group has an option that no minimization can follow."""
    for key, reason in _UNSUPPORTED.items():
        if option(group, key):
            raise RuntimeError(f"{name} does not support {key}: {reason}")


def default_evaluations(group: Mapping[str, Any]) -> int:
    """Return how many evaluations a step has at most: what the group says, or five for four directions."""
    most: int | None = group["max_eval"]
    return group["max_iter"] * 5 // 4 if most is None else most
