"""Hints on their way to the broker, in a thread of their own: a broker that hangs holds up nothing else."""

import threading
import uuid
from collections.abc import Iterable

import structlog
from celery import Celery

from shared.queue.hints import publish, publish_if_few

log = structlog.get_logger()

PATIENCE_S = 2.0  # with the broker, when the process ends: what is not told by then, the reconciler tells


class Hinting:
    """Publishes hints in the order in which they were first asked for; what is not yet gone is asked for once."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self._due: dict[tuple[uuid.UUID, str], bool] = {}  # and whether only if few wait there
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._publish, name="hinting", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether hints are still being published."""
        return self._thread.is_alive()

    def hint(self, run_id: uuid.UUID, queues: Iterable[str], *, if_few: bool = False) -> None:
        """Have the workers told that these queues hold work of a run, or only those in which few hints wait."""
        with self._changed:
            for queue in sorted(set(queues)):
                self._due[run_id, queue] = if_few and self._due.get((run_id, queue), True)
            self._changed.notify()

    def close(self) -> None:
        """Publish what is due, if the broker takes it soon."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(PATIENCE_S)

    def _publish(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._closing)
                if not self._due:
                    return
                (run_id, queue), if_few = next(iter(self._due.items()))
                del self._due[run_id, queue]
            try:
                (publish_if_few if if_few else publish)(self.app, run_id, [queue])
            except Exception:  # whatever it is: without this thread nobody is told of work
                log.exception("hint not published", run_id=str(run_id), queue=queue)
