"""The table of results in words: docs/performance.md, from a JSON file and nothing else.

In: results. Out: Markdown. The same file gives the same text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.tables import table, target_rows
from benchmarks.targets import Case, targets

_HEAD = """# Performance on the CPU

Written by `make bench` from [its results]({results}); not to be edited.

{machine}

## How to read it

Contestants take turns in one process. In a turn, one of them steps again and again for about 20 milliseconds; a round
is a turn of everyone. A ratio is that of two times in the same round, so that a machine that is busy for a while slows
both down; shown is the median over rounds, with the quartiles in parentheses. Higher is better for ours, unless it is
said to be a limit. Times alone say little: they are one machine's. Threads that wait for each other suffer most from
other programs, so the load at the start and at the end should be small.

- *ours* and *torch* each have a for-loop, foreach (operations on lists of tensors) and fused (a kernel; torch has one
  for four algorithms). *torch compiled* is `torch.compile` of torch's step, with a tensor for the learning rate.
  *optimi* and *pytorch_optimizer* are the libraries of these names, where they have the same algorithm and it is not
  torch's own.
- *floor* is a kernel that moves the parameters, gradients and states of our step, with the same threads, and computes
  nothing. A ratio of 0.95 means that our step reaches 95% of its bandwidth. For small tensors the floor is out of
  reach: it has no Python around it.
- All parameters are float32; their shapes are in [benchmarks/shapes.py](../benchmarks/shapes.py).

## What it is to reach

Where memory bounds a step, *the floor* says what ratio one would have that moved its streams and took no other time.

"""
_PICTURES = """
## Pictures

![Times of others as multiples of our fused step](performance/ratios.png)

![Time of an AdamW step against the number of elements, with the floor](performance/sizes.png)

![Time of the first step against the number of parameters](performance/compile.png)
"""


def markdown(results: Mapping[str, Any], results_file: str) -> str:
    """The whole page."""
    cases: Sequence[Case] = results["cases"]
    parts = [_HEAD.format(results=results_file, machine=_machine(results)), _targets(cases)]
    for kind, title, text in (
        ("steady", "{}", "How many times as long as our fused step."),
        (
            "fresh",
            "{}, fresh gradients",
            "The same with `zero_grad(set_to_none=True)` and gradients at other addresses before each step, which are "
            "not timed.",
        ),
        ("compiled", "{}, compiled", "The same beside torch's compiled step."),
    ):
        of_kind = _of(cases, kind)
        for shapes in dict.fromkeys(case["shapes"] for case in of_kind):
            rows = [case for case in of_kind if case["shapes"] == shapes and case["times"]]
            if rows:
                parts.append(f"\n## {title.format(shapes)}\n\n{text}\n\n{_ratios(rows)}")
    parts += [_memory(_of(cases, "memory")), _training(_of(cases, "training")), _python(_of(cases, "python"))]
    parts += [_denormal(_of(cases, "denormal")), _cold(_of(cases, "cold")), _missing(cases)]
    return "".join(parts) + _PICTURES


def _of(cases: Sequence[Case], kind: str) -> list[Case]:
    return [case for case in cases if case["kind"] == kind]


def _machine(results: Mapping[str, Any]) -> str:
    about = results["machine"]
    others = "".join(f", {name} {about[name]}" for name in ("torch-optimi", "pytorch-optimizer") if about.get(name))
    return (
        f"{about['processor']}, {about['threads']} threads; {about['compiler']}; Python {about['python']}, "
        f"torch {about['torch']}, thetac {about['thetac']}{others}. "
        f"Load {about['load at the start']:.1f} at the start and {results['load at the end']:.1f} at the end."
    )


def _targets(cases: Sequence[Case]) -> str:
    return table(("case", "against", "bound", "measured", "the floor", "met"), target_rows(targets(cases)))


def _ratios(cases: Sequence[Case]) -> str:
    ending = " / ours fused"
    labels = dict.fromkeys(pair.removesuffix(ending) for c in cases for pair in c["ratios"] if pair.endswith(ending))
    rows = []
    for case in cases:
        ours = case["times"].get("ours fused")
        cells = (_spread(case["ratios"].get(label + ending)) for label in labels)
        rows.append((case["algorithm"], f"{1e3 * ours['median']:.3f}" if ours else "", *cells))
    return table(("algorithm", "ours, ms", *labels), rows)


def _memory(cases: Sequence[Case]) -> str:
    rows = [
        (case["algorithm"], label, f"{used['step']:,}", f"{used['kept']:,}")
        for case in cases
        for label, used in case["bytes"].items()
    ]
    text = "Bytes beyond parameters, gradients and state, for 500 tensors of 1,000 elements."
    return _section("Memory", text, ("algorithm", "", "peak within a step", "kept between steps"), rows)


def _training(cases: Sequence[Case]) -> str:
    rows = [(case["algorithm"], pair, _spread(ratio)) for case in cases for pair, ratio in case["ratios"].items()]
    text = "One iteration: forward, backward, step; 120 tensors, 3.9 million parameters."
    return _section("In a training loop", text, ("algorithm", "times", "ratio"), rows)


def _python(cases: Sequence[Case]) -> str:
    rows = [
        (
            case["algorithm"],
            *(
                f"{1e6 * case[key] / case['tensors']:.2f}" if key in case else ""
                for key in ("seconds", "seconds, fresh gradients")
            ),
        )
        for case in cases
    ]
    text = "Microseconds per parameter of our fused step with its kernel left out, at 500 parameters."
    return _section("Python", text, ("algorithm", "same gradients", "fresh gradients"), rows)


def _denormal(cases: Sequence[Case]) -> str:
    rows = [(case["algorithm"], label, _spread(ratio)) for case in cases for label, ratio in case["ratios"].items()]
    text = "How many times as long a step takes if gradients are near 1e-20, whose squares are denormal."
    return _section("Denormal numbers", text, ("algorithm", "", "ratio"), rows)


def _cold(cases: Sequence[Case]) -> str:
    rows = [
        (case["algorithm"], f"{case['tensors']}", label, f"{seconds:.2f}")
        for case in cases
        for label, seconds in case["seconds"].items()
    ]
    text = "In seconds. *Nothing built*: the kernel is compiled in it."
    return _section("The first step of a process", text, ("algorithm", "tensors", "", "seconds"), rows)


def _missing(cases: Sequence[Case]) -> str:
    """Algorithms by contestant, case and reason."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for case in cases:
        for label, reason in case.get("missing", {}).items():
            where = case.get("shapes") or f"first step, {case['tensors']} tensors"
            found.setdefault((label, reason, where), []).append(case["algorithm"])
    grouped: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (label, reason, where), names in found.items():
        grouped.setdefault((label, reason, tuple(dict.fromkeys(names))), []).append(where)
    rows = [(label, "; ".join(where), ", ".join(names), reason) for (label, reason, names), where in grouped.items()]
    return _section("Not measured", "", ("contestant", "cases", "algorithms", "why"), rows)


def _section(title: str, text: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Nothing if there are no rows."""
    return f"\n## {title}\n\n{text}{chr(10) * 2 if text else ''}{table(head, rows)}" if rows else ""


def _spread(ratio: Mapping[str, float] | None) -> str:
    return f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else ""
