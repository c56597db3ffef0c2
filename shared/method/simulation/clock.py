"""Time that passes from event to event."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

Action = Callable[[], object]


class Clock:
    """Does things at their times; of those due at one time the one first asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = count()

    def at(self, when: float, action: Action) -> None:
        """Have something done at a time, which may not lie in the past."""
        heappush(self._due, (when, next(self._numbers), action))

    def after(self, seconds: float, action: Action) -> None:
        """Have something done after some seconds."""
        self.at(self.now + seconds, action)

    def run(self, over: Callable[[], bool]) -> None:
        """Let time pass until it is `over`, or nothing is due any more."""
        while self._due and not over():
            self.now, _, action = heappop(self._due)
            action()
