"""One thread at a time, and nothing that is asked for meanwhile is forgotten."""

import threading
import uuid

import pytest

from workers.turns import OneAtATime

RUN = uuid.UUID(int=1)


def test_what_is_asked_for_meanwhile_is_done_once_more_by_the_one_at_it() -> None:
    turns, done = OneAtATime(), []

    def work() -> None:
        done.append(threading.current_thread().name)
        if len(done) == 1:
            for _ in range(3):
                other = threading.Thread(target=turns.do, args=(RUN, work))
                other.start()
                other.join()

    turns.do(RUN, work)
    assert done == [threading.current_thread().name] * 2


def test_nobody_at_it_can_be_asked_again() -> None:
    turns = OneAtATime()
    assert not turns.ask_again(RUN)
    turns.do(RUN, lambda: None)
    assert not turns.ask_again(RUN)


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
