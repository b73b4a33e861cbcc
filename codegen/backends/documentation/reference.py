"""The tables of the language reference that follow from tables of the compiler.

In: the text of docs/language.md. Out: the same text in which the tables of operations and options are those of
`ir/ops.py` and `thetac/options.py`. Each table is between two comments that name it; everything else is written by
hand.
"""

from __future__ import annotations

import re

from thetac.codegen.ir.ops import OPS
from thetac.options import OPTIONS


def with_tables(page: str) -> str:
    """Return the page with every table as the compiler has it.

    Raises:
        ValueError: the page lacks the comments around a table.
    """
    for name, rows in (("operations", _operations()), ("options", _options())):
        begin, end = f"<!-- {name}: written by make generate -->", f"<!-- end of {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"the reference needs the lines `{begin}` and `{end}`, each once")
        before, _, rest = page.partition(begin)
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        page = f"{before}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}"
    return page


def without_marks(page: str) -> str:
    """Return the page without the comments around tables, for readers of the text itself."""
    return re.sub(r"<!-- .*? -->\n\n?", "", page)


def _operations() -> list[tuple[str, ...]]:
    return [("write", "means"), ("---", "---"), *((f"`{op.syntax}`", op.doc) for op in OPS.values())]


def _options() -> list[tuple[str, ...]]:
    rows = [(f"`{o.name}`", f"`{o.type}`".replace("|", r"\|"), f"`{o.default}`", o.doc) for o in OPTIONS.values()]
    return [("option", "type", "default", "meaning"), ("---",) * 4, *rows]
