"""Scale all gradients before a step uses them: unscale them as torch's GradScaler asks, clip them by global norm.

In: what the scaler hands to a fused optimizer, the option `clip_grad_norm` of the groups, and the gradients. Out: one
`Scaling`, which kernels apply on the fly and other implementations to copies. It also says whether the step is one to
skip, as far as only the device knows that. Must not know of implementations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from thetac.runtime.param_groups.groups import check_options, option
from thetac.runtime.schema import Group
from thetac.runtime.tensor_facts.dtensors import to_global

_EPSILON = 1e-6  # of torch.nn.utils.clip_grad_norm_


@dataclass(frozen=True, slots=True)
class Scaling:
    """What gradients become before use: grad / grad_scale * clip_coefficient.

    The quotient is stored as the gradient, the product is not.
    """

    grad_scale: Tensor | None = None  # one element, by which gradients are divided; None: they are not
    clip_coefficient: Tensor | None = None  # 0-d, with which they are multiplied; None: they are not
    found_inf: Tensor | None = None  # one element; nothing is written if it is not 0. None: the step is not skipped

    def __bool__(self) -> bool:
        """Return whether gradients change at all."""
        return self.grad_scale is not None or self.clip_coefficient is not None

    def apply(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """Unscale gradients in place and return clipped copies, where kernels do not do it on the fly.

        Args:
            grads: Gradients of any dtypes and devices, sparse ones included.

        Returns:
            Clipped copies in the dtypes of the gradients; the gradients themselves if they are not clipped.
        """
        if self.grad_scale is not None:
            for grad in grads:
                scale = _beside(self.grad_scale, grad)
                if self.found_inf is not None:
                    scale = torch.where(self.is_skipped_on(grad.device), 1.0, scale)
                # Entries that occur twice may be divided one by one.
                (grad._values() if grad.is_sparse else grad).div_(scale)
        if self.clip_coefficient is None:
            return list(grads)
        return [(grad * _beside(self.clip_coefficient, grad)).to(grad.dtype) for grad in grads]

    def is_skipped_on(self, device: torch.device) -> Tensor:
        """Return whether the step is skipped as a 0-d bool tensor on a device; `found_inf` must not be None."""
        assert self.found_inf is not None
        return self.found_inf.reshape(()).to(device) != 0


NONE = Scaling()


def max_norm_of(groups: Sequence[Group]) -> float | None:
    """Return `clip_grad_norm`, which all groups share, or None if it is not set.

    Raises:
        ValueError: The groups differ, while the norm is one over all parameters; or the value is negative or NaN.
        TypeError: The value is no number.
    """
    if len(groups) == 1 and option(groups[0], "clip_grad_norm") is None:
        return None
    values = list(dict.fromkeys([option(group, "clip_grad_norm") for group in groups]))
    if len(values) > 1:
        raise ValueError(
            "clip_grad_norm limits one norm over all parameters, so all groups must have the same, "
            f"not {', '.join(map(str, values))}"
        )
    if not values or values[0] is None:
        return None
    check_options(groups[0])
    return cast("float", values[0])


def compute_clip_coefficient(norm: Tensor, max_norm: float) -> Tensor:
    """Return the factor that limits gradients to a norm, as `torch.nn.utils.clip_grad_norm_` has it.

    Args:
        norm: The global norm of the gradients, 0-d.
        max_norm: The largest norm that is allowed.

    Returns:
        A 0-d tensor of at most 1: NaN for a norm of NaN, 0 for an infinite one.
    """
    return (max_norm / (norm + _EPSILON)).clamp(max=1.0)


def sum_of_squares(grads: Sequence[Tensor]) -> Tensor:
    """Return the sum of the squares of all elements, of complex ones of the squares of their magnitudes.

    Args:
        grads: Gradients on one device, at least one.

    Returns:
        A 0-d float64 tensor on their device.
    """
    norms = [to_global(torch.linalg.vector_norm(_values_of(grad))).to(torch.float64) for grad in grads]
    total: Tensor = torch.stack(norms).square().sum()
    return total


def _values_of(grad: Tensor) -> Tensor:
    """Return the stored values of a sparse gradient, with duplicate entries summed; a dense gradient as it is."""
    return grad.coalesce().values() if grad.is_sparse else grad


def _beside(number: Tensor, grad: Tensor) -> Tensor:
    """Return a scalar as a 0-d tensor on the gradient's device."""
    return number.reshape(()).to(grad.device)
