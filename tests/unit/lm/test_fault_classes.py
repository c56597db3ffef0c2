import httpx2
import pytest
from httptools import HttpParserError
from hypothesis import given
from hypothesis import strategies as st

from shared.lm.api_key import ApiKey
from shared.lm.connection import Disconnected, NoConnection
from shared.lm.errors import Fault
from shared.lm.faults import LONGEST_DETAIL, lm_error, one_line
from shared.lm.http import StatusError, UnwritableError

NO_KEY = ApiKey()


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (301, Fault.MISCONFIGURED),
        (400, Fault.REFUSED_INPUT),
        (401, Fault.MISCONFIGURED),
        (403, Fault.MISCONFIGURED),
        (404, Fault.MISCONFIGURED),
        (405, Fault.MISCONFIGURED),
        (413, Fault.REFUSED_INPUT),
        (422, Fault.REFUSED_INPUT),
        (424, Fault.BROKEN_ANSWER),
        (429, Fault.OVERLOADED),
        (500, Fault.BROKEN_ANSWER),
        (502, Fault.OVERLOADED),
        (503, Fault.OVERLOADED),
        (504, Fault.BROKEN_ANSWER),
        (599, Fault.BROKEN_ANSWER),
    ],
)
def test_a_status_has_its_class(status: int, fault: Fault) -> None:
    assert lm_error(StatusError(status, b""), "http://x", NO_KEY).fault is fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (NoConnection("nobody"), Fault.UNREACHABLE),
        (TimeoutError(), Fault.TIMED_OUT),
        (Disconnected("gone"), Fault.BROKEN_ANSWER),
        (ConnectionResetError("reset"), Fault.BROKEN_ANSWER),
        (HttpParserError("not HTTP"), Fault.BROKEN_ANSWER),
        (httpx2.UnsupportedProtocol("ftp"), Fault.MISCONFIGURED),
        (ValueError("not JSON"), Fault.BROKEN_ANSWER),
        (RecursionError(), Fault.BROKEN_ANSWER),
        (UnwritableError("surrogates"), Fault.REFUSED_INPUT),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), Fault.REFUSED_INPUT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_exception_has_its_class(error: Exception, fault: Fault) -> None:
    assert lm_error(error, "http://x", NO_KEY).fault is fault


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "too long", "error_type": "validation"}',
        b'{"error": {"message": "too long", "code": 400}}',
        b'{"detail": "too long"}',
        b"too long",
    ],
)
def test_the_detail_is_the_servers_own_message(body: bytes) -> None:
    assert lm_error(StatusError(422, body), "http://x", NO_KEY).detail == "422 too long"


@given(st.binary(), st.text(min_size=3, max_size=20).filter(str.isprintable))
def test_a_detail_is_one_short_line_without_the_key(body: bytes, key: str) -> None:
    echoed = body + key.encode(errors="replace") + body
    detail = lm_error(StatusError(500, echoed), "http://x", ApiKey(key)).detail
    assert len(detail) <= LONGEST_DETAIL
    assert detail.isprintable()
    assert key not in detail or key in "500 ***"


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_an_error_speaks_to_a_person() -> None:
    error = lm_error(StatusError(429, b'{"error": "Model is overloaded"}'), "http://x", NO_KEY)
    assert str(error) == "http://x has no room: 429 Model is overloaded"
    assert error.retryable
