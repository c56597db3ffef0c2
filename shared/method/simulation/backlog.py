"""The queues in which the work of a simulated run waits."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from shared.method.simulation.passage import Work


class Backlog:
    """The work of a queue that nobody has claimed, the earliest first."""

    def __init__(self) -> None:
        self._ready: list[Work] = []

    def __len__(self) -> int:
        """How much there is."""
        return len(self._ready)

    def add(self, work: Work) -> None:
        """Put work in."""
        heappush(self._ready, work)

    def take(self, most: int) -> list[Work]:
        """Claim up to so much."""
        return [heappop(self._ready) for _ in range(min(most, len(self._ready)))]

    def drop(self, unneeded: Callable[[Work], bool]) -> None:
        """Drop what nobody needs any more."""
        self._ready = [work for work in self._ready if not unneeded(work)]
        heapify(self._ready)
