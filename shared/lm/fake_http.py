"""A small HTTP/1.1 server with keep-alive, on asyncio alone: what the fake LM server stands on.

It serves clients on this machine that send `Content-Length`, as ours do. It is not for the open network.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol, cast

MOST_BYTES = 64 * 2**20


class Delivery(Enum):
    """What becomes of an answer on its way."""

    WHOLE = "whole"
    HALF = "half"  # half of the body, then the connection closes
    DROPPED = "dropped"  # the connection closes and nothing was said
    HUNG = "hung"  # nothing is said, ever


@dataclass(frozen=True, slots=True)
class Received:
    """A request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, sent `delay_s` seconds after its request came."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = Delivery.WHOLE
    delay_s: float = 0.0
    note: bytes = b""  # for the site, when the reply has gone whole


class Site(Protocol):
    """What connections lead to."""

    def opened(self, connection: "Connection") -> None:
        """A client came."""

    def closed(self, connection: "Connection") -> None:
        """It went."""

    def answer(self, received: Received) -> Reply:
        """Decide what to reply."""

    def sent(self, reply: Reply) -> None:
        """Called before a reply that was not cut short is handed to the network."""

    def answered(self, received: Received) -> None:
        """Called once for each call of `answer`, when its reply is gone or never will be."""


class Connection(asyncio.Protocol):
    """One client's connection: one request after the other, each answered before the next is read."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._buffer = b""
        self._received: Received | None = None  # what is being answered
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when a client comes."""
        self._transport = cast(asyncio.Transport, transport)  # what asyncio makes for TCP
        self._site.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when it has gone."""
        self._transport = None
        self._site.closed(self)
        if self._timer:
            self._timer.cancel()
        self._done()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with what the client sent."""
        self._buffer += data
        self._serve()

    def abort(self) -> None:
        """Close at once, whatever is still to be said."""
        if self._transport:
            self._transport.abort()

    def _serve(self) -> None:
        while not self._received and self._transport and (received := self._next_request()):
            self._received = received
            reply = self._site.answer(received)
            if reply.delivery is Delivery.HUNG:
                return
            if reply.delay_s > 0:
                self._timer = asyncio.get_running_loop().call_later(reply.delay_s, self._send_late, reply)
            else:
                self._send(reply)

    def _send_late(self, reply: Reply) -> None:
        self._send(reply)
        self._serve()

    def _send(self, reply: Reply) -> None:
        self._done()
        if self._transport is None:
            return
        if reply.delivery is Delivery.DROPPED:
            self._transport.abort()
        elif reply.delivery is Delivery.HALF:
            self._transport.write(_head(reply) + reply.body[: len(reply.body) // 2])
            self._transport.close()
        else:
            self._site.sent(reply)
            self._transport.write(_head(reply) + reply.body)

    def _done(self) -> None:
        received, self._received = self._received, None
        if received:
            self._site.answered(received)

    def _next_request(self) -> Received | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        try:
            method, path, headers = _parse_head(head)
            length = int(headers.get("content-length", "0"))
        except ValueError:
            self.abort()
            return None
        if not 0 <= length <= MOST_BYTES or "transfer-encoding" in headers:
            self.abort()
            return None
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return Received(method, path, headers, rest[:length])


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _version = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return method, path, {name.lower(): value.strip() for name, _, value in pairs}


def _head(reply: Reply) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
    return f"{_first_lines(reply.status, reply.content_type)}{len(reply.body)}\r\n{lines}\r\n".encode("latin-1")


@lru_cache
def _first_lines(status: int, content_type: str) -> str:
    return f"HTTP/1.1 {status} {_phrase(status)}\r\ncontent-type: {content_type}\r\ncontent-length: "


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
