"""Tables in Markdown that the pages of results share.

In: numbers and targets. Out: text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.targets import Target


def number(value: float) -> str:
    """Two digits behind the point, none for what is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """With a line for each row."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def target_rows(targets: Iterable[Target]) -> list[tuple[str, ...]]:
    """Case, against what, bound, value, what a step would reach that only moves its streams, and whether it is met."""
    rows: list[tuple[str, ...]] = []
    for target in targets:
        value = "not measured" if target.value is None else number(target.value)
        met = {True: "yes", False: "**no**", None: ""}[target.met]
        bound = f"{'≤' if target.is_limit else '≥'} {number(target.bound)}"
        floor = "" if target.of_floor is None else number(target.of_floor)
        rows.append((target.case, target.against, bound, value, floor, met))
    return rows
