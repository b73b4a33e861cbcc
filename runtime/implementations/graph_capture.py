"""Whether a step is being captured into a CUDA graph.

In: a device. Out: whether its current stream is being captured. Must not know optimizers.
"""

from __future__ import annotations

import torch


def is_captured(device: torch.device) -> bool:
    """Return whether operations on the current stream of a device are recorded into a graph instead of run."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()
