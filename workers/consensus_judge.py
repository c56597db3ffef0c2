"""The `consensus` queue: decide between an instance's candidates."""

import time
import uuid
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import copy_context

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.method.consensus import judge
from shared.method.pace import VERDICTS
from shared.method.tasks import TaskType
from shared.queue import names
from shared.store import gate, records, work
from shared.store.copying import insert_records
from shared.store.judgements import decide, example_row, usable, verdict_row
from shared.store.loading import RunContext
from shared.store.new_records import NewVerdict
from shared.store.records import StoredCandidate
from shared.store.runs import is_going_on
from shared.store.session import cause, passes
from shared.store.states import mark_beyond_targets
from shared.store.tables.records import RecordState
from shared.store.work import Claim
from shared.telemetry.logging import told
from shared.telemetry.metrics import Operation
from workers.gate import advance
from workers.measuring import Timed
from workers.runtime import PAGES, Runtime
from workers.stages import CRASHED, VANISHED, has_crashed
from workers.tracing import tell_verdicts

LEASE_S = 60
PATIENCE_S = 1.0  # between tries while the database is away

log = structlog.get_logger()


def judge_all(runtime: Runtime, context: RunContext) -> None:
    """Give a verdict on every instance whose voices have all spoken."""
    runtime.judges.do(context.run_id, lambda: _judge_all(runtime, context))


def _judge_all(runtime: Runtime, context: RunContext) -> None:
    """Page after page; after a full one several at once, or verdicts would fall behind where CPU is short."""
    while judged := _begin_page(runtime, context, suspect=True).result():
        advance(runtime, context)
        if judged == VERDICTS:
            _judge_several(runtime, context)


def _judge_several(runtime: Runtime, context: RunContext) -> None:
    """As long as pages are full. What may make its workers vanish is in none of them: it is held alone."""
    pages = {_begin_page(runtime, context, suspect=False) for _ in range(PAGES)}
    try:
        while pages:
            ended, pages = wait(pages, return_when=FIRST_COMPLETED)
            judged = [page.result() for page in ended]
            pages |= {_begin_page(runtime, context, suspect=False) for each in judged if each == VERDICTS}
            if any(judged):
                advance(runtime, context)
    finally:
        wait(pages)


def _begin_page(runtime: Runtime, context: RunContext, *, suspect: bool) -> Future[int]:
    return runtime.judging.submit(copy_context().run, _claim_and_judge, runtime, context, suspect)


def _claim_and_judge(runtime: Runtime, context: RunContext, suspect: bool) -> int:
    """How many verdicts were made: none if there is nothing to decide, or that went wrong."""
    claims: list[Claim] = []
    try:
        claims = _claim(runtime, context, suspect)
        if claims:
            _judge_patiently(runtime, context, claims)
    except Exception:  # leases run out, and the reconciler sees to what was in them
        log.exception("page not judged", work_items=told(each.id for each in claims))
        return 0
    return len(claims)


def _claim(runtime: Runtime, context: RunContext, suspect: bool) -> list[Claim]:
    if runtime.stopping.is_set():
        return []
    with Timed(Operation.CLAIM) as timed, runtime.sessions.begin() as session:
        claims = work.claim(
            session,
            context.run_id,
            names.CONSENSUS,
            count=VERDICTS,
            lease_s=LEASE_S + runtime.lease_slack_s,
            worker=runtime.worker,
            revision=context.revision,
            suspect=suspect,
        )
        timed.size = len(claims)
    return claims


def _judge_patiently(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
    """Judge a page, again and again while the database is away: a page that is done holds its leases no more."""
    while True:
        try:
            return judge_page(runtime, context, claims)
        except SQLAlchemyError as error:
            if not passes(error) or runtime.stopping.wait(PATIENCE_S):
                raise
            log.warning(
                "page not judged, will try again", error=cause(error), work_items=told(each.id for each in claims)
            )


def judge_page(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
    """Judge some instances and write verdicts and examples in one transaction."""
    began, instance_ids = time.time(), [claim.subject for claim in claims]
    with runtime.sessions.begin() as session:
        candidates = records.candidates(session, instance_ids)
        subjects = records.subjects(session, instance_ids)
        retracted = records.retracted_with(session, candidates)
    verdicts = [_verdict(context, claim, candidates[claim.subject], retracted) for claim in claims]
    with Timed(Operation.JUDGE, len(claims)), runtime.sessions.begin() as session:
        crashed = [claim for claim in claims if has_crashed(context, claim)]
        held = work.finish(session, [claim for claim in claims if claim not in crashed])
        held |= work.fail(session, [work.Failure(claim, CRASHED, VANISHED) for claim in crashed])
        kept = [(claim, verdict) for claim, verdict in zip(claims, verdicts, strict=True) if claim.id in held]
        insert_records(session, [verdict for _, verdict in kept])
        completed = records.completed_types(session, context.run_id)
        examples = [
            example_row(
                verdict,
                subjects[claim.subject],
                candidates[claim.subject],
                surplus=claim.task_type in completed,
            )
            for claim, verdict in kept
            if verdict.state == RecordState.ACCEPTED
        ]
        insert_records(session, examples)
        if not is_going_on(session, context.run_id):
            mark_beyond_targets(session, context.run_id)
        gate.count_each(
            session,
            context.run_id,
            concluded=[claim.task_type for claim, _ in kept],
            examples=[TaskType(example.task_type) for example in examples],
        )
    if runtime.traces:
        tell_verdicts(runtime.traces, context, kept, examples, began, time.time())


def _verdict(
    context: RunContext, claim: Claim, candidates: Sequence[StoredCandidate], retracted: Collection[uuid.UUID]
) -> NewVerdict:
    terms = context.job.terms
    if has_crashed(context, claim):
        return verdict_row(context.run_id, 0, claim.subject, [], judge([], terms.rule, terms.threshold), CRASHED)
    compared = usable(candidates, retracted)
    decided = decide(terms, claim.subject, compared, retracted)
    return verdict_row(context.run_id, 0, claim.subject, compared, decided, decided.reason)
