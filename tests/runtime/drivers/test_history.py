"""Histories: products with the inverse Hessian are those of its matrix, and bits do not depend on the way there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from thetac.runtime.drivers.history import History, inverse_hessian, remember
from thetac.runtime.drivers.history_cpp import CompiledHistory
from thetac.runtime.drivers.sums import Sums

KINDS = ["torch", "C++"]
Pairs = Sequence[tuple[Tensor, Tensor]]


def make(kind: str, size: int, numel: int, dtype: torch.dtype) -> History:
    return CompiledHistory(size, Sums(numel), dtype) if kind == "C++" else History(size, Sums(numel))


def pairs_of(count: int, numel: int, dtype: torch.dtype) -> Pairs:
    """Steps, and the changes of the gradient of a quadratic function along them, all but for some noise."""
    generator = torch.Generator().manual_seed(count)
    curvature = torch.linspace(0.5, 3, numel, dtype=torch.float64)
    steps = [torch.randn(numel, generator=generator, dtype=torch.float64) for _ in range(count)]
    noise = 0.05 * torch.randn(numel, generator=generator, dtype=torch.float64)
    return [(s.to(dtype), (s * (curvature + noise.abs())).to(dtype)) for s in steps]


def product(pairs: Pairs, q: Tensor) -> Tensor:
    """By the matrix, in float64: Nocedal and Wright, equation 6.17, from the oldest pair on."""
    exact = [(s.double().numpy(), y.double().numpy()) for s, y in pairs]
    identity = np.eye(q.numel())
    s, y = exact[-1]
    matrix = s @ y / (y @ y) * identity
    for s, y in exact:
        rho = 1 / (y @ s)
        left = identity - rho * np.outer(s, y)
        matrix = left @ matrix @ left.T + rho * np.outer(s, s)
    return torch.from_numpy(matrix @ q.double().numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "size"), [(1, 5), (4, 5), (5, 5), (9, 5), (3, 1)])
def test_products_are_those_of_the_matrix(kind: str, count: int, size: int, dtype: torch.dtype) -> None:
    """At every number of pairs on the way."""
    numel = 53
    pairs = pairs_of(count, numel, dtype)
    history = make(kind, size, numel, dtype)
    q = torch.randn(numel, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    for number, (s, y) in enumerate(pairs, 1):
        remember(history, s, y, 1e-10)
        given = q.clone()
        found = inverse_hessian(history, q)
        assert torch.equal(q, given)
        wanted = product(pairs[max(0, number - size) : number], q)
        bound = {"C++": 2, "torch": 60}[kind] * torch.finfo(dtype).eps if dtype is torch.float32 else 1e-13
        assert (found.double() - wanted).norm() < bound * wanted.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_without_curvature_is_not_kept(kind: str) -> None:
    history = make(kind, 5, 4, torch.float64)
    s = torch.ones(4, dtype=torch.float64)
    remember(history, s, -s, 1e-10)
    q = torch.arange(4.0, dtype=torch.float64)
    assert torch.equal(inverse_hessian(history, q), q)
    remember(history, s, 2 * s, 1e-10)
    remember(history, s, 1e-12 * s, 1e-10)
    assert (len(history.changes), len(history.steps), len(history.reciprocals)) == (1, 1, 1)
    torch.testing.assert_close(inverse_hessian(history, s), s / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_no_pair_may_be_kept(kind: str) -> None:
    history = make(kind, 0, 4, torch.float64)
    s = torch.ones(4, dtype=torch.float64)
    with pytest.raises(IndexError, match=r"^pop from empty list$"):
        remember(history, s, s, 1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bits_do_not_depend_on_threads_nor_on_a_checkpoint(dtype: torch.dtype) -> None:
    numel = 70_001
    pairs = pairs_of(7, numel, dtype)
    q = torch.randn(numel, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    threads = torch.get_num_threads()
    found = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            history = make("C++", 5, numel, dtype)
            for index, (s, y) in enumerate(pairs):
                remember(history, s, y, 1e-10)
                if index % 2:
                    inverse_hessian(history, q)  # otherwise the next pair comes before the products with this one
            found.append(inverse_hessian(history, q))
            loaded = make("C++", 5, numel, dtype)
            loaded.load(history.save())
            found.append(inverse_hessian(loaded, q))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, found[0]) for one in found)


def test_vectors_without_elements() -> None:
    history = make("C++", 5, 0, torch.float64)
    empty = torch.empty(0, dtype=torch.float64)
    remember(history, empty, empty, 1e-10)
    assert inverse_hessian(history, empty).shape == (0,)
