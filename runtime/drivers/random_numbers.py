"""Random numbers that depend on nothing but a seed, a parameter, an element of it, and a draw.

In: these numbers. Out: signs, from Philox 4x32 with 10 rounds (Salmon et al., Parallel random numbers: as easy as 1, 2,
3, SC 2011), in torch's int64 operations. They are the same on every device, in every dtype and for any sharding. Must
not know what they are for.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from thetac.runtime.tensor_facts.dtensors import is_dtensor

Words = tuple[Tensor, Tensor, Tensor, Tensor]  # of 32 bits each, in int64

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_SIGNS = 128  # of one counter: a bit for each
_AT_ONCE = 1 << 13  # counters, which bounds the memory of intermediate results


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Return 128 random bits for each counter.

    Args:
        counter: Four words of equal shape, the least significant first.
        key: Two words.
    """
    a, b, c, d = counter
    low, high = key
    for _ in range(_ROUNDS):
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]  # modulo 2**64, of which all bits are used
        a, b, c, d = (second >> 32) & _MASK ^ b ^ low, second & _MASK, (first >> 32) & _MASK ^ d ^ high, first & _MASK
        low, high = (low + _KEY_STEPS[0]) & _MASK, (high + _KEY_STEPS[1]) & _MASK
    return a, b, c, d


def rademacher_like(param: Tensor, seed: int, number: int, draw: int) -> Tensor:
    """Return a random sign, 1 or -1, for each element of a parameter.

    The sign of an element follows from its place among all elements in row-major order, whatever the parameter's
    memory is like. The local shard of a DTensor has the signs of its elements of the whole.

    Args:
        param: The parameter, of any floating dtype.
        seed: From 0 to below 2**64.
        number: Which parameter it is, below 2**32.
        draw: Which draw it is; counted modulo 2**32.

    Returns:
        A tensor of the parameter's shape, dtype, device and placements.
    """
    if not is_dtensor(param):
        return _signs(0, param.numel(), param, seed, number, draw).view(param.shape)
    from torch.distributed.tensor import DTensor, Replicate  # imported already: there is a DTensor

    mesh, device = param.device_mesh, param.to_local().device
    whole = torch.arange(param.numel(), dtype=torch.int64, device=device).view(param.shape)
    placed = DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False)
    places = placed.redistribute(placements=param.placements).to_local()
    local = torch.empty_like(places, dtype=param.dtype)
    if places.numel():
        first = int(places.min()) // _SIGNS * _SIGNS
        local = _signs(first, int(places.max()) + 1, local, seed, number, draw)[places - first]
    return DTensor.from_local(local, mesh, param.placements, run_check=False, shape=param.shape, stride=whole.stride())


def _signs(first: int, end: int, like: Tensor, seed: int, number: int, draw: int) -> Tensor:
    """Return the signs of the elements from `first`, a multiple of 128, to before `end`, in a row."""
    key = (seed & _MASK, seed >> 32)
    values, bits = (torch.arange(count, dtype=torch.int64, device=like.device) for count in (256, 8))
    numbers = values.unsqueeze(-1) >> bits & 1
    of_bytes = (numbers * 2 - 1).to(like.dtype)  # what each byte stands for: many times faster than bit by bit
    signs = torch.empty(-(-(end - first) // _SIGNS), _SIGNS // 8, 8, dtype=like.dtype, device=like.device)
    for start, blocks in _chunks(first // _SIGNS, first // _SIGNS + len(signs), like.device):
        of_all = torch.full_like(blocks, number), torch.full_like(blocks, draw & _MASK)
        words = torch.stack(philox((blocks & _MASK, blocks >> 32, *of_all), key), dim=-1)
        in_bytes = words.to(torch.int32).view(torch.uint8)  # the least significant first
        signs[start : start + len(blocks)] = of_bytes[in_bytes.to(torch.int32)]
    return signs.view(-1)[: end - first]


def _chunks(first: int, end: int, device: torch.device) -> Iterator[tuple[int, Tensor]]:
    """Yield the numbers from `first` to before `end` in order, with their distance from it."""
    for start in range(first, end, _AT_ONCE):
        yield start - first, torch.arange(start, min(start + _AT_ONCE, end), dtype=torch.int64, device=device)
