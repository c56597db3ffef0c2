"""What servers may do with a connection, beyond what the fake LM does."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from httptools import HttpParserError, HttpParserUpgrade

from shared.lm.connection import Disconnected, NoConnection
from shared.lm.http import Connections, StatusError

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Scripted:
    """A server that answers each request with the next of some bytes; `connections` counts who came."""

    def __init__(self, *answers: bytes, then_closes: bool = False) -> None:
        self.answers = list(answers)
        self.then_closes = then_closes
        self.connections = 0
        self.requests: list[bytes] = []
        self._serving: list[asyncio.Task[None]] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client came."""
        self.connections += 1
        self._serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def ended(self) -> None:
        """Wait until every client has gone."""
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.talk(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes."""
        while self.answers:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answers.pop(0))
            if self.then_closes:
                return
        await reader.read()  # until the client leaves


def _with(
    server: Scripted, work: Callable[[Connections], Awaitable[object]], *, scheme: str = "http", timeout_s: float = 5
) -> object:
    async def session() -> object:
        async with await asyncio.start_server(server.accept, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            connections = Connections(f"{scheme}://127.0.0.1:{port}", timeout_s)
            try:
                return await asyncio.wait_for(work(connections), 5)
            finally:
                await connections.close()
                await server.ended()

    return asyncio.run(session())


async def _get(connections: Connections) -> bytes:
    return await connections.send("GET", "/", b"", {})


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK,
    ],
    ids=["in-chunks", "after-100", "after-103"],
)
def test_an_answer_is_read_whole_and_the_connection_serves_again(answer: bytes) -> None:
    async def twice(connections: Connections) -> list[bytes]:
        return [await _get(connections), await _get(connections)]

    server = Scripted(answer, OK)
    assert _with(server, twice) == [b"ok", b"ok"]
    assert server.connections == 1


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\ncontent-type: x\r\n\r\n"])
def test_an_answer_of_no_stated_length_ends_with_its_connection(head: bytes) -> None:
    assert _with(Scripted(head + b"ok", then_closes=True), _get) == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_whole_is_none(answer: bytes) -> None:
    with pytest.raises(Disconnected):
        _with(Scripted(answer, then_closes=True), _get)


@pytest.mark.parametrize(
    "answer",
    [b"hello\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nx"],
)
def test_what_is_not_http_is_no_answer(answer: bytes) -> None:
    with pytest.raises((HttpParserError, HttpParserUpgrade)):
        _with(Scripted(answer), _get)


@pytest.mark.parametrize(
    "answer", [OK + OK, OK + b"more", b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"]
)
def test_a_connection_with_more_on_it_or_no_more_is_not_used_again(answer: bytes) -> None:
    async def twice(connections: Connections) -> list[bytes]:
        return [await _get(connections), await _get(connections)]

    server = Scripted(answer, b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew")
    assert _with(server, twice) == [b"ok", b"new"]
    assert server.connections == 2


def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    async def twice(connections: Connections) -> list[bytes]:
        first = await _get(connections)
        await asyncio.sleep(0.1)
        return [first, await _get(connections)]

    server = Scripted(OK, OK, then_closes=True)
    assert _with(server, twice) == [b"ok", b"ok"]
    assert server.connections == 2


def test_what_comes_unasked_is_not_the_next_answer() -> None:
    async def twice(connections: Connections) -> list[bytes]:
        first = await _get(connections)
        await asyncio.sleep(0.1)
        return [first, await _get(connections)]

    class Talkative(Scripted):
        async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answers.pop(0))
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale")
            await reader.read()

    server = Talkative(OK, OK)
    assert _with(server, twice) == [b"ok", b"ok"]
    assert server.connections == 2


def test_a_request_names_host_length_and_what_it_was_given() -> None:
    async def post(connections: Connections) -> bytes:
        return await connections.send("POST", "/v1/x", b"{}", {"authorization": "Bearer k"})

    server = Scripted(OK)
    _with(server, post)
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "POST /v1/x HTTP/1.1"
    assert lines[1].startswith("host: 127.0.0.1:")
    assert {"authorization: Bearer k", "content-length: 2", "accept-encoding: identity"} < set(lines)


def test_a_status_has_the_servers_wish_to_wait() -> None:
    answer = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\ncontent-length: 4\r\n\r\nfull"
    with pytest.raises(StatusError) as caught:
        _with(Scripted(answer), _get)
    assert (caught.value.status, caught.value.text, caught.value.retry_after_s) == (429, "full", 7)


def test_a_server_without_tls_is_not_connected_to_over_https() -> None:
    class Plain(Scripted):
        async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(NoConnection):
        _with(Plain(), _get, scheme="https")


def test_a_server_that_is_not_there_in_time_is_not_connected_to() -> None:
    class Silent(Scripted):
        async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()  # and no word of TLS

    with pytest.raises(NoConnection, match=r"within 0\.2 s"):
        _with(Silent(), _get, scheme="https", timeout_s=0.2)
