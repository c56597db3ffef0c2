"""Hints: a broker that hangs holds up nobody, and what is asked for twice meanwhile goes out once."""

import threading
import uuid
from typing import Any

import pytest
from celery import Celery

from workers import hinting
from workers.hinting import Hinting

RUN = uuid.UUID(int=1)


class Broker:
    """Takes nothing until it is let go, and fails when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = threading.Event()
        self.asked = threading.Event()
        self.fails = 0
        self.told: list[tuple[str, bool]] = []
        monkeypatch.setattr(hinting, "publish", self._take(if_few=False))
        monkeypatch.setattr(hinting, "publish_if_few", self._take(if_few=True))

    def _take(self, if_few: bool) -> Any:
        def take(app: Celery, run_id: uuid.UUID, queues: list[str]) -> None:
            self.asked.set()
            assert self.free.wait(30)
            if self.fails:
                self.fails -= 1
                raise RuntimeError("it says something that nobody foresaw")
            self.told += [(queue, if_few) for queue in queues]

        return take


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker that hangs at first."""
    return Broker(monkeypatch)


def test_a_broker_that_hangs_holds_up_nobody_and_is_told_once_of_what_came_meanwhile(broker: Broker) -> None:
    hints = Hinting(Celery())
    hints.hint(RUN, ["first"])
    assert broker.asked.wait(30)
    for _ in range(3):
        hints.hint(RUN, ["b", "a"])
    broker.free.set()
    hints.close()
    assert broker.told == [("first", False), ("a", False), ("b", False)]


def test_whoever_asks_without_a_condition_goes_before_who_asks_with_one(broker: Broker) -> None:
    hints = Hinting(Celery())
    hints.hint(RUN, ["first"])
    assert broker.asked.wait(30)
    hints.hint(RUN, ["a", "b"], if_few=True)
    hints.hint(RUN, ["a"])
    hints.hint(RUN, ["a"], if_few=True)
    broker.free.set()
    hints.close()
    assert broker.told == [("first", False), ("a", False), ("b", True)]


def test_a_hint_that_fails_costs_no_other(broker: Broker) -> None:
    broker.fails = 1
    broker.free.set()
    hints = Hinting(Celery())
    hints.hint(RUN, ["lost"])
    hints.hint(RUN, ["told"])
    hints.close()
    assert ("told", False) in broker.told
