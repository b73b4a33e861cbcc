"""The implementations there are. Must not know when which of them runs: `choice.py` does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from thetac.runtime.implementations.launch_cpp import CppLauncher
from thetac.runtime.implementations.launch_triton import TritonLauncher
from thetac.runtime.implementations.launcher import MakeLauncher


class Implementation(Enum):
    FOR_LOOP = "for-loop"
    ON_TENSORS = "for-loop on tensors"  # no number leaves its tensor: for capturable and differentiable
    FOREACH = "foreach"
    TRITON = "Triton"
    CPP = "C++"


FUSED = frozenset({Implementation.TRITON, Implementation.CPP})


@dataclass(frozen=True, slots=True)
class Choice:
    implementation: Implementation
    reason: str
    is_fallback: bool = False  # of a parameter that what its group asks for cannot take
    is_explicit: bool = False  # asked for by name


def launcher_of(implementation: Implementation) -> MakeLauncher:
    """Return what launches the kernels of a fused implementation."""
    match implementation:
        case Implementation.TRITON:
            return TritonLauncher
        case Implementation.CPP:
            return CppLauncher
        case _:
            raise AssertionError(f"{implementation.value} is not a fused implementation")
