"""The agreement between a run's voices, measured on the verdicts in the store."""

import uuid
from collections.abc import Sequence

from sqlalchemy.orm import Session

from shared.method.agreement import Agreement, AgreementReport, Bloc, Judged
from shared.method.terms import Terms
from shared.store import records
from shared.store.judgements import Told, verdict_pages
from shared.store.keys import judgement_key
from shared.store.records import StoredCandidate
from shared.store.tables.records import Verdict

NOTABLE = 1.25  # times as long


def measure(
    session: Session,
    run_id: uuid.UUID,
    number: int,
    voices: Sequence[str],
    terms: Terms,
    told: Told = lambda _: None,
) -> AgreementReport:
    """Who wins and who agrees in a judgement by these terms; `told` is called with each page's instances."""
    agreement = Agreement(voices, terms)
    for page in verdict_pages(session, judgement_key(run_id, number)):
        candidates = records.candidates(session, [verdict.instance_id for verdict in page])
        for verdict in page:
            agreement.add(_judged(verdict, candidates[verdict.instance_id]))
        told(len(page))
    return agreement.report()


def _judged(verdict: Verdict, candidates: Sequence[StoredCandidate]) -> Judged:
    by_id = {each.id: each for each in candidates}
    compared = [by_id[id] for id in verdict.candidate_ids]
    return Judged(
        voices=[each.voice for each in compared],
        outputs=[each.output or "" for each in compared],
        scores=verdict.scores,
        choice=None if verdict.choice_id is None else verdict.candidate_ids.index(verdict.choice_id),
        exact_match=verdict.exact_match,
    )


def warning(bloc: Bloc, run: str) -> str:
    """What a bloc means to a person, and how to mend it."""
    one, two = bloc.voices
    return (
        f"'{one}' and '{two}' answer alike: over the {bloc.instances} instances that kept an output and had a further "
        f"voice's, too, their Rouge-L is {bloc.rouge_l_inside:.2f} with each other and {bloc.rouge_l_outside:.2f} with "
        f"the others. They won {bloc.wins} of them ({bloc.wins / bloc.instances:.0%}, where {bloc.even_share:.0%} "
        f"would be an even share), with outputs {_length(bloc)} ({bloc.words:.1f} words against "
        f"{bloc.others_words:.1f}). They may win because they are "
        "akin, not because they are right: give their models one `family` in the job, so that they share a vote, "
        "or give another voice more `weight`. What that changes: "
        f"ensemble-instruct rejudge {run} --family {one}=akin --family {two}=akin --dry-run"
    )


def _length(bloc: Bloc) -> str:
    short, long = sorted((bloc.words, bloc.others_words))
    if long < NOTABLE * short or not long:
        return "about as long as the others'"
    times = f"{long / short:.1f} times " if short else "far "
    return f"{times}{'shorter' if bloc.words == short else 'longer'} than the others'"
