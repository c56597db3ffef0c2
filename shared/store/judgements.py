"""Judgements, and the verdicts and examples that they make: number 0 is the run's own, later ones are asked for."""

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from sqlalchemy import all_, any_, exists, func, or_, select
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.method import consensus
from shared.method.consensus import DiscardReason, Rule
from shared.method.tasks import TaskType
from shared.method.terms import Terms
from shared.store.keys import judgement_key, key
from shared.store.marks import any_live, is_retracted
from shared.store.new_records import NewExample, NewVerdict
from shared.store.records import StoredCandidate, Subject
from shared.store.tables.records import Candidate, Example, Judgement, RecordState, Verdict

Told = Callable[[int], None]
"""Called with the number of instances that have just been dealt with."""


class JudgementNotFoundError(UserError):
    """Run '{run}' has no judgement {number}; it has {numbers}."""


def judgement_row(run_id: uuid.UUID, number: int, terms: Terms) -> Judgement:
    """A judgement to be written."""
    return Judgement(
        id=judgement_key(run_id, number),
        run_id=run_id,
        number=number,
        rule=terms.rule,
        threshold=terms.threshold,
        min_candidates=terms.min_candidates,
        weights=dict(terms.weights),
        families=dict(terms.families),
    )


def terms_of(row: Judgement) -> Terms:
    """What a judgement decides by."""
    return Terms(Rule(row.rule), row.threshold, row.min_candidates, row.weights, row.families)


def widen(session: Session, run_id: uuid.UUID, terms: Terms) -> None:
    """Have a run's own judgement go on by terms that know one voice more, of which no verdict so far has heard."""
    own = session.get_one(Judgement, judgement_key(run_id))
    own.weights, own.families = dict(terms.weights), dict(terms.families)


def judgements(session: Session, run_id: uuid.UUID) -> Sequence[Judgement]:
    """A run's judgements, its own first."""
    return session.scalars(select(Judgement).where(Judgement.run_id == run_id).order_by(Judgement.number)).all()


def find_judgement(session: Session, run_id: uuid.UUID, run: str, number: int) -> Judgement:
    """A run's judgement of this number. Raises `JudgementNotFoundError`."""
    there = judgements(session, run_id)
    for each in there:
        if each.number == number:
            return each
    raise JudgementNotFoundError(run=run, number=number, numbers=", ".join(str(each.number) for each in there))


def has_seen_all(session: Session, judgement: Judgement) -> bool:
    """Whether the judgement decided between the very outputs that it would be given now: none has come to an instance
    since, been retracted, or been put in force again. A verdict that crashed saw none."""
    accepted = (
        exists()
        .where(Verdict.judgement_id == judgement.id, Verdict.instance_id == Candidate.instance_id)
        .where(Candidate.state == RecordState.ACCEPTED)
    )
    decided = or_(func.cardinality(Verdict.candidate_ids) > 0, Verdict.reason == DiscardReason.RETRACTED)
    missed = accepted.where(
        Candidate.id != all_(Verdict.candidate_ids),
        or_(decided, Candidate.created_at > Verdict.created_at),
        ~is_retracted(Candidate.id),
    )
    if session.scalar(select(missed)):
        return False
    taken_back = accepted.where(Candidate.id == any_(Verdict.candidate_ids), is_retracted(Candidate.id))
    return not (any_live(session) and session.scalar(select(taken_back)))


def by_terms(session: Session, run_id: uuid.UUID, terms: Terms) -> Judgement | None:
    """The first of a run's judgements that was made by these terms and has seen all outputs that there are."""
    made = (each for each in judgements(session, run_id) if terms_of(each) == terms)
    return next((each for each in made if has_seen_all(session, each)), None)


def usable(candidates: Sequence[StoredCandidate], retracted: Collection[uuid.UUID]) -> list[StoredCandidate]:
    """The candidates that are compared: a voice that failed, or whose output was rejected or retracted, has no part.

    Of a retracted instance none has.
    """
    accepted = (each for each in candidates if each.state == RecordState.ACCEPTED)
    return [each for each in accepted if each.id not in retracted and each.instance_id not in retracted]


def decide(
    terms: Terms, instance_id: uuid.UUID, compared: Sequence[StoredCandidate], retracted: Collection[uuid.UUID]
) -> consensus.Judgement:
    """Decide between an instance's usable candidates; a retracted one has none, and that is the reason."""
    decided = terms.judge([each.voice for each in compared], [each.output or "" for each in compared])
    return replace(decided, reason=DiscardReason.RETRACTED) if instance_id in retracted else decided


class Compared(Protocol):
    """A candidate that was compared, stored or about to be."""

    @property
    def id(self) -> uuid.UUID:
        """Its key."""

    @property
    def output(self) -> str | None:
        """The text."""


def verdict_row(
    run_id: uuid.UUID,
    number: int,
    instance_id: uuid.UUID,
    compared: Sequence[Compared],
    decided: consensus.Judgement,
    reason: str | None,
) -> NewVerdict:
    """What was decided on an instance, between the candidates that were compared, to be written."""
    return NewVerdict(
        id=key("verdict", instance_id, number),
        run_id=run_id,
        judgement_id=judgement_key(run_id, number),
        instance_id=instance_id,
        candidate_ids=[each.id for each in compared],
        scores=[list(row) for row in decided.scores],
        exact_match=decided.exact_match,
        margin=decided.margin,
        choice_id=None if decided.choice is None else compared[decided.choice].id,
        state=RecordState.REJECTED if reason else RecordState.ACCEPTED,
        reason=reason,
    )


def example_row(verdict: NewVerdict, subject: Subject, compared: Sequence[Compared], *, surplus: bool) -> NewExample:
    """The example that an accepting verdict makes, to be written."""
    chosen = next(each for each in compared if each.id == verdict.choice_id)
    return NewExample(
        id=key("example", verdict.id),
        run_id=verdict.run_id,
        judgement_id=verdict.judgement_id,
        task_type=subject.task_type,
        position=subject.position,
        instance_id=verdict.instance_id,
        verdict_id=verdict.id,
        candidate_id=chosen.id,
        instruction=subject.instruction,
        input=subject.input,
        output=chosen.output or "",
        surplus=surplus,
    )


def verdict_pages(session: Session, judgement_id: uuid.UUID, size: int = 500) -> Iterator[Sequence[Verdict]]:
    """A judgement's verdicts by their instances' keys; what a page held is let go, so memory stays flat."""
    last = uuid.UUID(int=0)
    while True:
        page = session.scalars(
            select(Verdict)
            .where(Verdict.judgement_id == judgement_id, Verdict.instance_id > last)
            .order_by(Verdict.instance_id)
            .limit(size)
        ).all()
        if not page:
            return
        last = page[-1].instance_id
        yield page
        session.expunge_all()


def count_verdicts(session: Session, judgement_id: uuid.UUID) -> int:
    """How many instances a judgement has decided on."""
    return session.scalar(select(func.count()).where(Verdict.judgement_id == judgement_id)) or 0


def count_wanted(session: Session, judgement_id: uuid.UUID) -> dict[TaskType, int]:
    """How many examples a judgement made of each type, those past the target left out."""
    rows = session.execute(
        select(Example.task_type, func.count())
        .where(Example.judgement_id == judgement_id, ~Example.surplus)
        .group_by(Example.task_type)
    )
    return {TaskType(task_type): count for task_type, count in rows}


def count_retracted(session: Session, judgement_id: uuid.UUID) -> int:
    """How many of a judgement's examples are retracted, those past the target left out."""
    if not any_live(session):
        return 0
    wanted = (Example.judgement_id == judgement_id, ~Example.surplus)
    return session.scalar(select(func.count()).where(*wanted, is_retracted(Example.id))) or 0
