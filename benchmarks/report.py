"""The table of results in words: docs/performance.md, from a JSON file and nothing else.

In: results. Out: Markdown. The same file gives the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.targets import Case, targets

_HEAD = """# Performance on the CPU

Written by `make bench` from [its results]({results}); not to be edited. Contestants take turns in one process; a
number is the median over rounds of the ratio of two times in the same round, with the quartiles in parentheses where
they are shown. Higher is better for ours, unless it is said to be a limit. Times alone say little: they are one
machine's.

{machine}

## What it is to reach

"""
_PICTURES = """
## Pictures

![Times of others as multiples of our fused step](performance/ratios.png)

![Time of an AdamW step against the number of elements, with the floor](performance/sizes.png)

![Time of the first step against the number of tensors](performance/compile.png)
"""


def markdown(results: Mapping[str, Any], results_file: str) -> str:
    """The whole page."""
    cases: Sequence[Case] = results["cases"]
    parts = [_HEAD.format(results=results_file, machine=_machine(results)), _targets(cases)]
    for shapes in dict.fromkeys(case["shapes"] for case in cases if case["kind"] == "steady"):
        parts.append(_steady(shapes, [c for c in cases if c["kind"] == "steady" and c["shapes"] == shapes]))
    parts.append(_memory([case for case in cases if case["kind"] == "memory"]))
    parts.append(_training([case for case in cases if case["kind"] == "training"]))
    parts.append(_cold([case for case in cases if case["kind"] == "cold"]))
    return "".join(part for part in parts if part) + _PICTURES


def _machine(results: Mapping[str, Any]) -> str:
    about = results["machine"]
    load = f"load {about['load at the start']:.1f} at the start and {results['load at the end']:.1f} at the end"
    return (
        f"{about['processor']}, {about['threads']} threads; Python {about['python']}, torch {about['torch']}, "
        f"thetac {about['thetac']}; {load}."
    )


def _targets(cases: Sequence[Case]) -> str:
    rows = []
    for target in targets(cases):
        value = "not measured" if target.value is None else _number(target.value)
        met = {True: "yes", False: "**no**", None: ""}[target.met]
        bound = f"{'≤' if target.is_limit else '≥'} {_number(target.bound)}"
        rows.append((target.case, target.against, bound, value, met))
    return _table(("case", "against", "bound", "measured", "met"), rows)


def _steady(shapes: str, cases: Sequence[Case]) -> str:
    labels = dict.fromkeys(
        pair.removesuffix(" / ours fused") for c in cases for pair in c["ratios"] if pair.endswith(" / ours fused")
    )
    rows = []
    for case in cases:
        ours = case["times"].get("ours fused")
        cells = [case["ratios"].get(f"{label} / ours fused") for label in labels]
        rows.append(
            (
                case["algorithm"],
                f"{1e3 * ours['median']:.3f}" if ours else "",
                *(f"{c['median']:.2f} ({c['low']:.2f}-{c['high']:.2f})" if c else "" for c in cells),
            )
        )
    head = ("algorithm", "our fused step, ms", *labels)
    return f"\n## {shapes}\n\nHow many times as long as our fused step:\n\n" + _table(head, rows)


def _memory(cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    rows = [
        (case["algorithm"], label, f"{used['step']:,}", f"{used['kept']:,}")
        for case in cases
        for label, used in case["bytes"].items()
    ]
    text = "\n## Memory\n\nBytes beyond parameters, gradients and state, for 500 tensors of 1,000 elements.\n\n"
    return text + _table(("algorithm", "", "peak within a step", "kept between steps"), rows)


def _training(cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    rows = [
        (case["algorithm"], pair, f"{ratio['median']:.3f} ({ratio['low']:.3f}-{ratio['high']:.3f})")
        for case in cases
        for pair, ratio in case["ratios"].items()
    ]
    text = "\n## In a training loop\n\nOne iteration: forward, backward, step; 120 tensors, 3.9 million parameters.\n\n"
    return text + _table(("algorithm", "times", "ratio"), rows)


def _cold(cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    rows = [
        (f"{case['tensors']}", label, f"{seconds:.2f}") for case in cases for label, seconds in case["seconds"].items()
    ]
    return "\n## The first step of a process\n\nAdamW, in seconds.\n\n" + _table(("tensors", "", "seconds"), rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"
