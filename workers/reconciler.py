"""Makes good what the broker and vanished workers lost. One is active at a time; others stand by."""

import threading
import uuid
from collections.abc import Sequence
from itertools import groupby

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.queue import names
from shared.store.endpoints import forget_old
from shared.store.locks import held_by_one
from shared.store.progress import oldest_open_s
from shared.store.runs import running_ids
from shared.store.session import cause
from shared.store.shares import forget_vanished
from shared.store.sweeping import ExpiredLease, drop_stragglers, due_queues, expire_leases
from shared.telemetry.logging import bound, told
from workers.gate import advance
from workers.gone_models import see_to_gone_models
from workers.naming import of_run
from workers.runtime import Runtime

log = structlog.get_logger()

INTERVAL_S = 2.0
PATIENCE_S = 10.0  # how long a round under way may take to end once the worker stops


def reconcile(runtime: Runtime) -> bool:
    """Expire leases, drop what ended runs left, advance every running run, hint at due work.

    Returns `False` if another process does it.
    """
    with held_by_one(runtime.engine, "reconciler") as active:
        if not active:
            return False
        with runtime.sessions.begin() as session:
            expired = expire_leases(session)
            drop_stragglers(session)
            forget_old(session)
            forget_vanished(session)
            running = running_ids(session)
        _tell_of(expired)
        for run_id in running:
            _advance(runtime, run_id)
        with runtime.sessions.begin() as session:
            due = due_queues(session)
            ages = [age for run_id in running if (age := oldest_open_s(session, run_id)) is not None]
        if ages:
            log.debug("oldest unfinished work", seconds=round(max(ages)))
        for each in due:
            runtime.hinting.hint(each.run_id, [each.queue], if_few=True)  # to all: this one may not be enough
    return True


def _tell_of(expired: Sequence[ExpiredLease]) -> None:
    for (run_id, queue, worker), those in groupby(sorted(expired, key=_holder), _holder):
        ids = [each.work_id for each in those]
        about = {"run_id": run_id, "queue": queue, "work_items": told(ids)}
        log.warning("leases ran out", count=len(ids), vanished=worker, **about)


def _holder(lease: ExpiredLease) -> tuple[str, str, str]:
    return str(lease.run_id), lease.queue, lease.worker or ""


def _advance(runtime: Runtime, run_id: uuid.UUID) -> None:
    """Advance a run; one that can't be must not hold up the others."""
    try:
        context = runtime.context(run_id)
        if context:
            with bound(**of_run(context), queue=names.CONTROL):
                see_to_gone_models(runtime, context)
                advance(runtime, context)
    except Exception:
        log.exception("run not advanced, will try again", run_id=str(run_id))


def start(runtime: Runtime) -> threading.Thread:
    """Reconcile every few seconds in a thread, until the worker stops."""

    def run() -> None:
        while not runtime.stopping.wait(INTERVAL_S):
            try:
                reconcile(runtime)
            except SQLAlchemyError as error:
                log.warning("reconciling failed, will try again", error=cause(error))
            except Exception:  # whatever it is: without a reconciler, work is lost
                log.exception("reconciling failed, will try again")

    thread = threading.Thread(target=run, name="reconciler", daemon=True)
    thread.start()
    return thread
