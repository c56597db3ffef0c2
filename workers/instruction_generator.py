"""The `instructions` queue: propose instructions, and pass them through the novelty gate."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from shared.method.sampling import KeyedInstruction, draw_generated, draw_instead, sample_instruction_demonstrations
from shared.method.tasks import Stage, TaskType
from shared.store import gate
from shared.store.keys import ordinal, position
from shared.store.loading import RunContext
from shared.store.work import Claim
from workers.calls import PreparedCall, prepare
from workers.stages import Answered, Follow, GivenUp, LMStage


def prepare_proposals(session: Session, context: RunContext, claims: Sequence[Claim]) -> list[PreparedCall]:
    """Render each proposal's prompt: seeds, then instructions that the run accepted some time ago."""
    stage = context.job.instructions
    generated = _generated(session, context, claims)
    prepared = []
    for claim in claims:
        template = context.templates[stage.prompts[claim.task_type]]
        shown = sample_instruction_demonstrations(
            context.shown_seeds[claim.task_type],
            generated[claim.id],
            n_seeds=stage.demonstrations[claim.task_type].seeds,
            key=_series(context, claim.task_type),
            ordinal=ordinal(claim.position),
            reuse=stage.reuse,
        )
        prepared.append(
            prepare(
                context,
                claim,
                model=stage.model,
                template=template,
                overrides=stage.decoding,
                stop=template.stop_for(stage.harvest),
                demonstrations=shown,
            )
        )
    return prepared


def _generated(
    session: Session, context: RunContext, claims: Sequence[Claim]
) -> dict[uuid.UUID, list[KeyedInstruction]]:
    """The accepted instructions that each proposal shows, drawn from those of `lookahead` proposals earlier, so
    that it doesn't matter which worker was quicker. One that is retracted is passed over for the next drawn."""
    stage = context.job.instructions
    generated: dict[uuid.UUID, list[KeyedInstruction]] = {}
    for task_type in {claim.task_type for claim in claims}:
        of_type = [claim for claim in claims if claim.task_type is task_type]
        horizons = {claim.id: position(max(0, ordinal(claim.position) - stage.lookahead)) for claim in of_type}
        pools = gate.accepted_before(session, context.run_id, task_type, set(horizons.values()))
        count, key = stage.demonstrations[task_type].generated, _series(context, task_type)
        draws = {claim.id: _Draw(pools[horizons[claim.id]], count, key, ordinal(claim.position)) for claim in of_type}
        generated |= _fit(session, context.run_id, task_type, draws)
    return generated


@dataclass(frozen=True, slots=True)
class _Draw:
    pool: int
    count: int
    key: str
    ordinal: int

    @property
    def first(self) -> tuple[int, ...]:
        return draw_generated(self.pool, self.count, key=self.key, ordinal=self.ordinal)

    @property
    def instead(self) -> tuple[int, ...]:
        return draw_instead(self.pool, self.first, key=self.key, ordinal=self.ordinal)


def _fit(
    session: Session, run_id: uuid.UUID, task_type: TaskType, draws: Mapping[uuid.UUID, _Draw]
) -> dict[uuid.UUID, list[KeyedInstruction]]:
    drawn = {id: draw.first for id, draw in draws.items()}
    found = gate.shown_at(session, run_id, task_type, {order for orders in drawn.values() for order in orders})
    lacking = {id: draws[id].instead for id, orders in drawn.items() if not found.keys() >= set(orders)}
    found |= gate.shown_at(session, run_id, task_type, {order for orders in lacking.values() for order in orders})
    fit = {
        id: [found[order] for order in (*orders, *lacking.get(id, ())) if order in found][: len(orders)]
        for id, orders in drawn.items()
    }
    return {id: [KeyedInstruction(str(each.id), each.text) for each in shown] for id, shown in fit.items()}


def _series(context: RunContext, task_type: TaskType) -> str:
    return f"{context.job.seed}.{task_type}"


def save_proposals(session: Session, context: RunContext, answers: Sequence[Answered]) -> Follow:
    """The answers are stored as generations already; the gate reads them there, in order."""
    return Follow(advance=True)


def save_lost_proposals(session: Session, context: RunContext, lost: Sequence[GivenUp]) -> Follow:
    """A proposal that failed leaves no instruction; the gate passes over it."""
    return Follow(advance=True)


STAGE = LMStage(Stage.INSTRUCTION, prepare_proposals, save_proposals, save_lost_proposals)
