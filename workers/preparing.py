"""Claimed work made ready to be sent, but for what is given up without a call."""

from collections.abc import Sequence

import structlog

from shared.method.prompts import UnrenderableError
from shared.store.loading import RunContext
from shared.store.work import Claim
from shared.telemetry.metrics import Operation
from workers.calls import PreparedCall
from workers.measuring import Timed
from workers.runtime import Runtime
from workers.stages import CRASHED, UNRENDERABLE, VANISHED, LMStage, give_up, has_crashed

log = structlog.get_logger()


def prepare_all(runtime: Runtime, context: RunContext, stage: LMStage, claims: Sequence[Claim]) -> list[PreparedCall]:
    """Render what can be rendered; give up what can't, or what made too many workers vanish."""
    crashed = [each for each in claims if has_crashed(context, each)]
    if crashed:
        give_up(runtime, context, stage, crashed, CRASHED, VANISHED)
    sound = [each for each in claims if each not in crashed]
    try:
        return _render(runtime, context, stage, sound)
    except UnrenderableError:  # a text that breaks the user's template must not hold up the others
        return [prepared for each in sound for prepared in _render_alone(runtime, context, stage, each)]


def _render(runtime: Runtime, context: RunContext, stage: LMStage, claims: Sequence[Claim]) -> list[PreparedCall]:
    with Timed(Operation.PREPARE, len(claims)), runtime.sessions.begin() as session:
        return stage.prepare(session, context, claims)


def _render_alone(runtime: Runtime, context: RunContext, stage: LMStage, claim: Claim) -> list[PreparedCall]:
    try:
        return _render(runtime, context, stage, [claim])
    except UnrenderableError as error:
        log.warning("prompt not rendered", work_item=str(claim.id), error=type(error.__cause__).__name__)
        give_up(runtime, context, stage, [claim], UNRENDERABLE, str(error))
        return []
