"""The `instructions` queue: propose instructions, and pass them through the novelty gate."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from shared.method.sampling import KeyedInstruction, draw_generated, sample_instruction_demonstrations
from shared.method.tasks import Demonstration
from shared.store import gate
from shared.store.keys import ordinal, position
from shared.store.loading import RunContext
from shared.store.work import Claim
from workers.calls import PreparedCall, prepare
from workers.stages import Answered, Follow, GivenUp, LMStage


def prepare_proposals(session: Session, context: RunContext, claims: Sequence[Claim]) -> list[PreparedCall]:
    """Render each proposal's prompt: seeds, then instructions that the run accepted some time ago."""
    stage = context.job.instructions
    prepared = []
    for claim in claims:
        template = context.templates[stage.prompts[claim.task_type]]
        prepared.append(
            prepare(
                context,
                claim,
                model=stage.model,
                template=template,
                overrides=stage.decoding,
                stop=template.stop_for(stage.harvest),
                demonstrations=_demonstrations(session, context, claim),
            )
        )
    return prepared


def _demonstrations(session: Session, context: RunContext, claim: Claim) -> tuple[Demonstration, ...]:
    """The generated ones were accepted `lookahead` proposals earlier, so that it doesn't matter which
    worker was quicker."""
    stage, number = context.job.instructions, ordinal(claim.position)
    sizes = stage.demonstrations[claim.task_type]
    series = f"{context.job.seed}.{claim.task_type}"
    horizon = position(max(0, number - stage.lookahead))
    pool = gate.accepted_before(session, context.run_id, claim.task_type, horizon)
    drawn = draw_generated(pool, sizes.generated, key=series, ordinal=number)
    texts = gate.accepted_at(session, context.run_id, claim.task_type, drawn)
    return sample_instruction_demonstrations(
        context.seeds[claim.task_type],
        [KeyedInstruction(str(texts[order].id), texts[order].text) for order in drawn],
        n_seeds=sizes.seeds,
        key=series,
        ordinal=number,
        reuse=stage.reuse,
    )


def save_proposals(session: Session, context: RunContext, answers: Sequence[Answered]) -> Follow:
    """The answers are stored as generations already; the gate reads them there, in order."""
    return Follow(advance=True)


def save_lost_proposals(session: Session, context: RunContext, lost: Sequence[GivenUp]) -> Follow:
    """A proposal that failed leaves no instruction; the gate passes over it."""
    return Follow(advance=True)


STAGE = LMStage(prepare_proposals, save_proposals, save_lost_proposals)
