"""The one place where what went wrong beneath becomes one of our errors."""

import json

import httpx2

from shared.lm.api_key import ApiKey
from shared.lm.connection import NoConnection
from shared.lm.errors import (
    BrokenAnswer,
    LMError,
    Misconfigured,
    Overloaded,
    RefusedInput,
    TimedOut,
    Unreachable,
)
from shared.lm.http import StatusError, UnwritableError
from shared.shortening import shortened

LONGEST_DETAIL = 300

_BY_STATUS: dict[int, type[LMError]] = {
    400: RefusedInput,
    413: RefusedInput,
    414: RefusedInput,
    422: RefusedInput,
    424: BrokenAnswer,  # TGI: generation failed
    408: Overloaded,
    425: Overloaded,
    429: Overloaded,
    502: Overloaded,
    503: Overloaded,
}

_BY_TYPE: tuple[tuple[type[Exception], type[LMError]], ...] = (
    # In this order: the first that fits.
    (NoConnection, Unreachable),
    (TimeoutError, TimedOut),
    (httpx2.UnsupportedProtocol, Misconfigured),
    (httpx2.InvalidURL, Misconfigured),
    # Our own prompt, whichever client writes it: what comes in is only ever decoded.
    (UnwritableError, RefusedInput),
    (UnicodeEncodeError, RefusedInput),
)


def lm_error(error: Exception, endpoint: str, key: ApiKey) -> LMError:
    """`error` in our words; what we don't know is a broken answer."""
    if isinstance(error, StatusError):
        refusal = _by_status(error.status)(
            endpoint, one_line(key.hide(f"{error.status} {_said(error.text)}")) + error.mend
        )
        if isinstance(refusal, Overloaded):
            refusal.retry_after_s = error.retry_after_s
        return refusal
    ours = next((ours for theirs, ours in _BY_TYPE if isinstance(error, theirs)), BrokenAnswer)
    return ours(endpoint, one_line(key.hide(f"{type(error).__name__} {error}")))


def one_line(text: str) -> str:
    """`text` on one line of at most `LONGEST_DETAIL` printable characters."""
    line = "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))
    return shortened(line, LONGEST_DETAIL)


def _by_status(status: int) -> type[LMError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    # A redirect, a path that isn't there, a key that isn't right: all to be mended by a person.
    return BrokenAnswer if status >= 500 else Misconfigured


def _said(body: str) -> str:
    """The server's message: TGI's `error`, OpenAI's `error.message`, FastAPI's `detail`, or plain text."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return body
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and name in said:
            said = said[name]
    return said if isinstance(said, str) else json.dumps(said)
