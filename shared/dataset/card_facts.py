"""All that a dataset card tells of an export, as it was found when the export was first made.

A run may go on, so what it is said to have done is kept with the export: the card of an export is always the same.
"""

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from shared.dataset.agreement import measure
from shared.job import JobSpec
from shared.method.agreement import AgreementReport
from shared.method.terms import Terms
from shared.store.export_facts import (
    ExampleGroup,
    FirstWord,
    Words,
    example_groups,
    first_words,
    mean_agreement,
    words_of,
)
from shared.store.export_sources import (
    Calls,
    FileBehind,
    FunnelStep,
    ModelBehind,
    RunState,
    calls_behind,
    files_behind,
    funnel_of,
    models_behind,
    run_states,
)
from shared.store.exports import ExportedRun
from shared.store.judgements import Told, count_verdicts, find_judgement, terms_of

FIRST_WORDS = 10


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, and the judgement that made its examples."""

    run: str
    judgement: int
    terms: Terms
    state: RunState
    funnel: tuple[FunnelStep, ...]
    agreement: AgreementReport

    @property
    def job(self) -> JobSpec:
        """What the run carries out."""
        return JobSpec.model_validate(self.state.job)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """An export's examples, what made them, and the runs in the order of the command."""

    groups: tuple[ExampleGroup, ...]
    mean_agreement: float | None
    words: tuple[Words, ...]
    first_words: tuple[FirstWord, ...]
    models: tuple[ModelBehind, ...]
    files: tuple[FileBehind, ...]
    calls: tuple[Calls, ...]
    runs: tuple[RunFacts, ...]


_FACTS = TypeAdapter(CardFacts)


def gather_facts(
    session: Session,
    export_id: uuid.UUID,
    runs: Sequence[ExportedRun],
    bar: Callable[[str, int], AbstractContextManager[Told]],
) -> CardFacts:
    """The facts of an export whose rows are written."""
    total = sum(count_verdicts(session, run.judgement_id) for run in runs)
    with bar("measuring", total) as told:
        of_runs = [
            _run_facts(session, run, state, told) for run, state in zip(runs, run_states(session, runs), strict=True)
        ]
    return CardFacts(
        groups=tuple(example_groups(session, export_id)),
        mean_agreement=mean_agreement(session, export_id),
        words=tuple(words_of(session, export_id)),
        first_words=tuple(first_words(session, export_id, FIRST_WORDS)),
        models=tuple(models_behind(session, export_id, runs)),
        files=tuple(files_behind(session, export_id, runs)),
        calls=tuple(calls_behind(session, export_id)),
        runs=tuple(of_runs),
    )


def _run_facts(session: Session, run: ExportedRun, state: RunState, told: Told) -> RunFacts:
    terms = terms_of(find_judgement(session, run.run_id, run.run, run.judgement))
    voices = list(JobSpec.model_validate(state.job).voices)
    report = measure(session, run.run_id, run.judgement, voices, terms, told)
    return RunFacts(run.run, run.judgement, terms, state, tuple(funnel_of(session, run)), report)


def facts_to_json(facts: CardFacts) -> dict[str, Any]:
    """As they are kept."""
    kept: dict[str, Any] = _FACTS.dump_python(facts, mode="json")
    return kept


def facts_from_json(kept: dict[str, Any]) -> CardFacts:
    """What was kept."""
    return _FACTS.validate_python(kept)
