"""Whether a step becomes part of a graph.

In: a device, or nothing. Out: whether its current stream is being captured, or operations are traced. Must not know
optimizers.
"""

from __future__ import annotations

import torch


def is_captured(device: torch.device) -> bool:
    """Return whether operations on the current stream of a device are recorded into a graph instead of run."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def is_traced() -> bool:
    """Return whether operations become a graph (`make_fx`), in which host scalars would be constants."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
