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
TURN = 0.02  # seconds
MOST_CALLS = 100


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


@dataclass(frozen=True, slots=True)
class Timed:
    """A call, and what comes before each one and is not timed."""

    call: Callable[[], object]
    before: Callable[[], object] | None = None

    def seconds(self, calls: int) -> float:
        """Per call."""
        if self.before is None:
            begin = time.perf_counter()
            for _ in range(calls):
                self.call()
            return (time.perf_counter() - begin) / calls
        total = 0.0
        for _ in range(calls):
            self.before()
            begin = time.perf_counter()
            self.call()
            total += time.perf_counter() - begin
        return total / calls


def take_turns(functions: Mapping[str, Timed], budget: float) -> Rounds:
    """Rounds for about `budget` seconds; their order turns.

    A turn is a loop of calls for about `TURN` seconds, so that it is steady state: what another contestant left in the
    caches matters for the first call only.
    """
    labels = list(functions)
    calls = {label: _calls_per_turn(functions[label]) for label in labels}
    seconds: dict[str, list[float]] = {label: [] for label in labels}
    end = time.perf_counter() + budget
    rounds = 0
    while rounds < MOST and (rounds < FEWEST or time.perf_counter() < end):
        if rounds >= 2 and time.perf_counter() > end + 2 * budget:
            break
        first = rounds % len(labels)
        for label in (*labels[first:], *labels[:first]):
            seconds[label].append(functions[label].seconds(calls[label]))
        rounds += 1
    return Rounds(seconds)


def _calls_per_turn(function: Timed) -> int:
    """After a warm-up."""
    for _ in range(WARM_UP):
        last = function.seconds(1)
    return max(1, min(MOST_CALLS, round(TURN / last)))
