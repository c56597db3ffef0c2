import asyncio
from contextlib import ExitStack

import pytest

from shared.lm.connect import connect
from shared.lm.errors import Fault, LMError
from shared.lm.fake import FakeServer, Latency
from shared.lm.fake_protocols import FakeAnswer
from shared.lm.protocol import Call
from shared.method.decoding import Decoding
from tests.integration.lm.session import ask, describe, make_spec

CALL = Call("p", Decoding(temperature=0))


def server(latency: Latency = 0.0) -> FakeServer:
    return FakeServer(lambda request: FakeAnswer("x"), latency=latency, record=True)


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_idle_servers_take_turns(protocol: str) -> None:
    with server() as one, server() as two, server() as three:
        answers = ask(protocol, [one.url, two.url, three.url], *[CALL] * 6)
    assert [answer.endpoint for answer in answers] == [one.url, two.url, three.url] * 2


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_a_busy_server_waits_its_turn(protocol: str) -> None:
    async def session(busy: FakeServer, idle: FakeServer) -> list[str]:
        lm = connect(make_spec(protocol, [busy.url, idle.url]), {})
        long = asyncio.create_task(lm.generate(CALL))
        while not busy.requests:
            await asyncio.sleep(0.01)
        endpoints = [(await lm.generate(CALL)).endpoint for _ in range(4)]
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)
        endpoints += [(await lm.generate(CALL)).endpoint for _ in range(2)]
        await lm.close()
        return endpoints

    with server(latency=lambda request: 60.0 if len(busy.requests) == 1 else 0.0) as busy, server() as idle:
        endpoints = asyncio.run(session(busy, idle))
    assert endpoints[:4] == [idle.url] * 4
    assert sorted(endpoints[4:]) == sorted([busy.url, idle.url])


def test_every_server_is_described() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(server()) for _ in range(3)]
        descriptions = describe("tgi", [each.url for each in servers])
    assert [description.endpoint for description in descriptions] == [each.url for each in servers]


def test_a_description_fails_with_the_server_that_fails() -> None:
    with server() as one, pytest.raises(LMError) as caught:
        describe("tgi", [one.url, "http://no-such-host.invalid"])
    assert caught.value.fault is Fault.UNREACHABLE


@pytest.mark.parametrize("protocol", ["tgi", "openai"])
def test_more_calls_than_the_default_pools_of_http_clients_have_connections(protocol: str) -> None:
    async def session(url: str) -> int:
        lm = connect(make_spec(protocol, url, timeout_s=20), {})
        answers = await asyncio.gather(*(lm.generate(CALL) for _ in range(250)))
        await lm.close()
        return len(answers)

    # the first hundred wait for the others
    with server(latency=lambda request: 1.5 if one.most_in_flight <= 100 else 0.0) as one:
        assert asyncio.run(session(one.url)) == 250
    assert one.most_in_flight > 100
