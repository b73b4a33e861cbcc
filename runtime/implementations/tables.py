"""Tables that kernels read, the same for every launcher.

In: the sizes of the tensors of a bucket. Out: tables on the host. Must not know launchers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensor_facts.memory import pack_integers

# Columns of the address table, int64 [tensors, HEADER + streams]: one address per stream follows the header. Kernels
# are compiled for HEADER. `TensorEntry` in runtime/cpp/launch.h, the template of Triton kernels and triton_norm.py read
# the other columns by literal index.
ELEMENTS = 0  # number of elements of the tensor
ROW = 1  # index of its scalar row
ALIGNED = 2  # whether all addresses are multiples of ALIGNMENT
HEADER = 3

ALIGNMENT = 16  # bytes, for 128-bit loads and stores


def shape_table(shapes: Sequence[torch.Size], sizes: Sequence[int], *, of_matrix: bool) -> Tensor:
    """Return the shapes of tensors as kernels see them, in rows and columns.

    Args:
        shapes: of the tensors of a bucket
        sizes: numbers of elements; where these are twice what the shape says, so are the columns
        of_matrix: whether a tensor is one matrix with a row for each index of its first axis, and not matrices of its
            last two axes

    Returns:
        int64 [tensors, 3]: the number of matrices, the rows of each, the columns
    """
    rows = []
    for shape, size in zip(shapes, sizes, strict=True):
        columns = shape[-1] if shape else 1
        parts = size // shape.numel() if size else 1
        if of_matrix and len(shape) > 2:
            rows.append((1, shape[0], shape[1:].numel() * parts))
            continue
        rows.append((shape[:-2].numel(), shape[-2] if len(shape) > 1 else 1, columns * parts))
    return torch.tensor(rows, dtype=torch.int64, device="cpu").view(-1, 3)


def chunk_table(sizes: Sequence[int] | Tensor, chunk: int) -> Tensor:
    """Return the pieces that kernels update, each by one program or one thread.

    Args:
        sizes: numbers of elements of the tensors of a bucket; as a tensor int64
        chunk: number of elements of a piece, but for the last of each tensor

    Returns:
        int32 [pieces, 2]: for every piece the index of its tensor and its own index within that tensor
    """
    if not len(sizes):
        return torch.empty((0, 2), dtype=torch.int32, device="cpu")
    sizes = sizes if isinstance(sizes, Tensor) else pack_integers(sizes)
    counts = (sizes + (chunk - 1)) // chunk
    tensors = torch.repeat_interleave(counts)
    first = torch.cumsum(counts, 0) - counts
    indices = torch.arange(len(tensors), dtype=torch.int64, device="cpu") - first[tensors]
    return torch.stack((tensors, indices), dim=1).to(torch.int32)
