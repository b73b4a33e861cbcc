"""The parameters of one group as one flat vector of reals.

In: parameters. Out: their gradients in one vector, and motion of the parameters along such a vector. A complex number
is two reals, a sparse gradient is made dense, and a parameter without a gradient has zeros. Of DTensors it is the
vector of this process's shards. Must not know why parameters move.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensor_facts.dtensors import RedistributedGradients, get_local, is_dtensor


class FlatView:
    """The parameters of a step, which writes to them in place, one after another in the flat vector."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        """Take the views that a step needs; the parameters keep their memory while it runs.

        Args:
            params: The parameters, all on one device.
        """
        self.params = params
        self._has_dtensors = any(map(is_dtensor, params))
        self.local = [as_reals(get_local(param)) for param in params]
        self.sizes = [tensor.numel() for tensor in self.local]
        self.numel = sum(self.sizes)

    def gradient(self) -> Tensor:
        """Return the gradients as one new vector.

        Raises:
            RuntimeError: A gradient cannot be redistributed as its parameter is.
        """
        placed = RedistributedGradients() if self._has_dtensors else None
        return _joined([self._flat_grad(index, placed) for index in range(len(self.params))])

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return the parts of a flat vector as views in the shapes of the parameters."""
        return torch._C._nn.unflatten_dense_tensors(vector, self.local)

    def copy(self, into: list[Tensor] | None = None) -> list[Tensor]:
        """Return copies of the parameters.

        Args:
            into: Earlier copies, which these may overwrite.
        """
        if not into:
            return [tensor.clone() for tensor in self.local]
        torch._foreach_copy_(into, self.local)
        return into

    def restore(self, values: list[Tensor]) -> None:
        """Give the parameters the values that `copy` has returned."""
        torch._foreach_copy_(self.local, values)

    def move(self, parts: list[Tensor], length: float | Tensor) -> None:
        """Move the parameters along a vector.

        Args:
            parts: The vector, as `split` returns it.
            length: What it is multiplied by; a tensor has one element.
        """
        torch._foreach_add_(self.local, parts, alpha=length.item() if isinstance(length, Tensor) else length)

    def _flat_grad(self, index: int, placed: RedistributedGradients | None) -> Tensor:
        """Return the gradient of a parameter as a vector, which may be a view of it."""
        param, local = self.params[index], self.local[index]
        grad = param.grad
        if grad is None:
            return local.new_zeros(local.numel())
        if placed is not None and is_dtensor(param):
            if not is_dtensor(grad):
                raise RuntimeError(f"parameter {index} is a DTensor, and its gradient is none")
            grad = get_local(placed.redistribute(param, grad, f"parameter {index}"))
        if grad.layout is not torch.strided:
            grad = grad.to_dense()
        return as_reals(grad).reshape(-1)


def as_reals(tensor: Tensor) -> Tensor:
    """Return a tensor, or a complex one as pairs of reals in the same memory."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _joined(vectors: list[Tensor]) -> Tensor:
    """Return vectors one after another, in memory of their own."""
    return torch.cat(vectors) if len(vectors) > 1 else vectors[0].clone()
