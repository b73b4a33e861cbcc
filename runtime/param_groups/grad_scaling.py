"""What is done to all gradients before a step uses them: unscaled as torch's GradScaler asks, clipped by global norm.

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
    """grad / grad_scale * clip_coefficient; None: not. The quotient is stored as the gradient, the product is not."""

    grad_scale: Tensor | None = None  # 0-d or 1-element
    clip_coefficient: Tensor | None = None  # 0-d
    found_inf: Tensor | None = None  # 1 element; not 0: nothing is written. None: the host knows that the step is done

    def __bool__(self) -> bool:
        return self.grad_scale is not None or self.clip_coefficient is not None

    def apply(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """Unscale gradients in place and return clipped copies, where kernels do not do it on the fly."""
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
        """Return whether nothing is written: 0-d, on this device, which `found_inf` must have been given for."""
        assert self.found_inf is not None
        return self.found_inf.reshape(()).to(device) != 0


NONE = Scaling()


def max_norm_of(groups: Sequence[Group]) -> float | None:
    """Return `clip_grad_norm` of all groups; raise ValueError if they differ, as there is one norm for all."""
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
    """Return what gradients of this norm are multiplied by: at most 1, and NaN or 0 where torch's has it so."""
    return (max_norm / (norm + _EPSILON)).clamp(max=1.0)


def sum_of_squares(grads: Sequence[Tensor]) -> Tensor:
    """Return that of gradients of one device: 0-d float64; of complex numbers the squares of their magnitudes."""
    norms = [to_global(torch.linalg.vector_norm(_values_of(grad))).to(torch.float64) for grad in grads]
    total: Tensor = torch.stack(norms).square().sum()
    return total


def _values_of(grad: Tensor) -> Tensor:
    """Return what is stored of a sparse gradient, once for each entry; a dense one as it is."""
    return grad.coalesce().values() if grad.is_sparse else grad


def _beside(number: Tensor, grad: Tensor) -> Tensor:
    """Return a scalar as a 0-d tensor on the gradient's device."""
    return number.reshape(()).to(grad.device)
