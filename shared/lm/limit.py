"""How many calls a server is sent at once: as many as it takes, found by trying (AIMD, as TCP does it)."""

REGROW_QUICKLY_TO = 3 / 4  # of what was too much: TCP's slow start, further up since no queue hides the place


class AdaptiveLimit:
    """Between 1 and `ceiling`: halved when calls are too many or too slow, one more for each round of them that is not.

    A round is as many calls as the limit. They are too slow if half of a round are, unless none is lost by it and they
    were so at twice the limit, too: then the LM is slow, whatever the load. That a call was too many or too slow is
    news only if it began after the last such change: earlier ones went by another limit.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.value = ceiling
        self._changed_at = float("-inf")
        self._threshold = 0  # below it, each answer counts as a round
        self._ended = 0  # calls of this round
        self._slow = 0  # of them
        self._lost = 0  # of those
        self._slow_at: int | None = None  # the limit at which a round was slow, and none has been quick since

    def answered(self, began: float, now: float, *, slow: bool) -> None:
        """A call that began at `began` was answered."""
        if self.value < self._threshold and not slow:
            self._grow()
        if began > self._changed_at:
            self._count(now, slow=slow)

    def timed_out(self, began: float, now: float) -> None:
        """A call that began at `began` was given up, since it took too long."""
        if began > self._changed_at:
            self._lost += 1
            self._count(now, slow=True)

    def turned_away(self, in_flight: int, began: float, now: float) -> bool:
        """A call that began at `began` was turned away, when so many were under way. Returns whether it is news."""
        return self._cut(min(self.value, in_flight), began, now)

    def all_timed_out(self, began: float, now: float) -> None:
        """Calls timed out one after the other, the last of which began at `began`."""
        self._cut(self.value, began, now)

    def regrow(self) -> None:
        """The server is away, and what it takes when it is back may be what it took before: grow quickly."""
        self._threshold = self.ceiling

    def _grow(self) -> None:
        self.value = min(self.ceiling, self.value + 1)

    def _count(self, now: float, *, slow: bool) -> None:
        self._ended += 1
        self._slow += slow
        if 2 * self._slow >= self.value:
            self._too_slow(now)
        elif self._ended >= self.value:
            self._slow_at = None
            self._ended = self._slow = self._lost = 0
            self._grow()

    def _too_slow(self, now: float) -> None:
        before, self._slow_at = self._slow_at, max(self.value, self._slow_at or 0)
        if before is None or self._lost:
            self._change(self.value // 2, 0, now)
        else:
            self._change(self._slow_at, 0, now)

    def _cut(self, too_many: int, began: float, now: float) -> bool:
        if began <= self._changed_at:
            return False
        self._slow_at = None
        self._change(too_many // 2, int(too_many * REGROW_QUICKLY_TO), now)
        return True

    def _change(self, value: int, threshold: int, now: float) -> None:
        self.value, self._threshold = max(1, value), threshold
        self._changed_at = now
        self._ended = self._slow = self._lost = 0
