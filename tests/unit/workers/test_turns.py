"""One thread at a time, and nothing that is asked for meanwhile is forgotten."""

import threading
import time
import uuid
from collections.abc import Callable

import pytest

from workers.turns import OneAtATime, Turn

RUN = uuid.UUID(int=1)


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_of_those_who_come_meanwhile_one_waits_and_the_others_leave() -> None:
    turns, done, free = OneAtATime(), [], threading.Event()

    def work() -> None:
        done.append(1)
        assert free.wait(10)

    first, second = (threading.Thread(target=turns.do, args=(RUN, work)) for _ in range(2))
    first.start()
    until(lambda: bool(done))
    assert not turns.about_to_begin(RUN)
    second.start()
    until(lambda: turns.about_to_begin(RUN))
    turns.do(RUN, work)  # returns at once
    assert done == [1]
    free.set()
    first.join()
    second.join()
    assert done == [1, 1]
    assert not turns.about_to_begin(RUN)


def test_an_error_ends_the_turn() -> None:
    turns, done = OneAtATime(), []
    with pytest.raises(ZeroDivisionError):
        turns.do(RUN, lambda: 1 // 0)
    turns.do(RUN, lambda: done.append(1))
    assert done == [1]


def test_runs_do_not_wait_for_each_other() -> None:
    turns, done = OneAtATime(), []
    turns.do(RUN, lambda: turns.do(uuid.UUID(int=2), lambda: done.append(2)))
    assert done == [2]


def test_a_turn_is_one_at_a_time_and_only_its_owner_ends_it() -> None:
    turn = Turn()
    assert turn.take("a")
    assert not turn.take("a")
    turn.release("b")
    assert not turn.take("b")
    turn.release("a")
    assert turn.take("b")
