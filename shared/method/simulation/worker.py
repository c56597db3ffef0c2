"""A worker's process in a simulation: it does one thing after the other."""

from collections import defaultdict

from shared.method.simulation.clock import Action, Clock


class Worker:
    """A process and the seconds of CPU that it has spent for each queue."""

    def __init__(self, clock: Clock, queues: frozenset[str]) -> None:
        self.queues = queues
        self.spent_s: defaultdict[str, float] = defaultdict(float)
        self._clock = clock
        self._free_at = 0.0

    def occupy(self, queue: str, seconds: float) -> float:
        """Have it do something as soon as it can; returns when it will be done."""
        self.spent_s[queue] += seconds
        self._free_at = max(self._free_at, self._clock.now) + seconds
        return self._free_at

    def work(self, queue: str, seconds: float, then: Action) -> None:
        """Have it do something, and what follows then."""
        self._clock.at(self.occupy(queue, seconds), then)
