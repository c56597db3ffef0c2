"""A run of three voices with instances that were judged, planted without any worker."""

import uuid
from collections.abc import Sequence

from sqlalchemy.orm import Session

from shared.job import JobSpec
from shared.method.tasks import TaskType
from shared.store import gate
from shared.store.base import Base
from shared.store.copying import insert_records
from shared.store.judgements import example_row, verdict_row
from shared.store.keys import key, position
from shared.store.records import candidates as stored_candidates
from shared.store.records import subjects
from shared.store.runs import begin_run, targets_of
from shared.store.session import Sessions
from shared.store.states import end_run
from shared.store.tables.records import Candidate, Instance, Instruction, RecordState
from shared.store.tables.runs import RunState
from tests.integration.store.planted import JOB, a_generation, new_run, plant_proposals, take

VOICES = ("instance", "one", "two")
Outputs = tuple[str, str, str]


def three_voices() -> JobSpec:
    """A job for two examples without input, with two voices besides the instance's own."""
    content = JOB.model_dump(mode="json", exclude_defaults=True)
    voices = [{"model": "base", "name": name, "decoding": {"temperature": 1}} for name in VOICES[1:]]
    return JobSpec.model_validate({**content, "targets": {"output_only": 2}, "outputs": voices})


def plant_judged(sessions: Sessions, outputs: Sequence[Outputs], name: str = "judged-1") -> uuid.UUID:
    """A run that has ended, with an instance for each of these outputs of the three voices, in their order."""
    job = three_voices()
    with sessions.begin() as session:
        run_id = begin_run(session, new_run(name, job=job)).id
    plant_proposals(sessions, run_id, len(outputs))
    claims = take(sessions, run_id, len(outputs))
    with sessions.begin() as session:
        generations = [a_generation(session, claim, response=str(number)) for number, claim in enumerate(claims)]
        _write(session, *generations)
        for number, (generation, texts) in enumerate(zip(generations, outputs, strict=True)):
            _plant_instance(session, job, run_id, generation.id, number, texts)
        for task_type, target in targets_of(session, run_id).items():
            last = gate.last_wanted_position(session, run_id, task_type, target.target)
            if last is not None:
                gate.mark_surplus(session, run_id, task_type, last)
        end_run(session, run_id, RunState.COMPLETED, "planted")
    return run_id


def _write(session: Session, *rows: Base) -> None:
    session.add_all(rows)
    session.flush()


def _plant_instance(
    session: Session, job: JobSpec, run_id: uuid.UUID, generation_id: uuid.UUID, number: int, texts: Outputs
) -> None:
    common = {"run_id": run_id, "generation_id": generation_id, "state": RecordState.ACCEPTED}
    kind = {"task_type": TaskType.OUTPUT_ONLY}
    instruction = Instruction(
        id=key("instruction", generation_id, 0),
        position=position(number),
        accepted_order=number,
        text=f"Write number {number}.",
        **kind,
        **common,
    )
    instance_id = key("instance", instruction.id)
    instance = Instance(id=instance_id, instruction_id=instruction.id, input="", **kind, **common)
    candidates = [
        Candidate(
            id=key("candidate", instance_id, place),
            instance_id=instance_id,
            number=place,
            voice=voice,
            output=text,
            **common,
        )
        for place, (voice, text) in enumerate(zip(VOICES, texts, strict=True))
    ]
    for rows in ([instruction], [instance], candidates):
        _write(session, *rows)
    decided = job.terms.judge(VOICES, texts)
    stored = stored_candidates(session, [instance_id])[instance_id]
    verdict = verdict_row(run_id, 0, instance_id, stored, decided, decided.reason)
    insert_records(session, [verdict])
    if verdict.choice_id:
        subject = subjects(session, [instance_id])[instance_id]
        insert_records(session, [example_row(verdict, subject, stored, surplus=False)])
