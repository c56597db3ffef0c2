"""A connection that speaks HTTP/1.1, one request after the other, each answered whole; httptools reads what comes."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser


class NoConnection(Exception):
    """The server can't be connected to."""


class Disconnected(Exception):
    """The server closed the connection before it had answered."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a server is: what connections to it need to know."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    name: str  # as a request's `host` header says it

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext) -> "Origin":
        """The origin of a server at an http or https address. Raises `ValueError`."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is no address of an HTTP server")
        secure = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if secure else 80), tls if secure else None, parts.netloc)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """A client's end. It is `free` for the next request while the last answer has come whole and nothing after it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Response] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._ends_with_connection = False
        self.free = True

    @classmethod
    async def open(cls, origin: Origin, timeout_s: float) -> "Connection":
        """Connect within so many seconds. Raises `NoConnection`."""
        connecting = asyncio.get_running_loop().create_connection(cls, origin.host, origin.port, ssl=origin.tls)
        try:
            _, connection = await asyncio.wait_for(connecting, timeout_s)
        except TimeoutError:
            raise NoConnection(f"to {origin.name} within {timeout_s:g} s") from None
        except (OSError, UnicodeError) as error:  # refused, unknown, a certificate that is not good, no name at all
            raise NoConnection(f"to {origin.name}: {error}") from error
        return connection

    async def ask(self, request: bytes) -> Response:
        """Send a whole request; the answer to it. Raises `Disconnected`, or what makes no sense as HTTP.

        Whoever is cancelled meanwhile leaves a connection that is good for nothing.
        """
        if self._transport is None:
            raise Disconnected("the connection was closed")
        self.free = False
        self._answer = asyncio.get_running_loop().create_future()
        self._headers, self._body, self._ends_with_connection = {}, [], False
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            self._answer = None
            if not self.free:
                self.close()

    def close(self) -> None:
        """Close it at once."""
        self.free = False
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when there is a connection."""
        self._transport = cast(asyncio.Transport, transport)  # what asyncio makes for TCP

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with what the server sent."""
        if self._answer is None:  # that nobody asked for
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.close()
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the connection is closed, by whomever."""
        self._transport, self.free = None, False
        if exc is None and self._ends_with_connection:
            self._done()
        else:
            self._fail(exc or Disconnected("the connection was closed before the answer was whole"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser after the last header."""
        self._ends_with_connection = not {"content-length", "transfer-encoding"} & self._headers.keys()

    def on_body(self, body: bytes) -> None:
        """Called by the parser for each part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer, or of news that one will come."""
        if self._parser.get_status_code() < 200:
            self._headers, self._ends_with_connection = {}, False
        elif self._answer and not self._answer.done():
            self.free = self._parser.should_keep_alive()
            self._done()
        else:  # a second answer to one request
            self.close()

    def _done(self) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(Response(self._parser.get_status_code(), self._headers, b"".join(self._body)))

    def _fail(self, error: Exception) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)
