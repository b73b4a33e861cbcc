"""The shapes of parameters that are measured: equal tensors, and those of real models, written out.

Out: lists of shapes by name. No model is downloaded or built.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Shape = tuple[int, ...]


def equal(tensors: int, elements: int) -> list[Shape]:
    return [(elements,)] * tensors


def resnet50(width: int = 64, classes: int = 1000) -> list[Shape]:
    """Convolutions, batch norms and the last layer; 161 tensors, 25.6 million parameters at the usual width."""
    shapes: list[Shape] = []

    def convolution(out: int, into: int, size: int) -> None:
        shapes.extend([(out, into, size, size), (out,), (out,)])

    convolution(width, 3, 7)
    into = width
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner = width * 2**stage
        for block in range(blocks):
            convolution(inner, into, 1)
            convolution(inner, inner, 3)
            convolution(4 * inner, inner, 1)
            if block == 0:
                convolution(4 * inner, into, 1)
            into = 4 * inner
    return [*shapes, (classes, into), (classes,)]


def gpt2(layers: int = 12, width: int = 768, words: int = 50257, positions: int = 1024) -> list[Shape]:
    """148 tensors, 124 million parameters at the usual sizes."""
    shapes: list[Shape] = [(words, width), (positions, width)]
    for _ in range(layers):
        shapes += [(width,), (width,), (width, 3 * width), (3 * width,), (width, width), (width,)]
        shapes += [(width,), (width,), (width, 4 * width), (4 * width,), (4 * width, width), (width,)]
    return [*shapes, (width,), (width,)]


def llama_layer(width: int = 4096, inner: int = 14336, heads: int = 1024) -> list[Shape]:
    """One layer with grouped queries: 9 tensors, 218 million parameters at the usual sizes."""
    attention: list[Shape] = [(width, width), (heads, width), (heads, width), (width, width)]
    return [*attention, (inner, width), (inner, width), (width, inner), (width,), (width,)]


SMALL: Mapping[str, Sequence[Shape]] = {
    "500 x 1,000": equal(500, 1_000),
    "500 x 10": equal(500, 10),
    "160 ResNet-like": resnet50(width=26)[:160],
}
MODELS: Mapping[str, Sequence[Shape]] = {
    "ResNet-50": resnet50(),
    "GPT-2 124M": gpt2(),
    "Llama layer": llama_layer(),
}
GRID: Mapping[str, Sequence[Shape]] = {
    f"{tensors:,} x {name}": equal(tensors, elements)
    for tensors in (10, 150, 1_000)
    for name, elements in (("1k", 1_000), ("64k", 65_536), ("4M", 4_194_304))
}
TINY: Mapping[str, Sequence[Shape]] = {"4 x 100": equal(4, 100)}  # for tests of the benchmark itself
ALL: Mapping[str, Sequence[Shape]] = {**SMALL, **MODELS, **GRID, **TINY}


def size(shapes: Sequence[Shape]) -> int:
    """The number of elements."""
    return sum(math.prod(shape) for shape in shapes)
