"""The state of a minimization, which belongs to the first parameter: flat vectors, numbers and lists of them.

In: an entry of `optimizer.state` or of a checkpoint, ours or torch's. Out: errors where it does not fit, and tensors in
the dtype and on the device of the vectors of this step. Must not know what is done with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from thetac.runtime.drivers.flat_view import as_reals
from thetac.runtime.drivers.history import KEYS, SCRATCH
from thetac.runtime.tensor_facts.dtensors import get_local

_LISTS = (*KEYS[:3], SCRATCH)


def check_entry(entry: object, params: Sequence[Tensor]) -> None:
    """Raise TypeError or ValueError if the state of a checkpoint does not fit the parameters.

    Args:
        entry: What it has for the first parameter.
        params: All parameters.
    """
    if not isinstance(entry, Mapping):
        raise TypeError(f"the loaded state of parameter 0 must be a dict, not {type(entry).__name__}")
    numel = sum(as_reals(get_local(param)).numel() for param in params)
    for key in ("d", "prev_flat_grad", *KEYS[:2]):
        found = entry.get(key)
        for vector in found if isinstance(found, list | tuple) else [] if found is None else [found]:
            if not isinstance(vector, Tensor):
                raise TypeError(f"loaded `{key}` must be a tensor, not {type(vector).__name__}")
            if vector.shape != (numel,):
                raise ValueError(
                    f"loaded `{key}` has the shape {tuple(vector.shape)}, and the parameters have {numel} real numbers"
                )
    counts = {key: len(entry[key]) for key in KEYS[:3] if entry.get(key) is not None}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} in `{key}`" for key, count in counts.items())
        raise ValueError(f"the loaded history has {found}: every pair has one of each")


def fitted(entry: Mapping[str, Any], like: Tensor) -> dict[str, Any]:
    """Return an entry whose tensors have the dtype and device of a flat vector; those that have are not copied."""
    return {key: _fitted(value, like) if key != "t" else value for key, value in entry.items()}


def _fitted(value: Any, like: Tensor) -> Any:
    if isinstance(value, list):
        return [_fitted(one, like) for one in value]
    return value.to(like.device, like.dtype) if isinstance(value, Tensor) else value
