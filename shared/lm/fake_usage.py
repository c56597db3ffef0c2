"""How busy a fake LM server is: an exact integral, which no sampling disturbs."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What a server had done when it was asked: two of these give the mean number of calls in flight between them.

    `busy_s` is the sum over time of the calls in flight (call-seconds), `clock_s` the server's own clock.
    """

    busy_s: float
    answered: int
    in_flight: int
    clock_s: float

    def mean_in_flight(self, before: "Usage") -> float:
        """How many calls were in flight since `before`, in the mean."""
        return (self.busy_s - before.busy_s) / (self.clock_s - before.clock_s)

    def as_json(self) -> dict[str, float]:
        """As `GET /fake/usage` tells it."""
        return asdict(self)


class UsageMeter:
    """Counts the calls in flight and adds up for how long they are. It belongs to one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.in_flight = 0
        self.most_in_flight = 0
        self._answered = 0
        self._busy_s = 0.0
        self._clock = clock
        self._since = clock()

    def began(self) -> None:
        """A call came."""
        self._pass_time()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def ended(self) -> None:
        """Its reply is gone, or never will be."""
        self._pass_time()
        self.in_flight -= 1
        self._answered += 1

    def usage(self) -> Usage:
        """What there was until now."""
        self._pass_time()
        return Usage(self._busy_s, self._answered, self.in_flight, self._since)

    def _pass_time(self) -> None:
        now = self._clock()
        self._busy_s += self.in_flight * (now - self._since)
        self._since = now
