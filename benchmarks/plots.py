"""Pictures of results: ratios per algorithm, time against size with the floor, first step against parameters.

In: results and a folder. Out: PNG files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.targets import Case

RATIOS = "500 x 1,000"
SIZED = ("ours fused", "torch fused", "torch foreach")
COMPARED = ("ours foreach", "torch for-loop", "torch foreach", "torch fused", "optimi", "pytorch_optimizer")


def plot(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """All pictures that the results have numbers for."""
    folder.mkdir(parents=True, exist_ok=True)
    cases: Sequence[Case] = results["cases"]
    drawn = (_ratios(cases, folder), _sizes(cases, folder), _first_steps(cases, folder))
    return [path for path in drawn if path is not None]


def _ratios(every: Sequence[Case], folder: Path) -> Path | None:
    cases = [c for c in every if c["kind"] == "steady" and c["shapes"] == RATIOS and c["ratios"]]
    if not cases:
        return None
    figure, axes = plt.subplots(figsize=(11, 0.42 * len(cases) + 1.5))
    height = 0.8 / len(COMPARED)
    for index, label in enumerate(COMPARED):
        found = [(row, c["ratios"].get(f"{label} / ours fused")) for row, c in enumerate(cases)]
        bars = [(row + (index - (len(COMPARED) - 1) / 2) * height, ratio) for row, ratio in found if ratio]
        if bars:
            spread = [
                [ratio["median"] - ratio["low"] for _, ratio in bars],
                [ratio["high"] - ratio["median"] for _, ratio in bars],
            ]
            axes.barh(
                [y for y, _ in bars],
                [ratio["median"] for _, ratio in bars],
                height,
                xerr=spread,
                error_kw={"elinewidth": 0.6},
                color="lightgray" if label.startswith("ours") else f"C{index - 1}",
                label=label,
            )
    axes.set_yticks(range(len(cases)), [case["algorithm"] for case in cases])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(left=0.8)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.01)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"times as long as our fused step ({RATIOS} elements)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    return _save(figure, folder / "ratios.png")


def _sizes(every: Sequence[Case], folder: Path) -> Path | None:
    """Equal tensors, one panel for each number of them."""
    cases = [c for c in every if c["kind"] == "steady" and c["algorithm"] == "AdamW" and c["times"]]
    cases = [c for c in cases if " x " in c["shapes"]]
    if not cases:
        return None
    counts = sorted({case["tensors"] for case in cases})
    figure, panels = plt.subplots(1, len(counts), figsize=(4 * len(counts), 4.2), sharey=True, squeeze=False)
    for axes, count in zip(panels[0], counts, strict=True):
        for label in (*SIZED, "floor"):
            points = sorted(
                (case["elements"], 1e3 * case["times"][label]["median"])
                for case in cases
                if case["tensors"] == count and label in case["times"]
            )
            style = "k--" if label == "floor" else "o-"
            axes.loglog([x for x, _ in points], [y for _, y in points], style, label=label, markersize=4)
        axes.set_title(f"{count:,} tensors")
        axes.set_xlabel("elements of all tensors")
    panels[0][0].set_ylabel("milliseconds per AdamW step")
    panels[0][0].legend()
    return _save(figure, folder / "sizes.png")


def _first_steps(every: Sequence[Case], folder: Path) -> Path | None:
    cases = [case for case in every if case["kind"] == "cold" and case["algorithm"] == "AdamW"]
    if not cases:
        return None
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for label in dict.fromkeys(label for case in cases for label in case["seconds"]):
        points = sorted((c["tensors"], c["seconds"][label]) for c in cases if label in c["seconds"])
        axes.loglog([x for x, _ in points], [y for _, y in points], "o-", label=label)
    axes.set_xlabel("parameters (tensors)")
    axes.set_ylabel("seconds of the first step (AdamW)")
    axes.legend()
    return _save(figure, folder / "compile.png")


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return path
