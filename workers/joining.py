"""A worker that is new takes part at once in what goes on."""

from typing import Any

import structlog
from celery import Celery
from celery.concurrency.thread import TaskPool
from sqlalchemy.exc import SQLAlchemyError

from shared.queue.hints import task_of
from shared.store.session import cause
from shared.store.sweeping import DueWork, due_queues
from workers.runtime import Runtime

log = structlog.get_logger()


def take_part(runtime: Runtime, app: Celery, pool: TaskPool) -> None:
    """Begin all that is due in the worker's queues: hints are few while others work, and may be long in coming.

    What is begun so takes a thread of the pool, as if it was hinted at, and the pool waits for it when it stops.
    """
    try:
        with runtime.sessions.begin() as session:
            due = due_queues(session)
    except SQLAlchemyError as error:
        return log.warning("not known what is due, will wait for hints", error=cause(error))
    for each in due:
        if each.queue in app.amqp.queues.consume_from:
            pool.apply_async(_work, (app.tasks[task_of(each.queue)], each), callback=lambda _: None)


def _work(task: Any, due: DueWork) -> None:
    try:
        task(str(due.run_id), due.queue)
    except Exception:
        log.exception("work not begun, a hint will", run_id=str(due.run_id), queue=due.queue)
