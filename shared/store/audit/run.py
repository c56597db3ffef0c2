"""The audit of a run: every check, on one snapshot of the database."""

import uuid
from collections import Counter
from collections.abc import Callable

import orjson
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shared.method.planning import POSITIONS_PER_PROPOSAL
from shared.store import gate
from shared.store.audit import keys, records, retractions, totals, work
from shared.store.audit.check import Check, Finding
from shared.store.audit.novelty import novelty
from shared.store.audit.served import ServedCall, served
from shared.store.keys import judgement_key
from shared.store.loading import RunContext, load_run
from shared.store.runs import targets_of
from shared.store.tables.runs import Run

CHECKS: tuple[Check, ...] = (
    *(*records.CHECKS, *keys.CHECKS, *work.CHECKS, *totals.CHECKS),
    *retractions.CHECKS,
)
MEMORY = "256MB"  # for a sort or a hash: Postgres's own default spills a large run's to disk
FAR = 2**62

Told = Callable[[str], None]
"""Called with the name of each check before it begins."""


def audit(session: Session, run_id: uuid.UUID, told: Told, calls: Counter[ServedCall] | None = None) -> list[Finding]:
    """What each check finds in a run, which may be going on. `calls` are those that the servers say they served.

    The session must be fresh: all is read from one snapshot. The run must exist.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    session.execute(text(f"SET LOCAL work_mem = '{MEMORY}'"))
    context = load_run(session, run_id)
    if context is None:
        raise LookupError(f"there is no run {run_id}")
    parameters = _parameters(session, context)
    findings = []
    for check in CHECKS:
        told(check.name)
        findings.append(check.run(session, parameters))
    told("instructions too alike")
    findings.append(novelty(session, context))
    if calls is not None:
        told("served calls lost")
        findings.append(served(session, context, calls))
    return findings


def _parameters(session: Session, context: RunContext) -> dict[str, object]:
    ended = session.scalar(select(Run.finished_at).where(Run.id == context.run_id)) is not None
    ends, frontiers = [], []
    for task_type, target in targets_of(session, context.run_id).items():
        last = gate.last_wanted_position(session, context.run_id, task_type, target.target)
        if target.completed_at is not None:
            ends.append({"task_type": task_type, "position": FAR if last is None else last})
        elif not ended:
            frontiers.append({"task_type": task_type, "position": FAR if last is None else last})
    return {
        "run": context.run_id,
        "judgement": judgement_key(context.run_id),
        "spacing": POSITIONS_PER_PROPOSAL,
        "voices": list(context.job.voices),
        "imported": context.job.imported is not None,
        "ends": orjson.dumps(ends).decode(),
        "frontiers": orjson.dumps(frontiers).decode(),
    }
