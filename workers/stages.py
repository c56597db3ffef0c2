"""What the three LM-bound stages have in common, and how an outcome of theirs is written."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

import structlog
from sqlalchemy.orm import Session

from shared.lm.errors import COUNTERS, NOT_TAKEN, Fault
from shared.lm.protocol import Answer
from shared.method.tasks import Stage
from shared.store import records, work
from shared.store.budgets import spend
from shared.store.copying import copy_rows
from shared.store.loading import RunContext
from shared.store.tables.records import Generation
from shared.store.work import Claim, Failure, Postponement
from shared.telemetry.metrics import Operation
from workers.calls import Outcome, PreparedCall, generation, server
from workers.gate import advance_or_leave
from workers.measuring import Timed, count_calls
from workers.retrying import postponement
from workers.runtime import Runtime
from workers.tracing import tell_calls, tell_given_up

log = structlog.get_logger()

CRASHED = "crashed"
VANISHED = "its workers vanished, time and again"
UNRENDERABLE = "unrenderable"


@dataclass(frozen=True, slots=True)
class Answered:
    """A call with its answer, to be turned into records."""

    prepared: PreparedCall
    answer: Answer


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Work that no further try will help, and why."""

    claim: Claim
    fault: str
    detail: str
    prepared: PreparedCall | None = None

    @property
    def failure(self) -> Failure:
        """What the work item keeps of it."""
        return Failure(self.claim, self.fault, self.detail, COUNTERS[Fault(self.fault)] if self.prepared else None)

    @property
    def generation_id(self) -> uuid.UUID | None:
        """The key of the last try's generation, if a server took it."""
        taken = self.prepared is not None and self.fault not in NOT_TAKEN
        return self.prepared.generation_id if self.prepared and taken else None


@dataclass
class Follow:
    """What is to happen after the commit."""

    queues: set[str] = field(default_factory=set)
    advance: bool = False


def has_crashed(context: RunContext, claim: Claim) -> bool:
    """Whether a piece of work may be what makes its workers vanish."""
    return claim.crashes >= context.job.retry.crashes


Prepare: TypeAlias = Callable[[Session, RunContext, Sequence[Claim]], list[PreparedCall]]
SaveAnswers: TypeAlias = Callable[[Session, RunContext, Sequence[Answered]], Follow]
SaveGivenUp: TypeAlias = Callable[[Session, RunContext, Sequence[GivenUp]], Follow]


@dataclass(frozen=True, slots=True)
class LMStage:
    """A stage as three plain functions: load and render, parse and save, record what failed for good."""

    name: Stage
    prepare: Prepare
    save_answers: SaveAnswers
    save_given_up: SaveGivenUp


@dataclass(frozen=True, slots=True)
class _Sorted:
    answered: list[Outcome]
    postponed: list[tuple[Outcome, Postponement]]
    given_up: list[Outcome]


def save(runtime: Runtime, context: RunContext, stage: LMStage, outcomes: Sequence[Outcome], chance: Random) -> None:
    """Write what became of some calls in a transaction or two, then tell the workers what follows.

    Answers and errors apart, since what each of them locks is locked in one order. Work that was lost and claimed
    again may be there twice; a lease is looked at for one claim at a time.
    """
    once = {each.prepared.claim.id: each for each in reversed(outcomes)}
    again = [each for each in outcomes if once[each.prepared.claim.id] is not each]
    for answered in (True, False):
        part = [each for each in once.values() if isinstance(each.result, Answer) is answered]
        if part:
            _save(runtime, context, stage, part, chance)
    if again:
        save(runtime, context, stage, again, chance)


def _save(runtime: Runtime, context: RunContext, stage: LMStage, outcomes: Sequence[Outcome], chance: Random) -> None:
    parts = _sorted(context, outcomes, chance)
    with Timed(Operation.SAVE, len(outcomes)), runtime.sessions.begin() as session:
        held = work.finish(session, [each.prepared.claim for each in parts.answered])
        held |= work.postpone(session, [each for _, each in parts.postponed])
        given_up = [_given_up(each) for each in parts.given_up]
        held |= work.fail(session, [each.failure for each in given_up])
        written = [each for each in outcomes if _is_kept(each, held)]
        _write_generations(session, context, written, runtime.worker)
        follow = _write(session, context, stage, parts.answered, given_up, held)
        spend(session, context.run_id, runtime.worker, len(written), sum(_tokens(each) for each in written))
    count_calls(stage.name, outcomes, held)
    if runtime.traces:
        tell_calls(runtime.traces, context, outcomes, held, {later.claim.id for _, later in parts.postponed})
    _tell(runtime, context, follow)


def give_up(
    runtime: Runtime, context: RunContext, stage: LMStage, claims: Sequence[Claim], fault: str, detail: str
) -> None:
    """End work without a call: it can't be rendered, or it may be what makes its workers vanish."""
    given_up = [GivenUp(each, fault, detail) for each in claims]
    with runtime.sessions.begin() as session:
        held = work.fail(session, [each.failure for each in given_up])
        follow = _write(session, context, stage, [], given_up, held)
    if runtime.traces:
        tell_given_up(runtime.traces, context, [each for each in claims if each.id in held], fault, time.time())
    _tell(runtime, context, follow)


def _sorted(context: RunContext, outcomes: Sequence[Outcome], chance: Random) -> _Sorted:
    parts = _Sorted([], [], [])
    for outcome in outcomes:
        if isinstance(outcome.result, Answer):
            parts.answered.append(outcome)
            continue
        later = postponement(context.job.retry, outcome.prepared.claim, outcome.result, chance)
        if later:
            parts.postponed.append((outcome, later))
        else:
            parts.given_up.append(outcome)
    return parts


def _given_up(outcome: Outcome) -> GivenUp:
    error = outcome.result
    if isinstance(error, Answer):
        raise TypeError("an answered call is not given up")
    return GivenUp(outcome.prepared.claim, error.fault, error.detail, outcome.prepared)


def _is_kept(outcome: Outcome, held: set[uuid.UUID]) -> bool:
    taken = isinstance(outcome.result, Answer) or outcome.result.fault not in NOT_TAKEN
    return taken and outcome.prepared.claim.id in held


def _tokens(outcome: Outcome) -> int:
    answer = outcome.result
    return (answer.prompt_tokens or 0) + (answer.completion_tokens or 0) if isinstance(answer, Answer) else 0


def _write_generations(session: Session, context: RunContext, kept: Sequence[Outcome], worker: str) -> None:
    served = {(each.prepared.model, each.result.served) for each in kept if isinstance(each.result, Answer)}
    records.remember_servers(session, [server(context, *each) for each in served])
    copy_rows(session, Generation, [generation(context, each, worker) for each in kept])


def _write(
    session: Session,
    context: RunContext,
    stage: LMStage,
    answered: Sequence[Outcome],
    given_up: Sequence[GivenUp],
    held: set[uuid.UUID],
) -> Follow:
    answers = [
        Answered(each.prepared, each.result)
        for each in answered
        if isinstance(each.result, Answer) and each.prepared.claim.id in held
    ]
    after_answers = stage.save_answers(session, context, answers) if answers else Follow()
    lost = [each for each in given_up if each.claim.id in held]
    after_lost = stage.save_given_up(session, context, lost) if lost else Follow()
    return Follow(after_answers.queues | after_lost.queues, after_answers.advance or after_lost.advance)


def _tell(runtime: Runtime, context: RunContext, follow: Follow) -> None:
    runtime.hinting.hint(context.run_id, runtime.wake(context.run_id, follow.queues))
    if follow.advance:
        advance_or_leave(runtime, context)
