"""Pictures of results: ratios per algorithm, time against size with the floor, first step against number of tensors.

In: results and a folder. Out: PNG files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

RATIOS = "500 x 1,000"


def plot(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """All pictures that the results have numbers for."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [_ratios(results, folder / "ratios.png"), _sizes(results, folder / "sizes.png")]
    return [path for path in (*drawn, _compile(results, folder / "compile.png")) if path is not None]


def _ratios(results: Mapping[str, Any], path: Path) -> Path | None:
    cases = [c for c in results["cases"] if c["kind"] == "steady" and c["shapes"] == RATIOS and c["ratios"]]
    if not cases:
        return None
    labels = ("torch for-loop", "torch foreach", "torch fused", "optimi", "pytorch_optimizer")
    figure, axes = plt.subplots(figsize=(11, 0.42 * len(cases) + 1.5))
    height = 0.8 / len(labels)
    for row, case in enumerate(cases):
        for index, label in enumerate(labels):
            ratio = case["ratios"].get(f"{label} / ours fused")
            if ratio:
                name = label if label not in axes.get_legend_handles_labels()[1] else None
                axes.barh(row + (index - 2) * height, ratio["median"], height, color=f"C{index}", label=name)
    axes.set_yticks(range(len(cases)), [case["algorithm"] for case in cases])
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"times as long as our fused step ({RATIOS} elements)")
    axes.legend()
    return _save(figure, path)


def _sizes(results: Mapping[str, Any], path: Path) -> Path | None:
    cases = [c for c in results["cases"] if c["kind"] == "steady" and c["algorithm"] == "AdamW" and c["times"]]
    if len(cases) < 2:
        return None
    figure, axes = plt.subplots(figsize=(8, 5.5))
    for label in ("ours fused", "torch fused", "torch foreach", "floor"):
        points = sorted(
            (case["elements"], 1e3 * case["times"][label]["median"]) for case in cases if label in case["times"]
        )
        style = "k--" if label == "floor" else "o-"
        axes.loglog([x for x, _ in points], [y for _, y in points], style, label=label, markersize=4)
    axes.set_xlabel("elements")
    axes.set_ylabel("milliseconds per AdamW step")
    axes.legend()
    return _save(figure, path)


def _compile(results: Mapping[str, Any], path: Path) -> Path | None:
    cases = [case for case in results["cases"] if case["kind"] == "cold"]
    if not cases:
        return None
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for label in cases[0]["seconds"]:
        axes.semilogy([c["tensors"] for c in cases], [c["seconds"][label] for c in cases], "o-", label=label)
    axes.set_xlabel("tensors")
    axes.set_ylabel("seconds of the first step (AdamW)")
    axes.legend()
    return _save(figure, path)


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return path
