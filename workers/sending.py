"""One LM call, whose end is an outcome whatever happens."""

import time

import structlog

from shared.lm.errors import BrokenAnswer, LMError
from shared.lm.protocol import Answer, LanguageModel
from workers.calls import Outcome, PreparedCall

log = structlog.get_logger()


async def send(lm: LanguageModel, prepared: PreparedCall) -> Outcome:
    """Send a call, and say what became of it."""
    started = time.monotonic()
    result: Answer | LMError
    try:
        result = await lm.generate(prepared.call)
    except LMError as error:
        result = error
    except Exception as error:  # it must not cost the calls beside it
        log.exception("LM call failed in a way that nobody foresaw", work_item=str(prepared.claim.id))
        result = BrokenAnswer(prepared.model, f"{type(error).__name__}: {error}")
    if isinstance(result, LMError):
        log.warning("LM call failed", fault=result.fault, detail=str(result), work_item=str(prepared.claim.id))
    return Outcome(prepared, result, time.monotonic() - started)
