"""`thetac list`: a table of thetac's own optimizers."""

from __future__ import annotations

from thetac.codegen.backends.documentation.catalogue import HEAD, row
from thetac.codegen.cli.facts import entries, our_facts
from thetac.codegen.cli.library import our_specs
from thetac.codegen.cli.show import IMPLEMENTATIONS
from thetac.codegen.pipeline import Compiled, compile_specs

EXPLANATION = """
Lines have neither blank ones nor comments. Bytes are per element of a float32 parameter, those of a step with the
default arguments. The deviation is from the oracle, in float64, as a fraction of the distance moved."""


def print_table() -> int:
    """Print the table and return the exit status."""
    sources, facts = our_specs(), our_facts()
    compiled = compile_specs(sources)
    lines = [
        (*row(entry, facts), _backends(one), one.written.summary)
        for entry, one in zip(entries(compiled, sources), compiled, strict=True)
    ]
    table = [(*HEAD, "backends", "summary"), *sorted(lines, key=lambda cells: cells[0].lower())]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(table[0]) - 1)]
    for cells in table:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        print("  ".join((*padded, cells[-1])))
    print(EXPLANATION)
    return 0


def _backends(one: Compiled) -> str:
    return " ".join(name for name, file in IMPLEMENTATIONS.items() if file in one.files)
