"""Which examples an export holds: those asked for, less what each filter leaves out, in the order of `LeftOut`."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy.orm import Session

from shared.dataset.conditions import Condition
from shared.dataset.evaluation_sets import EvaluationSets
from shared.dataset.export_record import ExportOptions
from shared.errors import UserError
from shared.method.ngrams import Texts
from shared.store import authorship, selection
from shared.store.authorship import DeclaredFile, DeclaredModel
from shared.store.exports import ExportedRun
from shared.store.judgements import Told
from shared.store.reading import check_functions, matching, reading
from shared.store.tables.exports import LeftOut

Bar: TypeAlias = Callable[[str, int], AbstractContextManager[Told]]
"""Shows how far something is: given what is done and how many there are, it gives what to call with each number."""


def no_bar(doing: str, total: int) -> AbstractContextManager[Told]:
    """Shows nothing."""
    return nullcontext(lambda _: None)


class NothingToExportError(UserError):
    """Run '{run}' has no examples yet; `ensemble-instruct status {run}` shows how far it is."""


class JudgementEmptyError(UserError):
    """Judgement {number} of run '{run}' kept no example, so there is nothing to export."""


class NothingLeftError(UserError):
    """Nothing is left to export: of {examples} examples, {why}."""


class AllRetractedError(UserError):
    """All {count} examples of what is asked for are retracted, so there is nothing to export; `ensemble-instruct
    retractions` says why. If only outputs were, decide anew without them: ensemble-instruct rejudge {run}"""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks for. `options` tell all of it; a condition and evaluation sets come with what was read."""

    runs: tuple[ExportedRun, ...]
    options: ExportOptions
    condition: Condition | None = None
    evaluation: EvaluationSets | None = None


def choose(session: Session, request: Request, bar: Bar = no_bar) -> None:
    """Fill the transaction's selection; it has to be one of repeatable reads.

    Raises `NothingToExportError`, `JudgementEmptyError`, `NothingLeftError`, `AllRetractedError`, and the errors of a
    condition.
    """
    options = request.options
    judgement_ids = [run.judgement_id for run in request.runs]
    examples = selection.gather(
        session, selection.Asked(judgement_ids, surplus=options.surplus, shuffle=options.shuffle)
    )
    if not examples:
        raise _nothing(request.runs[0])
    selection.leave_out_retracted(session)
    if request.condition:
        _filter(session, request.condition, judgement_ids)
    if options.licences:
        _leave_out_unlicensed(session, request)
    if options.min_agreement is not None:
        selection.leave_out_disagreeing(session, options.min_agreement)
    if request.evaluation:
        _decontaminate(session, request.evaluation, bar)
    if options.limit is not None:
        selection.leave_out_beyond(session, options.limit)
    require_some(session, request.runs, options)


def require_some(session: Session, runs: Sequence[ExportedRun], options: ExportOptions) -> None:
    """Raises `NothingLeftError` or `AllRetractedError` unless the selection keeps an example."""
    if selection.count_kept(session):
        return
    counts = selection.count_left_out(session)
    if counts.keys() == {LeftOut.RETRACTED}:
        raise AllRetractedError(count=counts[LeftOut.RETRACTED], run=runs[0].run)
    whys = [f"{reason} left out {count}{_missed(session, runs, options, reason)}" for reason, count in counts.items()]
    raise NothingLeftError(examples=sum(counts.values()), why=", ".join(whys))


def _nothing(run: ExportedRun) -> UserError:
    if run.judgement:
        return JudgementEmptyError(number=run.judgement, run=run.run)
    return NothingToExportError(run=run.run)


def _filter(session: Session, condition: Condition, judgement_ids: Sequence[uuid.UUID]) -> None:
    with reading(session) as reader:
        check_functions(reader, condition.functions)
        selection.leave_out_others(session, matching(reader, condition.sql, judgement_ids))


def _leave_out_unlicensed(session: Session, request: Request) -> None:
    run_ids = [run.run_id for run in request.runs]
    models, files = _unlicensed(session, run_ids, request.options.licences)
    if models:
        authorship.trace(session, run_ids)
        authorship.leave_out_unlicensed(session, [model.id for model in models])
    if files:
        authorship.leave_out_files(session, [file.id for file in files])


def _unlicensed(
    session: Session, run_ids: Sequence[uuid.UUID], licences: Sequence[str]
) -> tuple[list[DeclaredModel], list[DeclaredFile]]:
    """The runs' models and imported files of which no such licence is declared."""
    models, files = authorship.declared_models(session, run_ids), authorship.declared_files(session, run_ids)
    return (
        [each for each in models if not _is_among(each.licence, licences)],
        [each for each in files if not _is_among(each.licence, licences)],
    )


def _is_among(licence: str | None, licences: Sequence[str]) -> bool:
    return licence is not None and licence.lower() in licences


def _missed(session: Session, runs: Sequence[ExportedRun], options: ExportOptions, reason: LeftOut) -> str:
    """Which models and imported files a licence was missed of."""
    if reason is not LeftOut.LICENCE:
        return ""
    models, files = _unlicensed(session, [run.run_id for run in runs], options.licences)
    declared = [(f"model {each.name}", each.licence) for each in models]
    declared += [(each.name, each.licence) for each in files]
    refused = dict.fromkeys(
        f"{what} has licence {licence}" if licence else f"{what} has none declared" for what, licence in declared
    )
    return f" ({'; '.join(refused)})"


def _decontaminate(session: Session, evaluation: EvaluationSets, bar: Bar) -> None:
    with bar("comparing", selection.count_kept(session)) as told:
        for page in selection.compared_pages(session):
            overlaps = evaluation.index.overlaps([Texts(*each[1:]) for each in page])
            found = {
                each.example_id: evaluation.told(overlap)
                for each, overlap in zip(page, overlaps, strict=True)
                if overlap
            }
            selection.leave_out_contaminated(session, found)
            told(len(page))
