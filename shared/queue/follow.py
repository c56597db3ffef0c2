"""What follows what: the work that a run, an instruction, an instance or a full set of outputs brings."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from shared.job import JobSpec
from shared.method.planning import Progress, proposals_to_add
from shared.method.tasks import Stage, TaskType
from shared.queue import names
from shared.store.gate import count
from shared.store.keys import position
from shared.store.new_records import NewInstance, NewInstruction
from shared.store.records import Complete
from shared.store.runs import Target
from shared.store.tables.records import Instance, Instruction
from shared.store.work import NewWork, add_work


def progress_of(target: Target) -> Progress:
    """A target's counters as plain values."""
    return Progress(
        target=target.target,
        proposed=target.proposed,
        gated=target.gated,
        accepted=target.accepted,
        concluded=target.concluded,
        examples=target.examples,
        gated_at_last_example=target.gated_at_last_example,
    )


def propose(session: Session, job: JobSpec, target: Target) -> int:
    """Add the proposals that a target still needs; returns how many."""
    added = proposals_to_add(progress_of(target), job.instructions.lookahead)
    task_type = target.task_type
    work = [
        NewWork(
            run_id=target.run_id,
            stage=Stage.INSTRUCTION,
            task_type=task_type,
            queue=names.INSTRUCTIONS,
            position=position(ordinal),
            model=job.instructions.model,
        )
        for ordinal in range(target.proposed, target.proposed + added)
    ]
    new = add_work(session, work)
    if new:
        count(session, target.run_id, task_type, proposed=new)
    return new


def instance_work(job: JobSpec, instruction: NewInstruction | Instruction) -> NewWork:
    """An accepted instruction needs an instance."""
    return NewWork(
        run_id=instruction.run_id,
        stage=Stage.INSTANCE,
        task_type=TaskType(instruction.task_type),
        queue=names.INSTANCES,
        position=instruction.position,
        model=job.instances.model,
        instruction_id=instruction.id,
    )


def after_instance(job: JobSpec, instance: NewInstance | Instance, position: int) -> list[NewWork]:
    """An accepted instance needs every further voice's output, or, with no voices, a verdict at once."""
    if not job.outputs:
        return [consensus_work(instance, position)]
    return [
        NewWork(
            run_id=instance.run_id,
            stage=Stage.OUTPUT,
            task_type=TaskType(instance.task_type),
            queue=names.outputs(voice.model),
            position=position,
            model=voice.model,
            voice=voice.label,
            instance_id=instance.id,
        )
        for voice in job.outputs
    ]


def consensus_work(instance: NewInstance | Complete | Instance, position: int) -> NewWork:
    """An instance whose voices have all spoken needs a verdict."""
    return NewWork(
        run_id=instance.run_id,
        stage=Stage.CONSENSUS,
        task_type=TaskType(instance.task_type),
        queue=names.CONSENSUS,
        position=position,
        instance_id=instance.id,
    )


def queues_of(work: Sequence[NewWork]) -> set[str]:
    """The queues that these pieces of work lie in."""
    return {item.queue for item in work}
