"""The `consensus` queue: decide between an instance's candidates."""

from collections.abc import Sequence

from shared.method.consensus import DiscardReason, Judgement, Rule, judge
from shared.method.tasks import TaskType
from shared.queue import names
from shared.store import gate, records, work
from shared.store.copying import insert_rows
from shared.store.keys import key
from shared.store.loading import RunContext
from shared.store.tables.records import Candidate, Example, RecordState, Verdict
from shared.store.work import Claim
from workers.gate import advance
from workers.runtime import Runtime
from workers.stages import CRASHED

PAGE = 128
LEASE_S = 60


def judge_all(runtime: Runtime, context: RunContext) -> None:
    """Give a verdict on every instance whose voices have all spoken."""
    while not runtime.stopping.is_set():
        with runtime.sessions.begin() as session:
            claims = work.claim(
                session,
                context.run_id,
                names.CONSENSUS,
                count=PAGE,
                lease_s=LEASE_S + runtime.lease_slack_s,
                worker=runtime.worker,
            )
        if not claims:
            return
        judge_page(runtime, context, claims)
        advance(runtime, context)


def judge_page(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
    """Judge some instances and write verdicts and examples in one transaction."""
    instance_ids = [claim.subject for claim in claims]
    with runtime.sessions() as session:
        candidates = records.candidates(session, instance_ids)
        questions = records.questions(session, instance_ids)
    verdicts = [_verdict(context, claim, candidates[claim.subject]) for claim in claims]
    with runtime.sessions.begin() as session:
        held = work.finish(session, claims)
        kept = [(claim, verdict) for claim, verdict in zip(claims, verdicts, strict=True) if claim.id in held]
        insert_rows(session, [verdict for _, verdict in kept])
        completed = records.completed_types(session, context.run_id)
        examples = [
            _example(claim, verdict, questions[claim.subject], candidates[claim.subject], completed)
            for claim, verdict in kept
            if verdict.choice_id and verdict.state == RecordState.ACCEPTED
        ]
        insert_rows(session, examples)
        gate.count_each(
            session,
            context.run_id,
            concluded=[claim.task_type for claim, _ in kept],
            examples=[TaskType(example.task_type) for example in examples],
        )


def _verdict(context: RunContext, claim: Claim, candidates: Sequence[Candidate]) -> Verdict:
    usable = [each for each in candidates if each.state == RecordState.ACCEPTED]
    judgement, reason = _judged(context, claim, [each.output or "" for each in usable])
    return Verdict(
        id=key("verdict", claim.subject),
        run_id=context.run_id,
        instance_id=claim.subject,
        rule=judgement.rule,
        threshold=judgement.threshold,
        candidate_ids=[each.id for each in usable],
        scores=[list(row) for row in judgement.scores],
        exact_match=judgement.exact_match,
        margin=judgement.margin,
        choice_id=None if judgement.choice is None else usable[judgement.choice].id,
        state=RecordState.REJECTED if reason else RecordState.ACCEPTED,
        reason=reason,
    )


def _judged(context: RunContext, claim: Claim, outputs: Sequence[str]) -> tuple[Judgement, str | None]:
    stage = context.job.consensus
    if claim.crashes >= context.job.retry.crashes:
        return judge([], stage.rule, stage.threshold), CRASHED
    judgement = judge(outputs, stage.rule, stage.threshold)
    too_few = len(outputs) < stage.min_candidates and stage.rule is not Rule.NONE
    return judgement, DiscardReason.TOO_FEW_CANDIDATES if too_few else judgement.reason


def _example(
    claim: Claim,
    verdict: Verdict,
    question: records.Question,
    candidates: Sequence[Candidate],
    completed: set[TaskType],
) -> Example:
    chosen = next(each for each in candidates if each.id == verdict.choice_id)
    return Example(
        id=key("example", verdict.id),
        run_id=verdict.run_id,
        task_type=claim.task_type,
        position=claim.position,
        instance_id=verdict.instance_id,
        verdict_id=verdict.id,
        candidate_id=chosen.id,
        instruction=question.instruction,
        input=question.input,
        output=chosen.output,
        surplus=claim.task_type in completed,
    )
