"""The `instances` queue: give an accepted instruction its input and first output."""

import uuid
from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy.orm import Session

from shared.job import OWN_VOICE
from shared.method.filters import Rejection, instance_rejection
from shared.method.parsing import ParsedInstance, parse_instance_with_input, parse_instance_without_input
from shared.method.sampling import sample_instance_demonstrations
from shared.method.tasks import Demonstration, Stage, TaskType
from shared.queue import follow
from shared.store import gate, records
from shared.store.copying import insert_records
from shared.store.keys import key
from shared.store.loading import RunContext
from shared.store.new_records import NewCandidate, NewInstance
from shared.store.tables.records import RecordState
from shared.store.work import Claim, NewWork, add_work
from workers.calls import PreparedCall, prepare
from workers.stages import Answered, Follow, GivenUp, LMStage


@lru_cache(maxsize=4096)
def demonstrations(context: RunContext, task_type: TaskType, number: int) -> tuple[Demonstration, ...]:
    """The seeds that the instance of accepted instruction `number` is made with; few-shot voices ask for them again."""
    stage = context.job.instances
    return sample_instance_demonstrations(
        context.shown_seeds[task_type],
        n_seeds=stage.demonstrations[task_type],
        key=f"{context.job.seed}.{task_type}",
        ordinal=number,
        reuse=stage.reuse,
    )


def prepare_instances(session: Session, context: RunContext, claims: Sequence[Claim]) -> list[PreparedCall]:
    """Render the prompt that asks for each instruction's instance."""
    stage = context.job.instances
    instructions = records.instructions(session, [claim.subject for claim in claims])
    prepared = []
    for claim in claims:
        instruction = instructions[claim.subject]
        template = context.templates[stage.prompts[claim.task_type]]
        prepared.append(
            prepare(
                context,
                claim,
                model=stage.model,
                template=template,
                overrides=stage.decoding,
                stop=template.stop,
                demonstrations=demonstrations(context, claim.task_type, instruction.order),
                instruction=instruction.text,
            )
        )
    return prepared


def save_instances(session: Session, context: RunContext, answers: Sequence[Answered]) -> Follow:
    """Parse each answer into an instance, accepted or with the reason why not; ask the other voices."""
    claims = [each.prepared.claim for each in answers]
    instructions = records.instructions(session, [claim.subject for claim in claims])
    instances: list[NewInstance] = []
    candidates: list[NewCandidate] = []
    planned: list[NewWork] = []
    for each in answers:
        claim = each.prepared.claim
        instance = _instance(context, claim, generation_id=each.prepared.generation_id)
        instances.append(instance)
        parsed = _parsed(context, instructions[claim.subject].text, each)
        if isinstance(parsed, Rejection):
            instance.state, instance.reason = RecordState.REJECTED, parsed
            continue
        instance.input, instance.pending_outputs = parsed.input, len(context.job.outputs)
        candidates.append(_own_candidate(instance, parsed.output))
        planned += follow.after_instance(context.job, instance, claim.position)
    insert_records(session, instances)
    insert_records(session, candidates)
    add_work(session, planned)
    rejected = [TaskType(each.task_type) for each in instances if each.state == RecordState.REJECTED]
    gate.count_each(session, context.run_id, concluded=rejected)
    return Follow(follow.queues_of(planned), advance=bool(rejected))


def _parsed(context: RunContext, instruction: str, each: Answered) -> ParsedInstance | Rejection:
    task_type = each.prepared.claim.task_type
    with_input = task_type is TaskType.INPUT_OUTPUT
    parse = parse_instance_with_input if with_input else parse_instance_without_input
    parsed = parse(each.answer.text, truncated=each.answer.finish_reason == "length")
    if isinstance(parsed, Rejection):
        return parsed
    limits = context.job.instances.limits
    return instance_rejection(instruction, parsed.input, parsed.output, task_type, limits) or parsed


def _instance(context: RunContext, claim: Claim, generation_id: uuid.UUID | None) -> NewInstance:
    return NewInstance(
        id=key("instance", claim.subject),
        run_id=context.run_id,
        task_type=claim.task_type,
        instruction_id=claim.subject,
        generation_id=generation_id,
    )


def _own_candidate(instance: NewInstance, output: str) -> NewCandidate:
    return NewCandidate(
        id=key("candidate", instance.id, 0),
        run_id=instance.run_id,
        instance_id=instance.id,
        number=0,
        voice=OWN_VOICE,
        generation_id=instance.generation_id,
        output=output,
    )


def save_lost_instances(session: Session, context: RunContext, lost: Sequence[GivenUp]) -> Follow:
    """An instruction whose instance could not be made ends here, with the fault as its reason."""
    instances = []
    for each in lost:
        instance = _instance(context, each.claim, generation_id=each.generation_id)
        instance.state, instance.reason = RecordState.REJECTED, each.fault
        instances.append(instance)
    insert_records(session, instances)
    gate.count_each(session, context.run_id, concluded=[each.claim.task_type for each in lost])
    return Follow(advance=True)


STAGE = LMStage(Stage.INSTANCE, prepare_instances, save_instances, save_lost_instances)
