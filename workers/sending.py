"""One LM call, whose end is an outcome whatever happens."""

import time

import structlog

from shared.lm.errors import BrokenAnswer, Fault, LMError
from shared.lm.protocol import Answer, LanguageModel
from workers.calls import Outcome, PreparedCall

log = structlog.get_logger()

OUR_WORDS = frozenset({Fault.UNREACHABLE, Fault.TIMED_OUT, Fault.MISCONFIGURED})  # unless there is a status


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
    """Say that a call failed; what a server said may quote the prompt, which the log is not to hold."""
    about = {"work_item": str(prepared.claim.id), "fault": error.fault, "endpoint": error.endpoint}
    log.warning("LM call failed", **about, detail=_without_quotes(error))
    log.debug("what the server said", **about, detail=error.detail)


def _without_quotes(error: LMError) -> str:
    """The status of an answer, or our own client's words."""
    status = error.detail.partition(" ")[0]
    if status.isdecimal():
        return status
    return error.detail if error.fault in OUR_WORDS else ""
