"""Read what is said of thetac's own optimizers beside their specs: the files catalogue.toml and oracles.toml.

In: the folder of specs. Out: `Facts`. Their form is a matter of this repository, so that mistakes in it are bugs.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from thetac.codegen.backends.documentation.catalogue import Code, Comparison, Entry, Facts, Framework
from thetac.codegen.cli.library import SPECS
from thetac.codegen.pipeline import Compiled, Source


def our_facts() -> Facts:
    """Return what is known of thetac's own optimizers."""
    catalogue, oracles = _read(SPECS / "catalogue.toml"), _read(SPECS / "oracles.toml")
    return Facts(
        {name: Code(one["code"], one["lines"]) for name, one in catalogue["authors"].items()},
        {name: Comparison(one["oracle"], one["deviation"]) for name, one in oracles.items()},
        tuple(Framework(name, one["version"], one["names"]) for name, one in catalogue["frameworks"].items()),
    )


def entries(compiled: tuple[Compiled, ...], sources: tuple[Source, ...]) -> list[Entry]:
    """Return the catalogue's view of optimizers and the sources that they were compiled from."""
    return [
        Entry(one.written, one.rule, one.fused, _lines(source.text))
        for one, source in zip(compiled, sources, strict=True)
    ]


def _lines(text: str) -> int:
    """Return the number of lines of a spec that are neither blank nor a comment."""
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in text.splitlines())


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
