"""The options that every optimizer has, whatever its algorithm: one row each.

The compiler makes constructors and documentation of them, the runtime reads them from parameter groups. Neither may
import the other, so the table lies where both can read it. It imports nothing of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """An argument of every constructor, and a key of parameter groups."""

    name: str
    type: str  # as Python writes it
    default: bool | float | None
    doc: str  # for the documentation of arguments
    in_update: bool = False  # a truth value that updates read as they do a flag: implementations are called with it
    in_plan: bool = False  # the runtime plans steps by it: another value makes a plan invalid


_ROWS = (
    Option("maximize", "bool", False, "maximize the objective instead of minimizing it", in_update=True),
    Option(
        "foreach",
        "bool | None",
        None,
        "work on lists of tensors; by default where that is the fastest that fits",
        in_plan=True,
    ),
    Option(
        "capturable",
        "bool",
        False,
        "keep step counts on the device, so that a step can be captured in a CUDA graph",
        in_plan=True,
    ),
    Option("differentiable", "bool", False, "let autograd run through the step", in_plan=True),
    Option(
        "fused",
        "bool | None",
        None,
        "do a whole step in one kernel: Triton on a GPU, C++ on a CPU; by default where that fits",
        in_plan=True,
    ),
    Option(
        "clip_grad_norm",
        "float | None",
        None,
        "scale gradients down to this global norm within the step; the gradients themselves stay as they are",
    ),
)

OPTIONS: Mapping[str, Option] = {option.name: option for option in _ROWS}
IN_UPDATE = tuple(option.name for option in _ROWS if option.in_update)
IN_PLAN = tuple(option.name for option in _ROWS if option.in_plan)
