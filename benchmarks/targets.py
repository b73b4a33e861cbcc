"""What fused kernels are to reach on the CPU, beside what was measured.

In: results. Out: one line per target: the case, the bound, the value, and whether it is met.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Case = Mapping[str, Any]  # as JSON gives it


@dataclass(frozen=True, slots=True)
class Target:
    """Higher is better, unless the bound is a limit."""

    case: str
    against: str
    bound: float
    value: float | None  # None: not measured
    is_limit: bool = False

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value <= self.bound if self.is_limit else self.value >= self.bound


def targets(cases: Sequence[Case]) -> list[Target]:
    """All of them, in the order of the table."""
    return list(_targets(_Results(cases)))


class _Results:
    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases

    def of(self, kind: str) -> list[Case]:
        return [case for case in self._cases if case["kind"] == kind]

    def steady(self, algorithm: str, shapes: str) -> list[Case]:
        return [c for c in self.of("steady") if (c["algorithm"], c["shapes"]) == (algorithm, shapes)]

    def ratio(self, algorithm: str, shapes: str, against: Sequence[str]) -> float | None:
        """Of the fastest of the others to our fused one: the smallest ratio."""
        found = [
            case["ratios"][f"{label} / ours fused"]["median"]
            for case in self.steady(algorithm, shapes)
            for label in against
            if f"{label} / ours fused" in case["ratios"]
        ]
        return min(found) if found else None


_TORCH = ("torch for-loop", "torch foreach", "torch fused")


def _targets(results: _Results) -> Iterator[Target]:
    small = "500 x 1,000"
    for algorithm, shapes, bound in (("AdamW", small, 4.5), ("AdamW", "500 x 10", 4.3), ("SGD", small, 3.0)):
        yield Target(f"{algorithm}, {shapes}", "torch fused", bound, results.ratio(algorithm, shapes, ["torch fused"]))
    for algorithm, bound in (
        *((name, 8.0) for name in ("RMSprop", "Adamax")),
        *((name, 12.0) for name in ("NAdam", "RAdam", "Adadelta", "ASGD", "Rprop")),
    ):
        yield Target(f"{algorithm}, {small}", "torch's best", bound, results.ratio(algorithm, small, _TORCH))
    for case in results.of("steady"):
        if case["shapes"] == "GPT-2 124M" and "floor / ours fused" in case["ratios"]:
            value = case["ratios"]["floor / ours fused"]["median"]
            yield Target(f"{case['algorithm']}, GPT-2 124M", "the floor of its streams", 0.95, value)
    for shapes, bound in (("GPT-2 124M", 1.02), ("ResNet-50", 1.08)):
        yield Target(f"AdamW, {shapes}", "torch fused", bound, results.ratio("AdamW", shapes, ["torch fused"]))
    for algorithm in ("AdamW", "NAdam"):
        value = results.ratio(algorithm, "160 ResNet-like", ["torch compiled"])
        yield Target(f"{algorithm}, 160 ResNet-like", "torch compiled", 2.0, value)
    for case in results.of("cold"):
        if case["tensors"] == 160:
            seconds = case["seconds"]
            value = seconds["torch compiled"] / seconds["ours fused, nothing built"]
            yield Target("first step, 160 ResNet-like, nothing built", "torch compiled", 20.0, value)
    for how in ("for-loop", "foreach"):
        for case in results.of("steady"):
            pair = f"torch {how} / ours {how}"
            if case["shapes"] == small and pair in case["ratios"]:
                yield Target(f"our {how}, {case['algorithm']}", f"torch {how}", 0.97, case["ratios"][pair]["median"])
    for case in results.of("memory"):
        used = case["bytes"].get("ours fused")
        if used:
            limit = (1 << 20) + 128 * case["tensors"]
            value = used["step"] + used["kept"]
            yield Target(
                f"{case['algorithm']} fused, bytes beyond parameters, gradients and state", "", limit, value, True
            )
    for case in results.of("python"):
        value = case["seconds"] * 1e6 / case["tensors"]
        yield Target(f"{case['algorithm']}, microseconds of Python per parameter", "", 0.7, value, True)
    for case in results.of("denormal"):
        if "ours fused" in case["ratios"]:
            value = case["ratios"]["ours fused"]["median"]
            yield Target(f"{case['algorithm']}, denormal second moments, times as slow", "", 1.5, value, True)
