"""Structured logs on stderr, one JSON object a line; a library's own records take the same way.

docs/telemetry.md lists the fields. What a line is about is `bound` once, and goes with the work through threads and
coroutines.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import Any
from urllib.parse import quote, unquote

import structlog
from structlog.contextvars import bound_contextvars, unbind_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

bound = bound_contextvars
# They have a line for every call, hint or probe.
CHATTY = ("httpx2", "celery.worker.strategy", "celery.app.trace", "alembic.runtime.migration")
HIDDEN = "***"
LEAST_SECRET = 8  # characters: shorter ones may be parts of words
MOST_IDS = 20

_of_process: dict[str, str] = {}
# What Postgres quotes of a row, up to what SQLAlchemy or Python says next.
_ROWS = re.compile(
    r"^(?:DETAIL|CONTEXT):.*?(?=^\[SQL:|^\(Background on|^Traceback|^The above exception|^During handling|\Z)",
    re.MULTILINE | re.DOTALL,
)


def configure_logging(level: str, secrets: Iterable[str] = ()) -> None:
    """Send every log record of this process to stderr as JSON, with `***` in place of each of these secrets."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _name_process,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter(
            secrets,
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _leave_out_rows,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def name_process(**fields: str) -> None:
    """Have every further line of this process tell these."""
    _of_process.update(fields)


def context_without(*fields: str) -> Context:
    """A context in which lines tell what is bound here, but for these."""
    context = copy_context()
    context.run(unbind_contextvars, *fields)
    return context


def told(ids: Iterable[object]) -> list[str]:
    """Ids as a line tells them: the first `MOST_IDS`."""
    return [str(id) for _, id in zip(range(MOST_IDS), ids, strict=False)]


def _name_process(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {**_of_process, **event}


def _leave_out_rows(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = _ROWS.sub("", event["exception"])
    return event


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Takes the secrets out of each finished line, in whatever form they may stand there."""

    def __init__(self, secrets: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        long = [secret for secret in secrets if len(secret) >= LEAST_SECRET]
        plain = {form for secret in long for form in (secret, unquote(secret), quote(secret, safe=""))}
        self._forms = sorted({*plain, *(json.dumps(form)[1:-1] for form in plain)}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The record in a line."""
        line = super().format(record)
        for form in self._forms:
            line = line.replace(form, HIDDEN)
        return line
