"""Telling workers that there is work: collected during a transaction, published after its commit."""

import uuid
from collections.abc import Iterable

import structlog
from celery import Celery
from kombu.exceptions import ChannelError, OperationalError

from shared.errors import WorldError
from shared.queue import names

log = structlog.get_logger()

TASKS = {
    names.INSTRUCTIONS: "instructions.generate",
    names.INSTANCES: "instances.generate",
    names.CONSENSUS: "consensus.judge",
    names.CONTROL: "control.advance",
}
OUTPUTS_TASK = "outputs.generate"
MOST_HINTS = 32  # in a queue, before the reconciler adds no more


class BrokerUnreachableError(WorldError):
    """The broker at REDIS_URL can't be reached: {detail}. Is Redis or Valkey running, and is the address right?"""


def task_of(queue: str) -> str:
    """The name of the Celery task that works on a queue."""
    return TASKS.get(queue, OUTPUTS_TASK)


def ping(app: Celery) -> None:
    """Ask the broker for a sign of life. Raises `BrokerUnreachableError`."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, reraise_as_library_errors=True)
    except (OperationalError, OSError, ValueError) as error:
        raise BrokerUnreachableError(detail=" ".join(str(error).split())[:200].rstrip(".?! ")) from error


def publish(app: Celery, run_id: uuid.UUID, queues: Iterable[str]) -> None:
    """Hint that these queues hold work of a run. A hint that gets lost is made good by the reconciler."""
    for queue in sorted(set(queues)):
        try:
            app.send_task(task_of(queue), args=[str(run_id), queue], queue=queue)
        except (OperationalError, OSError) as error:
            log.warning("hint not published", run_id=str(run_id), queue=queue, error=str(error))


def publish_if_few(app: Celery, run_id: uuid.UUID, queues: Iterable[str]) -> None:
    """Hint at queues, unless hints lie there in heaps because no worker listens."""
    for queue in queues:
        try:
            with app.connection_for_write() as connection, connection.channel() as channel:
                waiting = channel.queue_declare(queue, passive=True).message_count
        except (OperationalError, OSError, ChannelError) as error:
            log.debug("length of queue not known", queue=queue, error=str(error))
            waiting = 0
        if waiting < MOST_HINTS:
            publish(app, run_id, [queue])
