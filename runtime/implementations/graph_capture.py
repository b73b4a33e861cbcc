"""Whether a step becomes part of a CUDA graph. Must not know of optimizers."""

from __future__ import annotations

import torch


def is_captured(device: torch.device) -> bool:
    """Return whether operations on the current stream of a device become part of a graph instead of running."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()
