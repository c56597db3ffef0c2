"""Bringing in what was made elsewhere: a run that is complete from its beginning, with the files as its roots.

The first file has the instances with their own outputs, the others further outputs for them. All of it is written in
one transaction, or nothing.
"""

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from shared.dataset.alignment import Answers, Question, question
from shared.dataset.imported_files import Contents, Told, digest, items
from shared.dataset.intake import IN_ORDER, Answer, Counts, Intake
from shared.dataset.row_writer import RowWriter
from shared.errors import UserError, WorldError
from shared.job import (
    IMPORTED,
    OWN_VOICE,
    ConsensusStage,
    Imported,
    ImportedFile,
    InstanceStage,
    InstructionStage,
    JobSpec,
)
from shared.job_identity import fingerprint
from shared.method.seeds import seed_digest
from shared.method.tasks import TaskType
from shared.store import gate
from shared.store.keys import key, position
from shared.store.loading import runs_in_scope
from shared.store.locks import try_lock
from shared.store.runs import NewRun, begin_run
from shared.store.states import end_run
from shared.store.tables.origins import OriginFile
from shared.store.tables.records import Instance, Instruction
from shared.store.tables.runs import Run, RunState

ALL_NOVEL = 1.0  # no two texts are more alike


class NameTakenError(UserError):
    """There is a run named '{name}' already, of other files or settings. Give this one another name with --as."""


class ImportedAlreadyError(WorldError):
    """Another command is importing a run named '{name}'; try again when it is done."""


class FileChangedError(WorldError):
    """{path} changed while it was read, so nothing was written; try again when nobody writes to it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be imported, what it holds, which voice its outputs are, and what is said of it."""

    path: Path
    contents: Contents
    voice: str = OWN_VOICE
    source: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What an import made of its files.

    `lacking`: for each file, how many items of the first it has no record for. `unmatched`: for each, the lines of
    its items that answer none of the first, or one more often than it asks. `repeated`: how many instances have the
    instruction and input of another.
    """

    counts: Counts
    lacking: list[int]
    unmatched: list[list[int]]
    repeated: int


def import_job(
    name: str,
    sources: Sequence[Source],
    consensus: ConsensusStage,
    *,
    novelty: float | None = None,
    scope: str | tuple[str, ...] = "run",
    filtered: bool = False,
) -> JobSpec:
    """The job of a run that holds these files: what it was given in place of what it would have made."""
    files = [
        ImportedFile(
            voice=each.voice,
            name=each.path.name,
            sha256=each.contents.sha256,
            source=each.source,
            licence=each.licence,
        )
        for each in sources
    ]
    return JobSpec(
        name=name,
        imported=Imported(files=tuple(files), filtered=filtered),
        targets=dict(sorted(sources[0].contents.items.items())),
        models={},
        instructions=InstructionStage(
            model=IMPORTED, novelty_threshold=ALL_NOVEL if novelty is None else novelty, novelty_scope=scope
        ),
        instances=InstanceStage(model=IMPORTED),
        consensus=consensus,
    )


def imported_before(session: Session, job: JobSpec) -> Run | None:
    """The run that this job was imported as. Raises `NameTakenError` for one of the same name that is another."""
    run = session.scalar(select(Run).where(Run.name == job.name))
    if run is not None and _decisive(JobSpec.model_validate(run.job)) != _decisive(job):
        raise NameTakenError(name=job.name)
    return run


def _decisive(job: JobSpec) -> tuple[object, ...]:
    """What stays as it is, however many voices join."""
    return (job.imported, job.targets, job.instructions, job.consensus)


def bring_in(session: Session, job: JobSpec, sources: Sequence[Source], told: Told = lambda _: None) -> Brought:
    """Write the run of a job for these sources; the caller commits. `told` is called with the first file's items.

    Raises `ImportedAlreadyError`, `RunNameTakenError`, `FileChangedError`, and `RunNotFoundError` for a run that the
    job's novelty scope names.
    """
    if not try_lock(session, "import", job.name):
        raise ImportedAlreadyError(name=job.name)
    others = runs_in_scope(session, job)
    run = begin_run(session, NewRun(job.name, job, fingerprint(job, seed_digest([]), {}), [], []))
    file_ids = _write_files(session, run.id, job, sources)
    with RowWriter(session, IN_ORDER) as writer:
        intake = Intake(writer, run.id, job, partial(_known, session, run.id, others))
        further = [Answers(_answers(intake, each.path, id)) for each, id in zip(sources[1:], file_ids[1:], strict=True)]
        for item in items(sources[0].path):
            asked = question(item.instruction, item.input)
            intake.take(file_ids[0], item, [answers.to(asked) for answers in further])
            told(1)
    _refuse_changed(sources)
    _conclude(session, run.id, job, intake.counts)
    unmatched = [sorted(answer.line for answer in answers.left()) for answers in further]
    lacking = [answers.lacking for answers in further]
    return Brought(intake.counts, [0, *lacking], [[], *unmatched], _repeated(session, run.id))


def _known(
    session: Session, run_id: uuid.UUID, others: Collection[uuid.UUID] | None, task_type: TaskType
) -> Iterator[tuple[uuid.UUID, str]]:
    """What other runs hold: all of them if `others` is `None`."""
    if others != ():
        yield from gate.accepted_elsewhere(session, run_id, task_type, others)


def _write_files(session: Session, run_id: uuid.UUID, job: JobSpec, sources: Sequence[Source]) -> list[uuid.UUID]:
    rows = [
        OriginFile(
            id=key("origin_file", run_id, number),
            run_id=run_id,
            number=number,
            records=each.contents.records,
            **file.model_dump(),
        )
        for number, (each, file) in enumerate(zip(sources, job.imported.files if job.imported else (), strict=True))
    ]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def _answers(intake: Intake, path: Path, file_id: uuid.UUID) -> Iterator[tuple[Question, Answer]]:
    for item in items(path):
        answer = Answer(intake.origin(file_id, item), item.line, item.output)
        yield question(item.instruction, item.input), answer


def _refuse_changed(sources: Sequence[Source]) -> None:
    """A file is looked through first, and written of afterwards."""
    for each in sources:
        if digest(each.path) != each.contents.sha256:
            raise FileChangedError(path=each.path)


def _conclude(session: Session, run_id: uuid.UUID, job: JobSpec, counts: Counts) -> None:
    """The run is complete: whatever became an example is wanted."""
    for task_type in job.targets:
        added = {"accepted": counts.accepted, "concluded": counts.concluded, "examples": counts.examples}
        gate.count(session, run_id, task_type, **{name: amounts[task_type] for name, amounts in added.items()})
        gate.complete_target(session, run_id, task_type, position(sum(job.targets.values())))
    files = job.imported.files if job.imported else ()
    end_run(session, run_id, RunState.COMPLETED, f"imported from {', '.join(file.name for file in files)}")


def _repeated(session: Session, run_id: uuid.UUID) -> int:
    texts = func.md5(func.concat_ws("\x1f", Instruction.text, Instance.input))
    instances = (
        select(func.count() - func.count(distinct(texts)))
        .join(Instruction, Instruction.id == Instance.instruction_id)
        .where(Instance.run_id == run_id)
    )
    return session.scalars(instances.select_from(Instance)).one()
