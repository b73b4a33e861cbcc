"""Times of contestants that take turns, and the ratios between them.

In: functions by name. Out: seconds per call of each, and for pairs the ratios of each round. A busy machine slows both
of a pair down in the same round, so a ratio means more than either time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

WARM_UP = 3  # calls: state is made, plans and caches are filled
FEWEST = 7  # rounds, unless a round takes longer than the whole budget
MOST = 400


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds of each call: every list has one number per round."""

    seconds: Mapping[str, Sequence[float]]

    def time(self, label: str) -> Spread:
        return Spread.of(self.seconds[label])

    def ratio(self, slow: str, fast: str) -> Spread:
        """How many times as long the first takes."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return Spread.of([one / other for one, other in pairs])


def take_turns(
    functions: Mapping[str, Callable[[], object]], budget: float, between: Callable[[], object] = lambda: None
) -> Rounds:
    """Rounds for about `budget` seconds. The order turns with every round; `between` is not timed."""
    labels = list(functions)
    for _ in range(WARM_UP):
        for label in labels:
            between()
            functions[label]()
    seconds: dict[str, list[float]] = {label: [] for label in labels}
    end = time.perf_counter() + budget
    rounds = 0
    while rounds < MOST and (rounds < FEWEST or time.perf_counter() < end):
        if rounds >= 2 and time.perf_counter() > end + 2 * budget:
            break
        first = rounds % len(labels)
        for label in (*labels[first:], *labels[:first]):
            between()
            begin = time.perf_counter()
            functions[label]()
            seconds[label].append(time.perf_counter() - begin)
        rounds += 1
    return Rounds(seconds)
