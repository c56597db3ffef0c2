"""Deciding a run's instances anew from what is stored, with no LM call."""

import uuid
from collections.abc import Sequence

from sqlalchemy.orm import Session

from shared.dataset.changes import Changes, Outcome
from shared.method import consensus
from shared.method.terms import Terms
from shared.store import gate, records
from shared.store.copying import insert_records
from shared.store.judgements import Told, decide, example_row, judgement_row, usable, verdict_pages, verdict_row
from shared.store.keys import judgement_key
from shared.store.records import StoredCandidate
from shared.store.runs import targets_of
from shared.store.tables.records import RecordState, Verdict


def compare(session: Session, run_id: uuid.UUID, terms: Terms, told: Told = lambda _: None) -> Changes:
    """What these terms would change of the run's own judgement; `told` is called with each page's instances."""
    return _decide(session, run_id, terms, None, told)


def rejudge(session: Session, run_id: uuid.UUID, number: int, terms: Terms, told: Told = lambda _: None) -> Changes:
    """Write a judgement of this number beside the run's own; the caller commits. Returns what it changes.

    The instances are those on which the run itself decided. What is retracted has no part: neither an output nor an
    instance. As in the run, the first examples of a type up to its target are wanted, and later ones surplus.
    """
    session.add(judgement_row(run_id, number, terms))
    session.flush()
    changes = _decide(session, run_id, terms, number, told)
    for task_type, target in targets_of(session, run_id).items():
        last = gate.last_wanted_position(session, run_id, task_type, target.target, judgement=number)
        if last is not None:
            gate.mark_surplus(session, run_id, task_type, last, judgement=number)
    return changes


def _decide(session: Session, run_id: uuid.UUID, terms: Terms, number: int | None, told: Told) -> Changes:
    changes = Changes()
    for page in verdict_pages(session, judgement_key(run_id)):
        _decide_page(session, terms, number, page, changes)
        told(len(page))
    return changes


def _decide_page(session: Session, terms: Terms, number: int | None, page: Sequence[Verdict], changes: Changes) -> None:
    ids = [verdict.instance_id for verdict in page]
    candidates, subjects = records.candidates(session, ids), records.subjects(session, ids)
    retracted = records.retracted_with(session, candidates)
    verdicts, examples = [], []
    for first in page:
        subject, known = subjects[first.instance_id], candidates[first.instance_id]
        compared = usable(known, retracted)
        decided = decide(terms, first.instance_id, compared, retracted)
        changes.add(subject, _before(first, known), _after(decided, compared))
        if first.instance_id in retracted:
            changes.retracted_instances += 1
        else:
            changes.retracted_outputs += len({each.id for each in known} & retracted)
        if number is None:
            continue
        verdict = verdict_row(first.run_id, number, first.instance_id, compared, decided, decided.reason)
        verdicts.append(verdict)
        if verdict.state == RecordState.ACCEPTED:
            examples.append(example_row(verdict, subject, compared, surplus=False))
    insert_records(session, verdicts)
    insert_records(session, examples)


def _before(verdict: Verdict, candidates: Sequence[StoredCandidate]) -> Outcome:
    return _outcome(next((each for each in candidates if each.id == verdict.choice_id), None), verdict.reason)


def _after(decided: consensus.Judgement, compared: Sequence[StoredCandidate]) -> Outcome:
    return _outcome(None if decided.choice is None else compared[decided.choice], decided.reason)


def _outcome(chosen: StoredCandidate | None, reason: str | None) -> Outcome:
    return Outcome(chosen.voice, chosen.output, None) if chosen else Outcome(None, None, reason)
