"""Optimizers with modes in tests of all optimizers: they begin in training mode there, and step as others do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from thetac.drivers import TRAIN_MODE
from thetac.runtime.drivers.modes import Modes


def train_from_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let constructors call `train()`, as users do before the first step; defaults then say so, as groups do."""
    construct = Modes.__init__

    def construct_and_train(self: Modes, *arguments: Any, **keywords: Any) -> None:
        construct(self, *arguments, **keywords)
        self.train()
        self.defaults[TRAIN_MODE] = True

    monkeypatch.setattr(Modes, "__init__", construct_and_train)


def call_train(optimizer: object) -> None:
    """Call `train()` of an optimizer, ours or its authors', that has it."""
    if hasattr(optimizer, "train"):
        optimizer.train()


def evaluated(optimizer: object, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return copies of the parameters where an optimizer has its model evaluated; go on with training."""
    if not hasattr(optimizer, "eval"):
        return []
    optimizer.eval()
    found = [parameter.detach().clone() for parameter in parameters]
    call_train(optimizer)
    return found
