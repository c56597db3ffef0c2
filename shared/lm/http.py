"""The HTTP client beneath both protocols: its limits, its patience, and its check of the status.

It takes a fraction of httpx2's CPU for a call (benchmarks/lm_clients.py). huggingface-hub speaks httpx2, so its
client gets ours as the transport below.
"""

import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from json import loads
from urllib.parse import urlsplit

import httpx2
import orjson

from shared.lm.api_key import ApiKey
from shared.lm.connection import Connection, Origin

CONNECT_TIMEOUT_S = 10.0
# Idle connections go before the 5 s after which uvicorn and llama.cpp close them, so that no call races with that.
KEEP_ALIVE_S = 4.0
_HEADERS = "user-agent: ensemble-instruct\r\naccept: */*\r\naccept-encoding: identity\r\n"

prompt_tokens: ContextVar[int | None] = ContextVar("prompt_tokens", default=None)
"""What the last answer in this task said in `x-prompt-tokens`: TGI's body has no place for it."""


class StatusError(Exception):
    """A server answered with something else than success."""

    def __init__(self, status: int, body: bytes, retry_after: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.text = body.decode(errors="replace")
        self.retry_after_s = _count(retry_after)  # the other form, a date, would need clocks that agree
        self.mend = ""


@contextmanager
def mended_by(mend: str) -> Iterator[None]:
    """What a person may do if the server knows no such address."""
    try:
        yield
    except StatusError as error:
        if error.status in (404, 405):
            error.mend = f"; {mend}"
        raise


class UnwritableError(ValueError):
    """A prompt that is no Unicode text: it holds half a surrogate pair."""


class Connections:
    """The connections to one server, made when they are first used; they belong to that event loop.

    There is no ceiling on their number: the callers' slots are the limit, and waiting here would look like a slow
    server. No proxy, no login, no cookie and no redirect.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        """A connection is to be there after `timeout_s` seconds, or `CONNECT_TIMEOUT_S`."""
        self._origin = Origin.of(url, _tls())
        self._timeout_s = min(CONNECT_TIMEOUT_S, timeout_s)
        self._idle: deque[tuple[float, Connection]] = deque()  # and since when, the longest first

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The body of a successful answer. Raises `StatusError`, `NoConnection`, `Disconnected`, `HttpParserError`."""
        connection = self._kept() or await Connection.open(self._origin, self._timeout_s)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._origin.name}\r\n{_HEADERS}{lines}"
        answer = await connection.ask(f"{head}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body)
        if connection.free:
            self._idle.append((time.monotonic(), connection))
        if answer.status >= 300:
            raise StatusError(answer.status, answer.body, answer.headers.get("retry-after", ""))
        prompt_tokens.set(_count(answer.headers.get("x-prompt-tokens", "")))
        return answer.body

    async def close(self) -> None:
        """Give them back."""
        while self._idle:
            self._idle.pop()[1].close()

    def _kept(self) -> Connection | None:
        """The connection that was used last, if there is one; those that nobody needed for long are closed."""
        oldest = time.monotonic() - KEEP_ALIVE_S
        while self._idle and self._idle[0][0] < oldest:
            self._idle.popleft()[1].close()
        while self._idle:
            _, connection = self._idle.pop()
            if connection.free:
                return connection
        return None


def _count(header: str) -> int | None:
    return int(header) if header.isdecimal() and len(header) < 10 else None


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # takes 90 ms, which should not count as the first call's latency


class HubTransport(httpx2.AsyncBaseTransport):
    """What huggingface-hub's client sends its requests through."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. The answer is a success; anything else is raised, so that errors look the same."""
        headers = {name: value for name, value in request.headers.items() if name in _SENT}
        path = request.url.raw_path.decode("ascii")
        content = await self._connections.send(request.method, path, await request.aread(), headers)
        return httpx2.Response(200, content=content)


_SENT = frozenset({"authorization", "content-type"})  # the rest is the connection's own


def make_client(connections: Connections) -> httpx2.AsyncClient:
    """An httpx2 client on these connections."""
    return httpx2.AsyncClient(transport=HubTransport(connections), trust_env=False)


class JsonClient:
    """GET and POST of JSON below one base address, with the server's key if it has one."""

    def __init__(self, connections: Connections, base: str, key: ApiKey) -> None:
        self._connections = connections
        self._base = urlsplit(base).path
        self._headers = {"content-type": "application/json"}
        if key.value:
            self._headers["authorization"] = f"Bearer {key.value}"

    async def get(self, path: str) -> object:
        """The JSON at `path`."""
        answer: object = loads(await self._connections.send("GET", self._base + path, b"", self._headers))
        return answer

    async def post(self, path: str, body: dict[str, object]) -> object:
        """The JSON that `path` answers to `body`. Raises `UnwritableError`."""
        try:
            sent = orjson.dumps(body)
        except TypeError as error:  # all else that a body holds can be written
            raise UnwritableError(str(error)) from error
        answer: object = loads(await self._connections.send("POST", self._base + path, sent, self._headers))
        return answer

    async def close(self) -> None:
        """Give back the connections."""
        await self._connections.close()
