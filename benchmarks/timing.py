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
MOST_CALLS = 20


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
    functions: Mapping[str, Callable[[], object]], budget: float, between: Callable[[], object] | None = None
) -> Rounds:
    """Rounds for about `budget` seconds; their order turns.

    A turn is a loop of calls for about `TURN` seconds, so that it is steady state: what another contestant left in the
    caches matters for the first call only. With `between`, which is not timed, it is one call.
    """
    labels = list(functions)
    calls = {label: _calls_per_turn(functions[label], between) for label in labels}
    seconds: dict[str, list[float]] = {label: [] for label in labels}
    end = time.perf_counter() + budget
    rounds = 0
    while rounds < MOST and (rounds < FEWEST or time.perf_counter() < end):
        if rounds >= 2 and time.perf_counter() > end + 2 * budget:
            break
        first = rounds % len(labels)
        for label in (*labels[first:], *labels[:first]):
            if between is not None:
                between()
            begin = time.perf_counter()
            for _ in range(calls[label]):
                functions[label]()
            seconds[label].append((time.perf_counter() - begin) / calls[label])
        rounds += 1
    return Rounds(seconds)


def _calls_per_turn(function: Callable[[], object], between: Callable[[], object] | None) -> int:
    """After a warm-up."""
    for _ in range(WARM_UP):
        if between is not None:
            between()
        begin = time.perf_counter()
        function()
        last = time.perf_counter() - begin
    return 1 if between is not None else max(1, min(MOST_CALLS, round(TURN / last)))
