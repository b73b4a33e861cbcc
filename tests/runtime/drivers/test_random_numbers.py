"""Philox against published vectors, and a second implementation; signs of elements wherever they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thetac.runtime.drivers.random_numbers import philox, rademacher_like

# Random123 1.14, tests/kat_vectors: counter, key, result of philox4x32-10.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def by_hand(counter: list[int], key: list[int], bits: int = 32) -> list[int]:
    """Philox 4 x `bits` with 10 rounds, in Python's integers, from section 3.3 of the paper."""
    multipliers, weyl = {
        32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
        64: ((0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)),
    }[bits]
    mask = 2**bits - 1
    x, k = list(counter), list(key)
    for _ in range(10):
        (high0, low0), (high1, low1) = (divmod(m * v, 2**bits) for m, v in zip(multipliers, (x[0], x[2]), strict=True))
        x = [high1 ^ x[1] ^ k[0], low1, high0 ^ x[3] ^ k[1], low0]
        k = [(one + step) & mask for one, step in zip(k, weyl, strict=True)]
    return x


def ours(counter: list[int], key: list[int]) -> list[int]:
    a, b, c, d = (torch.tensor([word]) for word in counter)
    return [int(word) for word in philox((a, b, c, d), (key[0], key[1]))]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_published_vectors(counter: str, key: str, result: str) -> None:
    assert ours(words(counter), words(key)) == words(result)


def test_numpy_and_a_second_implementation() -> None:
    """NumPy's has words of 64 bits: the second implementation has its numbers, and ours those of the second in 32."""
    draw = np.random.default_rng(0)
    for _ in range(20):
        counter, key = ([int(x) for x in draw.integers(0, 2**64, size, dtype=np.uint64)] for size in (4, 2))
        generator = np.random.Philox(counter=np.array(counter, np.uint64), key=np.array(key, np.uint64))
        after = [counter[0] + 1, *counter[1:]]
        assert [int(x) for x in generator.random_raw(4)] == by_hand(after, key, 64)  # it counts before it draws
        short = [[one & 0xFFFFFFFF for one in numbers] for numbers in (counter, key)]
        assert ours(*short) == by_hand(*short)


def test_the_sign_of_an_element_is_a_bit_of_its_counter() -> None:
    param = torch.empty(3, 1000, 7, dtype=torch.float64)
    signs = rademacher_like(param, 2**40 + 5, 3, 9).flatten()
    for place in (0, 1, 31, 32, 127, 128, 129, 5000, 20999):
        counter = [place // 128, 0, 3, 9]
        word = by_hand(counter, [5, 256])[place % 128 // 32]
        assert signs[place] == (1 if word >> place % 32 & 1 else -1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_signs_depend_on_the_place_alone(dtype: torch.dtype) -> None:
    wanted = rademacher_like(torch.empty(6, 50), 1, 2, 3)
    assert wanted.abs().eq(1).all()
    for memory in (
        torch.empty(6, 50, dtype=dtype),
        torch.empty(50, 6, dtype=dtype).t(),
        torch.empty(6, 99, dtype=dtype)[:, ::2],
    ):
        assert torch.equal(rademacher_like(memory, 1, 2, 3).to(torch.float32), wanted)


def test_draws_parameters_and_seeds_are_independent() -> None:
    like = torch.empty(200_000, dtype=torch.float64)
    drawn = [rademacher_like(like, *one) for one in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (1 << 32, 0, 0))]
    assert torch.equal(drawn[0], rademacher_like(like, 0, 0, 0))
    gram = torch.stack(drawn) @ torch.stack(drawn).T / 200_000
    assert (gram - torch.eye(5)).abs().max() < 0.012  # five standard deviations
    assert all(one.mean().abs() < 0.012 for one in drawn)


def test_parameters_without_elements_and_without_axes() -> None:
    assert rademacher_like(torch.empty(0, 3), 0, 0, 0).shape == (0, 3)
    assert rademacher_like(torch.empty(()), 0, 0, 0).shape == ()
