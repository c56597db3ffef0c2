"""A circuit that opens, waits, tries and closes; a limit that is halved and grows again."""

from random import Random

import pytest

from shared.lm.breaker import BROKEN_IN_A_ROW, FAULTS_IN_A_ROW, FIRST_WAIT_S, LONGEST_WAIT_S, Breaker
from shared.lm.errors import BrokenAnswer, LMError, Overloaded, RefusedInput, TimedOut, Unreachable
from shared.lm.health import CircuitState
from tests.unit.lm.breaking import ANSWERS, AWAY, CEILING, SLOW_S, Clock, of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(CEILING, SLOW_S, clock=clock, chance=Random(0))


def fail(breaker: Breaker, kind: type[LMError] = Unreachable, times: int = 1) -> None:
    """Calls that begin and fail, one after the other."""
    for _ in range(times):
        breaker.failed(breaker.begin(), of(kind))


def open_up(breaker: Breaker) -> None:
    fail(breaker, times=FAULTS_IN_A_ROW)
    assert breaker.state is CircuitState.OPEN


def wait(breaker: Breaker, clock: Clock) -> None:
    """Until the circuit is half open."""
    clock.now += breaker.wait_s
    assert breaker.state is CircuitState.HALF_OPEN


def test_a_new_circuit_has_room_for_all_that_is_allowed(breaker: Breaker) -> None:
    assert (breaker.state, breaker.room) == (CircuitState.CLOSED, CEILING)
    breaker.begin()
    assert breaker.room == CEILING - 1


@pytest.mark.parametrize("kind", AWAY)
def test_faults_in_a_row_that_say_the_server_is_away_open_it(breaker: Breaker, kind: type[LMError]) -> None:
    fail(breaker, kind, FAULTS_IN_A_ROW - 1)
    assert breaker.state is CircuitState.CLOSED
    fail(breaker, kind)
    assert (breaker.state, breaker.room) == (CircuitState.OPEN, 0)


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_of_whatever_kind_breaks_the_row(breaker: Breaker, kind: type[LMError]) -> None:
    fail(breaker, times=FAULTS_IN_A_ROW - 1)
    fail(breaker, kind)
    fail(breaker, times=FAULTS_IN_A_ROW - 1)
    assert breaker.closed


def test_broken_answers_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, BrokenAnswer, BROKEN_IN_A_ROW - 1)
    breaker.answered(breaker.begin())
    fail(breaker, BrokenAnswer, BROKEN_IN_A_ROW - 1)
    assert breaker.closed
    fail(breaker, Overloaded)  # not an answer at all
    fail(breaker, BrokenAnswer)
    assert breaker.state is CircuitState.OPEN


def test_a_probe_with_a_broken_answer_leaves_it_open(breaker: Breaker, clock: Clock) -> None:
    open_up(breaker)
    wait(breaker, clock)
    fail(breaker, BrokenAnswer)
    assert breaker.state is CircuitState.OPEN


def test_half_open_it_lets_one_call_through_at_a_time(breaker: Breaker, clock: Clock) -> None:
    open_up(breaker)
    wait(breaker, clock)
    assert breaker.room == 1
    probe = breaker.begin()
    assert breaker.room == 0
    breaker.cancelled(probe)
    assert breaker.room == 1


@pytest.mark.parametrize("kind", [None, RefusedInput])
def test_a_probe_that_is_answered_closes_it(breaker: Breaker, clock: Clock, kind: type[LMError] | None) -> None:
    open_up(breaker)
    wait(breaker, clock)
    probe = breaker.begin()
    breaker.failed(probe, of(kind)) if kind else breaker.answered(probe)
    assert (breaker.state, breaker.room) == (CircuitState.CLOSED, CEILING)


def test_it_stays_open_for_twice_as_long_each_time_up_to_a_cap(breaker: Breaker, clock: Clock) -> None:
    open_up(breaker)
    waits = []
    for _ in range(8):
        waits.append(breaker.wait_s)
        wait(breaker, clock)
        fail(breaker, Overloaded)
    for most, waited in zip([FIRST_WAIT_S * 2**count for count in range(8)], waits, strict=True):
        assert min(most, LONGEST_WAIT_S) / 2 <= waited <= min(most, LONGEST_WAIT_S)


def test_after_it_closed_the_first_wait_is_short_again(breaker: Breaker, clock: Clock) -> None:
    open_up(breaker)
    for _ in range(5):
        wait(breaker, clock)
        fail(breaker)
    wait(breaker, clock)
    breaker.answered(breaker.begin())
    open_up(breaker)
    assert breaker.wait_s <= FIRST_WAIT_S


@pytest.mark.parametrize("ending", ["fails", "is answered"])
def test_late_news_of_calls_from_before_change_nothing(breaker: Breaker, clock: Clock, ending: str) -> None:
    late = [breaker.begin() for _ in range(CEILING)]
    open_up(breaker)
    before = breaker.wait_s
    for trip in late:
        breaker.failed(trip, of(Unreachable)) if ending == "fails" else breaker.answered(trip)
    assert (breaker.state, breaker.wait_s, breaker.in_flight) == (CircuitState.OPEN, before, 0)


def busy(retry_after_s: float) -> Overloaded:
    error = Overloaded("http://lm", "detail")
    error.retry_after_s = retry_after_s
    return error


def down_to_one(breaker: Breaker, clock: Clock) -> None:
    """Until the server is sent one call at a time."""
    while breaker.limit.value > 1:
        clock.now += 1
        fail(breaker, Overloaded)


def test_what_a_server_without_room_for_one_call_asks_for_is_honoured_up_to_the_cap(
    breaker: Breaker, clock: Clock
) -> None:
    down_to_one(breaker, clock)
    clock.now += 1
    breaker.failed(breaker.begin(), busy(7))
    assert (breaker.state, breaker.wait_s) == (CircuitState.OPEN, 7)
    breaker.failed(breaker.begin(), busy(3600))
    assert breaker.wait_s == LONGEST_WAIT_S


def test_a_server_that_turns_one_call_away_is_sent_others_whatever_it_asks_for(breaker: Breaker) -> None:
    trips = [breaker.begin() for _ in range(CEILING)]
    breaker.failed(trips[0], busy(7))
    assert (breaker.state, breaker.limit.value) == (CircuitState.CLOSED, CEILING // 2)


def test_what_a_server_asked_for_before_it_was_back_is_no_news(breaker: Breaker, clock: Clock) -> None:
    down_to_one(breaker, clock)
    clock.now += 1
    late = breaker.begin()
    open_up(breaker)
    wait(breaker, clock)
    breaker.answered(breaker.begin())
    breaker.failed(late, busy(7))
    assert breaker.closed


def test_a_burst_that_is_too_large_halves_the_limit_once(breaker: Breaker, clock: Clock) -> None:
    trips = [breaker.begin() for _ in range(CEILING)]
    clock.now += 1
    for trip in trips[:4]:
        breaker.failed(trip, of(Overloaded))
    assert breaker.limit.value == CEILING // 2
    clock.now += 1
    fail(breaker, Overloaded)
    assert breaker.limit.value < CEILING // 2


def test_what_is_under_way_is_halved_when_it_is_less_than_the_limit(breaker: Breaker) -> None:
    trips = [breaker.begin() for _ in range(4)]
    breaker.failed(trips[0], of(Overloaded))
    assert breaker.limit.value == 2


def one_round(breaker: Breaker, clock: Clock, slow: int, timed_out: int = 0) -> None:
    """As many calls as may be under way, some of which take too long."""
    clock.now += 1
    trips = [breaker.begin() for _ in range(breaker.room)]
    for trip in trips[slow + timed_out :]:
        breaker.answered(trip)
    clock.now += SLOW_S + 1
    for trip in trips[:timed_out]:
        breaker.failed(trip, of(TimedOut))
    for trip in trips[timed_out : slow + timed_out]:
        breaker.answered(trip)


@pytest.mark.parametrize(("slow", "timed_out"), [(4, 0), (0, 4), (3, 1), (8, 0), (0, 2)])
def test_a_round_half_of_which_took_too_long_halves_the_limit(
    breaker: Breaker, clock: Clock, slow: int, timed_out: int
) -> None:
    one_round(breaker, clock, slow, timed_out)
    expected = CEILING // 2 if slow + timed_out >= CEILING / 2 else CEILING
    assert breaker.limit.value == expected


def test_a_few_slow_calls_in_each_round_leave_the_limit_as_it_is(breaker: Breaker, clock: Clock) -> None:
    for _ in range(50):
        one_round(breaker, clock, slow=3)
        assert breaker.limit.value == CEILING


def test_an_lm_that_is_slow_whatever_the_load_keeps_its_limit(breaker: Breaker, clock: Clock) -> None:
    sizes = []
    for _ in range(20):
        sizes.append(breaker.limit.value)
        one_round(breaker, clock, slow=breaker.room)
    assert sizes[:3] == [CEILING, CEILING // 2, CEILING]
    assert sizes.count(CEILING) >= 18


def test_while_calls_are_lost_by_slowness_the_limit_goes_on_falling(breaker: Breaker, clock: Clock) -> None:
    one_round(breaker, clock, slow=8)
    one_round(breaker, clock, slow=3, timed_out=1)
    assert breaker.limit.value == CEILING // 4
    one_round(breaker, clock, slow=0, timed_out=2)
    assert breaker.limit.value == 1


def test_after_a_circuit_that_time_outs_opened_fewer_calls_are_sent(breaker: Breaker, clock: Clock) -> None:
    clock.now += 1
    trips = [breaker.begin() for _ in range(CEILING)]
    clock.now += 2 * SLOW_S
    for trip in trips:
        breaker.failed(trip, of(TimedOut))
    assert breaker.state is CircuitState.OPEN
    wait(breaker, clock)
    breaker.answered(breaker.begin())
    assert (breaker.closed, breaker.room) == (True, CEILING // 2 + 1)


def test_the_limit_grows_by_one_for_each_round_of_answers(breaker: Breaker, clock: Clock) -> None:
    one_round(breaker, clock, slow=4)
    sizes = []
    for _ in range(4 + 5 + 6 + 7 + 100):
        clock.now += 0.001
        breaker.answered(breaker.begin())
        sizes.append(breaker.limit.value)
    assert [sizes.count(size) for size in (4, 5, 6, 7)] == [3, 5, 6, 7]
    assert sizes[-1] == CEILING


def test_it_grows_quickly_to_just_below_what_was_too_much(breaker: Breaker) -> None:
    trips = [breaker.begin() for _ in range(CEILING)]
    breaker.failed(trips[0], of(Overloaded))
    sizes = []
    for trip in trips[1:]:
        breaker.answered(trip)
        sizes.append(breaker.limit.value)
    assert sizes == [5, 6, 6, 6, 6, 6, 6]


def test_a_server_without_room_for_one_call_is_taken_to_be_away(breaker: Breaker, clock: Clock) -> None:
    calls = 0
    while breaker.closed:
        clock.now += 1
        fail(breaker, Overloaded)
        calls += 1
    assert breaker.limit.value == 1
    assert calls == 1 + FAULTS_IN_A_ROW


def test_it_is_failing_from_the_first_failure_to_the_next_answer(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, BrokenAnswer)
    clock.now += 5
    fail(breaker, Overloaded)
    assert [breaker.failing_since, breaker.failed_at] == [1000.0, 1005.0]
    fail(breaker, RefusedInput)
    assert [breaker.failing_since, breaker.answered_at] == [None, 1005.0]
