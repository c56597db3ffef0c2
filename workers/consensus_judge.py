"""The `consensus` queue: decide between an instance's candidates."""

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass

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
from shared.store.session import cause, limit_waits, passes
from shared.store.states import mark_beyond_targets
from shared.store.tables.records import RecordState
from shared.store.work import Claim
from shared.telemetry.logging import told
from shared.telemetry.metrics import Operation
from workers.gate import advance_or_leave
from workers.measuring import Timed
from workers.runtime import PAGES, Runtime
from workers.stages import CRASHED, VANISHED, has_crashed
from workers.tracing import tell_verdicts

LEASE_S = 60
PATIENCE_S = 1.0  # between tries while the database is away
FILLING_S = 0.5  # how long a page that is not full lets the next one fill while the run is at its gate
LOCK_S = 5.0  # how long a page waits for a run that somebody holds, before it leaves its thread to others

log = structlog.get_logger()


@dataclass(eq=False)
class _Page:
    """Verdicts to be made together: `judged` when they are, or to be tried `again` if the database was away."""

    claims: Sequence[Claim] = ()
    judged: bool = False
    again: bool = False


def judge_all(runtime: Runtime, context: RunContext) -> None:
    """Give a verdict on every instance whose voices have all spoken."""
    with _bringing_on(runtime, context) as bring_on:
        runtime.judges.do(context.run_id, lambda: _judge_all(runtime, context, bring_on))


def _judge_all(runtime: Runtime, context: RunContext, bring_on: Callable[[], Future[None]]) -> None:
    """Page after page; after a full one several at once, or verdicts would fall behind where CPU is short."""
    pages = {_begin(runtime, _claim_and_judge, runtime, context)}
    look_again = False  # those under way may have looked for more before what was judged since
    while pages:
        done, pages = wait(pages, return_when=FIRST_COMPLETED)
        ended, more = [each.result() for each in done], 0
        again = [page for page in ended if page.again]
        if judged := [len(page.claims) for page in ended if page.judged]:
            passage = bring_on()
            if VERDICTS not in judged and not pages:
                wait([passage], FILLING_S)  # or pages would be small, and cost more than their verdicts
            more = (PAGES if VERDICTS in judged else 1) - len(pages) - len(again)
            look_again = True
        elif look_again and not pages and not again:
            more = 1
        if more > 0:
            pages |= {_begin(runtime, _claim_and_judge, runtime, context) for _ in range(more)}
            look_again = False
        if again and runtime.stopping.wait(PATIENCE_S):
            _give_back(runtime, again)
        else:
            pages |= {_begin(runtime, _judge, runtime, context, page) for page in again}


@contextmanager
def _bringing_on(runtime: Runtime, context: RunContext) -> Iterator[Callable[[], Future[None]]]:
    """What has the run advanced beside its verdicts, which need not wait while it waits at its gate.

    Until the context ends each call of it is followed by a passage that begins after it, one for several if need be.
    """
    passages: list[Future[None]] = []
    with ThreadPoolExecutor(1, thread_name_prefix="gate") as beside:

        def bring_on() -> Future[None]:
            if not passages or passages[-1].running() or passages[-1].done():
                passages[:] = [beside.submit(copy_context().run, advance_or_leave, runtime, context)]
            return passages[-1]

        yield bring_on


def _begin(runtime: Runtime, work: Callable[..., _Page], *arguments: object) -> Future[_Page]:
    return runtime.judging.submit(copy_context().run, work, *arguments)


def _claim_and_judge(runtime: Runtime, context: RunContext) -> _Page:
    """Claim a page and judge it; what may make its workers vanish is in one of them at a time, of whatever run."""
    page = _Page()
    page.claims = _claim(runtime, context, runtime.judging_suspect.take(page))
    if not any(each.suspect for each in page.claims):
        runtime.judging_suspect.release(page)
    return _judge(runtime, context, page) if page.claims else page


def _give_back(runtime: Runtime, pages: Sequence[_Page]) -> None:
    """What was to be tried again, but the worker was told to stop."""
    for page in pages:
        runtime.judging_suspect.release(page)
    claims = [each for page in pages for each in page.claims]
    try:
        with runtime.sessions.begin() as session:
            work.give_back(session, claims)
    except SQLAlchemyError as error:  # their leases run out
        log.warning("verdicts not given back", error=cause(error), work_items=told(each.id for each in claims))


def _claim(runtime: Runtime, context: RunContext, suspect: bool) -> list[Claim]:
    """None if the database is away, or the worker was told to stop."""
    if runtime.stopping.is_set():
        return []
    try:
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
    except Exception as error:
        if said := _away(error):
            log.warning("no page claimed, the reconciler will see to it", error=said)
        else:
            log.exception("no page claimed, the reconciler will see to it")
        return []
    return claims


def _judge(runtime: Runtime, context: RunContext, page: _Page) -> _Page:
    """A second try is harmless: a page that is done holds its leases no more."""
    page.again = False
    try:
        judge_page(runtime, context, page.claims)
        page.judged = True
    except Exception as error:
        items = told(each.id for each in page.claims)
        if said := _away(error):
            log.warning("page not judged, will try again", error=said, work_items=items)
            page.again = True
        else:
            log.exception("page not judged", work_items=items)  # its leases run out, and the reconciler sees to it
    if not page.again:
        runtime.judging_suspect.release(page)
    return page


def _away(error: Exception) -> str | None:
    """What a database said that may take later what it refused now."""
    return cause(error) if isinstance(error, SQLAlchemyError) and passes(error) else None


def judge_page(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
    """Judge some instances and write verdicts and examples in one transaction."""
    began, instance_ids = time.time(), [claim.subject for claim in claims]
    with runtime.sessions.begin() as session:
        candidates = records.candidates(session, instance_ids)
        subjects = records.subjects(session, instance_ids)
        retracted = records.retracted_with(session, candidates)
    verdicts = [_verdict(context, claim, candidates[claim.subject], retracted) for claim in claims]
    with Timed(Operation.JUDGE, len(claims)), runtime.sessions.begin() as session:
        limit_waits(session, lock_s=LOCK_S)
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
