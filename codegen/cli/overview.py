"""`thetac list`: a table of thetac's own optimizers."""

from __future__ import annotations

from thetac.codegen.backends.documentation.docstring import state_size
from thetac.codegen.cli.library import our_specs
from thetac.codegen.cli.show import IMPLEMENTATIONS
from thetac.codegen.pipeline import Compiled, compile_specs

HEAD = ("name", "state bytes", "backends", "summary")


def print_table() -> int:
    """Print the table and return the exit status."""
    compiled = sorted(compile_specs(our_specs()), key=lambda one: one.class_name.lower())
    rows = [HEAD, *(_row(one) for one in compiled)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join((*cells, row[-1])))
    print("\nState bytes are per element of a float32 parameter.")
    return 0


def _row(one: Compiled) -> tuple[str, ...]:
    backends = [name for name, file in IMPLEMENTATIONS.items() if file in one.files]
    size = state_size(one.written).replace(" more if ", " if ").replace(", ", " + ")
    return one.class_name, size, " ".join(backends), one.written.summary
