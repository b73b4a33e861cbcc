"""Copies of large tensors have the bits of the originals, in every layout, and autograd knows of them."""

from __future__ import annotations

import pytest
import torch

from tests.support.comparing import assert_identical
from tests.support.runtime_helpers import Watching
from thetac.runtime.building.compiler_process import BuildError
from thetac.runtime.implementations import copy_cpp
from thetac.runtime.implementations.copy_cpp import LEAST, copy_tensors

ELEMENTS = LEAST // 4 + 12345


def originals() -> list[torch.Tensor]:
    """Sizes and addresses that no vector divides, other layouts, and what torch alone can copy."""
    generator = torch.Generator().manual_seed(1)
    bits = torch.randint(-(2**31), 2**31, (ELEMENTS,), generator=generator).to(torch.int32)
    return [
        bits.view(torch.float32),  # NaN with all payloads among them
        bits[3:].view(torch.float32),
        bits[: 30 * 1001].view(torch.bfloat16).view(1001, 60).t(),
        bits[1:6].view(torch.uint8).view(torch.bool),
        bits[:400].view(torch.float32).view(20, 20)[:, ::2],
        bits[:0].view(torch.float32),
        torch.view_as_complex(bits[:2000].view(torch.float32).view(1000, 2)),
    ]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bits(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        sources = originals()
        # A place behind each copy shows whether it ends where it should.
        memory = [torch.full((one.numel() + 1,), 1, dtype=one.dtype) for one in sources]
        targets = [
            torch.as_strided(place, one.shape, one.stride())
            if one.is_contiguous() or one.t().is_contiguous()
            else torch.empty_like(one)
            for place, one in zip(memory, sources, strict=True)
        ]
        versions = [one._version for one in targets]
        copy_tensors(targets, sources)
    finally:
        torch.set_num_threads(before)
    for target, source, version in zip(targets, sources, versions, strict=True):
        mine, theirs = (torch.view_as_real(one) if one.is_complex() else one for one in (target, source))
        assert_identical(*(one.contiguous().view(torch.uint8) for one in (mine, theirs)))
        assert target._version > version
    assert all(place[-1] == 1 for place, one in zip(memory, sources, strict=True) if one.is_contiguous())


def test_modes_see_copies() -> None:
    source = torch.randn(ELEMENTS)
    target = torch.empty_like(source)
    with Watching() as watching:
        copy_tensors([target], [source])
    assert any("copy" in name for name in watching.operations)
    assert_identical(target, source)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BuildError("none")

    monkeypatch.setattr(copy_cpp, "load_object", fail)
    copy_cpp._library.cache_clear()
    try:
        source = torch.randn(ELEMENTS)
        target = torch.empty_like(source)
        copy_tensors([target], [source])
        assert_identical(target, source)
    finally:
        copy_cpp._library.cache_clear()


def test_nothing_to_copy() -> None:
    copy_tensors([], [])
