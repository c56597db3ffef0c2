"""Run events go out in a thread of their own, which nobody waits for: what becomes of them is no run's concern."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Full, Queue

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import UserError
from shared.store.session import cause
from shared.store.transitions import Transition, listen
from shared.telemetry import openlineage_settings

log = structlog.get_logger()

MOST_WAITING = 1_000  # events
PATIENCE_S = 5.0  # with events that have not gone when a command or worker ends

Send = Callable[[Transition], None]


class NoOpenLineageError(UserError):
    """OpenLineage is configured, but its library is missing ({detail}): pip install 'ensemble-instruct[openlineage]'"""


class RunEvents:
    """Tells of this engine's runs whatever `connect` gives, called in the thread with the first event.

    What fails, takes too long or has no room becomes one line in the log.
    """

    def __init__(self, engine: Engine, connect: Callable[[], Send]) -> None:
        self._connect = connect
        self._waiting: Queue[Transition | None] = Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        listen(engine, self._tell)

    def close(self) -> None:
        """Wait a little for what has not gone yet."""
        if self._thread is None:
            return
        until = time.monotonic() + PATIENCE_S
        with suppress(Full):
            self._waiting.put(None, timeout=PATIENCE_S)
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            log.warning("run events not sent", error=f"they did not go within {PATIENCE_S:g} s")

    def _tell(self, transition: Transition) -> None:
        try:
            self._waiting.put_nowait(transition)
        except Full:
            log.warning("run event not sent", run_id=str(transition.run_id), error="too many are waiting")
            return
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="run-events", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        send: Send | None = None
        while (transition := self._waiting.get()) is not None:
            try:
                send = send or self._connect()
                send(transition)
            except Exception as error:  # a run is worth more than any news of it
                run_id, state = str(transition.run_id), transition.state
                log.warning("run event not sent", run_id=run_id, state=state, error=_in_a_line(error))


def _in_a_line(error: Exception) -> str:
    told = cause(error) if isinstance(error, SQLAlchemyError) else str(error)
    return " ".join(f"{type(error).__name__}: {told}".split())


def report_runs(engine: Engine, environ: Mapping[str, str]) -> RunEvents | None:
    """Tell OpenLineage of this engine's runs, if the environment says where it is."""
    if not openlineage_settings.wanted(environ):
        return None

    def connect() -> Send:
        try:
            from shared.telemetry.openlineage import connect  # the library takes half a second
        except ImportError as error:
            raise NoOpenLineageError(detail=error) from error
        return connect(engine, environ)

    return RunEvents(engine, connect)
