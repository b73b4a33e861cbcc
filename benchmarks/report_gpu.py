"""The results of a GPU in words: docs/performance-gpu.md, from a JSON file and nothing else.

In: results. Out: Markdown. The same file gives the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.tables import number, table, target_rows
from benchmarks.targets import Target

_CONTESTANTS = ("ours fused", "torch foreach", "torch fused")

_HEAD = """# Performance on a GPU

Written by `make bench-gpu` from [its results]({results}); not to be edited.

{device}; Python {python}, torch {torch}, triton {triton}, thetac {thetac}. A copy of a large tensor moves
{copied:,.0f} GB/s, read and written.

## How to read it

Contestants take turns in one process; shown is the median over rounds of the ratio of two times of the same round.
Higher is better for ours. *On the device* is the time between two CUDA events around ten steps, which the host delays
where steps are small; *wall* is the time until the device is done.

- *torch foreach* and *torch fused* are torch's own implementations of the same algorithm; fused exists for four.
- *floor* is a kernel that moves the streams of our step and computes nothing. A ratio of 0.95 means that our step
  reaches 95% of its bandwidth.
- *of the copy* is the bandwidth of our step, by the bytes of its streams, over that of the copy.
- *launches* are kernels that one step starts, copies not counted.

All parameters are float32. Every optimizer was compared with its for-loop on the same GPU before it was measured:
{checked}. The tests of the GPU: {tests}.

"""


def markdown(results: Mapping[str, Any], results_file: str, targets: Iterable[Target]) -> str:
    """The whole page."""
    wrong = results["disagrees with its for-loop"]
    head = _HEAD.format(
        results=results_file,
        copied=results["copy, bytes per second"] / 1e9,
        checked="all agreed" if not wrong else f"{', '.join(wrong)} disagreed",
        **{key: results[key] for key in ("device", "python", "torch", "triton", "thetac", "tests")},
    )
    unmet = [target for target in targets if target.against or not target.met]
    parts = [head, "## What it is to reach\n\nOne launch per step, and:\n\n"]
    parts.append(table(("case", "against", "bound", "measured", "the floor", "met"), target_rows(unmet)))
    for title in dict.fromkeys(case["shapes"] for case in results["cases"]):
        cases = [case for case in results["cases"] if case["shapes"] == title and "bytes" in case]
        parts.append(f"\n## {title}\n\n{_cases(cases, results['copy, bytes per second'])}")
    if left_out := results["left out for lack of time"]:
        parts.append(f"\n## Left out for lack of time\n\n{', '.join(left_out)}\n")
    return "".join(parts)


def _cases(cases: Sequence[Mapping[str, Any]], copied: float) -> str:
    rows = []
    for case in cases:
        device, wall = case["ratios on the device"], case["ratios by the wall clock"]
        rows.append(
            (
                case["algorithm"],
                f"{1e3 * case['seconds by the wall clock']['ours fused']:.3f}",
                number(case["bytes per second"] / copied),
                *(_both(device, wall, label) for label in ("torch foreach", "torch fused", "floor")),
                " / ".join(
                    str(case["launches"].get(label, "-")) for label in ("ours fused", "torch foreach", "torch fused")
                ),
            )
        )
    head = ("algorithm", "ours, ms (wall)", "of the copy", "torch foreach", "torch fused", "floor")
    return "Ratios on the device / wall.\n\n" + table((*head, "launches: ours / foreach / fused"), rows)


def _both(device: Mapping[str, float], wall: Mapping[str, float], label: str) -> str:
    return f"{number(device[label])} / {number(wall[label])}" if label in device else ""
