"""The circuit breaker, whatever happens in whatever order."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.lm.breaker import LONGEST_WAIT_S, Breaker, Trip
from shared.lm.errors import LMError, Overloaded
from shared.lm.health import CircuitState
from tests.unit.lm.breaking import ANSWERS, AWAY, CEILING, SLOW_S, Clock, of


class Breakers(RuleBasedStateMachine):
    """Callers that ask for room before each call, and a server that does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(CEILING, SLOW_S, clock=self.clock, chance=Random(0))
        self.trips: list[tuple[Trip, CircuitState]] = []

    @rule(passed=st.floats(0.001, 40))
    def time_passes(self, passed: float) -> None:
        self.clock.now += passed

    @precondition(lambda self: self.breaker.room)
    @rule()
    def call(self) -> None:
        state = self.breaker.state
        assert state is not CircuitState.OPEN
        self.trips.append((self.breaker.begin(), state))

    @precondition(lambda self: self.trips)
    @rule(data=st.data(), kind=st.sampled_from([None, Overloaded, *AWAY, *ANSWERS]), asked=st.sampled_from([None, 5]))
    def ends(self, data: st.DataObject, kind: type[LMError] | None, asked: float | None) -> None:
        trip, begun_in = self.trips.pop(data.draw(st.integers(0, len(self.trips) - 1)))
        before, limit = self.breaker.state, self.breaker.limit.value
        if kind is None:
            self.breaker.answered(trip)
            assert self.breaker.failing_since is None
        else:
            error = of(kind)
            if isinstance(error, Overloaded):
                error.retry_after_s = asked
            self.breaker.failed(trip, error)
            assert self.breaker.limit.value <= limit
        if before is not CircuitState.CLOSED and self.breaker.closed:
            assert begun_in is CircuitState.HALF_OPEN

    @precondition(lambda self: self.trips)
    @rule()
    def is_cancelled(self) -> None:
        self.breaker.cancelled(self.trips.pop()[0])

    @rule()
    def the_server_is_back(self) -> None:
        """However it came to where it is, some time and answers lead back to a whole window."""
        for trip, _ in self.trips:
            self.breaker.answered(trip)
        self.trips = []
        for _ in range(CEILING * CEILING):
            self.clock.now += LONGEST_WAIT_S
            if self.breaker.room:
                self.breaker.answered(self.breaker.begin())
        assert (self.breaker.closed, self.breaker.room) == (True, CEILING)

    @invariant()
    def the_limit_is_within_its_bounds(self) -> None:
        assert 1 <= self.breaker.limit.value <= CEILING

    @invariant()
    def the_room_is_what_the_state_allows(self) -> None:
        assert self.breaker.in_flight == len(self.trips)
        if self.breaker.state is CircuitState.CLOSED:
            assert self.breaker.room <= self.breaker.limit.value
        else:
            probing = any(trip.era == self.breaker._era for trip, _ in self.trips)
            assert self.breaker.room == (self.breaker.state is CircuitState.HALF_OPEN and not probing)


TestBreakers = Breakers.TestCase
TestBreakers.settings = settings(max_examples=60, stateful_step_count=40)
