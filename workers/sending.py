"""One LM call, whose end is an outcome whatever happens."""

import time

import structlog

from shared.lm.errors import BrokenAnswer, LMError
from shared.lm.protocol import Answer, LanguageModel
from workers.calls import NOT_TAKEN, Outcome, PreparedCall

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
        _log(prepared, result)
    return Outcome(prepared, result, time.monotonic() - started)


def _log(prepared: PreparedCall, error: LMError) -> None:
    """Say that a call failed; a server that took it may quote the prompt, which the log is not to hold."""
    about = {"work_item": str(prepared.claim.id), "fault": error.fault, "endpoint": error.endpoint}
    if error.fault in NOT_TAKEN:
        log.warning("LM call failed", **about, detail=error.detail)
    else:
        log.warning("LM call failed", **about)
        log.debug("what the server said", **about, detail=error.detail)
