"""Whether, and how many, calls may be sent to a server: a circuit breaker and an adaptive limit.

Pure: it is told what became of each call, and asked for room before the next; clock and chance are passed in.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from shared.lm.errors import (
    BrokenAnswer,
    Fault,
    LMError,
    Misconfigured,
    Overloaded,
    RefusedInput,
    TimedOut,
    Unreachable,
)
from shared.lm.health import CircuitState
from shared.lm.limit import AdaptiveLimit

FAULTS_IN_A_ROW = 3  # after which a server is taken to be away
BROKEN_IN_A_ROW = 8  # answers that can't be used, which say as much: of a few the calls themselves may be the cause
FIRST_WAIT_S = 1.0  # for how long it is then left alone; doubled each time, with jitter
LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Trip:
    """A call under way: when it began, and in which era of the circuit."""

    began: float
    era: int


class Breaker:
    """One server's circuit and limit, as one process sees them.

    While the circuit is closed, `limit` calls may be under way. `FAULTS_IN_A_ROW` faults that say that the server is
    away, or `BROKEN_IN_A_ROW` broken answers with no good one between them, open it for a while; then it is half open,
    and lets one call through. If that is answered it closes, else it opens for longer. Each change begins an era, and
    news of calls from an earlier era change it no more.

    All times are `clock`'s, in seconds.
    """

    def __init__(
        self,
        ceiling: int,
        slow_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Random | None = None,
    ) -> None:
        """A call that takes longer than `slow_s` seconds says that there are too many at once."""
        self.limit = AdaptiveLimit(ceiling)
        self.in_flight = 0
        self.since = clock()  # it is closed, or not
        self.fault: Fault | None = None  # the latest
        self.detail: str | None = None
        self.failing_since: float | None = None  # no call was answered since, and some failed
        self.failed_at: float | None = None
        self.answered_at: float | None = None
        self._slow_s = slow_s
        self._clock = clock
        self._chance = chance or Random()
        self._open_until: float | None = None
        self._openings = 0  # in a row
        self._era = 0
        self._faults = 0  # in a row, in this era
        self._broken = 0  # answers, likewise
        self._probes = 0  # under way

    @property
    def closed(self) -> bool:
        """Whether the server is taken to be there."""
        return self._open_until is None

    @property
    def state(self) -> CircuitState:
        """What it lets through now."""
        if self._open_until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self._clock() < self._open_until else CircuitState.HALF_OPEN

    @property
    def room(self) -> int:
        """How many more calls may begin now."""
        if self._open_until is None:
            return max(0, self.limit.value - self.in_flight)
        return 0 if self._probes or self._clock() < self._open_until else 1

    @property
    def wait_s(self) -> float:
        """For how long no call may begin."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def begin(self) -> Trip:
        """A call begins, whether there is room for it or not."""
        self.in_flight += 1
        self._probes += not self.closed
        return Trip(self._clock(), self._era)

    def cancelled(self, trip: Trip) -> None:
        """A call ended, and nobody knows how it would have."""
        self.in_flight -= 1
        if trip.era == self._era:
            self._probes -= not self.closed

    def answered(self, trip: Trip) -> None:
        """A call was answered."""
        now = self._clock()
        self.limit.answered(trip.began, now, slow=now - trip.began > self._slow_s)
        self._alive(now)
        self._end(trip, now)

    def failed(self, trip: Trip, error: LMError) -> None:
        """A call failed."""
        now = self._clock()
        current, away = trip.era == self._era, self._says_away(trip, error, now)
        if isinstance(error, RefusedInput):
            self._alive(now)  # as good an answer as any
        else:
            self._failing(error, now)
        self._end(trip, now, error, away=away)
        # While it takes some calls, the one that it turned away waits alone, and the limit is less.
        if current and isinstance(error, Overloaded) and error.retry_after_s and (away or not self.closed):
            self._leave_alone(min(error.retry_after_s, LONGEST_WAIT_S), now)

    def _says_away(self, trip: Trip, error: LMError, now: float) -> bool:
        if isinstance(error, Overloaded):
            at_floor = self.limit.value == 1
            return self.limit.turned_away(self.in_flight, trip.began, now) and at_floor
        if isinstance(error, TimedOut):
            self.limit.timed_out(trip.began, now)
        return isinstance(error, Unreachable | Misconfigured | TimedOut)

    def _alive(self, now: float) -> None:
        self.answered_at, self.failing_since = now, None

    def _failing(self, error: LMError, now: float) -> None:
        self.fault, self.detail, self.failed_at = error.fault, error.detail, now
        if self.failing_since is None:
            self.failing_since = now

    def _end(self, trip: Trip, now: float, error: LMError | None = None, *, away: bool = False) -> None:
        self.in_flight -= 1
        if trip.era != self._era:
            return
        if error is None or isinstance(error, RefusedInput):
            self._faults = self._broken = 0
            if not self.closed:
                self._close(now)
        elif not self.closed:
            self._open(now)
        else:
            broken = isinstance(error, BrokenAnswer)
            self._broken += broken
            self._faults = 0 if broken else self._faults + away
            if self._faults >= FAULTS_IN_A_ROW or self._broken >= BROKEN_IN_A_ROW:
                if isinstance(error, TimedOut):
                    self.limit.all_timed_out(trip.began, now)
                else:
                    self.limit.regrow()
                self._open(now)

    def _close(self, now: float) -> None:
        self._open_until, self._openings, self.since = None, 0, now
        self._begin_era()

    def _open(self, now: float) -> None:
        most = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._openings, 30))
        self._openings += 1
        self._begin_era()
        self._leave_alone(self._chance.uniform(most / 2, most), now)

    def _leave_alone(self, wait_s: float, now: float) -> None:
        if self._open_until is None:
            self._open_until = self.since = now
            self._begin_era()
        self._open_until = max(self._open_until, now + wait_s)

    def _begin_era(self) -> None:
        self._era += 1
        self._faults = self._broken = self._probes = 0
