"""Whether a worker is alive, and whether it can work: what `/healthz` and `/readyz` tell."""

import time
from threading import Thread

from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import WorldError
from shared.queue.hints import ping
from shared.store.revisions import DatabaseNewerError, require_migrated
from shared.store.session import cause
from shared.telemetry.in_time import InTime
from workers.runtime import Runtime

LOOP_STILL_S = 30.0  # for which the event loop may not turn: nothing in it should take a second
CONSUMER_STILL_S = 60.0
PATIENCE_S = 2.0  # with Postgres, and with the broker


class Probes:
    """A worker's own look at itself; each probe returns what is wrong, line by line.

    It is alive if its threads are, and its loops turn, whatever becomes of Postgres and the broker: a restart would
    mend neither. It is ready if both answer, and it takes work.
    """

    def __init__(self, runtime: Runtime, app: Celery, engine: Engine) -> None:
        self._runtime = runtime
        self._database = InTime("Postgres", lambda: _check(engine), PATIENCE_S)
        self._broker = InTime("the broker", lambda: ping(app), PATIENCE_S)
        self._threads: list[Thread] = []
        self._taking_work = False
        self.consumer = Consumer(self._broker)

    def ready_with(self, *threads: Thread) -> None:
        """The worker takes work from now on; these threads are to live as long as it does."""
        self._threads += threads
        self._taking_work = True

    def alive(self) -> list[str]:
        """Whether anything of it stands still that only a restart would mend."""
        still_s, wrong = self._runtime.loop.still_s, []
        if still_s > LOOP_STILL_S:
            wrong.append(f"the event loop of LM calls has stood still for {still_s:.0f} s")
        if self._runtime.stopping.is_set():
            return wrong
        wrong += [f"the thread {each.name} has ended" for each in self._threads if not each.is_alive()]
        if not self._runtime.hinting.alive:
            wrong.append("the thread that publishes hints has ended")
        return wrong + self.consumer.wrong(time.monotonic())

    def ready(self) -> list[str]:
        """Whether it takes work and can do it."""
        if self._runtime.stopping.is_set():
            return ["the worker is shutting down"]
        wrong = [] if self._taking_work else ["the worker takes no work yet"]
        for question in (self._database, self._broker):
            try:
                question.ask()
            except WorldError as error:
                wrong.append(str(error))
            except SQLAlchemyError as error:
                wrong.append(f"Postgres says: {cause(error)}")
        return wrong


class Consumer:
    """Celery's consumer, which beats every two seconds while it turns and is connected."""

    def __init__(self, broker: InTime[None]) -> None:
        self._broker = broker
        self._beat_at: float | None = None
        self._answers_since: float | None = None  # the broker, while the consumer is silent

    def beat(self) -> None:
        """It turns."""
        self._beat_at, self._answers_since = time.monotonic(), None

    def wrong(self, now: float) -> list[str]:
        """That it stands still, if it has for some time, and the broker has answered others for as long."""
        silent_s = 0.0 if self._beat_at is None else now - self._beat_at
        if silent_s < CONSUMER_STILL_S:
            return []
        try:
            self._broker.ask()
        except WorldError:
            self._answers_since = None
            return []
        self._answers_since = self._answers_since or now
        if now - self._answers_since < CONSUMER_STILL_S:
            return []
        return [f"Celery's consumer has stood still for {silent_s:.0f} s, though the broker answers"]


def _check(engine: Engine) -> None:
    """Raises a `WorldError` if Postgres does not answer, or lacks what this version needs.

    A newer database is none of a running worker's business: it goes on while others are upgraded.
    """
    try:
        require_migrated(engine)
    except DatabaseNewerError:
        return
