"""The `outputs.<model>` queues: have one more voice answer an instance."""

import uuid
from collections.abc import Sequence

from sqlalchemy.orm import Session

from shared.job import Voice
from shared.method.filters import Rejection, output_rejection
from shared.method.parsing import parse_output
from shared.method.tasks import Stage
from shared.queue import follow
from shared.store import records
from shared.store.copying import insert_records
from shared.store.keys import key
from shared.store.loading import RunContext
from shared.store.new_records import NewCandidate
from shared.store.tables.records import RecordState
from shared.store.work import Claim, add_work
from workers.calls import PreparedCall, prepare
from workers.instance_generator import demonstrations
from workers.stages import Answered, Follow, GivenUp, LMStage


def _voice(context: RunContext, claim: Claim) -> tuple[int, Voice]:
    """A claim's voice, and its number among the candidates; 0 is the instance's own."""
    voices = enumerate(context.job.outputs, start=len(context.job.own_voices))
    return next((number, voice) for number, voice in voices if voice.label == claim.voice)


def prepare_outputs(session: Session, context: RunContext, claims: Sequence[Claim]) -> list[PreparedCall]:
    """Render each voice's prompt; a few-shot one shows what the instance itself was made with."""
    questions = records.questions(session, [claim.subject for claim in claims])
    prepared = []
    for claim in claims:
        _, voice = _voice(context, claim)
        question = questions[claim.subject]
        template = context.templates[context.job.voice_prompt(voice)]
        prepared.append(
            prepare(
                context,
                claim,
                model=voice.model,
                template=template,
                overrides=voice.decoding,
                stop=template.stop,
                demonstrations=demonstrations(context, claim.task_type, question.accepted_order),
                instruction=question.instruction,
                input=question.input,
            )
        )
    return prepared


def save_outputs(session: Session, context: RunContext, answers: Sequence[Answered]) -> Follow:
    """Parse each answer into a candidate; the last voice to speak asks for the verdict."""
    questions = records.questions(session, [each.prepared.claim.subject for each in answers])
    candidates = []
    for each in answers:
        claim = each.prepared.claim
        candidate = _candidate(context, claim, generation_id=each.prepared.generation_id)
        parsed = parse_output(each.answer.text, truncated=each.answer.finish_reason == "length")
        if isinstance(parsed, Rejection):
            candidate.reason = parsed
        else:
            candidate.output = parsed.text
            question, limits = questions[claim.subject], context.job.instances.limits
            candidate.reason = output_rejection(question.instruction, question.input, parsed.text, limits)
        candidate.state = RecordState.REJECTED if candidate.reason else RecordState.ACCEPTED
        candidates.append(candidate)
    insert_records(session, candidates)
    return _spoken(session, [each.prepared.claim for each in answers])


def save_lost_outputs(session: Session, context: RunContext, lost: Sequence[GivenUp]) -> Follow:
    """A voice that failed for good leaves a candidate without output; the verdict goes on without it."""
    candidates = []
    for each in lost:
        candidate = _candidate(context, each.claim, generation_id=each.generation_id)
        candidate.state, candidate.reason = RecordState.REJECTED, each.fault
        candidates.append(candidate)
    insert_records(session, candidates)
    return _spoken(session, [each.claim for each in lost])


def _candidate(context: RunContext, claim: Claim, generation_id: uuid.UUID | None) -> NewCandidate:
    number, voice = _voice(context, claim)
    return NewCandidate(
        id=key("candidate", claim.subject, number),
        run_id=context.run_id,
        instance_id=claim.subject,
        number=number,
        voice=voice.label,
        generation_id=generation_id,
    )


def _spoken(session: Session, claims: Sequence[Claim]) -> Follow:
    """What is full is judged; what a late output fills has been."""
    full = records.count_outputs(session, [claim.subject for claim in claims])
    positions = {claim.subject: claim.position for claim in claims if not claim.late}
    planned = [follow.consensus_work(instance, positions[instance.id]) for instance in full if instance.id in positions]
    add_work(session, planned)
    return Follow(follow.queues_of(planned))


STAGE = LMStage(Stage.OUTPUT, prepare_outputs, save_outputs, save_lost_outputs)
