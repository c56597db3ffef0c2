"""Servers that die, come back, or have less room than the job allows, as callers that ask for room meet them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from shared.lm import breaker
from shared.lm.connect import connect
from shared.lm.errors import Fault, LMError
from shared.lm.fake import FakeFault, FakeServer, varying
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.health import CircuitState
from shared.lm.protocol import Call, LanguageModel
from shared.method.decoding import Decoding
from tests.integration.lm.mortal import MortalServer
from tests.integration.lm.session import ask, make_spec

CALL = Call("p", Decoding(temperature=0))
POLL_S = 0.005


@dataclass
class Traffic:
    """As many calls under way as there is room for, up to `window`, like a worker's."""

    lm: LanguageModel
    window: int
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)
    flowing: bool = False
    _calls: set[asyncio.Task[None]] = field(default_factory=set)

    async def flow_until(self, enough: Callable[[], bool]) -> None:
        """Send calls until something has come true, then let those under way end."""
        self.flowing = True
        async with asyncio.timeout(60):
            while not enough():
                self._fill()
                await asyncio.sleep(POLL_S)
            self.flowing = False
            await asyncio.gather(*self._calls)

    def _fill(self) -> None:
        while self.flowing and len(self._calls) < min(self.window, self.lm.capacity):
            self._calls.add(asyncio.create_task(self._call()))

    async def _call(self) -> None:
        try:
            self.answers[(await self.lm.generate(CALL)).endpoint] += 1
        except LMError as error:
            self.faults[error.fault] += 1
        self._calls.remove(cast("asyncio.Task[None]", asyncio.current_task()))
        self._fill()


def x(request: FakeRequest) -> FakeAnswer:
    return FakeAnswer("x")


def in_session(urls: list[str], work: Callable[[LanguageModel], Awaitable[None]], max_in_flight: int) -> None:
    async def session() -> None:
        lm = connect(make_spec("openai", urls, max_in_flight=max_in_flight), {})
        try:
            await work(lm)
        finally:
            await lm.close()

    asyncio.run(session())


def test_a_dead_servers_share_goes_to_the_other_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "LONGEST_WAIT_S", 0.2)

    async def work(lm: LanguageModel) -> None:
        traffic = Traffic(lm, window=8)
        await traffic.flow_until(lambda: min(traffic.answers[one.url], traffic.answers[two.url]) >= 40)
        await asyncio.to_thread(one.die)
        before = traffic.answers[two.url]
        await traffic.flow_until(lambda: traffic.answers[two.url] >= before + 200)
        assert [each.state is CircuitState.CLOSED for each in lm.health()] == [False, True]
        assert not lm.away
        assert traffic.faults.total() < 50  # eight that were under way, three, and a probe five times a second
        await asyncio.to_thread(one.live)
        before = traffic.answers[one.url]
        await traffic.flow_until(lambda: traffic.answers[one.url] >= before + 40)

    with MortalServer(x, latency=0.01) as one, FakeServer(x, latency=0.01) as two:
        in_session([one.url, two.url], work, 8)


def test_while_all_servers_are_dead_few_calls_are_sent_and_they_are_found_when_they_are_back() -> None:
    async def work(lm: LanguageModel) -> None:
        woken = asyncio.Event()
        lm.when_room(woken.set)
        await asyncio.to_thread(server.die)
        traffic = Traffic(lm, window=8)
        await traffic.flow_until(lambda: lm.away)
        assert lm.capacity == 0
        tried = traffic.faults.total()
        assert tried < 8 + breaker.FAULTS_IN_A_ROW
        await asyncio.to_thread(server.live)
        await asyncio.wait_for(woken.wait(), 20)
        assert lm.capacity == 1
        await traffic.flow_until(lambda: traffic.answers.total() >= 40)
        assert traffic.faults == {Fault.UNREACHABLE: tried}
        assert not lm.away

    with MortalServer(x) as server:
        in_session([server.url], work, 8)


def test_a_server_that_has_less_room_than_the_job_allows_is_kept_busy_and_seldom_asked_for_more() -> None:
    under_way: list[int] = []

    async def work(lm: LanguageModel) -> None:
        def answered(count: int) -> bool:
            under_way.append(server.in_flight)
            return traffic.answers.total() >= count

        traffic = Traffic(lm, window=32)
        await traffic.flow_until(lambda: answered(100))
        traffic.faults.clear()
        under_way.clear()
        await traffic.flow_until(lambda: answered(900))
        assert set(traffic.faults) == {Fault.OVERLOADED}
        assert traffic.faults.total() <= 0.08 * 800
        assert sum(under_way) >= 6 * len(under_way)
        assert not lm.away

    with FakeServer(x, latency=varying(0.05, 0.5), slots=8) as server:
        in_session([server.url], work, 32)


def test_without_room_a_call_is_sent_all_the_same() -> None:
    with FakeServer(x) as server:
        assert len(ask("openai", server.url, *[CALL] * 3, max_in_flight=1)) == 3

    async def work(lm: LanguageModel) -> None:
        for _ in range(breaker.FAULTS_IN_A_ROW):
            with pytest.raises(LMError):
                await lm.generate(CALL)
        assert lm.capacity == 0
        answers.append(FakeAnswer("x"))
        assert (await lm.generate(CALL)).text == "x"
        assert not lm.away

    answers: list[FakeAnswer | FakeFault] = [FakeFault(404)]
    with FakeServer(lambda request: answers[-1]) as server:
        in_session([server.url], work, 8)


def test_what_a_server_says_of_its_health_holds_no_secret_and_is_one_line() -> None:
    async def session(url: str) -> str | None:
        spec = make_spec("openai", url, api_key_env="LM_KEY")
        lm = connect(spec, {"LM_KEY": "s3cret-key"})
        with pytest.raises(LMError):
            await lm.generate(CALL)
        await lm.close()
        return lm.health()[0].detail

    echo = FakeFault(500, b"Bearer s3cret-key\n\x00" * 3)
    with FakeServer(lambda request: echo) as server:
        detail = asyncio.run(session(server.url))
    assert detail
    assert detail.isprintable()
    assert "s3cret" not in detail
