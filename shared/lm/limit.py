"""How many calls a server is sent at once: as many as it takes, found by trying (AIMD, as TCP does it)."""

REGROW_QUICKLY_TO = 3 / 4  # of what was too much: TCP's slow start, further up since no queue hides the place


class AdaptiveLimit:
    """Between 1 and `ceiling`: halved when calls are too many or too slow, one more for each round of them that is not.

    A cut is news only if it concerns a call that began after the last one: earlier calls went by a higher limit.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.value = ceiling
        self._cut_at = float("-inf")
        self._threshold = 0  # below it, each success counts as a round
        self._successes = 0

    def grow(self) -> None:
        """A call was answered."""
        self._successes += 1
        if self.value < self.ceiling and (self.value < self._threshold or self._successes >= self.value):
            self.value += 1
            self._successes = 0

    def too_many(self, in_flight: int, began: float, now: float) -> bool:
        """A call that began at `began` was turned away, when so many were under way. Returns whether it is news."""
        busy = min(self.value, in_flight)
        return self._cut(busy // 2, int(busy * REGROW_QUICKLY_TO), began, now)

    def too_slow(self, began: float, now: float) -> bool:
        """A call that began at `began` took too long. Returns whether it is news."""
        return self._cut(self.value // 2, 0, began, now)

    def regrow(self) -> None:
        """The server was away, and what it takes may be what it took before: grow quickly."""
        self._threshold = self.ceiling

    def _cut(self, value: int, threshold: int, began: float, now: float) -> bool:
        if began <= self._cut_at:
            return False
        self.value, self._threshold = max(1, value), threshold
        self._cut_at, self._successes = now, 0
        return True
