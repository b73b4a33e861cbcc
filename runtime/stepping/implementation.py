"""The implementations there are. Must not know when which of them runs: `choice.py` does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from thetac.runtime.implementations.launch_cpp import CppLauncher
from thetac.runtime.implementations.launch_triton import TritonLauncher
from thetac.runtime.implementations.launcher import MakeLauncher


class Implementation(Enum):
    """The implementations of an update rule; the values are their names in messages."""

    FOR_LOOP = "for-loop"
    ON_TENSORS = "for-loop on tensors"  # hyperparameters and counters stay tensors: for capturable and differentiable
    FOREACH = "foreach"
    TRITON = "Triton"
    CPP = "C++"


FUSED = frozenset({Implementation.TRITON, Implementation.CPP})


@dataclass(frozen=True, slots=True)
class Choice:
    """The implementation for a parameter, and why it was chosen."""

    implementation: Implementation
    reason: str  # in words, for `explain()`
    is_fallback: bool = False  # whether what the group asks for cannot take the parameter
    is_explicit: bool = False  # whether an option asks for it by name


def launcher_of(implementation: Implementation) -> MakeLauncher:
    """Return the launcher class of a fused implementation."""
    match implementation:
        case Implementation.TRITON:
            return TritonLauncher
        case Implementation.CPP:
            return CppLauncher
        case _:
            raise AssertionError(f"{implementation.value} is not a fused implementation")
