"""What fused kernels are to reach on the CPU, beside what was measured.

In: results. Out: one line per target: the case, the bound, the value, and whether it is met.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.contestants import AUTHORS, BY_HAND, OTHERS

Case = Mapping[str, Any]  # as JSON gives it

_TORCH = ("torch for-loop", "torch foreach", "torch fused")
_SMALL, _MIDDLE, _LARGE = "500 x 1,000", "160 ResNet-like", "GPT-2 124M"
_COMPILED = "torch compiled"


@dataclass(frozen=True, slots=True)
class Target:
    """Higher is better, unless the bound is a limit."""

    case: str
    against: str
    bound: float
    value: float | None  # None: not measured
    is_limit: bool = False
    of_floor: float | None = None  # what a step would reach that only moved its streams, in the same run

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value <= self.bound if self.is_limit else self.value >= self.bound

    @property
    def line(self) -> str:
        sign = "at most" if self.is_limit else "at least"
        against = f" against {self.against}" if self.against else ""
        value = "not measured" if self.value is None else f"{self.value:,.2f}"
        verdict = {True: ": met", False: ": NOT MET", None: ""}[self.met]
        floor = "" if self.of_floor is None else f", the floor {self.of_floor:,.2f}"
        return f"{self.case}: {value}{against}, {sign} {self.bound:,.2f}{floor}{verdict}"


def targets(cases: Sequence[Case]) -> list[Target]:
    """All of them, in the order of the table."""
    results = _Results(cases)
    return [
        *_small(results),
        *_large(results),
        *_whole_tensors(results),
        *_rows(results),
        *_perturbation(results),
        *_minimization(results),
        *_compiled(results),
        *_eager(results),
        *_costs(results),
    ]


class _Results:
    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases

    def of(self, kind: str, shapes: str | None = None) -> list[Case]:
        return [case for case in self._cases if case["kind"] == kind and shapes in (None, case.get("shapes"))]

    def ratio(self, algorithm: str, shapes: str, against: Sequence[str], kind: str = "steady") -> float | None:
        """Of the fastest of the others to our fused one: the smallest ratio."""
        found = [
            case["ratios"][f"{label} / ours fused"]["median"]
            for case in self.of(kind, shapes)
            for label in against
            if case["algorithm"] == algorithm and f"{label} / ours fused" in case["ratios"]
        ]
        return min(found, default=None)

    def floor_against(self, algorithm: str, shapes: str, label: str, kind: str = "steady") -> float | None:
        """The ratio of another to the floor."""
        for case in self.of(kind, shapes):
            times = case.get("times", {})
            if case["algorithm"] == algorithm and label in times and "floor" in times:
                found: float = times[label]["median"] / times["floor"]["median"]
                return found
        return None


def _small(results: _Results) -> Iterator[Target]:
    for algorithm, shapes, bound in (("AdamW", _SMALL, 4.5), ("AdamW", "500 x 10", 4.3), ("SGD", _SMALL, 3.0)):
        yield Target(f"{algorithm}, {shapes}", "torch fused", bound, results.ratio(algorithm, shapes, ["torch fused"]))
    for algorithm, bound in (
        *((name, 8.0) for name in ("RMSprop", "Adamax")),
        *((name, 12.0) for name in ("NAdam", "RAdam", "Adadelta", "ASGD", "Rprop")),
    ):
        yield Target(f"{algorithm}, {_SMALL}", "torch's best", bound, results.ratio(algorithm, _SMALL, _TORCH))


def _large(results: _Results) -> Iterator[Target]:
    for case in results.of("steady", _LARGE):
        if "floor / ours fused" in case["ratios"]:
            value = case["ratios"]["floor / ours fused"]["median"]
            bound = 0.95 if case["passes"] == 1 else 0.85
            yield Target(f"{case['algorithm']}, {_LARGE}", "the floor of its streams", bound, value)
    for shapes, bound in ((_LARGE, 1.02), ("ResNet-50", 1.08)):
        value = results.ratio("AdamW", shapes, ["torch fused"])
        of_floor = results.floor_against("AdamW", shapes, "torch fused")
        yield Target(f"AdamW, {shapes}", "torch fused", bound, value, of_floor=of_floor)


def _whole_tensors(results: _Results) -> Iterator[Target]:
    for algorithm in ("LAMB", "LARS", "StableAdamW", "NovoGrad"):
        for shapes, bound in ((_SMALL, 15.0), (_LARGE, 4.0)):
            others = [BY_HAND, *OTHERS]
            yield Target(f"{algorithm}, {shapes}", "others' best", bound, results.ratio(algorithm, shapes, others))
    for shapes, bound in ((_SMALL, 10.0), (_LARGE, 2.0)):
        yield Target(f"Adafactor, {shapes}", "torch's best", bound, results.ratio("Adafactor", shapes, _TORCH))
    value = results.ratio("Prodigy", _LARGE, [AUTHORS])
    yield Target(f"Prodigy, {_LARGE}", "its authors' package", 4.0, value)
    for shapes, bound in ((_SMALL, 15.0), (_LARGE, 3.0)):
        value = results.ratio("ScheduleFreeAdamW", shapes, [AUTHORS])
        yield Target(f"ScheduleFreeAdamW, {shapes}", "its authors' package", bound, value)


def _rows(results: _Results) -> Iterator[Target]:
    for case in results.of("rows"):
        value = results.ratio(case["algorithm"], case["shapes"], ["torch for-loop"], "rows")
        title = f"{case['algorithm']}, 4,096 of 100,000 rows of 64, {case['shapes']}"
        yield Target(title, "torch for-loop", 3.0, value)


def _perturbation(results: _Results) -> Iterator[Target]:
    for case in results.of("perturbation"):
        value = case["ratios"]["ours fused / floor"]["median"]
        title = f"{case['algorithm']}, {case['shapes']}, to the other point and back"
        yield Target(title, "the floor of its streams", 1.2, value, is_limit=True)


def _minimization(results: _Results) -> Iterator[Target]:
    for case in results.of("minimization"):
        value = case["ratios"]["torch for-loop / ours fused"]["median"]
        bound = 1.3 if case["shapes"] == "1,000,000 elements" else 1.0
        yield Target(f"{case['algorithm']}, {case['shapes']}", "torch for-loop", bound, value)


def _compiled(results: _Results) -> Iterator[Target]:
    for case in results.of("compiled", _MIDDLE):
        value = results.ratio(case["algorithm"], _MIDDLE, [_COMPILED], "compiled")
        of_floor = results.floor_against(case["algorithm"], _MIDDLE, _COMPILED, "compiled")
        yield Target(f"{case['algorithm']}, {_MIDDLE}", _COMPILED, 2.0, value, of_floor=of_floor)
    for case in results.of("cold"):
        seconds = case["seconds"]
        if case["tensors"] == 160:
            first = seconds.get("ours fused, nothing built")
            value = seconds[_COMPILED] / first if first and _COMPILED in seconds else None
            yield Target(f"{case['algorithm']}, {_MIDDLE}, first step, nothing built", _COMPILED, 20.0, value)


def _eager(results: _Results) -> Iterator[Target]:
    for how in ("for-loop", "foreach"):
        for case in results.of("steady", _SMALL):
            pair = f"torch {how} / ours {how}"
            if pair in case["ratios"]:
                yield Target(f"our {how}, {case['algorithm']}", f"torch {how}", 0.97, case["ratios"][pair]["median"])


def _costs(results: _Results) -> Iterator[Target]:
    for case in results.of("memory"):
        used = case["bytes"].get("ours fused")
        if used:
            beyond = 128 * case["tensors"] if case["passes"] == 1 else int(0.04 * 4 * case["elements"])
            limit = (1 << 20) + beyond
            title = f"{case['algorithm']} fused, bytes beyond parameters, gradients and state"
            yield Target(title, "", limit, used["step"] + used["kept"], is_limit=True)
    for case in results.of("python"):
        value = case["seconds"] * 1e6 / case["tensors"]
        yield Target(f"{case['algorithm']}, microseconds of Python per parameter", "", 0.7, value, is_limit=True)
