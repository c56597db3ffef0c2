"""Makes good what the broker and vanished workers lost. One is active at a time; others stand by."""

import threading

import structlog
from sqlalchemy.exc import DBAPIError

from shared.queue.hints import publish
from shared.store.locks import held_by_one
from shared.store.runs import running_ids
from shared.store.work import due_queues, expire_leases
from workers.gate import advance
from workers.runtime import Runtime

log = structlog.get_logger()

INTERVAL_S = 2.0


def reconcile(runtime: Runtime) -> bool:
    """Expire leases, advance every running run, hint at due work; `False` if another process does it."""
    with held_by_one(runtime.engine, "reconciler") as active:
        if not active:
            return False
        with runtime.sessions.begin() as session:
            expired = expire_leases(session)
            running = running_ids(session)
        if expired:
            log.warning("leases ran out", count=expired)
        for run_id in running:
            context = runtime.context(run_id)
            if context:
                advance(runtime, context)
        with runtime.sessions() as session:
            due = due_queues(session)
        for each in due:
            publish(runtime.app, each.run_id, [each.queue])
    return True


def start(runtime: Runtime) -> threading.Thread:
    """Reconcile every few seconds in a thread, until the worker stops."""

    def run() -> None:
        while not runtime.stopping.wait(INTERVAL_S):
            try:
                reconcile(runtime)
            except DBAPIError as error:
                log.warning("reconciling failed, will try again", error=" ".join(str(error.orig).split()))

    thread = threading.Thread(target=run, name="reconciler", daemon=True)
    thread.start()
    return thread
