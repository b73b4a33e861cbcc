"""D-Adaptation's Adam with the scale of layers as an argument, which its authors take in groups alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dadaptation import DAdaptAdam
from torch import Tensor


class DAdaptAdamWithScale(DAdaptAdam):  # type: ignore[misc]  # the package has no types
    """The authors' class, whose groups all have this scale."""

    def __init__(self, params: Iterable[Tensor], layer_scale: float = 1.0, **arguments: Any) -> None:
        super().__init__(params, **arguments)
        for group in self.param_groups:
            group["layer_scale"] = layer_scale
